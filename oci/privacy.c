#include "oci/privacy.h"

#include "oci/ocid.h"

#define GAP_LEN (sizeof(PRIVACY_GAP) - 1)

/* The first bytes that are to be masked, all parts with their separators; *rest
 * is what follows them. Empty when there are none. */
static struct span next_tail(struct span *rest)
{
	struct ocid ocid;

	for (;;) {
		struct span found = ocid_next(*rest, &ocid);
		const char *end = found.at + found.len;
		const char *tail =
			ocid.future.len ? ocid.future.at : ocid.unique.at;

		if (found.len == 0)
			return found;
		*rest = span_from(*rest, (size_t)(end - rest->at));
		/* The first part of one that is masked already. */
		if (end - tail == PRIVACY_HEAD &&
		    span_starts(*rest, SPAN(PRIVACY_GAP)))
			continue;
		return span_of(tail, (size_t)(end - tail));
	}
}

static void mask_part(struct span part, struct buf *into)
{
	bool longer = part.len > PRIVACY_HEAD + PRIVACY_TAIL;

	if (longer)
		buf_add(into, part.at, PRIVACY_HEAD);
	if (part.len)
		buf_add(into, PRIVACY_GAP, GAP_LEN);
	if (longer)
		buf_add_span(into, span_from(part, part.len - PRIVACY_TAIL));
}

static void mask_tail(struct span tail, struct buf *into)
{
	size_t from = 0;

	for (size_t i = 0; i <= tail.len; i++) {
		if (i < tail.len && tail.at[i] != '.' && tail.at[i] != ':')
			continue;
		mask_part(span_of(tail.at + from, i - from), into);
		if (i < tail.len)
			buf_putc(into, tail.at[i]);
		from = i + 1;
	}
}

void privacy_mask(struct span text, struct buf *into)
{
	struct span rest = text;

	while (text.len > 0) {
		struct span tail = next_tail(&rest);

		if (tail.len == 0) {
			buf_add_span(into, text);
			return;
		}
		buf_add(into, text.at, (size_t)(tail.at - text.at));
		mask_tail(tail, into);
		text = rest;
	}
}

bool privacy_touches(struct span text)
{
	return text.len > 0 && next_tail(&text).len > 0;
}

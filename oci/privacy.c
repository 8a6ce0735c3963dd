#include "oci/privacy.h"

#include "oci/ocid.h"

#define GAP_LEN (sizeof(PRIVACY_GAP) - 1)

static bool is_separator(char c)
{
	return c == '.' || c == ':';
}

/* Is unique, which begins here, what mask_part() left of a longer one? The
 * dashes at the end of such a beginning are not part of an OCID, so they are in
 * rest. */
static bool is_masked(struct span unique, struct span rest)
{
	while (unique.len < PRIVACY_HEAD && rest.len &&
	       (*rest.at == '-' || *rest.at == '_')) {
		unique.len++;
		rest = span_from(rest, 1);
	}
	return unique.len == PRIVACY_HEAD &&
	       span_starts(rest, SPAN(PRIVACY_GAP));
}

/* The next bytes that are to be masked, parts with their separators; *rest
 * moves past them. Empty when there are none. */
static struct span next_tail(struct span *rest)
{
	struct ocid ocid;
	struct span tail;

	do {
		struct span found = ocid_next(*rest, &ocid);
		const char *end;

		if (found.len == 0)
			return found;
		end = found.at + found.len;
		tail.at = ocid.future.len ? ocid.future.at : ocid.unique.at;
		*rest = span_from(*rest, (size_t)(end - rest->at));
		if (is_masked(ocid.unique, *rest))
			end = ocid.unique.at;
		while (tail.at < end && is_separator(*tail.at))
			tail.at++;
		tail.len = (size_t)(end - tail.at);
	} while (tail.len == 0);
	return tail;
}

static void mask_part(struct span part, struct buf *into)
{
	struct span end =
		span_from(part, part.len - MIN(part.len, PRIVACY_TAIL));
	/* An end that is the beginning of another OCID would be taken for it
	   when this is masked again. */
	bool longer = part.len > PRIVACY_HEAD + PRIVACY_TAIL &&
	              !memmem(end.at, end.len, "ocid", 4);

	if (longer)
		buf_add(into, part.at, PRIVACY_HEAD);
	if (part.len)
		buf_add(into, PRIVACY_GAP, GAP_LEN);
	if (longer)
		buf_add_span(into, end);
}

static void mask_tail(struct span tail, struct buf *into)
{
	size_t from = 0;

	for (size_t i = 0; i <= tail.len; i++) {
		if (i < tail.len && !is_separator(tail.at[i]))
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
		text = span_from(text, (size_t)(tail.at + tail.len - text.at));
	}
}

bool privacy_touches(struct span text)
{
	return text.len > 0 && next_tail(&text).len > 0;
}

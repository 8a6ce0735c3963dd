#include "lib/sse.h"

/*
 * What stands in data: first the data of the event so far, gathered bytes of
 * it, then the beginning of a line whose end has not come. The data of an event
 * with one line stays in the caller's piece, where piece points, until a second
 * line comes or the piece ends.
 */

/* How far a line end is looked for at once: a stream of CRs alone must not
 * cost a search of the whole piece for LF at each of them. */
#define WINDOW 512

/* Offset of the first CR or LF, or in.len. */
static size_t line_end(struct span in)
{
	for (size_t at = 0; at < in.len; at += WINDOW) {
		struct span window = span_first(span_from(in, at), WINDOW);

		window.len = span_find(window, '\n');
		size_t cr = span_find(window, '\r');

		/* Neither: cr is the whole window. */
		if (cr < WINDOW && at + cr < in.len)
			return at + cr;
	}
	return in.len;
}

/* The one data line that was left in the caller's piece, to the buffer. */
static void gather(struct sse *s)
{
	if (!s->piece.at)
		return;
	buf_add_span(&s->data, s->piece);
	s->gathered = s->data.len;
	s->piece = span_of(NULL, 0);
}

static void forget_event(struct sse *s)
{
	buf_reset(&s->data);
	s->piece = span_of(NULL, 0);
	s->gathered = 0;
	s->lines = 0;
	s->type_len = 0;
	s->handed = false;
}

/* value is in the caller's piece. */
static void data_line(struct sse *s, struct span value)
{
	if (s->lines++ == 0) {
		s->piece = value;
		return;
	}
	gather(s);
	buf_putc(&s->data, '\n');
	buf_add_span(&s->data, value);
	s->gathered = s->data.len;
}

/* value is in the buffer, behind the data: move it down over the field name. */
static void gathered_data_line(struct sse *s, struct span value)
{
	char *to = s->data.bytes + s->gathered;

	if (s->lines++ > 0)
		*to++ = '\n'; /* "data" stood there: there is room */
	memmove(to, value.at, value.len);
	s->data.len = (size_t)(to - s->data.bytes) + value.len;
	s->gathered = s->data.len;
}

static bool copy(struct span from, char *to, size_t max, uint16_t *len)
{
	if (from.len > max)
		return false;
	if (from.len)
		memcpy(to, from.at, from.len);
	*len = (uint16_t)from.len;
	return true;
}

/* "name: value", one space after the colon is not part of the value. */
static struct span split(struct span line, struct span *value)
{
	struct span name = span_first(line, span_find(line, ':'));

	*value = span_from(line, name.len + 1);
	if (value->len && *value->at == ' ')
		*value = span_from(*value, 1);
	return name;
}

/* A line that is not empty; gathered when it is in the buffer. */
static bool field(struct sse *s, struct span line, bool gathered)
{
	struct span value, name = split(line, &value);

	if (span_eq(name, SPAN("data"))) {
		if (gathered)
			gathered_data_line(s, value);
		else
			data_line(s, value);
		return true;
	}
	if (gathered)
		s->data.len = s->gathered;
	if (span_eq(name, SPAN("event")))
		return copy(value, s->type, SSE_TYPE_MAX, &s->type_len);
	if (span_eq(name, SPAN("id")) && span_find(value, '\0') == value.len)
		return copy(value, s->id, SSE_ID_MAX, &s->id_len);
	if (span_eq(name, SPAN("retry")))
		span_u64(value, UINT32_MAX, &s->retry_ms);
	return true; /* others, and comments, are ignored */
}

static struct sse_event event(const struct sse *s)
{
	return (struct sse_event){
		.type = s->type_len ? span_of(s->type, s->type_len)
		                    : SPAN("message"),
		.data = s->piece.at ? s->piece
		                    : span_of(s->data.bytes, s->gathered),
		.id = span_of(s->id, s->id_len),
	};
}

static enum sse_result give_up(struct sse *s)
{
	s->failed = true;
	return SSE_TOO_LARGE;
}

/* The end of the piece: whatever still points into it is copied. */
static enum sse_result keep_rest(struct sse *s, struct span *in)
{
	gather(s);
	buf_add_span(&s->data, *in);
	*in = span_from(*in, in->len);
	return buf_err(&s->data) ? give_up(s) : SSE_MORE;
}

/*
 * A whole line: what the buffer has of it, then rest. *ended says that it was
 * empty, and so ended an event. Returns false when a limit was passed.
 */
static bool take_line(struct sse *s, struct span rest, bool *ended)
{
	bool gathered = s->data.len > s->gathered;
	struct span line = rest;

	if (gathered) {
		buf_add_span(&s->data, rest);
		if (buf_err(&s->data))
			return false;
		line = span_from(buf_span(&s->data), s->gathered);
	}
	if (!s->started && span_starts(line, SPAN("\xef\xbb\xbf")))
		line = span_from(line, 3);
	s->started = true;
	*ended = line.len == 0;
	if (!*ended)
		return field(s, line, gathered) && !buf_err(&s->data);
	s->data.len = s->gathered; /* the byte order mark was all */
	return true;
}

/* Take the next line off the piece; an empty span with at NULL: it has none. */
static struct span next_line(struct sse *s, struct span *in)
{
	struct span line;
	size_t end;

	if (s->after_cr && in->len) {
		s->after_cr = false;
		if (*in->at == '\n')
			*in = span_from(*in, 1);
	}
	end = line_end(*in);
	if (end == in->len)
		return span_of(NULL, 0);
	line = span_first(*in, end);
	s->after_cr = in->at[end] == '\r';
	*in = span_from(*in, end + 1);
	return line;
}

enum sse_result sse_next(struct sse *s, struct span *in, struct sse_event *ev)
{
	struct span line;
	bool ended;

	if (s->handed)
		forget_event(s);
	if (s->failed)
		return SSE_TOO_LARGE;
	while (line = next_line(s, in), line.at) {
		if (!take_line(s, line, &ended))
			return give_up(s);
		if (!ended)
			continue;
		if (s->lines > 0) {
			s->handed = true;
			*ev = event(s);
			return SSE_EVENT;
		}
		forget_event(s); /* an event without data is none */
	}
	return keep_rest(s, in);
}

void sse_fini(struct sse *s)
{
	size_t max = s->data.max;

	buf_free(&s->data);
	*s = (struct sse){ .data = { .max = max } };
}

bool sse_data_safe(struct span data)
{
	return span_find(data, '\n') == data.len &&
	       span_find(data, '\r') == data.len;
}

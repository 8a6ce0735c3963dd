#include "proxy/trace.h"

#include "lib/value.h"

#define PARENT_LEN 55 /* of version 00 */

static bool hex(struct span s, bool *zero)
{
	*zero = true;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
		*zero = *zero && c == '0';
	}
	return true;
}

/* version "-" trace-id "-" parent-id "-" flags (section 3.2). */
static bool holds(struct span s)
{
	static const struct {
		size_t at, len;
		bool not_zero;
	} parts[] = { { 0, 2, false },
		      { 3, 32, true },
		      { 36, 16, true },
		      { 53, 2, false } };
	bool zero;

	if (s.len < PARENT_LEN || s.len > TRACE_PARENT_MAX || s.at[2] != '-' ||
	    s.at[35] != '-' || s.at[52] != '-')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!hex(span_of(s.at + parts[i].at, parts[i].len), &zero) ||
		    (zero && parts[i].not_zero))
			return false;
	if (span_starts(s, SPAN("ff")))
		return false;
	/* A later version may have more behind a dash. */
	return s.len == PARENT_LEN ||
	       (!span_starts(s, SPAN("00")) && s.at[PARENT_LEN] == '-');
}

static bool printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < 0x20 ||
		    (unsigned char)s.at[i] > 0x7e)
			return false;
	return s.len > 0;
}

static void take(struct span parent, struct span state, struct trace *trace)
{
	trace->parent_len = trace->state_len = 0;
	if (!holds(parent) || !printable(parent))
		return;
	trace->parent_len = parent.len;
	memcpy(trace->parent, parent.at, parent.len);
	if (!printable(state) || state.len > TRACE_STATE_MAX)
		return;
	trace->state_len = state.len;
	memcpy(trace->state, state.at, state.len);
}

static struct span text(struct span raw, char *room, size_t cap)
{
	int n = value_type(raw) == VALUE_STRING ? value_string(raw, room, cap)
	                                        : -1;

	return n > 0 ? span_of(room, (size_t)n) : span_of("", 0);
}

void trace_read(struct span parent, struct span state,
                const struct h1_head *head, struct trace *trace)
{
	char p[TRACE_PARENT_MAX], s[TRACE_STATE_MAX];

	trace->parent_len = 0;
	if (parent.len)
		take(text(parent, p, sizeof(p)), text(state, s, sizeof(s)),
		     trace);
	if (trace->parent_len == 0 && head->seen[H1_TRACEPARENT] == 1)
		take(h1_value(head, H1_TRACEPARENT),
		     head->seen[H1_TRACESTATE] == 1
		             ? h1_value(head, H1_TRACESTATE)
		             : span_of("", 0),
		     trace);
}

void trace_fields(const struct trace *trace, struct buf *out)
{
	if (trace->parent_len == 0)
		return;
	buf_puts(out, "traceparent: ");
	buf_add(out, trace->parent, trace->parent_len);
	buf_puts(out, "\r\n");
	if (trace->state_len == 0)
		return;
	buf_puts(out, "tracestate: ");
	buf_add(out, trace->state, trace->state_len);
	buf_puts(out, "\r\n");
}

void trace_members(const struct trace *trace, bool *first, struct buf *out)
{
	if (trace->parent_len == 0)
		return;
	buf_puts(out, *first ? "\"traceparent\":" : ",\"traceparent\":");
	*first = false;
	buf_add_json(out, span_of(trace->parent, trace->parent_len));
	if (trace->state_len == 0)
		return;
	buf_puts(out, ",\"tracestate\":");
	buf_add_json(out, span_of(trace->state, trace->state_len));
}

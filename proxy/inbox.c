#include "proxy/inbox.h"

#include "lib/scan.h"
#include "lib/value.h"

#define ROW(name, parent)                            \
	{                                            \
		{ name, sizeof(name) - 1 }, (parent) \
	}

static const struct scan_want want[INBOX_ROWS] = {
	[INBOX_ID] = ROW("id", SCAN_ROOT),
	[INBOX_METHOD] = ROW("method", SCAN_ROOT),
	[INBOX_PARAMS] = ROW("params", SCAN_ROOT),
	[INBOX_URI] = ROW("uri", INBOX_PARAMS),
	[INBOX_NOTIFICATIONS] = ROW("notifications", INBOX_PARAMS),
	[INBOX_RESULT] = ROW("result", SCAN_ROOT),
	[INBOX_RESULT_TYPE] = ROW("resultType", INBOX_RESULT),
	[INBOX_SUPPORTED_VERSIONS] = ROW("supportedVersions", INBOX_RESULT),
	[INBOX_PROTOCOL_VERSION] = ROW("protocolVersion", INBOX_RESULT),
	[INBOX_CAPABILITIES] = ROW("capabilities", INBOX_RESULT),
	[INBOX_INSTRUCTIONS] = ROW("instructions", INBOX_RESULT),
	[INBOX_TOOLS] = ROW("tools", INBOX_RESULT),
	[INBOX_PROMPTS] = ROW("prompts", INBOX_RESULT),
	[INBOX_RESOURCES] = ROW("resources", INBOX_RESULT),
	[INBOX_TEMPLATES] = ROW("resourceTemplates", INBOX_RESULT),
	[INBOX_NEXT_CURSOR] = ROW("nextCursor", INBOX_RESULT),
	[INBOX_TTL] = ROW("ttlMs", INBOX_RESULT),
	[INBOX_ERROR] = ROW("error", SCAN_ROOT),
	[INBOX_CODE] = ROW("code", INBOX_ERROR),
	[INBOX_DATA] = ROW("data", INBOX_ERROR),
	[INBOX_SUPPORTED] = ROW("supported", INBOX_DATA),
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
	while (s.len && is_space(*s.at))
		s = span_from(s, 1);
	while (s.len && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* A document: a message, or a batch of them. */
static enum scan_result take(struct inbox *box, struct span text)
{
	struct span found[INBOX_ROWS];
	struct scan_error why;
	struct value_iter it;
	enum scan_result result =
		scan_document(text, want, INBOX_ROWS, found, &why);

	if (result != SCAN_OK) {
		if (result != SCAN_TRUNCATED)
			box->bad = why.text;
		return result;
	}
	if (value_type(text) == VALUE_OBJECT)
		box->on_message(box, found);
	if (value_type(text) != VALUE_ARRAY)
		return result;
	value_iter_init(&it, text);
	while (value_array_next(&it, &text)) {
		if (value_type(text) != VALUE_OBJECT)
			continue;
		if (scan_document(text, want, INBOX_ROWS, found, &why) ==
		    SCAN_OK)
			box->on_message(box, found);
		else
			box->bad = why.text;
	}
	return result;
}

/* Lines that are documents by themselves. One that is only the beginning of a
 * document tells that the body is one document over several lines. */
static bool feed_json(struct inbox *box, struct span piece)
{
	size_t begin = 0;

	box->body.max = box->max;
	buf_add_span(&box->body, piece);
	if (buf_err(&box->body) < 0)
		return false;
	while (!box->whole) {
		struct span rest = span_from(buf_span(&box->body), begin);
		struct span fresh = span_from(rest, box->looked);
		size_t n = box->looked + span_find(fresh, '\n');

		if (n == rest.len) {
			box->looked = n;
			break;
		}
		struct span line = trim(span_first(rest, n));
		if (line.len && take(box, line) == SCAN_TRUNCATED) {
			box->whole = true;
			break;
		}
		begin += n + 1;
		box->looked = 0;
	}
	buf_consume(&box->body, begin);
	return true;
}

static bool feed_events(struct inbox *box, struct span piece)
{
	struct sse_event event;
	enum sse_result result;

	box->sse.data.max = box->max;
	while ((result = sse_next(&box->sse, &piece, &event)) == SSE_EVENT)
		if (span_is(event.type, "message") && event.data.len &&
		    take(box, trim(event.data)) == SCAN_TRUNCATED)
			box->bad = "the text ends too early";
	return result == SSE_MORE;
}

bool inbox_feed(struct inbox *box, struct span piece)
{
	if (box->form == INBOX_UNKNOWN) {
		while (piece.len && is_space(*piece.at))
			piece = span_from(piece, 1);
		if (piece.len == 0)
			return true;
		box->form = *piece.at == '{' || *piece.at == '[' ? INBOX_JSON
		                                                 : INBOX_EVENTS;
	}
	return box->form == INBOX_JSON ? feed_json(box, piece)
	                               : feed_events(box, piece);
}

void inbox_end(struct inbox *box)
{
	struct span rest = trim(buf_span(&box->body));

	if (box->form == INBOX_JSON && rest.len &&
	    take(box, rest) == SCAN_TRUNCATED)
		box->bad = "the text ends too early";
}

void inbox_fini(struct inbox *box)
{
	buf_free(&box->body);
	sse_fini(&box->sse);
	box->form = INBOX_UNKNOWN;
	box->looked = 0;
	box->whole = false;
	box->bad = NULL;
}

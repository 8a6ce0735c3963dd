#include "master/envelope.h"

#include <stdlib.h>

#include "lib/base64.h"
#include "lib/scan.h"
#include "lib/value.h"

enum { ID, METHOD, PARAMS, META, VERSION, NAME, URI, TASK, CANCELS, N_MESSAGE };

static const struct scan_want message_want[N_MESSAGE] = {
	[ID] = SCAN_WANT("id", SCAN_ROOT),
	[METHOD] = SCAN_WANT("method", SCAN_ROOT),
	[PARAMS] = SCAN_WANT("params", SCAN_ROOT),
	[META] = SCAN_WANT("_meta", PARAMS),
	[VERSION] = SCAN_WANT("io.modelcontextprotocol/protocolVersion", META),
	[NAME] = SCAN_WANT("name", PARAMS),
	[URI] = SCAN_WANT("uri", PARAMS),
	[TASK] = SCAN_WANT("taskId", PARAMS),
	[CANCELS] = SCAN_WANT("requestId", PARAMS),
};

/* Methods whose Mcp-Name is required, and where its value stands. */
static const struct {
	struct span method;
	int row;
} named[] = {
	{ { "tools/call", 10 }, NAME },    { { "prompts/get", 11 }, NAME },
	{ { "resources/read", 14 }, URI }, { { "tasks/get", 9 }, TASK },
	{ { "tasks/update", 12 }, TASK },  { { "tasks/cancel", 12 }, TASK },
};

static bool is_id(struct span raw)
{
	enum value_type type = value_type(raw);

	return type == VALUE_STRING || type == VALUE_NUMBER;
}

static enum envelope_kind kind_of(const struct span found[N_MESSAGE])
{
	bool has_method = value_type(found[METHOD]) == VALUE_STRING;

	if (has_method && is_id(found[ID]))
		return ENVELOPE_REQUEST;
	if (has_method && !found[ID].at)
		return ENVELOPE_NOTIFICATION;
	if (!found[METHOD].at && is_id(found[ID]))
		return ENVELOPE_RESPONSE;
	return ENVELOPE_OTHER;
}

static int judge(enum scan_result result)
{
	switch (result) {
	case SCAN_DUPLICATE_KEY:
	case SCAN_FOLDED_KEY:
	case SCAN_ESCAPED_KEY:
		return ENVELOPE_INVALID_REQUEST;
	default:
		return ENVELOPE_PARSE_ERROR;
	}
}

static bool is_method(const struct envelope *e, struct span name)
{
	return value_string_eq(e->method, name);
}

int envelope_read(struct span text, struct envelope *out, const char **why)
{
	struct span found[N_MESSAGE];
	struct scan_error error;
	enum scan_result result =
		scan_document(text, message_want, N_MESSAGE, found, &error);

	*out = (struct envelope){ .kind = ENVELOPE_OTHER };
	if (result != SCAN_OK) {
		*why = error.text;
		return judge(result);
	}
	out->kind = kind_of(found);
	if (is_id(found[ID]))
		out->id = found[ID];
	if (value_type(found[METHOD]) != VALUE_STRING)
		return 0;
	out->method = found[METHOD];
	if (value_type(found[VERSION]) == VALUE_STRING)
		out->version = found[VERSION];
	for (size_t i = 0; i < ARRAY_LEN(named); i++)
		if (is_method(out, named[i].method) &&
		    value_type(found[named[i].row]) == VALUE_STRING)
			out->name = found[named[i].row];
	out->opens = is_method(out, SPAN("initialize"));
	out->listens = is_method(out, SPAN("subscriptions/listen"));
	if (is_method(out, SPAN("notifications/cancelled")))
		out->cancels = found[CANCELS];
	return 0;
}

/* --- header fields -------------------------------------------------------- */

/* Bytes that a field value may have, and not at its ends. */
static bool is_literal(struct span s)
{
	static const struct span head = { "=?base64?", 9 }, tail = { "?=", 2 };

	for (size_t i = 0; i < s.len; i++)
		if ((s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] > 0x7e)
			return false;
	return span_trim(s).len == s.len &&
	       !(s.len >= head.len + tail.len && span_starts(s, head) &&
	         span_eq(span_from(s, s.len - tail.len), tail));
}

static void add_encoded(struct span s, struct buf *out)
{
	char *at;

	buf_puts(out, "=?base64?");
	at = buf_reserve(out, BASE64_LEN(s.len));
	if (at)
		buf_commit(out, base64_encode(s, at));
	buf_puts(out, "?=");
}

/* A field whose value is a JSON string; encode: in the Base64 form if need
 * be, otherwise such a value has no field. */
static void add_field(const char *name, struct span raw, bool encode,
                      struct buf *out)
{
	char *text = raw.len ? malloc(raw.len) : NULL;
	int n = text ? value_string(raw, text, raw.len) : -1;
	struct span value = span_of(text, n > 0 ? (size_t)n : 0);

	if (n >= 0 && (encode || is_literal(value))) {
		buf_puts(out, name);
		buf_puts(out, ": ");
		if (is_literal(value))
			buf_add_span(out, value);
		else
			add_encoded(value, out);
		buf_puts(out, "\r\n");
	}
	free(text);
}

void envelope_fields(const struct envelope *e,
                     const struct envelope_session *session, struct buf *out)
{
	if (e->version.len) {
		add_field("MCP-Protocol-Version", e->version, false, out);
		add_field("Mcp-Method", e->method, false, out);
		add_field("Mcp-Name", e->name, true, out);
		return;
	}
	if (e->opens)
		return;
	if (*session->version)
		buf_addf(out, "MCP-Protocol-Version: %s\r\n", session->version);
	if (*session->id)
		buf_addf(out, "Mcp-Session-Id: %s\r\n", session->id);
}

/* --- answers -------------------------------------------------------------- */

/* No raw line end is inside a string of JSON; elsewhere it is a space. */
static void add_line(struct span text, struct buf *out)
{
	char *at = buf_reserve(out, text.len + 1);

	if (!at)
		return;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		at[i] = c == '\n' || c == '\r' ? ' ' : c;
	}
	at[text.len] = '\n';
	buf_commit(out, text.len + 1);
}

static void add_id(struct span id, struct buf *out)
{
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, id.len ? id : SPAN("null"));
}

static void keep_version(struct span raw, char out[ENVELOPE_VERSION_MAX + 1])
{
	int n = value_string(raw, out, ENVELOPE_VERSION_MAX);

	if (n < 0 || !is_literal(span_of(out, (size_t)n)))
		n = 0;
	out[n] = '\0';
}

enum envelope_answer envelope_answer(struct span text, struct span id,
                                     char version[ENVELOPE_VERSION_MAX + 1],
                                     struct buf *out)
{
	enum { ITS_ID, ITS_METHOD, RESULT, ERROR, ITS_VERSION, N_ANSWER };
	static const struct scan_want want[N_ANSWER] = {
		[ITS_ID] = SCAN_WANT("id", SCAN_ROOT),
		[ITS_METHOD] = SCAN_WANT("method", SCAN_ROOT),
		[RESULT] = SCAN_WANT("result", SCAN_ROOT),
		[ERROR] = SCAN_WANT("error", SCAN_ROOT),
		[ITS_VERSION] = SCAN_WANT("protocolVersion", RESULT),
	};
	struct span found[N_ANSWER];
	struct scan_error why;

	/* Only of an initialize is more than the outside looked at. */
	if (scan_document(text, want, version ? N_ANSWER : ITS_VERSION, found,
	                  &why) != SCAN_OK)
		return ENVELOPE_NOT_JSON;
	if (found[ERROR].at && !is_id(found[ITS_ID]) && id.len) {
		add_id(id, out);
		buf_puts(out, ",\"error\":");
		add_line(found[ERROR], out);
		if (buf_err(out) == 0)
			out->len--; /* the line goes on */
		buf_puts(out, "}\n");
		return ENVELOPE_ANSWERED;
	}
	if (version && found[ITS_VERSION].at)
		keep_version(found[ITS_VERSION], version);
	/* Another value than an object says nothing about a request. */
	if (value_type(text) != VALUE_OBJECT && id.len)
		return ENVELOPE_NOT_JSON;
	if (id.len && !found[ITS_METHOD].at && !found[RESULT].at &&
	    !found[ERROR].at)
		return ENVELOPE_NOT_JSON;
	add_line(text, out);
	return found[ITS_METHOD].at ? ENVELOPE_ON_THE_WAY : ENVELOPE_ANSWERED;
}

void envelope_error(struct span id, int code, const char *message,
                    struct buf *out)
{
	add_id(id, out);
	buf_addf(out, ",\"error\":{\"code\":%d,\"message\":", code);
	buf_add_json(out, span_str(message));
	buf_puts(out, "}}\n");
}

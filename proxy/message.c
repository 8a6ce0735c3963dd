#include "proxy/message.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base64.h"
#include "lib/buf.h"
#include "lib/scan.h"
#include "lib/value.h"

const struct method method_table[METHODS] = {
#define METHOD(id_, name_, eras_, work_, kind_, ability_) \
	[METHOD_##id_] = { { name_, sizeof(name_) - 1 },  \
		           eras_,                         \
		           work_,                         \
		           kind_,                         \
		           ability_,                      \
		           METHOD_##id_ },
#include "proxy/methods.def"
#undef METHOD
};

#define META "io.modelcontextprotocol/"

enum want {
	JSONRPC,
	ID,
	METHOD_NAME,
	PARAMS,
	RESULT,
	ERROR,
	NAME,
	URI,
	TASK_ID,
	REF,
	CURSOR,
	LEVEL,
	ARGUMENTS,
	NOTIFICATIONS,
	REQUEST_ID,
	REQUEST_STATE,
	INPUT_RESPONSES,
	PROTOCOL_VERSION,
	CAPABILITIES,
	META_OBJECT,
	META_VERSION,
	META_CAPABILITIES,
	META_CLIENT,
	META_LOG_LEVEL,
	META_TOKEN,
	META_TRACEPARENT,
	META_TRACESTATE,
	WANTS,
};

static const struct scan_want wanted[WANTS] = {
	[JSONRPC] = { SPAN_INIT("jsonrpc"), SCAN_ROOT },
	[ID] = { SPAN_INIT("id"), SCAN_ROOT },
	[METHOD_NAME] = { SPAN_INIT("method"), SCAN_ROOT },
	[PARAMS] = { SPAN_INIT("params"), SCAN_ROOT },
	[RESULT] = { SPAN_INIT("result"), SCAN_ROOT },
	[ERROR] = { SPAN_INIT("error"), SCAN_ROOT },
	[NAME] = { SPAN_INIT("name"), PARAMS },
	[URI] = { SPAN_INIT("uri"), PARAMS },
	[TASK_ID] = { SPAN_INIT("taskId"), PARAMS },
	[REF] = { SPAN_INIT("ref"), PARAMS },
	[CURSOR] = { SPAN_INIT("cursor"), PARAMS },
	[LEVEL] = { SPAN_INIT("level"), PARAMS },
	[ARGUMENTS] = { SPAN_INIT("arguments"), PARAMS },
	[NOTIFICATIONS] = { SPAN_INIT("notifications"), PARAMS },
	[REQUEST_ID] = { SPAN_INIT("requestId"), PARAMS },
	[REQUEST_STATE] = { SPAN_INIT("requestState"), PARAMS },
	[INPUT_RESPONSES] = { SPAN_INIT("inputResponses"), PARAMS },
	[PROTOCOL_VERSION] = { SPAN_INIT("protocolVersion"), PARAMS },
	[CAPABILITIES] = { SPAN_INIT("capabilities"), PARAMS },
	[META_OBJECT] = { SPAN_INIT("_meta"), PARAMS },
	[META_VERSION] = { SPAN_INIT(META "protocolVersion"), META_OBJECT },
	[META_CAPABILITIES] = { SPAN_INIT(META "clientCapabilities"),
	                        META_OBJECT },
	[META_LOG_LEVEL] = { SPAN_INIT(META "logLevel"), META_OBJECT },
	[META_CLIENT] = { SPAN_INIT(META "clientInfo"), META_OBJECT },
	[META_TOKEN] = { SPAN_INIT("progressToken"), META_OBJECT },
	[META_TRACEPARENT] = { SPAN_INIT("traceparent"), META_OBJECT },
	[META_TRACESTATE] = { SPAN_INIT("tracestate"), META_OBJECT },
};

const struct span revision_names[REVISIONS] = {
	[REVISION_2025_03_26] = SPAN_INIT("2025-03-26"),
	[REVISION_2025_06_18] = SPAN_INIT("2025-06-18"),
	[REVISION_2025_11_25] = SPAN_INIT("2025-11-25"),
	[REVISION_2026_07_28] = SPAN_INIT(MESSAGE_MODERN),
};

bool message_legacy_version(struct span version, enum revision *revision)
{
	for (size_t i = 0; i < REVISION_2026_07_28; i++) {
		if (!span_eq(version, revision_names[i]))
			continue;
		*revision = (enum revision)i;
		return true;
	}
	return false;
}

void problem_set(struct problem *p, int status, int code, const char *fmt, ...)
{
	va_list args;

	p->status = status;
	p->code = code;
	p->data[0] = '\0';
	va_start(args, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, args);
	va_end(args);
}

static const char *const levels[] = {
	"debug", "info",     "notice", "warning",
	"error", "critical", "alert",  "emergency"
};

const char *message_level_name(int level)
{
	assert(level >= 0 && level < (int)ARRAY_LEN(levels));
	return levels[level];
}

int message_level(struct span raw)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (value_string_eq(raw, span_str(levels[i])))
			return (int)i;
	return -1;
}

bool message_unsentinel(struct span value, char *out, struct span *decoded)
{
	static const struct span head = SPAN_INIT("=?base64?");
	static const struct span tail = SPAN_INIT("?=");
	size_t len;

	*decoded = value;
	if (value.len < head.len + tail.len || !span_starts(value, head) ||
	    !span_eq(span_from(value, value.len - tail.len), tail))
		return true;

	struct span middle =
		span_of(value.at + head.len, value.len - head.len - tail.len);
	if (!base64_decode(middle, out, &len))
		return false;
	*decoded = span_of(out, len);
	return true;
}

void message_sentinel(struct span value, struct buf *out)
{
	bool literal =
		value.len == 0 || (value.at[0] != ' ' && value.at[0] != '\t' &&
	                           value.at[value.len - 1] != ' ' &&
	                           value.at[value.len - 1] != '\t');

	for (size_t i = 0; literal && i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		literal = c == '\t' || (c >= 0x20 && c < 0x7f);
	}
	if (literal && span_starts(value, SPAN("=?base64?")) &&
	    value.len >= 11 && span_is(span_from(value, value.len - 2), "?="))
		literal = false;
	if (literal) {
		buf_add_span(out, value);
		return;
	}
	buf_puts(out, "=?base64?");
	char *to = buf_reserve(out, BASE64_LEN(value.len));
	if (to)
		buf_commit(out, base64_encode(value, to));
	buf_puts(out, "?=");
}

bool message_name_matches(const struct h1_head *head, struct span value,
                          struct problem *why)
{
	char room[MESSAGE_URI_MAX];
	struct span got = h1_value(head, H1_MCP_NAME);
	struct span decoded;

	if (head->seen[H1_MCP_NAME] != 1) {
		problem_set(
			why, 400, RPC_HEADER_MISMATCH,
			"Header mismatch: Mcp-Name is required once and must "
			"repeat the name, uri or taskId of the body");
		return false;
	}
	if (got.len > sizeof(room) ||
	    !message_unsentinel(got, room, &decoded)) {
		problem_set(why, 400, RPC_HEADER_MISMATCH,
		            "Header mismatch: Mcp-Name is not valid Base64 "
		            "between =?base64? and ?=");
		return false;
	}
	if (!span_eq(decoded, value)) {
		problem_set(why, 400, RPC_HEADER_MISMATCH,
		            "Header mismatch: Mcp-Name differs from the body");
		return false;
	}
	return true;
}

static bool refuse_json(enum scan_result result, const struct scan_error *at,
                        struct problem *why)
{
	bool routed = result == SCAN_DUPLICATE_KEY ||
	              result == SCAN_FOLDED_KEY || result == SCAN_ESCAPED_KEY;

	problem_set(why, 400, routed ? RPC_INVALID_REQUEST : RPC_PARSE,
	            "%s at byte %zu: %s",
	            routed ? "Ambiguous JSON" : "The body is not valid JSON",
	            at->offset, at->text);
	return false;
}

static bool refuse(struct problem *why, int status, int code, const char *text)
{
	problem_set(why, status, code, "%s", text);
	return false;
}

/* A string or an integer, as both eras want it; never null. */
static bool good_id(struct span raw)
{
	int64_t n;

	if (raw.len > MESSAGE_ID_MAX)
		return false;
	return value_type(raw) == VALUE_STRING || value_integer(raw, &n);
}

static const struct method *find_method(struct span raw)
{
	struct span name;

	if (!value_string_plain(raw, &name))
		return NULL;
	for (size_t i = 0; i < METHODS; i++)
		if (span_eq(method_table[i].name, name))
			return &method_table[i];
	return NULL;
}

static bool no_method(struct span raw, enum view_era era, struct problem *why)
{
	struct span name = { "", 0 };

	/* A name is shown only when it is plain, and never at length. */
	value_string_plain(raw, &name);
	name = span_first(name, 64);
	problem_set(why, era == VIEW_MODERN ? 404 : 200, RPC_NO_METHOD,
	            "Method not found: %.*s", SPAN_ARG(name));
	return false;
}

/* Rules of 2026-07-28 for the fields of _meta and of the head. */
static bool check_modern(const struct h1_head *head, const struct span *found,
                         struct message *msg, struct problem *why)
{
	struct span version = found[META_VERSION];
	struct span header = h1_value(head, H1_MCP_PROTOCOL_VERSION);
	struct span plain;

	if (value_type(version) != VALUE_STRING)
		return refuse(why, 400, RPC_INVALID_PARAMS,
		              "params._meta needs " META
		              "protocolVersion, a string");
	if (value_type(found[META_CAPABILITIES]) != VALUE_OBJECT)
		return refuse(why, 400, RPC_INVALID_PARAMS,
		              "params._meta needs " META
		              "clientCapabilities, an object");
	if (head->seen[H1_MCP_PROTOCOL_VERSION] != 1 ||
	    !value_string_eq(version, header))
		return refuse(
			why, 400, RPC_HEADER_MISMATCH,
			"Header mismatch: MCP-Protocol-Version is required "
			"once and must equal the version in params._meta");
	if (!span_is(header, MESSAGE_MODERN)) {
		problem_set(why, 400, RPC_UNSUPPORTED_VERSION,
		            "Unsupported protocol version");
		if (value_string_plain(version, &plain) && plain.len <= 64)
			snprintf(why->data, sizeof(why->data),
			         "{\"supported\":[\"" MESSAGE_MODERN
			         "\"],\"requested\":\"%.*s\"}",
			         SPAN_ARG(plain));
		else
			snprintf(why->data, sizeof(why->data),
			         "{\"supported\":[\"" MESSAGE_MODERN
			         "\"],\"requested\":\"\"}");
		return false;
	}
	if (msg->kind != MESSAGE_REQUEST)
		return true;
	if (head->seen[H1_MCP_METHOD] != 1 ||
	    !value_string_eq(found[METHOD_NAME], h1_value(head, H1_MCP_METHOD)))
		return refuse(
			why, 400, RPC_HEADER_MISMATCH,
			"Header mismatch: Mcp-Method is required once and "
			"must equal the method of the body");
	if (found[META_LOG_LEVEL].at &&
	    message_level(found[META_LOG_LEVEL]) < 0)
		return refuse(why, 400, RPC_INVALID_PARAMS,
		              "params._meta " META "logLevel is not a level");
	return true;
}

static bool check_legacy(const struct h1_head *head, struct message *msg,
                         struct problem *why)
{
	struct span header = h1_value(head, H1_MCP_PROTOCOL_VERSION);

	msg->revision = REVISION_2025_03_26;
	if (!h1_has(head, H1_MCP_PROTOCOL_VERSION) ||
	    (msg->method && msg->method->id == METHOD_INITIALIZE))
		return true;
	if (head->seen[H1_MCP_PROTOCOL_VERSION] == 1 &&
	    message_legacy_version(header, &msg->revision)) {
		msg->has_version = true;
		return true;
	}
	header = span_first(header, 32);
	problem_set(why, 400, RPC_LEGACY,
	            "Bad Request: unsupported MCP-Protocol-Version %.*s "
	            "(supported: 2025-11-25, 2025-06-18, 2025-03-26, "
	            "and " MESSAGE_MODERN " with its _meta)",
	            SPAN_ARG(header));
	return false;
}

enum revision message_head_revision(const struct h1_head *head)
{
	enum revision revision = REVISION_2026_07_28;

	if (!h1_has(head, H1_MCP_PROTOCOL_VERSION))
		return REVISION_2025_03_26;
	(void)message_legacy_version(h1_value(head, H1_MCP_PROTOCOL_VERSION),
	                             &revision);
	return revision;
}

bool message_batch_allowed(enum revision revision, struct problem *why)
{
	if (revision == REVISION_2025_03_26)
		return true;
	return refuse(why, 400, RPC_INVALID_REQUEST,
	              "Batches are of 2025-03-26; post one message");
}

/* An array. Its elements are judged one by one, by whoever takes it apart. */
static bool read_batch(const struct h1_head *head, struct message *msg,
                       struct problem *why)
{
	bool modern = span_is(h1_value(head, H1_MCP_PROTOCOL_VERSION),
	                      MESSAGE_MODERN);

	msg->kind = MESSAGE_BATCH;
	msg->era = modern ? VIEW_MODERN : VIEW_LEGACY;
	if (modern)
		return message_batch_allowed(REVISION_2026_07_28, why);
	return check_legacy(head, msg, why) &&
	       message_batch_allowed(msg->revision, why);
}

/* A modern request names its target in a field as well. */
static bool check_name(const struct h1_head *head, const struct message *msg,
                       struct problem *why)
{
	char room[MESSAGE_URI_MAX];
	struct span name;

	if (msg->method->work != WORK_BY_NAME &&
	    msg->method->work != WORK_BY_URI &&
	    msg->method->work != WORK_BY_TASK)
		return true;
	if (value_type(msg->name) != VALUE_STRING)
		return true; /* reported as missing params, later */
	if (!value_string_plain(msg->name, &name)) {
		int n = value_string(msg->name, room, sizeof(room));

		if (n < 0)
			return true; /* too long: unknown name, later */
		name = span_of(room, (size_t)n);
	}
	return message_name_matches(head, name, why);
}

static void locate(const struct span *found, struct message *msg)
{
	if (value_type(found[PARAMS]) == VALUE_OBJECT)
		msg->params = found[PARAMS];
	if (value_type(found[META_OBJECT]) == VALUE_OBJECT)
		msg->meta = found[META_OBJECT];
	msg->name = found[NAME];
	msg->ref = found[REF];
	msg->cursor = found[CURSOR];
	msg->level = found[LEVEL];
	msg->arguments = found[ARGUMENTS];
	msg->notifications = found[NOTIFICATIONS];
	msg->method_name = found[METHOD_NAME];
	msg->request_id = found[REQUEST_ID];
	if (msg->era == VIEW_MODERN) {
		if (!msg->method || msg->method->work != WORK_BY_TASK)
			msg->request_state = found[REQUEST_STATE];
		msg->input_responses = found[INPUT_RESPONSES];
	}
	msg->protocol_version = found[PROTOCOL_VERSION];
	msg->client_capabilities = found[CAPABILITIES];
	msg->progress_token = found[META_TOKEN];
	msg->capabilities = found[META_CAPABILITIES];
	msg->client_info = found[META_CLIENT];
	msg->log_level = found[META_LOG_LEVEL];
	msg->trace_parent = found[META_TRACEPARENT];
	msg->trace_state = found[META_TRACESTATE];
	if (msg->method && msg->method->work == WORK_BY_URI)
		msg->name = found[URI];
	if (msg->method && msg->method->work == WORK_BY_TASK)
		msg->name = found[TASK_ID];
}

/* What kind of JSON-RPC message this is; false: none (JSON-RPC 2.0). */
static bool read_kind(const struct span *found, bool modern,
                      struct message *msg, struct problem *why)
{
	if (!value_string_eq(found[JSONRPC], SPAN("2.0")))
		return refuse(why, 400, RPC_INVALID_REQUEST,
		              "jsonrpc must be \"2.0\"");
	if (found[RESULT].at || found[ERROR].at) {
		if (found[METHOD_NAME].at || modern)
			return refuse(why, 400, RPC_INVALID_REQUEST,
			              "A response cannot be posted here");
		msg->kind = MESSAGE_RESPONSE;
		msg->id = found[ID];
		msg->result = found[RESULT];
		msg->error = found[ERROR];
		return true;
	}
	if (value_type(found[METHOD_NAME]) != VALUE_STRING)
		return refuse(why, 400, RPC_INVALID_REQUEST,
		              "method must be a string");
	if (found[ID].at && !good_id(found[ID]))
		return refuse(why, 400, RPC_INVALID_REQUEST,
		              "id must be a string or an integer, and short");
	if (found[PARAMS].at && value_type(found[PARAMS]) != VALUE_OBJECT)
		return refuse(why, 400, RPC_INVALID_REQUEST,
		              "params must be an object");
	msg->kind = found[ID].at ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
	msg->id = found[ID];
	return true;
}

bool message_read(const struct h1_head *head, struct span body,
                  struct message *msg, struct problem *why)
{
	struct span found[WANTS];
	struct scan_error at;
	enum scan_result result =
		scan_document(body, wanted, WANTS, found, &at);

	memset(msg, 0, sizeof(*msg));
	why->has_id = false;
	if (result != SCAN_OK)
		return refuse_json(result, &at, why);
	if (value_type(body) == VALUE_ARRAY)
		return read_batch(head, msg, why);
	if (value_type(body) != VALUE_OBJECT)
		return refuse(why, 400, RPC_INVALID_REQUEST,
		              "A message must be an object");

	bool claim = found[META_VERSION].at != NULL;
	bool modern_header = span_is(h1_value(head, H1_MCP_PROTOCOL_VERSION),
	                             MESSAGE_MODERN);
	msg->era = claim || modern_header ? VIEW_MODERN : VIEW_LEGACY;
	if (!read_kind(found, msg->era == VIEW_MODERN, msg, why))
		return false;
	why->has_id = msg->id.len > 0 && msg->kind == MESSAGE_REQUEST;
	if (msg->kind == MESSAGE_RESPONSE)
		return check_legacy(head, msg, why);

	msg->method = find_method(found[METHOD_NAME]);
	locate(found, msg);
	if (msg->era == VIEW_MODERN) {
		/* Fields of a notification are not defined: no checks. */
		if (msg->kind == MESSAGE_NOTIFICATION)
			return true;
		if (!check_modern(head, found, msg, why))
			return false;
		msg->revision = REVISION_2026_07_28;
		msg->has_version = true;
	} else if (!check_legacy(head, msg, why)) {
		return false;
	}
	if (msg->kind == MESSAGE_NOTIFICATION)
		return true;
	if (!msg->method ||
	    !(msg->method->eras &
	      (msg->era == VIEW_MODERN ? ERA_MODERN : ERA_LEGACY)))
		return no_method(found[METHOD_NAME], msg->era, why);
	if (msg->era == VIEW_MODERN && !check_name(head, msg, why))
		return false;
	if (msg->method->id == METHOD_TOOLS_CALL && msg->arguments.at &&
	    value_type(msg->arguments) != VALUE_OBJECT &&
	    value_type(msg->arguments) != VALUE_NULL)
		return refuse(why, 200, RPC_INVALID_PARAMS,
		              "params.arguments must be an object");
	if (msg->progress_token.at && !good_id(msg->progress_token))
		return refuse(why, msg->era == VIEW_MODERN ? 400 : 200,
		              RPC_INVALID_PARAMS,
		              "progressToken must be a string or an integer");
	return true;
}

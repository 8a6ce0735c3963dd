#include "worker/local.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "proxy/downgrade.h"
#include "proxy/lists.h"
#include "proxy/own.h"
#include "worker/access.h"
#include "worker/answer.h"
#include "worker/clientsession.h"
#include "worker/login.h"

void local_page(struct request *r, const struct h1_request *head,
                enum page page)
{
	struct worker *w = r->conn->w;
	struct page_input in = {
		.snap = r->snap,
		.board = w->board,
		.host = h1_value(&head->head, H1_HOST),
		.secure = access_secure(r),
	};
	struct problem p;

	if (r->verb != H1_GET && r->verb != H1_HEAD) {
		problem_set(&p, 405, RPC_INVALID_REQUEST,
		            "Use GET for this path");
		answer_problem(r, &p, span_of("", 0),
		               SPAN("Allow: GET, HEAD\r\n"));
		return;
	}
	r->reply.outcome = OUTCOME_SUCCESS;
	buf_reset(&w->page);
	int status = page_write(page, &in, &w->page);
	answer_text(r, status, page_type(page),
	            SPAN("Cache-Control: no-store\r\n"), buf_span(&w->page));
}

void local_preflight(struct request *r)
{
	static const char fields[] =
		"Allow: POST, OPTIONS\r\n"
		"Access-Control-Allow-Methods: POST, GET, DELETE, OPTIONS\r\n"
		"Access-Control-Allow-Headers: Authorization, Content-Type, "
		"Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, "
		"Mcp-Method, Mcp-Name, X-Request-Id, traceparent, tracestate, "
		"baggage\r\n"
		"Access-Control-Max-Age: 7200\r\n";

	r->reply.outcome = OUTCOME_SUCCESS;
	answer_send(r, 204, NULL, span_str(fields), NULL, 0);
}

void local_start_result(struct buf *b, struct span id)
{
	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(b, id);
	buf_puts(b, ",\"result\":{");
}

static void send_result(struct request *r)
{
	struct buf *b = &r->conn->w->page;

	struct iovec iov = { b->bytes, b->len };

	r->reply.outcome = OUTCOME_SUCCESS;
	r->reply.ops->whole(&r->reply, 200, REPLY_JSON, &iov, 1);
}

/* Those of an era; without streams there is nothing to tell of changes on. */
static void add_capabilities(struct request *r, enum view_era era,
                             struct buf *b)
{
	static const struct {
		const char *name;
		uint32_t ability;
		bool changes;
	} rows[] = {
		{ "tools", ABILITY_TOOLS, true },
		{ "prompts", ABILITY_PROMPTS, true },
		{ "resources", ABILITY_RESOURCES, true },
		{ "completions", ABILITY_COMPLETIONS, false },
		{ "logging", ABILITY_LOGGING, false },
	};
	const struct view *view = snapshot_view(r->snap, era);
	struct span extensions = snapshot_text(r->snap, view->extensions);
	bool tells = era == VIEW_MODERN || !r->snap->settings->stateless;
	bool first = true;

	buf_puts(b, "\"capabilities\":{");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool changes = rows[i].changes && tells;
		bool subscribe = changes &&
		                 view->abilities & ABILITY_SUBSCRIBE &&
		                 rows[i].ability == ABILITY_RESOURCES;

		if (!(view->abilities & rows[i].ability))
			continue;
		buf_addf(b, "%s\"%s\":{%s%s}", first ? "" : ",", rows[i].name,
		         changes ? "\"listChanged\":true" : "",
		         subscribe ? ",\"subscribe\":true" : "");
		first = false;
	}
	if (extensions.len) {
		buf_puts(b, first ? "\"extensions\":" : ",\"extensions\":");
		buf_add_span(b, extensions);
	}
	buf_putc(b, '}');
}

static void add_instructions(struct request *r, struct buf *b)
{
	struct span text = snapshot_text(r->snap, r->snap->head->instructions);

	if (text.len == 0)
		return;
	buf_puts(b, ",\"instructions\":");
	buf_add_json(b, text);
}

void local_initialized(struct request *r, struct span id,
                       enum revision revision)
{
	struct buf *b = &r->conn->w->page;

	local_start_result(b, id);
	buf_puts(b, "\"protocolVersion\":");
	buf_add_json(b, revision_names[revision]);
	buf_putc(b, ',');
	add_capabilities(r, VIEW_LEGACY, b);
	buf_puts(b, ",\"serverInfo\":{\"name\":");
	buf_add_json(b, snapshot_text(r->snap, r->snap->head->name));
	buf_puts(b, ",\"version\":");
	buf_add_json(b, snapshot_text(r->snap, r->snap->head->program_version));
	buf_putc(b, '}');
	add_instructions(r, b);
	buf_puts(b, "}}");
	send_result(r);
}

static void initialize(struct request *r, const struct message *m)
{
	enum revision revision;
	struct span wanted;
	uint32_t abilities;

	if (!value_string_plain(m->protocol_version, &wanted) ||
	    !message_legacy_version(wanted, &revision))
		revision = REVISION_2025_11_25;
	abilities = clientsession_abilities(m->client_capabilities, revision);
	if (login_begin(r, m, abilities, revision))
		return;
	(void)clientsession_open(r, abilities, revision, span_of("", 0));
	local_initialized(r, m->id, revision);
}

static void discover(struct request *r, const struct message *m)
{
	struct buf *b = &r->conn->w->page;

	local_start_result(b, m->id);
	buf_puts(b, "\"supportedVersions\":[\"" MESSAGE_MODERN "\"],");
	add_capabilities(r, VIEW_MODERN, b);
	add_instructions(r, b);
	lists_modern_members(r->snap, true, b);
	buf_puts(b, "}}");
	send_result(r);
}

void local_empty(struct request *r, struct span id)
{
	struct buf *b = &r->conn->w->page;

	local_start_result(b, id);
	buf_puts(b, "}}");
	send_result(r);
}

static void set_level(struct request *r, const struct message *m)
{
	struct problem p;

	if (message_level(m->level) < 0) {
		problem_set(&p, 200, RPC_INVALID_PARAMS,
		            "params.level must be one of debug, info, notice, "
		            "warning, error, critical, alert, emergency");
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	if (r->caller.session)
		clients_set_level(&r->conn->w->board->clients,
		                  r->caller.session, message_level(m->level),
		                  clock_utc_ms() / 1000);
	local_empty(r, m->id);
}

static void list(struct request *r, const struct message *m)
{
	struct problem p;

	if (!lists_reply(r->snap, m, access_scopes(r), &r->conn->w->page,
	                 &r->reply, &p))
		answer_problem(r, &p, m->id, span_of("", 0));
}

/* The result at the end of b, for a client of an older revision. */
static void downgrade(const struct message *m, size_t start, struct buf *b)
{
	struct buf older = { .max = b->max };
	struct span result = span_from(buf_span(b), start);

	if (downgrade_structured(m->revision) || buf_err(b) < 0)
		return;
	result = downgrade_result(m->revision, m->method->id, result, &older);
	if (result.at == older.bytes) {
		b->len = start;
		buf_add_span(b, result);
	}
	buf_free(&older);
}

void local_own_tool(struct request *r, const struct message *m,
                    const struct entry *e)
{
	struct worker *w = r->conn->w;
	struct buf *b = &w->page;
	struct problem p;
	size_t start;

	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(b, m->id);
	buf_puts(b, ",\"result\":");
	start = b->len;
	if (!own_call((enum own_tool)e->backend, r->snap, w->board,
	              m->arguments, b, &p)) {
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	downgrade(m, start, b);
	if (m->era == VIEW_MODERN && b->len) {
		b->len--; /* the result's closing brace */
		lists_modern_members(r->snap, false, b);
		buf_putc(b, '}');
	}
	buf_putc(b, '}');
	send_result(r);
}

void local_method(struct request *r, const struct message *m)
{
	switch (m->method->work) {
	case WORK_INITIALIZE:
		initialize(r, m);
		return;
	case WORK_EMPTY:
		local_empty(r, m->id);
		return;
	case WORK_SET_LEVEL:
		set_level(r, m);
		return;
	case WORK_DISCOVER:
		discover(r, m);
		return;
	case WORK_LIST:
		list(r, m);
		return;
	case WORK_LISTEN:
	case WORK_BY_NAME:
	case WORK_BY_URI:
	case WORK_BY_REF:
	case WORK_BY_TASK:
	case WORK_SOLE:
		break;
	}
	abort(); /* request.c sends only the works above */
}

#include "worker/resume.h"

#include "lib/clock.h"
#include "lib/value.h"
#include "worker/handover.h"

static enum resume_result refuse(struct problem *p, int code, const char *text)
{
	problem_set(p, 200, code, "%s", text);
	return RESUME_REFUSED;
}

/* The parked call's request from now on is r. */
static enum resume_result resume_call(struct request *r,
                                      const struct message *m,
                                      const struct sealed *s, struct problem *p)
{
	struct call *c = waiting_find(&r->conn->w->proxy, s);

	if (!c)
		return refuse(p, RPC_INVALID_PARAMS,
		              "requestState: this call is over; it was "
		              "resumed already, or waited too long");
	r->call = c;
	waiting_resume(c, m, &r->reply);
	return RESUME_TAKEN;
}

static enum resume_result
resume_parked(struct request *r, const struct h1_request *head,
              struct span body, const struct message *m, const struct sealed *s,
              struct problem *p)
{
	if (handover_is_here(r->conn->w, &s->place))
		return resume_call(r, m, s, p);
	if (!handover_can(r, &s->place))
		return refuse(p, RPC_INTERNAL,
		              "The process that kept this call has ended; make "
		              "the call again");
	handover_give(r, head, body, &s->place, m->id);
	return RESUME_TAKEN;
}

enum resume_result resume_request(struct request *r,
                                  const struct h1_request *head,
                                  struct span body, struct message *m,
                                  const struct route *route,
                                  struct sealed_room *room, struct problem *p)
{
	struct sealed s;
	struct span text;
	uint64_t digest;

	*room = (struct sealed_room){ .large = { 0 } };
	if (m->input_responses.at &&
	    value_type(m->input_responses) != VALUE_OBJECT)
		return refuse(p, RPC_INVALID_PARAMS,
		              "params.inputResponses must be an object");
	if (!m->request_state.at)
		return RESUME_NONE;
	if (!value_string_plain(m->request_state, &text))
		return refuse(p, RPC_INVALID_PARAMS,
		              "requestState must be what was given");
	switch (sealed_read(r->snap, caller_id(&r->caller),
	                    SEALED_BIT(SEALED_PARKED) |
	                            SEALED_BIT(SEALED_STATE),
	                    text, clock_utc_ms() / 1000, &s, room)) {
	case SEALED_OK:
		break;
	case SEALED_EXPIRED:
		return refuse(p, RPC_INVALID_PARAMS,
		              "requestState has expired; make the call again");
	case SEALED_FOREIGN:
		return refuse(p, RPC_INVALID_PARAMS,
		              "requestState is not what was given");
	}
	digest = waiting_digest(m->method->name,
	                        span_of(route->name, route->name_len),
	                        m->arguments);
	if (s.backend != sealed_backend(r->snap, route->backend) ||
	    s.digest != digest)
		return refuse(p, RPC_INVALID_PARAMS,
		              "requestState belongs to another request");
	if (s.kind == SEALED_PARKED)
		return resume_parked(r, head, body, m, &s, p);
	m->request_state = s.texts[0];
	if (s.texts[0].len == 0) { /* only a mark: the call begins anew */
		m->request_state = span_of(NULL, 0);
		m->input_responses = span_of(NULL, 0);
	}
	return RESUME_NONE;
}

/* To the backend that asked, in its session. */
static void pass_on(struct request *r, const struct message *m,
                    const struct sealed *s)
{
	uint32_t backend = sealed_find_backend(r->snap, s->backend);
	struct buf body = {
		.max = (size_t)r->snap->settings->limits_body_bytes + SEALED_MAX
	};

	if (backend == r->snap->head->backends.len)
		return;
	buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&body, s->texts[1]);
	buf_puts(&body, m->error.at ? ",\"error\":" : ",\"result\":");
	buf_add_span(&body, m->error.at ? m->error : m->result);
	buf_putc(&body, '}');
	if (buf_err(&body) == 0)
		session_post(r->conn->w->proxy.sessions, r->snap, backend,
		             s->texts[0], buf_span(&body));
	buf_free(&body);
}

/* To the call that waits for it. */
static bool pass_in(struct request *r, const struct h1_request *head,
                    struct span body, const struct message *m,
                    const struct sealed *s)
{
	struct worker *w = r->conn->w;

	if (handover_is_here(w, &s->place)) {
		waiting_answer(&w->proxy, s, m->result);
		return false;
	}
	if (!handover_can(r, &s->place))
		return false;
	handover_give(r, head, body, &s->place, span_of("", 0));
	return true;
}

/* An id that does not open answers nothing, and goes nowhere. */
bool resume_response(struct request *r, const struct h1_request *head,
                     struct span body, const struct message *m)
{
	struct sealed_room room = { .large = { 0 } };
	struct sealed s;
	struct span id;
	bool taken = false;

	if (value_string_plain(m->id, &id) &&
	    sealed_read(r->snap, caller_id(&r->caller),
	                SEALED_BIT(SEALED_QUESTION) | SEALED_BIT(SEALED_INPUT),
	                id, clock_utc_ms() / 1000, &s, &room) == SEALED_OK) {
		if (s.kind == SEALED_INPUT)
			taken = pass_in(r, head, body, m, &s);
		else
			pass_on(r, m, &s);
	}
	sealed_free(&room);
	return taken;
}

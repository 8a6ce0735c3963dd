#include "worker/handover.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/media.h"
#include "lib/url.h"
#include "worker/access.h"
#include "worker/answer.h"

#define IDLE_EXTRA_MS   10000 /* what a comment may come too late */
#define ADDRESS_URL_MAX 1024
#define PEER_TEXT_MAX   (IP_TEXT_MAX + 8)     /* an address with its port */
#define PROOF_LEN       (2 * CRYPTO_HASH_LEN) /* characters */

struct handover {
	struct fetch *f;
	char peer[PEER_TEXT_MAX];
	struct request *r;
	struct buf body; /* of an answer that is held */
	struct buf id;   /* raw */
	int status;
	bool local;  /* by a worker of this machine */
	bool headed; /* it is served over there */
	/* What r is recorded as, should it not be served over there. */
	const struct entry *entry;
	const struct method *method;
	uint32_t backend;
};

/* A replica that is away must not fill the log. */
static void warn(struct worker *w, const char *event, const char *peer,
                 const char *sentence)
{
	uint64_t now_ms = loop_now_ms(w->loop);

	if (now_ms < w->handover_quiet_ms) {
		w->handover_unsaid++;
		return;
	}
	log_warning(event, LOG_STR("address", peer),
	            LOG_STR("reason", sentence),
	            LOG_INT("unsaid", w->handover_unsaid));
	w->handover_unsaid = 0;
	w->handover_quiet_ms = now_ms + HANDOVER_QUIET_MS;
}

/* --- the field --------------------------------------------------------------
 */

static void prove(const uint8_t key[CRYPTO_KEY_LEN], char out[PROOF_LEN])
{
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_cache_hash(key, SPAN("handed over by a gateway"), hash);
	crypto_hex_encode(span_of(hash, sizeof(hash)), out);
}

static bool proves(const struct snapshot *snap, struct span text)
{
	size_t n = snap->head->has_previous_key ? SESSION_KEYS : 1;
	char good[PROOF_LEN];
	bool found = false;

	for (size_t i = 0; i < n && text.len == PROOF_LEN; i++) {
		prove(snap->head->session_keys[i], good);
		found |= crypto_equal(good, text.at, PROOF_LEN);
	}
	return found;
}

enum handover_hops handover_hops(const struct snapshot *snap,
                                 const struct h1_head *head)
{
	struct span value = h1_value(head, H1_GATEWAY_HANDOVER);

	if (head->seen[H1_GATEWAY_HANDOVER] != 1 || value.len < 2 ||
	    value.at[1] != ' ' || !proves(snap, span_from(value, 2)))
		return HANDOVER_NONE;
	return *value.at == '2'   ? HANDOVER_WORKER
	       : *value.at == '1' ? HANDOVER_REPLICA
	                          : HANDOVER_NONE;
}

/* --- places -----------------------------------------------------------------
 */

struct place handover_here(const struct worker *w, const struct snapshot *snap)
{
	return (struct place){
		.address = snap->head->replica.address,
		.port = (uint16_t)snap->head->replica.port,
		.instance = w->board->instance,
		.born_ms = atomic_load(&w->me->started_ms),
		.worker = w->index,
	};
}

bool handover_is_here(const struct worker *w, const struct place *place)
{
	return place->instance == w->board->instance &&
	       place->worker == w->index &&
	       place->born_ms == atomic_load(&w->me->started_ms);
}

/* The slot of a worker of this machine that lives; NULL: none. */
static const struct slot *slot_of(const struct worker *w,
                                  const struct place *place)
{
	const struct slot *slot;

	if (place->instance != w->board->instance ||
	    place->worker >= WORKERS_MAX)
		return NULL;
	slot = &w->board->workers[place->worker];
	return atomic_load(&slot->started_ms) == place->born_ms &&
	                       atomic_load(&slot->pid) &&
	                       atomic_load(&slot->handover_port)
	               ? slot
	               : NULL;
}

bool handover_can(const struct request *r, const struct place *place)
{
	const struct worker *w = r->conn->w;
	const struct peer *own = &r->snap->head->replica;

	if (place->instance == w->board->instance)
		return r->hops != HANDOVER_WORKER && slot_of(w, place);
	/* Our own address is where an earlier process of ours was. */
	return r->hops == HANDOVER_NONE && place->port != 0 &&
	       !(place->port == own->port &&
	         ip_eq(&place->address, &own->address));
}

/* --- the request ------------------------------------------------------------
 */

/* Fields of one connection or one message, and those that are written anew. */
static bool stays(const struct h1_field *f)
{
	static const struct span names[] = { { "te", 2 }, { "trailer", 7 } };

	switch (f->known) {
	case H1_CONNECTION:
	case H1_KEEP_ALIVE:
	case H1_UPGRADE:
	case H1_EXPECT:
	case H1_HOST:
	case H1_CONTENT_LENGTH:
	case H1_TRANSFER_ENCODING:
	case H1_ACCEPT_ENCODING:
	case H1_FORWARDED:
	case H1_X_FORWARDED_FOR:
	case H1_X_FORWARDED_PROTO:
	case H1_X_FORWARDED_HOST:
	case H1_X_REQUEST_ID:
	case H1_GATEWAY_HANDOVER:
		return true;
	default:
		break;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq_nocase(f->name, names[i]))
			return true;
	return false;
}

static void add_fields(const struct request *r, const struct h1_request *head,
                       enum handover_hops hops, struct buf *out)
{
	char address[IP_TEXT_MAX], proof[PROOF_LEN];
	const struct h1_head *h = &head->head;

	prove(r->snap->head->session_keys[0], proof);
	buf_addf(out, "Gateway-Handover: %d %.*s\r\n", (int)hops, PROOF_LEN,
	         proof);
	ip_format(address, &r->client);
	buf_addf(out,
	         "Host: %.*s\r\nX-Forwarded-For: %s\r\nX-Forwarded-Proto: %s"
	         "\r\nX-Request-Id: %.*s\r\n",
	         SPAN_ARG(h1_value(h, H1_HOST)), address,
	         access_secure(r) ? "https" : "http", (int)r->request_id_len,
	         r->request_id);
	for (size_t i = 0; i < h->n_fields; i++) {
		if (stays(&h->fields[i]) || h->fields[i].value.len == 0)
			continue;
		buf_add_span(out, h->fields[i].name);
		buf_puts(out, ": ");
		buf_add_span(out, h->fields[i].value);
		buf_puts(out, "\r\n");
	}
}

/* The URL of a replica. With TLS its host is the one in the certificate; where
 * to connect is said apart. False: with TLS there must be such a host, since
 * what travels has the caller's token. */
static bool replica_url(const struct request *r, const struct peer *peer,
                        char out[ADDRESS_URL_MAX])
{
	const struct header *head = r->snap->head;
	struct span path = snapshot_text(r->snap, head->path);
	char text[IP_TEXT_MAX];
	struct url url;

	if (head->tls_cert.len == 0) {
		ip_format(text, &peer->address);
		snprintf(out, ADDRESS_URL_MAX,
		         ip_is_v4(&peer->address) ? "http://%s:%u%.*s"
		                                  : "http://[%s]:%u%.*s",
		         text, peer->port, SPAN_ARG(path));
		return true;
	}
	if (url_parse(snapshot_text(r->snap, head->public_url), &url) != URL_OK)
		return false;
	snprintf(out, ADDRESS_URL_MAX,
	         url.ipv6 ? "https://[%.*s]:%u%.*s" : "https://%.*s:%u%.*s",
	         SPAN_ARG(url.host), peer->port, SPAN_ARG(path));
	return true;
}

static void worker_url(const struct request *r, const struct slot *slot,
                       char out[ADDRESS_URL_MAX])
{
	snprintf(out, ADDRESS_URL_MAX, "http://127.0.0.1:%u%.*s",
	         atomic_load(&slot->handover_port),
	         SPAN_ARG(snapshot_text(r->snap, r->snap->head->path)));
}

/* Where it goes. */
struct target {
	char url[ADDRESS_URL_MAX]; /* "": there is none */
	char peer[PEER_TEXT_MAX];
	struct sockaddr_storage address; /* of a replica */
	enum handover_hops hops;
};

static struct target to_worker(const struct request *r, const struct slot *slot)
{
	struct target t = { .hops = HANDOVER_WORKER };

	worker_url(r, slot, t.url);
	snprintf(t.peer, sizeof(t.peer), "127.0.0.1:%u",
	         atomic_load(&slot->handover_port));
	return t;
}

static void name_peer(const struct peer *peer, char out[PEER_TEXT_MAX])
{
	char text[IP_TEXT_MAX];

	ip_format(text, &peer->address);
	snprintf(out, PEER_TEXT_MAX,
	         ip_is_v4(&peer->address) ? "%s:%u" : "[%s]:%u", text,
	         peer->port);
}

static struct target to_replica(const struct request *r,
                                const struct peer *peer)
{
	struct target t = {
		.address = ip_sockaddr(&peer->address, (uint16_t)peer->port),
		.hops = HANDOVER_REPLICA,
	};

	if (!replica_url(r, peer, t.url))
		t.url[0] = '\0';
	name_peer(peer, t.peer);
	return t;
}

static const char *cannot_start(const struct target *t)
{
	return *t->url ? "out of memory, or too many fields"
	               : "with \"tls\" a \"public_url\" is needed, whose "
	                 "host is the name in the replicas' certificates";
}

static uint64_t news_ms(const struct request *r)
{
	if (r->backend == UINT32_MAX)
		return HANDOVER_TAKEN_MS;
	return (uint64_t)snapshot_backend(r->snap, r->backend)
	               ->request_timeout_ms +
	       HANDOVER_LATE_MS;
}

static uint64_t silence_ms(const struct request *r, const struct target *t)
{
	const struct backend *b;

	if (t->hops == HANDOVER_WORKER)
		return 0;
	if (r->backend == UINT32_MAX)
		return HANDOVER_TAKEN_MS;
	b = snapshot_backend(r->snap, r->backend);
	return (uint64_t)MAX(b->request_timeout_ms, b->stream_idle_ms) +
	       HANDOVER_LATE_MS;
}

static struct fetch *start(const struct request *r,
                           const struct h1_request *head, struct span body,
                           const struct target *t, uint64_t limit_ms,
                           const struct fetch_events *events, void *owner)
{
	struct worker *w = r->conn->w;
	struct buf fields = { .max = HANDOVER_FIELDS_MAX };
	struct fetch *f = NULL;

	add_fields(r, head, t->hops, &fields);
	if (!w->handovers)
		w->handovers = fetcher_new(w->loop);

	struct fetch_request req = {
		.method = head->method_text,
		.url = span_str(t->url),
		.fields = buf_span(&fields),
		.body = body,
		.connect_to = t->hops == HANDOVER_REPLICA ? &t->address : NULL,
		.ca_pem = snapshot_text(r->snap, r->snap->head->replica_ca),
		.connect_timeout_ms = HANDOVER_CONNECT_MS,
		.answer_timeout_ms = limit_ms,
		.idle_timeout_ms = limit_ms,
		.events = events,
		.owner = owner,
	};
	if (w->handovers && buf_err(&fields) == 0)
		f = fetch_start(w->handovers, &req);
	buf_free(&fields);
	return f;
}

/* --- its answer -------------------------------------------------------------
 */

/* What it is for is recorded where it is served. */
static void leave_record(struct handover *h)
{
	struct request *r = h->r;

	h->entry = r->entry;
	h->method = r->method;
	h->backend = r->backend;
	r->entry = NULL;
	r->method = NULL;
	r->backend = UINT32_MAX;
}

static void take_record(struct handover *h)
{
	struct request *r = h->r;

	r->entry = h->entry;
	r->method = h->method;
	r->backend = h->backend;
}

static void fail(struct handover *h, bool sent, const char *sentence)
{
	struct request *r = h->r;
	struct reply *reply = &r->reply;
	struct problem p;

	warn(r->conn->w, "a request could not be handed over", h->peer,
	     sentence);
	h->f = NULL;
	if (!h->headed)
		take_record(h);
	reply->outcome = OUTCOME_UNAVAILABLE;
	reply->error = sent ? "the answer of the process that serves it is lost"
	                    : "the process that has to serve it cannot be "
	                      "reached";
	if (reply->begun) {
		reply->ops->end(reply, false);
		return;
	}
	problem_set(&p, 200, RPC_INTERNAL, "%s",
	            sent ? "The answer of the process that keeps this call is "
	                   "lost; the call may have been executed"
	                 : "The process that keeps this call cannot be "
	                   "reached; make the call again");
	answer_problem(r, &p, buf_span(&h->id), span_of("", 0));
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct handover *h = fetch_owner(f);
	struct request *r = h->r;
	uint64_t idle_ms = (uint64_t)r->snap->settings->keepalive_interval;

	h->status = head->status;
	h->headed = true;
	if (!media_type_is(head->content_type, SPAN("text/event-stream")))
		return;
	if (!h->local)
		fetch_set_idle(f, 2 * idle_ms + IDLE_EXTRA_MS);
	r->reply.ops->begin(&r->reply, h->status, REPLY_EVENTS);
}

static size_t pass(struct handover *h, struct span body)
{
	struct reply *reply = &h->r->reply;
	struct iovec iov[] = {
		{ h->body.bytes, h->body.len },
		{ (void *)(uintptr_t)body.at, body.len },
	};

	if (reply->full)
		return FETCH_PAUSE;
	if (!reply->begun)
		reply->ops->begin(reply, h->status, REPLY_JSON);
	reply->ops->more(reply, iov, ARRAY_LEN(iov));
	buf_reset(&h->body);
	return body.len;
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct handover *h = fetch_owner(f);

	if (h->r->reply.begun || body.len > HANDOVER_HELD_MAX - h->body.len)
		return pass(h, body);
	buf_add_span(&h->body, body);
	return body.len;
}

/* It is whole, and none of it has been passed on. */
static void answer_held(struct handover *h)
{
	struct request *r = h->r;
	struct span body = buf_span(&h->body);
	struct iovec iov = { h->body.bytes, body.len };

	if (r->element)
		r->reply.ops->whole(&r->reply, h->status,
		                    body.len ? REPLY_JSON : REPLY_NONE, &iov,
		                    1);
	else
		answer_text(r, h->status, body.len ? "application/json" : NULL,
		            span_of("", 0), body);
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct handover *h = fetch_owner(f);
	struct reply *reply = &h->r->reply;

	if (err < 0 || buf_err(&h->body) < 0) {
		fail(h, fetch_was_sent(f),
		     err < 0 ? sentence : "out of memory");
		return;
	}
	h->f = NULL;
	reply->outcome = OUTCOME_SUCCESS;
	if (reply->begun)
		reply->ops->end(reply, true);
	else
		answer_held(h);
}

static const struct fetch_events events = { on_head, on_body, on_end };

void handover_give(struct request *r, const struct h1_request *head,
                   struct span body, const struct place *place, struct span id)
{
	struct worker *w = r->conn->w;
	const struct slot *slot = slot_of(w, place);
	const struct peer peer = { .address = place->address,
		                   .port = place->port };
	struct target t = slot ? to_worker(r, slot) : to_replica(r, &peer);
	struct handover *h = calloc(1, sizeof(*h));

	if (!h) {
		request_busy(r, id);
		return;
	}
	h->r = r;
	memcpy(h->peer, t.peer, sizeof(h->peer));
	h->id.max = MESSAGE_ID_MAX;
	h->body.max = HANDOVER_HELD_MAX;
	buf_add_span(&h->id, id);
	r->handover = h;
	h->local = t.hops == HANDOVER_WORKER;
	h->f = start(r, head, body, &t, silence_ms(r, &t), &events, h);
	leave_record(h);
	if (!h->f)
		fail(h, false, cannot_start(&t));
}

void handover_resume(struct handover *h)
{
	if (h->f)
		fetch_resume(h->f);
}

void handover_end(struct handover *h)
{
	if (!h)
		return;
	if (h->f)
		fetch_cancel(h->f);
	buf_free(&h->body);
	buf_free(&h->id);
	free(h);
}

/* --- telling all ------------------------------------------------------------
 */

/* One request of it. */
struct news {
	struct worker *w;
	struct news *next, **link;
	int status;
	char peer[PEER_TEXT_MAX];
};

static struct news *new_news(struct worker *w, const struct target *t)
{
	struct news *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->w = w;
	memcpy(n->peer, t->peer, sizeof(n->peer));
	n->link = &w->news;
	n->next = w->news;
	if (n->next)
		n->next->link = &n->next;
	w->news = n;
	w->n_news++;
	return n;
}

static void free_news(struct news *n)
{
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
	n->w->n_news--;
	free(n);
}

static void warn_news(struct worker *w, const char *peer, const char *sentence)
{
	warn(w, "news did not reach another process", peer, sentence);
}

static void note_status(struct fetch *f, const struct fetch_head *head)
{
	struct news *n = fetch_owner(f);

	n->status = head->status;
}

static size_t drop_body(struct fetch *f, struct span body)
{
	(void)f;
	return body.len;
}

static void drop_end(struct fetch *f, int err, const char *sentence)
{
	struct news *n = fetch_owner(f);
	struct worker *w = n->w;
	char refused[40];

	if (err == 0 && n->status >= 400) {
		snprintf(refused, sizeof(refused), "HTTP status %d", n->status);
		sentence = refused;
	}
	if (*sentence)
		warn_news(w, n->peer, sentence);
	free_news(n);
	serve_check_drained(w);
}

static const struct fetch_events told = { note_status, drop_body, drop_end };

/* Nobody waits for it, and no memory loses no more than the news. */
static void tell(struct request *r, const struct h1_request *head,
                 struct span body, const struct target *t)
{
	struct worker *w = r->conn->w;
	struct news *n;

	if (w->n_news >= HANDOVER_NEWS_MAX) {
		warn_news(w, t->peer, "too much is being told already");
		return;
	}
	n = new_news(w, t);
	if (n && start(r, head, body, t, news_ms(r), &told, n))
		return;
	warn_news(w, t->peer, cannot_start(t));
	if (n)
		free_news(n);
}

void handover_fini(struct worker *w)
{
	fetcher_free(w->handovers);
	w->handovers = NULL;
	for (struct news *n = w->news, *next; n; n = next) {
		next = n->next;
		free(n);
	}
	w->news = NULL;
	w->n_news = 0;
}

void handover_tell(struct request *r, const struct h1_request *head,
                   struct span body, bool workers)
{
	struct worker *w = r->conn->w;
	const struct header *h = r->snap->head;
	const struct peer *peers = snapshot_array(r->snap, h->peers);
	uint32_t n = atomic_load(&w->board->n_workers);

	if (r->hops == HANDOVER_WORKER)
		return;
	for (uint32_t i = 0; workers && i < n; i++) {
		const struct slot *slot = &w->board->workers[i];
		struct target t;

		if (i == w->index || !atomic_load(&slot->pid) ||
		    !atomic_load(&slot->handover_port))
			continue;
		t = to_worker(r, slot);
		tell(r, head, body, &t);
	}
	for (uint32_t i = 0; r->hops == HANDOVER_NONE && i < h->peers.len;
	     i++) {
		struct target t = to_replica(r, &peers[i]);

		tell(r, head, body, &t);
	}
}

#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "proxy/aside.h"
#include "proxy/waiting.h"
#include "shm/control.h"
#include "worker/cancel.h"
#include "worker/conn.h"
#include "worker/handover.h"
#include "worker/record.h"
#include "worker/request.h"
#include "worker/stream.h"

#define BEAT_MS      500
#define ACCEPT_BATCH 64   /* connections accepted in one turn */
#define BUSY_MS      1000 /* when the process has no descriptor left */

struct span serve_date(struct worker *w)
{
	int64_t now_s = clock_utc_ms() / 1000;

	if (now_s != w->date_s) {
		char text[CLOCK_HTTP_LEN + 1];

		w->date_s = now_s;
		w->date_len = (size_t)snprintf(w->date, sizeof(w->date),
		                               "Date: %s\r\n",
		                               clock_http(now_s * 1000, text));
	}
	return span_of(w->date, w->date_len);
}

/* ---- listening ---- */

static void on_acceptable(struct source *src, uint32_t events)
{
	struct listener *l = CONTAINER_OF(src, struct listener, src);
	struct worker *w = l->w;

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(src->fd, NULL, NULL,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno != EAGAIN)
				log_warning("accept failed",
				            LOG_ERR(os_error()));
			return;
		}
		conn_accept(w, fd, l->handover);
	}
}

/* Accept from all sockets, once there is something to serve from. */
static void listen_all(struct worker *w)
{
	if (!w->snap)
		return;
	for (size_t i = 0; i < w->n_listeners; i++) {
		struct listener *l = &w->listeners[i];

		if (l->src.fd < 0 || l->src.events ||
		    (w->draining && !l->handover))
			continue;
		int err = loop_add(w->loop, &l->src, EPOLLIN);
		if (err < 0)
			log_error("cannot listen", LOG_ERR(err));
	}
	w->listening = true;
}

static bool is_loopback(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	struct ip ip;
	uint16_t port;

	return getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
	       ip_from_sockaddr((const struct sockaddr *)&at, &ip, &port) &&
	       ip_is_loopback(&ip);
}

static void add_listener(struct worker *w, int fd, bool handover)
{
	struct listener *l;

	if (w->n_listeners == SERVE_LISTENERS) {
		close(fd);
		return;
	}
	l = &w->listeners[w->n_listeners++];
	l->w = w;
	l->handover = handover;
	l->src = (struct source){ .fd = fd, .on_ready = on_acceptable };
	if (!handover)
		w->loopback_only = is_loopback(fd);
	listen_all(w);
}

/* ---- snapshots ---- */

/* The same in every worker, so that each can resume the others' sessions. */
static void share_tickets(struct tls_context *tls, const struct snapshot *snap)
{
	static const struct span labels[] = { { "ticket 1", 8 },
		                              { "ticket 2", 8 },
		                              { "ticket 3", 8 } };
	uint8_t key[ARRAY_LEN(labels) * CRYPTO_HASH_LEN];

	static_assert(sizeof(key) >= TLS_TICKET_KEY_LEN, "three hashes do");
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		crypto_cache_hash(snap->head->cache_key, labels[i],
		                  key + i * CRYPTO_HASH_LEN);
	tls_context_ticket_key(tls, key);
	crypto_wipe(key, sizeof(key));
}

static int load_tls(const struct snapshot *snap, struct tls_context **out)
{
	char why[TLS_WHY_MAX];
	int err;

	*out = NULL;
	if (snap->head->tls_cert.len == 0)
		return 0;
	err = tls_context_from_memory(snapshot_text(snap, snap->head->tls_cert),
	                              snapshot_text(snap, snap->head->tls_key),
	                              out, why);
	if (err < 0)
		log_error("TLS certificate refused", LOG_STR("reason", why));
	if (*out) {
		share_tickets(*out, snap);
		if (snap->head->tls_1_3_only)
			tls_context_require_1_3(*out);
	}
	return err;
}

static void set_limits(struct worker *w, const struct settings *s)
{
	w->limits = (struct h1_limits){
		.head_max = (size_t)s->limits_head_bytes,
		.target_max = (size_t)s->limits_head_bytes / 2,
		.fields_max =
			MIN((size_t)s->limits_fields, (size_t)H1_FIELDS_MAX),
	};
}

/*
 * Serve new requests from a newer snapshot. Requests already running keep the
 * one they began on: each holds a reference of its own.
 */
static int adopt(struct worker *w, int fd)
{
	struct snapshot *next, *old = w->snap;
	struct tls_context *tls;
	int err = snapshot_open(fd, &next);

	if (err < 0)
		return err;
	err = load_tls(next, &tls);
	if (err == 0)
		err = identity_adopt(w->identity, next);
	if (err < 0) {
		/* The keys of the old one are still needed. */
		if (old && identity_adopt(w->identity, old) < 0)
			log_error("keys of the snapshot before are lost",
			          LOG_END);
		tls_context_free(tls);
		snapshot_unref(next);
		return err;
	}
	tls_context_free(w->tls);
	w->tls = tls;
	w->snap = next;
	set_limits(w, next->settings);
	upstream_adopt(w->proxy.up, next);
	sessions_adopt(w->proxy.sessions, next);
	atomic_store(&w->me->config_generation, next->head->config_generation);
	atomic_store(&w->me->catalog_serial, next->head->catalog_serial);
	streams_adopt(w, old);
	snapshot_unref(old);
	return 0;
}

static void tell_master(struct worker *w, enum control_type type, int err,
                        const struct snapshot *snap)
{
	struct control msg = { .type = type, .error = err };

	if (snap) {
		msg.number = snap->head->config_generation;
		msg.serial = snap->head->catalog_serial;
	}
	err = control_send(w->control.fd, &msg, -1);
	if (err < 0)
		log_warning("the master does not listen", LOG_ERR(err));
}

static void on_snapshot(struct worker *w, int fd)
{
	bool first = w->snap == NULL;
	int err = adopt(w, fd);

	if (err < 0)
		log_error("snapshot refused", LOG_ERR(err));
	tell_master(w, CONTROL_ADOPTED, err, w->snap);
	if (err < 0 || !first)
		return;
	atomic_store(&w->me->state, PROCESS_SERVING);
	listen_all(w);
	tell_master(w, CONTROL_READY, 0, w->snap);
}

/* ---- draining ---- */

void serve_check_drained(struct worker *w)
{
	/* When the others go on, clients may still come back to what waits. */
	bool waits =
		w->proxy.n_waiting > 0 && !atomic_load(&w->board->draining);

	/* What others must know is promised too, and soon told. */
	if (w->draining && !w->conns && !waits && w->n_news == 0)
		loop_stop(w->loop);
}

static void on_drain_over(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, drain_timer);

	log_warning("connections cut at the end of shutdown_grace",
	            LOG_INT("connections", w->n_conns));
	while (w->conns)
		conn_abort(w->conns);
	loop_stop(w->loop);
}

static void drain(struct worker *w, uint64_t grace_ms)
{
	struct conn *next;

	if (w->draining)
		return;
	/* What is in the queues was promised an answer. */
	for (size_t i = 0; i < w->n_listeners; i++) {
		struct listener *l = &w->listeners[i];

		if (l->src.fd < 0 || l->handover)
			continue;
		if (l->src.events) {
			on_acceptable(&l->src, EPOLLIN);
			loop_remove(w->loop, &l->src);
		}
		close(l->src.fd);
		l->src.fd = -1;
	}
	w->draining = true;
	atomic_store(&w->me->state, PROCESS_DRAINING);
	stream_end_all(w);
	for (struct conn *c = w->conns; c; c = next) {
		next = c->next;
		conn_drain(c);
	}
	loop_timer(w->loop, &w->drain_timer, grace_ms, on_drain_over);
	serve_check_drained(w);
}

/* ---- the master's messages ---- */

static void on_message(struct worker *w, const struct control *msg, int fd)
{
	switch ((enum control_type)msg->type) {
	case CONTROL_SNAPSHOT:
		on_snapshot(w, fd);
		return;
	case CONTROL_LISTEN:
		add_listener(w, fd, false);
		return;
	case CONTROL_HANDOVER:
		add_listener(w, fd, true);
		return;
	case CONTROL_LOG:
		control_apply_log(msg, fd);
		return;
	case CONTROL_ACCESS_LOG:
		record_access_fd(w->record, fd);
		return;
	case CONTROL_AUDIT_LOG:
		record_audit_fd(w->record, fd);
		return;
	case CONTROL_SIGNING:
		if (fd >= 0)
			builtin_connect(w->builtin, fd);
		return;
	case CONTROL_DRAIN:
		drain(w, msg->number);
		break;
	case CONTROL_READY:
	case CONTROL_ADOPTED:
	case CONTROL_CATALOG:
	case CONTROL_REFRESH:
		log_warning("unexpected control message",
		            LOG_INT("type", msg->type));
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void on_control(struct source *src, uint32_t events)
{
	struct worker *w = CONTAINER_OF(src, struct worker, control);
	struct control msg;
	int fd;

	(void)events;
	for (;;) {
		int n = control_receive(src->fd, &msg, &fd);

		if (n == 1) {
			on_message(w, &msg, fd);
			continue;
		}
		if (n == -EAGAIN)
			return;
		/* The master is gone: nobody will ever restart us. */
		loop_remove(w->loop, src);
		log_warning("the master is gone, draining", LOG_INT("code", n));
		drain(w, w->snap ? (uint64_t)w->snap->settings->shutdown_grace
		                 : 0);
		if (!w->snap)
			loop_stop(w->loop);
		return;
	}
}

static void on_beat(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, beat);

	atomic_store(&w->me->beat_ms, loop_now_ms(w->loop));
	serve_check_drained(w);
	loop_timer(w->loop, t, BEAT_MS, on_beat);
}

static void on_turn(void *arg)
{
	struct worker *w = arg;

	record_flush(w->record);
}

static void uncork(struct proxy *proxy)
{
	conn_uncork(CONTAINER_OF(proxy, struct worker, proxy));
}

static void here(const struct proxy *proxy, const struct snapshot *snap,
                 struct place *place)
{
	*place = handover_here(CONTAINER_OF(proxy, struct worker, proxy), snap);
}

static bool set_up(struct worker *w)
{
	w->loop = loop_new();
	if (!w->loop)
		return false;
	w->proxy.loop = w->loop;
	/* Workers and replicas may use one session of a client's with a
	 * backend, where no two requests may have the same id. Exact as a
	 * double. */
	crypto_random(&w->proxy.next_id, sizeof(w->proxy.next_id));
	w->proxy.next_id &= (UINT64_C(1) << 52) - 1;
	w->proxy.uncork = uncork;
	w->proxy.here = here;
	w->proxy.board = w->board;
	w->proxy.slot = w->me;
	w->proxy.up = upstream_new(w->loop, w->board, w->me);
	w->proxy.sessions =
		w->proxy.up ? sessions_new(w->proxy.up, w->loop) : NULL;
	w->streams = w->proxy.sessions ? streams_new(w) : NULL;
	w->builtin = builtin_new(w->loop, cache_shared());
	w->identity = identity_new(w->board, w->index);
	w->record = record_new(w);
	crypto_random(&w->id_base, sizeof(w->id_base));
	w->addresses.seed = w->id_base;
	return w->streams && w->builtin && w->identity && w->record &&
	       loop_add(w->loop, &w->control, EPOLLIN) == 0;
}

static void tear_down(struct worker *w)
{
	while (w->conns)
		conn_abort(w->conns);
	waiting_end_all(&w->proxy);
	aside_end_all(&w->proxy);
	request_fini(w);
	cancel_fini(w);
	call_free_spare(&w->proxy);
	streams_free(w->streams);
	handover_fini(w);
	sessions_free(w->proxy.sessions);
	upstream_free(w->proxy.up);
	builtin_free(w->builtin);
	identity_free(w->identity);
	record_flush(w->record);
	record_free(w->record);
	tls_context_free(w->tls);
	snapshot_unref(w->snap);
	buf_free(&w->page);
	buf_free(&w->cork);
	loop_free(w->loop);
	free(w);
}

int worker_main(struct board *board, uint32_t slot, int control)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return 1;
	w->board = board;
	w->index = slot;
	w->me = &board->workers[slot];
	w->control = (struct source){ .fd = control, .on_ready = on_control };
	w->page.max = 128u << 20;
	log_process("worker", (int)slot);
	board_last_words(w->me);
	atomic_store(&w->me->connections_open, 0);
	atomic_store(&w->me->streams_open, 0);
	if (!set_up(w)) {
		log_error("worker cannot start", LOG_ERR(-ENOMEM));
		free(w); /* the rest ends with the process */
		return 1;
	}
	on_beat(&w->beat);
	loop_on_turn(w->loop, on_turn, w);

	int err = loop_run(w->loop);
	if (err < 0)
		log_error("the loop broke", LOG_ERR(err));
	tear_down(w);
	return err < 0;
}

#include "master/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/lookup.h"
#include "lib/loop.h"
#include "master/charge.h"
#include "oci/signer.h"
#include "proxy/catalog.h"
#include "shm/builder.h"
#include "shm/control.h"
#include "shm/snapshot.h"

#define BEAT_MS 1000

struct keeper {
	struct charges all;
	struct loop *loop;
	struct source control;
	struct snapshot *published; /* what we sent last; or NULL */
	uint64_t serial;            /* of the last catalogue */
	bool begun;   /* a round has been completed since we started */
	bool round;   /* some backend has not been asked yet */
	bool holding; /* nothing is published before the round is over */
	struct signer *signer; /* for the tools of Oracle Cloud */
	struct timer publish, beat, limit;
	uint64_t published_ms;
};

/* --- publishing ------------------------------------------------------------
 */

static bool same_catalog(const struct snapshot *a, const struct snapshot *b)
{
	size_t from = a->head->config_end;

	return a->head->config_generation == b->head->config_generation &&
	       from == b->head->config_end && a->size == b->size &&
	       memcmp(a->base + from, b->base + from, a->size - from) == 0;
}

static int build(struct keeper *k)
{
	struct catalog_backend *known[BACKENDS_MAX] = { NULL };
	struct builder b;

	for (struct charge *c = k->all.first; c; c = c->next)
		known[c->index] = c->known;
	builder_copy_config(&b, k->all.config);

	int err = catalog_build(&b, k->all.board, known);
	struct header *head = builder_header(&b);
	if (head)
		head->catalog_serial = k->serial + 1;
	if (err < 0) {
		builder_free(&b);
		return err;
	}
	return builder_freeze(&b);
}

/* Tools per backend, as clients of the era that sees more of them see it. */
static void count_tools(struct keeper *k)
{
	uint32_t counts[VIEWS][BACKENDS_MAX] = { 0 };

	for (enum view_era era = 0; era < VIEWS; era++) {
		const struct list *tools =
			&snapshot_view(k->published, era)->lists[LIST_TOOLS];
		const struct entry *e =
			snapshot_array(k->published, tools->entries);

		for (uint32_t i = 0; i < tools->entries.len; i++)
			if (!(e[i].flags & ENTRY_OWN))
				counts[era][e[i].backend]++;
	}
	for (struct charge *c = k->all.first; c; c = c->next)
		atomic_store_explicit(&c->row->n_tools,
		                      MAX(counts[VIEW_LEGACY][c->index],
		                          counts[VIEW_MODERN][c->index]),
		                      memory_order_relaxed);
}

/* Send what fd holds unless it says what was sent before. Takes fd. */
static int send_catalog(struct keeper *k, int fd)
{
	struct control msg = { .type = CONTROL_CATALOG };
	struct snapshot *snap = NULL;
	int copy = dup(fd);
	int err = copy < 0 ? os_error() : snapshot_open(copy, &snap);

	if (err < 0) {
		close(fd);
		return err;
	}
	assert(snap);
	if (k->published && same_catalog(k->published, snap)) {
		snapshot_unref(snap);
		close(fd);
		return 0;
	}
	msg.number = snap->head->config_generation;
	msg.serial = snap->head->catalog_serial;
	err = control_send(k->control.fd, &msg, fd);
	close(fd);
	if (err < 0) {
		snapshot_unref(snap);
		return err;
	}
	k->serial++;
	snapshot_unref(k->published);
	k->published = snap;
	count_tools(k);
	log_debug("catalogue sent", LOG_INT("serial", k->serial),
	          LOG_INT("bytes", snap->size));
	return 0;
}

static void on_publish(struct timer *t);

static void publish_now(struct keeper *k)
{
	if (!k->all.config || k->holding || k->all.draining)
		return;
	loop_timer_stop(k->loop, &k->publish);
	k->published_ms = loop_now_ms(k->loop);

	int fd = build(k);
	int err = fd < 0 ? fd : send_catalog(k, fd);
	if (err == 0)
		return;
	log_error("catalogue cannot be published", LOG_ERR(err));
	/* The master's socket may be full for a moment. */
	if (err == -EAGAIN)
		loop_timer(k->loop, &k->publish, KEEPER_PUBLISH_MS, on_publish);
}

static void on_publish(struct timer *t)
{
	publish_now(CONTAINER_OF(t, struct keeper, publish));
}

/* Soon: a burst of changes becomes one catalogue. */
static void publish(struct charges *all)
{
	struct keeper *k = CONTAINER_OF(all, struct keeper, all);
	uint64_t since_ms = loop_now_ms(k->loop) - k->published_ms;

	if (k->publish.due_ms)
		return;
	loop_timer(k->loop, &k->publish,
	           since_ms < KEEPER_PUBLISH_MS ? KEEPER_PUBLISH_MS - since_ms
	                                        : 1,
	           on_publish);
}

/* --- the first round --------------------------------------------------------
 */

static void end_round(struct keeper *k)
{
	if (!k->round)
		return;
	k->round = k->holding = false;
	k->begun = true;
	loop_timer_stop(k->loop, &k->limit);
	publish_now(k);

	/* Behind the catalogue: the master waits until the workers have it. */
	struct control msg = {
		.type = CONTROL_READY,
		.number = k->all.config->head->config_generation,
		.serial = k->serial,
	};
	int err = control_send(k->control.fd, &msg, -1);
	if (err < 0)
		log_error("the master does not listen", LOG_ERR(err));
}

static void on_limit(struct timer *t)
{
	end_round(CONTAINER_OF(t, struct keeper, limit));
}

static void on_asked(struct charges *all)
{
	if (charges_asked(all))
		end_round(CONTAINER_OF(all, struct keeper, all));
}

static void begin_round(struct keeper *k)
{
	k->round = true;
	if (charges_asked(&k->all))
		end_round(k);
	else
		loop_timer(k->loop, &k->limit,
		           (uint64_t)k->all.config->settings->discovery_timeout,
		           on_limit);
}

static bool has_catalog(const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->head->origins.len; i++)
		if (snapshot_origin(s, i)->eras)
			return true;
	return false;
}

/* --- signatures ------------------------------------------------------------
 */

/* Whose tools the configuration serves. */
static void configure_signer(struct keeper *k)
{
	const struct snapshot *s = k->all.config;
	struct credential list[BACKENDS_MAX];
	size_t n = 0;

	for (uint32_t i = 0; i < s->head->backends.len; i++) {
		const struct backend *b = snapshot_backend(s, i);

		if (b->flags & BACKEND_OCI)
			list[n++] = (struct credential){
				.method = (enum credential_method)b->oci_method,
				.config_file =
					snapshot_text(s, b->oci_config_file),
				.profile = snapshot_text(s, b->oci_profile),
				.region = snapshot_text(s, b->oci_region),
				.tenancy =
					snapshot_text(s, s->head->oci_tenancy),
				.endpoint =
					snapshot_text(s, s->head->oci_endpoint),
			};
	}

	int err = signer_trust(k->signer, snapshot_text(s, s->head->oci_ca));
	if (err == 0)
		err = signer_configure(k->signer, list, n);
	if (err < 0)
		log_error("credentials cannot be kept", LOG_ERR(err));
}

static void add_worker(struct keeper *k, int fd)
{
	int err = fd < 0 ? -EPROTO : signer_add_worker(k->signer, fd);

	if (err < 0)
		log_error("a worker cannot ask for signatures", LOG_ERR(err));
	if (err < 0 && fd >= 0)
		close(fd);
}

/* --- the master
 * ------------------------------------------------------------------ */

static void on_snapshot(struct keeper *k, int fd)
{
	struct snapshot *snap;
	int err = fd < 0 ? -EPROTO : snapshot_open(fd, &snap);

	if (err < 0) {
		log_error("snapshot refused", LOG_ERR(err));
		return;
	}
	k->serial = MAX(k->serial, snap->head->catalog_serial);
	/* The master waits for an answer, be it the same as before. */
	snapshot_unref(k->published);
	k->published = NULL;
	k->holding = !k->begun && has_catalog(snap);
	charges_adopt(&k->all, snap);
	configure_signer(k);
	atomic_store(&k->all.board->keeper.state, PROCESS_SERVING);
	atomic_store(&k->all.board->keeper.config_generation,
	             snap->head->config_generation);
	publish_now(k);
	begin_round(k);
}

static void on_drained(struct timer *t)
{
	loop_stop(CONTAINER_OF(t, struct keeper, limit)->loop);
}

static void leave_when_idle(void *arg)
{
	struct keeper *k = arg;

	if (k->all.draining && fetcher_running(k->all.fetcher) == 0)
		loop_stop(k->loop);
}

/* End the sessions, for a moment, then go. */
static void drain(struct keeper *k)
{
	if (k->all.draining)
		return;
	k->all.draining = true;
	atomic_store(&k->all.board->keeper.state, PROCESS_DRAINING);
	loop_timer_stop(k->loop, &k->publish);
	charges_end(&k->all);
	loop_timer(k->loop, &k->limit, KEEPER_CLOSE_MS, on_drained);
}

static void on_message(struct keeper *k, const struct control *msg, int fd)
{
	switch (msg->type) {
	case CONTROL_SNAPSHOT:
		if (!k->all.draining) {
			on_snapshot(k, fd);
			return; /* which took fd */
		}
		break;
	case CONTROL_LOG:
		control_apply_log(msg, fd);
		return;
	case CONTROL_SIGNING:
		add_worker(k, fd);
		return;
	case CONTROL_REFRESH:
		charges_refresh(&k->all, msg->number);
		break;
	case CONTROL_DRAIN:
		drain(k);
		break;
	default: /* for workers */
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void on_control(struct source *src, uint32_t ready)
{
	struct keeper *k = CONTAINER_OF(src, struct keeper, control);
	struct control msg;
	int fd, n;

	(void)ready;
	while ((n = control_receive(src->fd, &msg, &fd)) > 0)
		on_message(k, &msg, fd);
	if (n == -EAGAIN || n == -EPROTO)
		return;
	/* The master is gone. */
	loop_remove(k->loop, src);
	drain(k);
}

static void on_beat(struct timer *t)
{
	struct keeper *k = CONTAINER_OF(t, struct keeper, beat);

	atomic_store(&k->all.board->keeper.beat_ms, loop_now_ms(k->loop));
	loop_timer(k->loop, &k->beat, BEAT_MS, on_beat);
}

static int keep(struct keeper *k)
{
	k->loop = loop_new();
	if (!k->loop)
		return -ENOMEM;
	k->all.loop = k->loop;
	k->all.fetcher = fetcher_new(k->loop);
	k->all.lookups = lookups_new(k->loop);
	if (!k->all.fetcher || !k->all.lookups)
		return -ENOMEM;
	k->signer = signer_new(k->loop, k->all.fetcher);
	if (!k->signer || signer_resolve(k->signer, k->all.lookups) < 0)
		return -ENOMEM;

	int err = loop_add(k->loop, &k->control, EPOLLIN);
	if (err < 0)
		return err;
	on_beat(&k->beat);
	loop_on_turn(k->loop, leave_when_idle, k);
	return loop_run(k->loop);
}

int keeper_main(struct board *board, int control)
{
	struct keeper k = {
		.all = { .board = board,
		         .on_catalog = publish,
		         .on_asked = on_asked },
		.control = { .fd = control, .on_ready = on_control },
	};

	log_process("keeper", -1);
	board_last_words(&board->keeper);

	int err = keep(&k);
	if (err < 0)
		log_error("keeper fails", LOG_ERR(err));
	atomic_store(&board->keeper.state, PROCESS_NONE);
	charges_end(&k.all);
	signer_free(k.signer);
	fetcher_free(k.all.fetcher);
	lookups_free(k.all.lookups);
	if (k.loop) {
		loop_timer_stop(k.loop, &k.publish);
		loop_timer_stop(k.loop, &k.beat);
		loop_timer_stop(k.loop, &k.limit);
	}
	loop_free(k.loop);
	snapshot_unref(k.published);
	snapshot_unref(k.all.config);
	close(control);
	return err < 0;
}

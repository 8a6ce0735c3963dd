/*
 * fuzz_tap - bytes as what a modern backend tells on a stream: how they are
 * cut changes nothing.
 */
#include "proxy/tap.h"

#include "lib/crypto.h"
#include "proxy/catalog.h"
#include "proxy/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct board *board;
static struct tap tap;
static uint64_t told; /* a hash of all that was */

static void note(char what, struct span text)
{
	static const uint8_t key[CRYPTO_SIPHASH_LEN];

	told = told * 31 + (uint64_t)what + crypto_siphash(key, text);
}

static void on_open(struct tap *t, struct span uris, struct span tasks)
{
	assert(t == &tap && tap_runs(t));
	note('o', uris);
	note('O', tasks);
}

static void on_task(struct tap *t, struct span id, struct span task)
{
	assert(t->open && id.len && id.len <= TASK_ID_MAX);
	note('t', id);
	note('T', task);
}

static void on_updated(struct tap *t, struct span uri)
{
	assert(t->open && uri.len);
	note('u', uri);
}

static void on_end(struct tap *t, enum tap_end why, struct span error)
{
	assert(!tap_runs(t));
	note(why == TAP_LOST ? 'l' : 'r', error);
}

static const struct tap_ops ops = { on_open, on_updated, on_task, on_end };

/* The backend has no address: its exchange waits for us to play it. */
static struct snapshot *make_snapshot(void)
{
	struct settings settings = { .limits_response_bytes = 1 << 24 };
	struct backend backend = { .max_connections = 1 };
	struct catalog_backend known = { .origin = { .eras = ERA_MODERN } };
	struct catalog_backend *all[BACKENDS_MAX] = { &known };
	struct snapshot *snap;
	struct builder b;
	int err;

	builder_init(&b);
	backend.name = backend.identifier = builder_text(&b, SPAN("b"));
	struct ref r = builder_array(&b, &settings, 1, sizeof(settings));
	builder_header(&b)->settings = r;
	r = builder_array(&b, &backend, 1, sizeof(backend));
	builder_header(&b)->backends = r;
	builder_end_config(&b);
	err = catalog_build(&b, board, all);
	assert(err == 0);
	err = snapshot_open(builder_freeze(&b), &snap);
	assert(err == 0);
	return snap;
}

static struct snapshot *snap;

static void set_up(void)
{
	int fd, err = board_new(16, 16, &board, &fd);

	assert(err == 0);
	snap = make_snapshot();
	tap.ops = &ops;
	tap.loop = loop_new();
	tap.up = upstream_new(tap.loop, board, &board->workers[0]);
	tap.sessions = sessions_new(tap.up, tap.loop);
}

static void feed(struct span piece)
{
	if (tap_runs(&tap) && piece.len)
		tap.x.ops->body(&tap.x, piece);
}

static uint64_t play(struct span body, size_t cut, int status)
{
	struct exchange_head head = { .status = status };

	told = 0;
	tap_listen(&tap, snap, 0, SPAN("\"a:b\""), SPAN("\"t\""));
	tap.x.ops->head(&tap.x, &head);
	feed(span_first(body, cut));
	feed(span_from(body, cut));
	if (tap_runs(&tap))
		tap.x.ops->end(&tap.x, EXCHANGE_COMPLETE, "");
	return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int status = size && data[0] & 1 ? 400 : 200;
	struct span body = span_from(span_of(data, size), 1);
	size_t cut = size > 1 ? data[0] % body.len : 0;

	if (!snap)
		set_up();
	assert(play(body, body.len, status) == play(body, cut, status));
	return 0;
}

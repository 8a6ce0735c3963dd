#include "worker/clientsession.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/value.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"

static uint8_t keys[2][32] = { { 1 }, { 2 } };
static bool has_previous;
static struct settings settings;
static struct fixture_setup setup;
static struct fixture_server *server;
static struct worker *w;
static struct fixture_caller caller;

static void more(struct builder *b)
{
	memcpy(builder_header(b)->session_keys, keys, sizeof(keys));
	builder_header(b)->has_previous_key = has_previous;
}

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(&setup, 1, &settings, more));
}

static void begin(void)
{
	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	setup = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE | BACKEND_PER_CLIENT,
		.eras = ERA_LEGACY,
		.items = { [VIEW_LEGACY] = { ITEM("t") } },
	};
	build();
	server = fixture_server_new(w->loop);
	fixture_server_legacy(server, true);
	setup.port = fixture_server_port(server);
	build();
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_server_free(server);
	fixture_worker_free(w);
}

TestSuite(clientsession, .init = begin, .fini = end, .timeout = 60);

static const struct sealed good = { .kind = SEALED_SESSION,
	                            .revision = REVISION_2025_06_18 };

static int send_text(const char *text)
{
	fixture_ask_anew(&caller, w, text);
	return fixture_status(&caller, 0);
}

static int ping(const char *fields)
{
	char *text = fixture_post(fields, PING);
	int status = send_text(text);

	free(text);
	return status;
}

static int ping_in(const char *id)
{
	char *line;
	int status;

	cr_assert_gt(asprintf(&line, "Mcp-Session-Id: %s\r\n", id), 0);
	status = ping(line);
	free(line);
	return status;
}

static int end_session(const char *id)
{
	char *text;
	int status;

	cr_assert_gt(asprintf(&text,
	                      "DELETE /mcp HTTP/1.1\r\nHost: localhost\r\n"
	                      "Mcp-Session-Id: %s\r\n\r\n",
	                      id),
	             0);
	status = send_text(text);
	free(text);
	return status;
}

Test(clientsession, what_is_a_session)
{
	int64_t now_s = clock_utc_ms() / 1000;
	const struct {
		struct sealed s;
		const char *asker;
		int status;
	} rows[] = {
		{ good, "anonymous", 200 },
		{ good, "ann", 404 },
		{ good, "", 404 },
		{ { .kind = SEALED_SESSION,
		    .revision = REVISION_2025_11_25,
		    .expires_s = now_s + 100 },
		  "anonymous",
		  200 },
		{ { .kind = SEALED_SESSION, .expires_s = now_s - 1 },
		  "anonymous",
		  404 },
		{ { .kind = SEALED_SESSION, .revision = REVISION_2026_07_28 },
		  "anonymous",
		  404 },
		{ { .kind = SEALED_SESSION, .revision = 77 },
		  "anonymous",
		  404 },
		{ { .kind = SEALED_STATE }, "anonymous", 404 },
		{ { .kind = SEALED_QUESTION }, "anonymous", 404 },
		{ { .kind = SEALED_EVENT }, "anonymous", 404 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *id = fixture_seal(w, rows[i].s, rows[i].asker);

		cr_expect_eq(ping_in(id), rows[i].status, "%zu", i);
		if (rows[i].status != 200)
			cr_expect_eq(end_session(id), 404, "%zu", i);
		free(id);
	}
	cr_expect_eq(ping_in(""), 404);
	cr_expect_eq(ping(""), 200, "nobody needs one");
}

Test(clientsession, no_character_of_it_can_be_changed_or_cut)
{
	char *id = fixture_seal(w, good, "anonymous");

	for (size_t i = 0; id[i]; i++) {
		char was = id[i];

		id[i] = was == 'x' ? 'y' : 'x';
		cr_assert_eq(ping_in(id), 404, "%zu", i);
		id[i] = '\0';
		cr_assert_eq(ping_in(id), 404, "%zu", i);
		id[i] = was;
	}
	free(id);
}

Test(clientsession, it_comes_once_and_has_a_limit)
{
	static char text[REQUEST_SESSION_MAX];
	struct sealed s = good;
	char *id = fixture_seal(w, s, "anonymous"), *lines;

	cr_assert_gt(asprintf(&lines,
	                      "Mcp-Session-Id: %s\r\nMcp-Session-Id: %s\r\n",
	                      id, id),
	             0);
	cr_expect_eq(ping(lines), 404);
	free(lines);
	free(id);
	memset(text, 'x', sizeof(text));
	for (size_t len = REQUEST_SESSION_MAX / 4 * 3 - 300;
	     len < REQUEST_SESSION_MAX / 4 * 3; len++) {
		bool fits;

		s.texts[0] = span_of(text, len);
		id = fixture_seal(w, s, "anonymous");
		fits = strlen(id) <= REQUEST_SESSION_MAX;
		cr_assert_eq(ping_in(id), fits ? 200 : 404, "%zu", strlen(id));
		free(id);
	}
}

Test(clientsession, keys_are_changed)
{
	char *id = fixture_seal(w, good, "anonymous");

	memcpy(keys[1], keys[0], sizeof(keys[0]));
	keys[0][0] = 99;
	build();
	cr_expect_eq(ping_in(id), 404);
	has_previous = true;
	build();
	cr_expect_eq(ping_in(id), 200);
	free(id);
}

/* Ended once, by its id alone; another of the same content is another. */
Test(clientsession, an_end)
{
	struct buf lines = { .max = 4096 };
	struct sealed s = good;

	buf_addf(&lines, "%08x 2025-06-18 sess\n", sealed_backend(w->snap, 0));
	s.texts[0] = buf_span(&lines);
	char *id = fixture_seal(w, s, "anonymous");
	char *other = fixture_seal(w, s, "anonymous");
	static const struct fixture_answer deleted = { .status = 204,
		                                       .body = "" };

	fixture_server_play(server, &deleted, 1);
	cr_expect_eq(end_session(id), 204);
	cr_expect_eq(ping_in(id), 404);
	cr_expect_eq(end_session(id), 404);
	cr_expect_eq(ping_in(other), 200);
	while (fixture_server_requests(server) < 1)
		fixture_pause(w->loop, 1);
	struct span got = fixture_server_request(server, 0);
	cr_expect(span_starts(got, SPAN("DELETE ")));
	cr_expect(memmem(got.at, got.len, "Mcp-Session-Id: sess\r\n", 22));
	cr_expect_eq(fixture_server_requests(server), 1u);
	free(id);
	free(other);
	buf_free(&lines);
}

Test(clientsession, without_session_ids)
{
	char *id = fixture_seal(w, good, "anonymous");

	settings.stateless = 1;
	build();
	cr_expect_eq(ping_in(id), 200, "it means nothing");
	cr_expect_eq(ping_in("junk"), 200);
	cr_expect_eq(end_session(id), 405);
	free(id);
}

#define ALL_KINDS                                                    \
	(CLIENT_FORM | CLIENT_URL | CLIENT_SAMPLING | CLIENT_TOOLS | \
	 CLIENT_CONTEXT | CLIENT_ROOTS)

Test(clientsession, abilities_of_every_revision)
{
	static const char all[] =
		"{\"elicitation\":{\"form\":{},\"url\":{}},"
		"\"sampling\":{\"tools\":{},\"context\":{}},\"roots\":{}}";
	static const uint32_t wants[REVISIONS] = {
		[REVISION_2025_03_26] = CLIENT_SAMPLING | CLIENT_ROOTS,
		[REVISION_2025_06_18] =
			CLIENT_FORM | CLIENT_SAMPLING | CLIENT_ROOTS,
		[REVISION_2025_11_25] = ALL_KINDS,
		[REVISION_2026_07_28] = ALL_KINDS,
	};

	for (int r = 0; r < REVISIONS; r++) {
		cr_expect_eq(clientsession_abilities(span_str(all),
		                                     (enum revision)r),
		             wants[r], "%d", r);
		cr_expect_eq(
			clientsession_abilities(SPAN("{}"), (enum revision)r),
			0u);
		cr_expect_eq(clientsession_abilities(span_of(NULL, 0),
		                                     (enum revision)r),
		             0u);
	}
}

/* Sessions of backends that do not fit stay out, and the rest is good. */
Test(clientsession, what_is_handed_out)
{
	static char text[REQUEST_SESSION_MAX];
	static const size_t lens[] = { 0, 1, CLIENTSESSION_BACKENDS_MAX, 3100,
		                       sizeof(text) };

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		static struct request r;
		struct sealed_room room;
		struct sealed s;
		bool fits;

		r = (struct request){ .conn = w->conns, .snap = w->snap };
		fits = clientsession_open(&r, CLIENT_ROOTS, REVISION_2025_03_26,
		                          span_of(text, lens[i]));
		cr_expect_eq(fits, lens[i] <= CLIENTSESSION_BACKENDS_MAX, "%zu",
		             lens[i]);
		cr_assert_eq(sealed_read(w->snap, SPAN(""),
		                         SEALED_BIT(SEALED_SESSION), r.session,
		                         clock_utc_ms() / 1000, &s, &room),
		             SEALED_OK);
		cr_expect_eq(s.abilities, CLIENT_ROOTS);
		cr_expect_eq(s.revision, (uint32_t)REVISION_2025_03_26);
		cr_expect_eq(s.texts[0].len, fits ? lens[i] : 0);
		cr_expect_gt(s.expires_s, clock_utc_ms() / 1000);
		sealed_free(&room);
	}
}

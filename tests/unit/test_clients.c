#include "shm/clients.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW  1000000
#define LATE (NOW + 3600)

static struct clients *c;
static uint64_t seen;

static void begin(void)
{
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
	         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(c != MAP_FAILED);
	seen = 0;
}

TestSuite(clients, .init = begin, .timeout = 60);

static bool subscribe(uint64_t session, const char *uri)
{
	return clients_subscribe(c, 0, session, span_str(uri), LATE, NOW);
}

/* The session's URIs, in any order, with a comma behind each. */
static const char *uris(uint64_t session)
{
	static char text[CLIENTS_PER_SESSION * 16];
	char uri[CLIENTS_URI_MAX];
	size_t len, at = 0;
	uint32_t place = 0;

	text[0] = '\0';
	while (clients_next(c, session, NOW, &place, uri, &len))
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s,",
		                       (int)len, uri);
	return text;
}

Test(clients, subscriptions_come_and_go)
{
	cr_assert(subscribe(5, "a:1"));
	cr_assert(subscribe(5, "a:2"));
	cr_assert(subscribe(5, "a:1"));
	cr_assert(subscribe(6, "b:1"));
	cr_expect_str_eq(uris(5), "a:1,a:2,");
	cr_expect_str_eq(uris(6), "b:1,");
	clients_unsubscribe(c, 0, 5, SPAN("a:1"));
	clients_unsubscribe(c, 0, 5, SPAN("a:nothing"));
	cr_expect_str_eq(uris(5), "a:2,");
	clients_forget(c, 0, 5);
	cr_expect_str_eq(uris(5), "");
	cr_expect_str_eq(uris(6), "b:1,");
}

Test(clients, a_uri_of_any_length_up_to_the_limit)
{
	char text[CLIENTS_URI_MAX + 1], back[CLIENTS_URI_MAX];
	size_t len;

	memset(text, 'x', sizeof(text));
	for (size_t n = 0; n <= CLIENTS_URI_MAX; n++) {
		uint32_t at = 0;

		cr_assert(clients_subscribe(c, 0, n * 1000 + 1,
		                            span_of(text, n), LATE, NOW));
		cr_assert(clients_next(c, n * 1000 + 1, NOW, &at, back, &len));
		cr_assert_eq(len, n);
		cr_assert(span_eq(span_of(back, len), span_of(text, n)));
	}
	cr_expect_not(clients_subscribe(c, 0, 1, span_of(text, sizeof(text)),
	                                LATE, NOW));
}

Test(clients, a_session_has_so_many_and_others_still_have_room)
{
	char uri[16];

	for (int i = 0; i < CLIENTS_PER_SESSION; i++) {
		snprintf(uri, sizeof(uri), "u:%d", i);
		cr_assert(subscribe(7, uri), "%d", i);
	}
	cr_expect_not(subscribe(7, "u:more"));
	cr_expect(subscribe(7 + CLIENTS_PER_SESSION, "u:other"));
}

/* Neighbours that fill every place of one session. */
static void fill(uint64_t session, int64_t expires_s, int64_t now_s)
{
	for (uint64_t i = 0; i < CLIENTS_PER_SESSION; i++)
		cr_assert(clients_subscribe(c, 0,
		                            (i + 1) * CLIENTS_ROWS + session,
		                            SPAN("x:y"), expires_s, now_s));
}

Test(clients, what_is_in_use_is_not_evicted)
{
	fill(9, LATE, NOW);
	cr_expect_not(subscribe(9, "z:z"));
}

Test(clients, what_has_no_stream_makes_room_the_oldest_first)
{
	fill(9, LATE, NOW - CLIENTS_KEEP_S - 1);
	clients_seen(c, CLIENTS_ROWS + 9, NOW - CLIENTS_KEEP_S - 5);
	for (uint64_t i = 1; i < CLIENTS_PER_SESSION; i++)
		cr_expect_str_eq(uris((i + 1) * CLIENTS_ROWS + 9), "x:y,");
	cr_expect(subscribe(9, "z:z"));
	cr_expect_str_eq(uris(9), "z:z,");
	cr_expect_str_eq(uris(CLIENTS_ROWS + 9), "");
	cr_expect_str_eq(uris(2 * CLIENTS_ROWS + 9), "x:y,");
}

Test(clients, what_has_expired_makes_room_and_is_not_there)
{
	fill(9, NOW, NOW - 1);
	cr_expect_str_eq(uris(CLIENTS_ROWS + 9), "");
	cr_expect(subscribe(9, "z:z"));
}

Test(clients, changes_are_told)
{
	uint64_t session = 0;

	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_SAME);
	subscribe(5, "a:1");
	subscribe(5, "a:1"); /* nothing new */
	clients_unsubscribe(c, 0, 5, SPAN("a:nothing"));
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_ONE);
	cr_expect_eq(session, 5u);
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_SAME);
	clients_unsubscribe(c, 0, 5, SPAN("a:1"));
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_ONE);
}

Test(clients, too_many_changes_are_told_as_all)
{
	uint64_t session;

	for (uint64_t i = 1; i <= CLIENTS_CHANGES + 1; i++)
		cr_assert(subscribe(i, "a:1"));
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_ALL);
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_SAME);
}

Test(clients, a_change_whose_writer_died_is_told_as_all)
{
	uint64_t session;

	atomic_fetch_add(&c->n_changes, 1);
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_ALL);
	subscribe(5, "a:1");
	cr_expect_eq(clients_changed(c, &seen, &session), CLIENTS_ONE);
}

Test(clients, one_stream_of_a_session)
{
	cr_assert(clients_hold(c, 0, 0x123456789));
	cr_expect_not(clients_hold(c, 0, 0x123456789));
	cr_expect_not(clients_hold(c, 1, 0x123456789));
	cr_expect(clients_hold(c, 1, 0x223456789));
	clients_release(c, 1, 0x123456789); /* not its own */
	cr_expect_not(clients_hold(c, 1, 0x123456789));
	clients_release(c, 0, 0x123456789);
	cr_expect(clients_hold(c, 1, 0x123456789));
}

Test(clients, a_full_table_of_streams_lets_everybody_in)
{
	for (uint64_t i = 0; i < 20; i++)
		cr_expect(clients_hold(c, 0, (i << 16) + 5));
}

Test(clients, levels)
{
	static const uint64_t sessions[] = { 1, 2, 0x10001, UINT64_MAX,
		                             1 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(sessions); i++)
		cr_expect_eq(clients_level(c, sessions[i]), -1);
	for (int level = 0; level <= 7; level++)
		for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
			int mine = (level + (int)i) & 7;

			clients_set_level(c, sessions[i], mine, NOW);
			cr_expect_eq(clients_level(c, sessions[i]), mine);
		}
	clients_forget(c, 0, 2);
	cr_expect_eq(clients_level(c, 2), -1);
	cr_expect_neq(clients_level(c, 1), -1);
}

Test(clients, the_oldest_level_makes_room)
{
	for (uint64_t i = 0; i < 16; i++)
		clients_set_level(c, i << 16 | 3, 1,
		                  NOW + (i == 4 ? 0 : 86400 * 3));
	clients_set_level(c, 99 << 16 | 3, 2, NOW + 86400 * 4);
	cr_expect_eq(clients_level(c, 99 << 16 | 3), 2);
	cr_expect_eq(clients_level(c, 4 << 16 | 3), -1);
	cr_expect_eq(clients_level(c, 5 << 16 | 3), 1);
	for (uint64_t i = 100; i < 200; i++) {
		clients_set_level(c, i << 16 | 3, 3, NOW + 86400 * 4);
		cr_expect_eq(clients_level(c, i << 16 | 3), 3);
	}
}

Test(clients, ends)
{
	static const uint64_t sessions[] = { 1, 2, 0x10001, UINT64_MAX,
		                             1 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
		uint64_t session = sessions[i];

		cr_assert(subscribe(session, "a:1"));
		clients_set_level(c, session, 3, NOW);
		cr_expect_not(clients_ended(c, session));
		clients_end(c, 0, session, NOW);
		clients_end(c, 0, session, NOW + 1);
		cr_expect(clients_ended(c, session));
		cr_expect_str_eq(uris(session), "");
		cr_expect_eq(clients_level(c, session), -1);
		cr_expect_not(clients_ended(c, session ^ 1 << 30));
	}
	/* Its stream is its worker's to end. */
	cr_assert(clients_hold(c, 0, 7));
	clients_end(c, 1, 7, NOW);
	cr_expect_not(clients_hold(c, 0, 7));
	/* What an ended one does is still bounded, and can be ended again. */
	cr_assert(subscribe(7, "a:1"));
	clients_end(c, 0, 7, NOW);
	cr_expect_str_eq(uris(7), "");
}

Test(clients, the_oldest_end_makes_room)
{
	for (uint64_t i = 0; i < 16; i++)
		clients_end(c, 0, i << 16 | 3, NOW + (i == 4 ? 0 : 86400 * 3));
	for (uint64_t i = 0; i < 16; i++)
		cr_expect(clients_ended(c, i << 16 | 3));
	clients_end(c, 0, 99 << 16 | 3, NOW + 86400 * 4);
	cr_expect(clients_ended(c, 99 << 16 | 3));
	cr_expect_not(clients_ended(c, 4 << 16 | 3));
	for (uint64_t i = 100; i < 200; i++) {
		clients_end(c, 0, i << 16 | 3, NOW + 86400 * 4);
		cr_expect(clients_ended(c, i << 16 | 3));
	}
	/* Levels and ends do not make room for each other. */
	cr_expect_eq(clients_level(c, 99 << 16 | 3), -1);
}

/* A writer that dies at any moment: the others go on, and after its burial
 * everything is free again. */
Test(clients, writers_are_killed)
{
	for (int round = 0; round < 60; round++) {
		uint64_t n = c->n_changes;
		pid_t pid = fork();
		int status;

		if (pid == 0)
			for (uint64_t i = 1;; i++) {
				char uri[16];
				bool kept;

				snprintf(uri, sizeof(uri), "k:%d",
				         (int)(i % 50));
				kept = clients_subscribe(c, 3, i % 7 + 1,
				                         span_str(uri), LATE,
				                         NOW);
				/* What was subscribed to 20 turns ago. */
				snprintf(uri, sizeof(uri), "k:%d",
				         (int)((i + 330) % 50));
				clients_unsubscribe(c, 3, (i + 330) % 7 + 1,
				                    span_str(uri));
				kept = clients_hold(c, 3, i) || kept;
				if (!kept)
					_exit(1);
			}
		while (c->n_changes == n) /* the suite has a time limit */
			usleep(10);
		usleep(37 * (useconds_t)round);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status));
		cr_assert(subscribe(1000, "m:1"));
		clients_unsubscribe(c, 0, 1000, SPAN("m:1"));
		clients_bury(c, 3);
		for (size_t i = 0; i < CLIENTS_ROWS; i++)
			cr_assert_not(c->rows[i].stamp & 1);
		for (size_t i = 0; i < CLIENTS_WORDS; i++)
			cr_assert_eq(c->streams[i], 0u);
	}
}

#include "shm/board.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct board *fresh(uint32_t n_audit, uint32_t n_verdicts)
{
	struct board *b;
	int fd;

	cr_assert_eq(board_new(n_audit, n_verdicts, &b, &fd), 0);
	close(fd);
	return b;
}

static void hash_of(unsigned n, uint8_t hash[32])
{
	memset(hash, 0, 32);
	memcpy(hash, &n, sizeof(n));
}

Test(board, sizes_are_rounded_up_to_powers_of_two)
{
	struct board *b = fresh(1000, 65);

	cr_assert_eq(b->n_audit, 1024);
	cr_assert_eq(b->n_verdicts, 128);
}

Test(board, a_reader_opens_it_and_refuses_what_is_not_one)
{
	const struct board *seen;
	struct board *b;
	int fd;

	cr_assert_eq(board_new(16, 64, &b, &fd), 0);
	cr_assert_eq(board_open(fd, &seen), 0);
	b->reloads = 7;
	cr_assert_eq(count_read(&seen->reloads), 7);
	b->version++;
	cr_assert_eq(board_open(fd, &seen), -EPROTO);
	b->version--;
	b->n_verdicts *= 2;
	cr_assert_eq(board_open(fd, &seen), -EPROTO);
	close(fd);
}

Test(board, every_name_has_a_word)
{
	for (int i = 0; i < OUTCOMES; i++)
		cr_assert_not_null(outcome_name((enum outcome)i));
	for (int i = 0; i <= HEALTH_DISCONNECTED; i++)
		cr_assert_not_null(health_name((enum health)i));
	for (int i = 0; i <= PROCESS_DRAINING; i++)
		cr_assert_not_null(process_state_name((enum process_state)i));
	cr_assert_str_eq(outcome_name((enum outcome)99), "unknown");
}

Test(board, durations_find_their_bucket)
{
	cr_assert_eq(board_bucket(0), 0);
	for (unsigned i = 0; i < BUCKETS - 1; i++) {
		cr_assert_eq(board_bucket(board_bounds_us[i]), i);
		cr_assert_eq(board_bucket(board_bounds_us[i] + 1), i + 1);
	}
	cr_assert_eq(board_bucket(UINT64_MAX), BUCKETS - 1);
}

Test(board, a_backend_keeps_its_slot)
{
	struct board *b = fresh(16, 64);
	char name[16];

	for (uint32_t i = 0; i < BACKENDS_MAX; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		cr_assert_eq(board_backend_slot(b, span_str(name)), i);
	}
	cr_assert_eq(board_backend_slot(b, SPAN("b7")), 7);
	cr_assert_eq(board_backend_slot(b, SPAN("new")), BACKENDS_MAX);
	cr_assert_eq(board_backend_slot(b, SPAN("")), BACKENDS_MAX);
}

Test(board, tools_share_row_0_when_the_table_is_full)
{
	struct board *b = fresh(16, 64);
	unsigned others = 0;
	char name[TOOL_NAME_MAX + 2];

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "backend_tool_%u", i);

		uint32_t row = board_tool_row(b, span_str(name));
		cr_assert_lt(row, TOOL_ROWS);
		cr_assert_eq(board_tool_row(b, span_str(name)), row);
		if (row == 0)
			others++;
		else
			cr_assert_str_eq(b->tools[row].name, name);
	}
	cr_assert_eq(others, 0, "%u of the 10000 we promise", others);
	for (unsigned i = 10000; i < 2 * TOOL_ROWS; i++) {
		snprintf(name, sizeof(name), "backend_tool_%u", i);
		others += board_tool_row(b, span_str(name)) == 0;
	}
	cr_assert_gt(others, 0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(board_tool_row(b, span_str(name)), 0);
}

Test(board, the_breaker_opens_lets_one_try_and_closes)
{
	struct backend_row *row = &fresh(16, 64)->backends[0];

	cr_assert(board_breaker_try(row, 1000, 500));
	cr_assert_not(board_breaker_failed(row, 1000, 3, 500));
	board_breaker_ok(row); /* not in a row */
	cr_assert_not(board_breaker_failed(row, 1000, 3, 500));
	cr_assert_not(board_breaker_failed(row, 1000, 3, 500));
	cr_assert(board_breaker_failed(row, 1000, 3, 500));
	cr_assert_not(board_breaker_failed(row, 1000, 3, 500), "open already");

	cr_assert_not(board_breaker_try(row, 1499, 500));
	cr_assert(board_breaker_try(row, 1500, 500));
	cr_assert_not(board_breaker_try(row, 1500, 500), "one tries for all");
	cr_assert_not(board_breaker_failed(row, 1600, 3, 500));
	cr_assert_not(board_breaker_try(row, 1999, 500));
	cr_assert(board_breaker_try(row, 2000, 500));
	board_breaker_ok(row);
	cr_assert(board_breaker_try(row, 2000, 500));
	cr_assert(board_breaker_try(row, 2000, 500));
}

static const struct verdict someone = {
	.expires_s = 100,
	.scopes.bits = { 5, 0, 0, 1 },
	.client_id_len = 3,
	.subject_len = 5,
	.text = "appalice",
};

Test(board, a_verdict_is_found_until_it_expires_or_the_load_changes)
{
	struct board *b = fresh(16, 64);
	struct verdict v;
	uint8_t hash[32], other[32];

	hash_of(1, hash);
	hash_of(1, other);
	other[31] = 1; /* the same place */
	cr_assert_not(board_verdict_get(b, hash, 0, 7, &v));
	board_verdict_put(b, hash, 3, 7, &someone);
	cr_assert(board_verdict_get(b, hash, 99, 7, &v));
	cr_assert_eq(v.expires_s, 100);
	cr_assert_eq(v.scopes.bits[0], 5);
	cr_assert_eq(v.scopes.bits[3], 1);
	cr_assert_eq(memcmp(v.text, "appalice", 8), 0);
	cr_assert_not(board_verdict_get(b, hash, 100, 7, &v));
	cr_assert_not(board_verdict_get(b, hash, 99, 8, &v));
	cr_assert_not(board_verdict_get(b, other, 99, 7, &v));
}

Test(board, a_full_neighbourhood_gives_up_the_first_to_expire)
{
	struct board *b = fresh(16, 64);
	struct verdict v = someone;
	struct verdict out;
	uint8_t hash[32];

	for (uint8_t i = 0; i < 5; i++) {
		hash_of(9, hash);
		hash[20] = i;
		v.expires_s = 100 + (i == 0 ? 50 : i);
		board_verdict_put(b, hash, 0, 1, &v);
	}
	for (uint8_t i = 0; i < 5; i++) {
		hash[20] = i;
		cr_assert_eq(board_verdict_get(b, hash, 0, 1, &out), i != 1);
	}
}

Test(board, a_row_of_a_dead_writer_is_released)
{
	struct board *b = fresh(16, 1); /* one row, so it must be that one */
	struct verdict_row *row =
		(struct verdict_row *)((char *)b + b->verdicts_off);
	struct verdict v;
	uint8_t hash[32];

	hash_of(1, hash);
	board_verdict_put(b, hash, 2, 1, &someone);
	atomic_fetch_add(&row->stamp, 2 << 1 | 1); /* writes, and dies */
	cr_assert_not(board_verdict_get(b, hash, 0, 1, &v));
	board_verdict_put(b, hash, 4, 1, &someone);
	board_bury(b, 4);
	cr_assert_not(board_verdict_get(b, hash, 0, 1, &v));
	board_bury(b, 2);
	cr_assert_not(board_verdict_get(b, hash, 0, 1, &v), "half-written");
	board_verdict_put(b, hash, 4, 1, &someone);
	cr_assert(board_verdict_get(b, hash, 0, 1, &v));
}

Test(board, the_audit_trail_is_read_newest_first)
{
	struct board *b = fresh(16, 64);
	struct audit_row row = { .worker = 1 };
	struct audit_row out;

	cr_assert_not(board_audit_get(b, 0, &out));
	for (int i = 0; i < 40; i++) {
		snprintf(row.tool, sizeof(row.tool), "tool_%d", i);
		row.status = i;
		board_audit(b, &row);
	}
	for (int i = 0; i < 16; i++) {
		cr_assert(board_audit_get(b, (uint64_t)i, &out));
		cr_assert_eq(out.status, 39 - i);
		cr_assert_eq(out.worker, 1);
	}
	cr_assert_not(board_audit_get(b, 16, &out));
}

Test(board, a_record_of_a_dead_writer_is_lost_and_its_row_used_again)
{
	struct board *b = fresh(1, 64);
	struct audit_row *row = (struct audit_row *)((char *)b + b->audit_off);
	struct audit_row record = { .worker = 3 };
	struct audit_row out;

	board_audit(b, &record);
	atomic_store(&row->stamp, (uint64_t)3 << 48 | 3);
	atomic_store(&b->audit_next, 2);
	cr_assert_not(board_audit_get(b, 0, &out));
	board_audit(b, &record);
	cr_assert_not(board_audit_get(b, 0, &out), "the row is taken");
	board_bury(b, 3);
	board_audit(b, &record);
	cr_assert(board_audit_get(b, 0, &out));
}

/* Hammer one row from several processes: what is read must be one piece. */
static void hammer(struct board *b, uint32_t worker)
{
	uint8_t hash[32];

	for (unsigned i = 0; i < 100000; i++) {
		struct verdict v = { .expires_s = 100 };
		struct verdict out;

		hash_of(0, hash);
		hash[8] = (uint8_t)(i & 7);
		memset(v.text, 'a' + (int)worker, sizeof(v.text));
		v.client_id_len = VERDICT_TEXT;
		board_verdict_put(b, hash, worker, 1, &v);
		if (!board_verdict_get(b, hash, 0, 1, &out))
			continue;
		for (size_t k = 1; k < sizeof(out.text); k++)
			if (out.text[k] != out.text[0])
				_exit(1);
	}
	_exit(0);
}

Test(board, concurrent_writers_never_mix, .timeout = 60)
{
	struct board *b = fresh(16, 4);
	int status;

	for (uint32_t i = 0; i < 4; i++)
		if (fork() == 0)
			hammer(b, i);
	for (int i = 0; i < 4; i++) {
		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
	}
}

static void fail_a_check(void)
{
	int two = 2;

	assert(two == 3);
}

static void abort_quietly(void)
{
	abort();
}

static void signalled(void)
{
	kill(getpid(), SIGABRT);
	for (;;)
		pause();
}

static const struct death {
	void (*how)(void);
	const char *words;
} deaths[] = {
	{ fail_a_check, "assertion failed: two == 3, doing the tests" },
	{ abort_quietly, "aborted, doing the tests" },
	{ signalled, "aborted, doing the tests" },
};

Test(board, the_dying_leave_their_last_words)
{
	struct board *b = fresh(16, 64);

	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			board_last_words(&b->workers[i]);
			board_doing("the tests");
			deaths[i].how();
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status));
		cr_assert_eq(WTERMSIG(status), SIGABRT);
		cr_assert_not_null(
			strstr(b->workers[i].obituary, deaths[i].words), "%s",
			b->workers[i].obituary);
	}
}

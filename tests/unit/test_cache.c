#include "oci/cache.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

#define TTL_MS     60000
#define WRITERS    4
#define KEYS       6
#define HAMMER_MS  1500
#define CREDENTIAL 7

static struct cache *cache;
static void *memory;
static size_t memory_bytes;

static void make(size_t places, uint64_t ttl_ms)
{
	const uint64_t ttls[CACHE_TIERS] = {
		[CACHE_STATIC] = TTL_MS,      [CACHE_CONFIG] = ttl_ms,
		[CACHE_OPERATIONAL] = ttl_ms, [CACHE_METRICS] = ttl_ms,
		[CACHE_REALTIME] = 0,
	};

	memory_bytes = cache_bytes(places);
	memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
	              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(memory, MAP_FAILED);
	cache = cache_init(memory, places, ttls);
}

static void drop(void)
{
	if (memory)
		munmap(memory, memory_bytes);
	memory = NULL;
}

TestSuite(cache, .fini = drop, .timeout = 60);

/* A key whose first place is n, and which is different for each salt. */
static const uint8_t *key_of(uint64_t n, uint8_t salt)
{
	static uint8_t keys[8][CACHE_KEY_LEN];
	static size_t next;
	uint8_t *key = keys[next++ % ARRAY_LEN(keys)];

	memset(key, salt, CACHE_KEY_LEN);
	memcpy(key, &n, sizeof(n));
	return key;
}

static void keep(enum cache_tier tier, const uint8_t *key, const char *answer)
{
	cache_store(cache, tier, cache_epoch(cache, CREDENTIAL), key,
	            span_str(answer));
}

/* Is this what is kept? NULL: nothing is. */
static bool finds(enum cache_tier tier, const uint8_t *key, const char *answer)
{
	struct buf out = { .max = CACHE_PLACE_MAX };
	bool found = cache_find(cache, tier, CREDENTIAL, key, &out);
	bool same = answer ? found && span_is(buf_span(&out), answer)
	                   : !found && out.len == 0;

	buf_free(&out);
	return same;
}

static struct cache_counts counts(enum cache_tier tier)
{
	struct cache_counts n;

	cache_count(cache, tier, &n);
	return n;
}

Test(cache, names_of_tiers)
{
	static const struct {
		const char *name;
		bool known;
		enum cache_tier tier;
	} rows[] = {
		{ "static", true, CACHE_STATIC },
		{ "config", true, CACHE_CONFIG },
		{ "operational", true, CACHE_OPERATIONAL },
		{ "metrics", true, CACHE_METRICS },
		{ "realtime", true, CACHE_REALTIME },
		{ "Static", false, 0 },
		{ "", false, 0 },
		{ NULL, false, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum cache_tier tier = CACHE_TIERS;

		cr_expect_eq(cache_tier_of(rows[i].name, &tier), rows[i].known);
		cr_expect_eq(tier, rows[i].known ? rows[i].tier : CACHE_TIERS);
		if (rows[i].known)
			cr_expect_str_eq(cache_tier_name(tier), rows[i].name);
	}
	cr_expect_str_eq(cache_tier_name(CACHE_TIERS), "unknown");
}

Test(cache, hit_and_miss)
{
	const uint8_t *key = key_of(3, 1), *other = key_of(3, 2);

	make(8, TTL_MS);
	cr_expect_eq(cache_places(cache), 8);
	cr_expect_eq(cache_ttl_ms(cache, CACHE_STATIC), TTL_MS);
	cr_expect(finds(CACHE_CONFIG, key, NULL));
	keep(CACHE_CONFIG, key, "{\"a\":1}");
	cr_expect(finds(CACHE_CONFIG, key, "{\"a\":1}"));
	cr_expect(finds(CACHE_CONFIG, other, NULL), "the same place");
	keep(CACHE_CONFIG, key, "another");
	cr_expect(finds(CACHE_CONFIG, key, "another"));
	keep(CACHE_CONFIG, other, "");
	cr_expect(finds(CACHE_CONFIG, key, "another"));

	struct cache_counts n = counts(CACHE_CONFIG);
	cr_expect_eq(n.hits, 3);
	cr_expect_eq(n.misses, 2);
	cr_expect_eq(n.stored, 3);
	cr_expect_eq(n.size, 2);
	cr_expect_eq(n.evictions + n.expirations, 0);
	cr_expect_eq(counts(CACHE_STATIC).hits, 0);
}

Test(cache, an_answer_is_appended)
{
	struct buf out = { .max = 100 };

	make(8, TTL_MS);
	keep(CACHE_STATIC, key_of(1, 1), "kept");
	buf_puts(&out, "before ");
	cr_expect(cache_find(cache, CACHE_STATIC, CREDENTIAL, key_of(1, 1),
	                     &out));
	cr_expect(span_is(buf_span(&out), "before kept"));
	buf_free(&out);
}

Test(cache, lengths)
{
	static const struct {
		size_t len;
		bool kept;
	} rows[] = {
		{ 0, true },
		{ 1, true },
		{ 7, true },
		{ 8, true },
		{ 9, true },
		{ CACHE_PLACE_MAX - 1, true },
		{ CACHE_PLACE_MAX, true },
		{ CACHE_PLACE_MAX + 1, false },
	};
	static char text[CACHE_PLACE_MAX + 1];

	make(4, TTL_MS);
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint8_t *key = key_of(i, (uint8_t)i);
		struct buf out = { .max = sizeof(text) };

		cache_store(cache, CACHE_STATIC, 0, key,
		            span_of(text, rows[i].len));
		cr_expect_eq(cache_find(cache, CACHE_STATIC, 0, key, &out),
		             rows[i].kept, "%zu", rows[i].len);
		cr_expect_eq(out.len, rows[i].kept ? rows[i].len : 0);
		buf_free(&out);
	}
}

Test(cache, a_tier_without_time_is_not_kept)
{
	make(8, TTL_MS);
	keep(CACHE_REALTIME, key_of(1, 1), "x");
	cr_expect(finds(CACHE_REALTIME, key_of(1, 1), NULL));
	cr_expect_eq(counts(CACHE_REALTIME).stored, 0);
}

static void wait_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

Test(cache, answers_become_too_old)
{
	make(8, 30);
	keep(CACHE_METRICS, key_of(1, 1), "x");
	keep(CACHE_STATIC, key_of(2, 1), "y");
	cr_expect_eq(counts(CACHE_METRICS).size, 1);
	wait_ms(40);
	cr_expect_eq(counts(CACHE_METRICS).size, 0);
	cr_expect(finds(CACHE_METRICS, key_of(1, 1), NULL));
	cr_expect(finds(CACHE_METRICS, key_of(1, 1), NULL));
	cr_expect(finds(CACHE_STATIC, key_of(2, 1), "y"));
	cr_expect_eq(counts(CACHE_METRICS).expirations, 1, "counted once");
	keep(CACHE_METRICS, key_of(1, 1), "new");
	cr_expect(finds(CACHE_METRICS, key_of(1, 1), "new"));
}

/* One more than there are places for a key. */
Test(cache, the_first_to_be_too_old_makes_room)
{
	make(16, TTL_MS / 2);
	keep(CACHE_CONFIG, key_of(5, 0), "0");
	for (uint8_t i = 1; i < CACHE_PROBES_MAX; i++)
		keep(CACHE_STATIC, key_of(5, i), "more");
	cr_expect_eq(counts(CACHE_CONFIG).evictions, 0);
	keep(CACHE_STATIC, key_of(5, 9), "new");
	cr_expect(finds(CACHE_CONFIG, key_of(5, 0), NULL));
	for (uint8_t i = 1; i < CACHE_PROBES_MAX; i++)
		cr_expect(finds(CACHE_STATIC, key_of(5, i), "more"));
	cr_expect(finds(CACHE_STATIC, key_of(5, 9), "new"));
	cr_expect_eq(counts(CACHE_CONFIG).evictions, 1);
	cr_expect_eq(counts(CACHE_STATIC).evictions, 0);
}

Test(cache, fewer_places_than_probes)
{
	make(1, TTL_MS);
	keep(CACHE_STATIC, key_of(1, 1), "a");
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), "a"));
	keep(CACHE_STATIC, key_of(9, 2), "b");
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), NULL));
	cr_expect(finds(CACHE_STATIC, key_of(9, 2), "b"));
}

Test(cache, what_was_asked_for_before_a_change_is_no_good)
{
	uint64_t before;

	make(8, TTL_MS);
	keep(CACHE_STATIC, key_of(1, 1), "old");
	before = cache_epoch(cache, CREDENTIAL);
	cache_forget(cache, CREDENTIAL);
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), NULL));
	cache_store(cache, CACHE_STATIC, before, key_of(2, 1), SPAN("late"));
	cr_expect(finds(CACHE_STATIC, key_of(2, 1), NULL));
	keep(CACHE_STATIC, key_of(1, 1), "new");
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), "new"));
	/* That of somebody else. */
	cache_forget(cache, CREDENTIAL + 1);
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), "new"));
}

/* --- several processes ----------------------------------------------------
 */

/* The answer of a key: all its bytes say which, and how long it is. */
static size_t compose(char *text, uint64_t n, unsigned round)
{
	size_t len = 64 + (n * 7919 + round * 131) % (CACHE_PLACE_MAX - 64);

	memset(text, (char)('a' + (round + n) % 26), len);
	memcpy(text, &len, sizeof(len));
	memcpy(text + sizeof(len), &n, sizeof(n));
	return len;
}

static bool is_torn(struct span got, uint64_t n)
{
	size_t len;
	uint64_t key;

	if (got.len < 64)
		return true;
	memcpy(&len, got.at, sizeof(len));
	memcpy(&key, got.at + sizeof(len), sizeof(key));
	if (len != got.len || key != n)
		return true;
	for (size_t i = 16; i < got.len; i++)
		if (got.at[i] != got.at[16])
			return true;
	return false;
}

/* Store and look, for ever; ends with 1 when an answer is torn. */
static void hammer(unsigned seed)
{
	static char text[CACHE_PLACE_MAX];
	struct buf out = { .max = CACHE_PLACE_MAX };
	uint64_t until_ms = clock_mono_ms() + HAMMER_MS;

	for (unsigned round = seed; clock_mono_ms() < until_ms; round += 3) {
		uint64_t n = (uint64_t)rand_r(&seed) % KEYS;
		size_t len = compose(text, n, round);

		cache_store(cache, CACHE_STATIC, 0, key_of(n, (uint8_t)n),
		            span_of(text, len));
		n = (uint64_t)rand_r(&seed) % KEYS;
		buf_reset(&out);
		if (cache_find(cache, CACHE_STATIC, 0, key_of(n, (uint8_t)n),
		               &out) &&
		    is_torn(buf_span(&out), n))
			_exit(1);
	}
	_exit(0);
}

Test(cache, processes_that_are_killed_leave_nothing_torn)
{
	pid_t pids[WRITERS];
	int status;

	make(3, TTL_MS); /* fewer than keys: they push each other out */
	for (unsigned i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0)
			hammer(i + 1);
	}
	/* One after the other dies somewhere, with a successor. */
	for (unsigned i = 0; i < 40; i++) {
		wait_ms(20);
		kill(pids[0], SIGKILL);
		waitpid(pids[0], &status, 0);
		cr_assert_not(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		pids[0] = fork();
		cr_assert_geq(pids[0], 0);
		if (pids[0] == 0)
			hammer(i + 100);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		          "%d: %x", i, (unsigned)status);
	}
	cr_expect_gt(counts(CACHE_STATIC).hits, 0);
	cr_expect_gt(counts(CACHE_STATIC).evictions, 0);
}

/* A span whose second half cannot be read: the writer dies in the middle. */
static void die_while_writing(const uint8_t *key)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		_exit(1);
	mprotect(at + 2 * page, page, PROT_NONE);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	cache_store(cache, CACHE_STATIC, 0, key, span_of(at, 3 * page));
	_exit(0);
}

Test(cache, the_place_of_a_dead_writer_is_taken_over)
{
	const uint8_t *key = key_of(0, 1);
	int status;
	pid_t pid;

	make(1, TTL_MS);
	cache_store(cache, CACHE_STATIC, 0, key, SPAN("before"));
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		die_while_writing(key);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_not(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	              "it did not die");
	cr_expect(finds(CACHE_STATIC, key, NULL), "half of one");
	keep(CACHE_STATIC, key, "too early");
	cr_expect(finds(CACHE_STATIC, key, NULL));
	wait_ms(1100);
	keep(CACHE_STATIC, key, "after");
	cr_expect(finds(CACHE_STATIC, key, "after"));
	keep(CACHE_STATIC, key, "again");
	cr_expect(finds(CACHE_STATIC, key, "again"));
}

/* One that was only thought dead goes on; its bytes and those of its successor
 * are mixed then. */
struct stalled {
	volatile int stage;
};

static struct stalled *stalled;
static char *stall_at;
static size_t stall_bytes;

/* The second half of what is stored can be read only when told. */
static void on_fault(int signal_number)
{
	(void)signal_number;
	stalled->stage = 1;
	while (stalled->stage < 2)
		wait_ms(1);
	mprotect(stall_at, stall_bytes, PROT_READ);
}

static void stall_while_writing(const uint8_t *key)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		_exit(1);
	memset(at, 'A', 4 * page);
	stall_at = at + page;
	stall_bytes = page;
	mprotect(stall_at, stall_bytes, PROT_NONE);
	signal(SIGSEGV, on_fault);
	cache_store(cache, CACHE_STATIC, 0, key, span_of(at, 3 * page));
	_exit(0);
}

Test(cache, a_writer_that_was_thought_dead_spoils_nothing)
{
	static char text[3 * 4096];
	const uint8_t *key = key_of(0, 1);
	struct buf out = { .max = CACHE_PLACE_MAX };
	int status;
	pid_t pid;

	make(1, TTL_MS);
	stalled = mmap(NULL, sizeof(*stalled), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(stalled, MAP_FAILED);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		stall_while_writing(key);
	while (!stalled->stage)
		wait_ms(1);
	wait_ms(1100);
	memset(text, 'B', sizeof(text));
	cache_store(cache, CACHE_STATIC, 0, key, span_of(text, sizeof(text)));
	cr_expect(cache_find(cache, CACHE_STATIC, 0, key, &out));
	stalled->stage = 2;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	buf_reset(&out);
	if (cache_find(cache, CACHE_STATIC, 0, key, &out))
		for (size_t i = 0; i < out.len; i++)
			cr_assert_eq(out.bytes[i], out.bytes[0]);
	keep(CACHE_STATIC, key, "after");
	cr_expect(finds(CACHE_STATIC, key, "after"));
	buf_free(&out);
	munmap(stalled, sizeof(*stalled));
}

Test(cache, shared)
{
	const uint64_t ttls[CACHE_TIERS] = { TTL_MS, 0, 0, 0, 0 };

	cr_assert_null(cache_shared());
	cr_assert_eq(cache_share(2, ttls), 0);
	cache = cache_shared();
	cr_assert_not_null(cache);
	if (fork() == 0) {
		keep(CACHE_STATIC, key_of(1, 1), "of a child");
		_exit(0);
	}
	wait(NULL);
	cr_expect(finds(CACHE_STATIC, key_of(1, 1), "of a child"));
}

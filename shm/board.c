#include "shm/board.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "shm/segment.h"
#include "shm/snapshot.h"

#define VERDICT_PROBES 4
#define TOOL_PROBES    64

/*
 * A stamp is even while its row is at rest and odd while somebody writes it.
 * An odd one carries the writer's slot, so that the master can tell whose row
 * it is when the writer dies, at whatever instruction that was.
 */
#define OWNER_BITS    9 /* WORKERS_MAX slots and the keeper */
#define VERDICT_STEP  (1u << (1 + OWNER_BITS))
#define AUDIT_NUMBERS 48 /* bits; the owner is above them */
#define AUDIT_MASK    (((uint64_t)1 << AUDIT_NUMBERS) - 1)

static_assert(WORKERS_MAX < 1 << OWNER_BITS, "the keeper needs a number too");
static_assert(sizeof(struct verdict_row) % 8 == 0, "copied in words");
static_assert(sizeof(struct audit_row) % 8 == 0, "copied in words");
static_assert(offsetof(struct verdict_row, hash) == 8, "copied in words");
static_assert((TOOL_ROWS & (TOOL_ROWS - 1)) == 0, "a power of two");

const uint64_t board_bounds_us[BUCKETS - 1] = {
	1000,   2500,   5000,    10000,   25000,   50000,    100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOMES] = {
		[OUTCOME_SUCCESS] = "success",
		[OUTCOME_TOOL_ERROR] = "tool_error",
		[OUTCOME_ERROR] = "error",
		[OUTCOME_UNAUTHORIZED] = "unauthorized",
		[OUTCOME_UNAVAILABLE] = "unavailable",
		[OUTCOME_CANCELLED] = "cancelled",
	};
	/* Read from shared memory: any number may be there. */
	return (unsigned)outcome < OUTCOMES ? names[outcome] : "unknown";
}

const char *process_state_name(enum process_state state)
{
	static const char *const names[] = {
		[PROCESS_NONE] = "none",
		[PROCESS_STARTING] = "starting",
		[PROCESS_SERVING] = "serving",
		[PROCESS_DRAINING] = "draining",
	};
	return (unsigned)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

const char *health_name(enum health health)
{
	static const char *const names[] = {
		[HEALTH_PENDING] = "pending",
		[HEALTH_CONNECTING] = "connecting",
		[HEALTH_HEALTHY] = "healthy",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_UNHEALTHY] = "unhealthy",
		[HEALTH_DISCONNECTED] = "disconnected",
	};
	return (unsigned)health < ARRAY_LEN(names) ? names[health] : "unknown";
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n && power < 1u << 31)
		power *= 2;
	return power;
}

static struct audit_row *audit_rows(const struct board *b)
{
	return (struct audit_row *)((uintptr_t)b + b->audit_off);
}

static struct verdict_row *verdict_rows(const struct board *b)
{
	return (struct verdict_row *)((uintptr_t)b + b->verdicts_off);
}

int board_new(uint32_t n_audit, uint32_t n_verdicts, struct board **out,
              int *fd)
{
	void *at;

	n_audit = power_of_two(n_audit);
	n_verdicts = power_of_two(n_verdicts);

	uint64_t audit_off = sizeof(struct board);
	uint64_t verdicts_off =
		audit_off + (uint64_t)n_audit * sizeof(struct audit_row);
	uint64_t size = verdicts_off +
	                (uint64_t)n_verdicts * sizeof(struct verdict_row);

	int err = segment_share("board", size, &at, fd);
	if (err < 0)
		return err;

	struct board *b = at;
	b->magic = BOARD_MAGIC;
	b->version = BOARD_VERSION;
	b->size = size;
	b->started_at_ms = clock_utc_ms();
	b->started_ms = clock_mono_ms();
	crypto_random(&b->instance, sizeof(b->instance));
	b->n_audit = n_audit;
	b->n_verdicts = n_verdicts;
	b->audit_off = audit_off;
	b->verdicts_off = verdicts_off;
	*out = b;
	return 0;
}

static bool is_ours(const struct board *b, uint64_t size)
{
	if (b->magic != BOARD_MAGIC || b->version != BOARD_VERSION ||
	    b->size != size)
		return false;
	if (power_of_two(b->n_audit) != b->n_audit ||
	    power_of_two(b->n_verdicts) != b->n_verdicts)
		return false;
	return b->audit_off == sizeof(*b) &&
	       b->verdicts_off ==
	               b->audit_off + (uint64_t)b->n_audit *
	                                      sizeof(struct audit_row) &&
	       size == b->verdicts_off + (uint64_t)b->n_verdicts *
	                                         sizeof(struct verdict_row);
}

int board_open(int fd, const struct board **out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return os_error();
	if (st.st_size < (off_t)sizeof(struct board))
		return -EPROTO;

	size_t size = (size_t)st.st_size;
	void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return os_error();
	if (!is_ours(at, size)) {
		munmap(at, size);
		return -EPROTO;
	}
	*out = at;
	return 0;
}

unsigned board_bucket(uint64_t us)
{
	unsigned i = 0;

	while (i < BUCKETS - 1 && us > board_bounds_us[i])
		i++;
	return i;
}

uint32_t board_backend_slot(struct board *b, struct span name)
{
	uint32_t i;

	if (name.len == 0 || name.len > NAME_TEXT)
		return BACKENDS_MAX;
	for (i = 0; i < BACKENDS_MAX && b->backends[i].name[0]; i++)
		if (span_is(name, b->backends[i].name))
			return i;
	if (i < BACKENDS_MAX) {
		memcpy(b->backends[i].name, name.at, name.len);
		b->backends[i].name[name.len] = '\0';
	}
	return i;
}

uint32_t board_tool_row(struct board *b, struct span name)
{
	uint64_t hash = (uint64_t)snapshot_hash(name) << 32 | 1;

	if (name.len == 0 || name.len > TOOL_NAME_MAX)
		return 0;
	for (uint32_t probe = 0; probe < TOOL_PROBES; probe++) {
		uint32_t i = (uint32_t)(hash >> 32) + probe;
		struct tool_row *row = &b->tools[i & (TOOL_ROWS - 1)];
		uint64_t seen =
			atomic_load_explicit(&row->hash, memory_order_acquire);

		if (row == &b->tools[0] ||
		    (seen && (seen != hash || !span_is(name, row->name))))
			continue;
		if (!seen) {
			/* A reader looks at the name once it sees the hash. */
			memcpy(row->name, name.at, name.len);
			row->name[name.len] = '\0';
			atomic_store_explicit(&row->hash, hash,
			                      memory_order_release);
		}
		return (uint32_t)(row - b->tools);
	}
	return 0;
}

bool board_breaker_try(struct backend_row *row, uint64_t now_ms,
                       uint64_t open_ms)
{
	uint64_t until =
		atomic_load_explicit(&row->open_until_ms, memory_order_relaxed);

	if (LIKELY(until == 0))
		return true;
	if (now_ms < until)
		return false;
	/* Who moves the time is the one who tries; the others see it moved. */
	return atomic_compare_exchange_strong(&row->open_until_ms, &until,
	                                      now_ms + MAX(open_ms, 1u));
}

void board_breaker_ok(struct backend_row *row)
{
	/* Looked at first: a line that all write would travel between CPUs. */
	if (atomic_load_explicit(&row->call_failures, memory_order_relaxed))
		atomic_store_explicit(&row->call_failures, 0,
		                      memory_order_relaxed);
	if (atomic_load_explicit(&row->open_until_ms, memory_order_relaxed))
		atomic_store_explicit(&row->open_until_ms, 0,
		                      memory_order_relaxed);
}

bool board_breaker_failed(struct backend_row *row, uint64_t now_ms,
                          uint32_t failures, uint64_t open_ms)
{
	uint64_t closed = 0;
	uint32_t n = atomic_fetch_add_explicit(&row->call_failures, 1,
	                                       memory_order_relaxed);

	if (n + 1 < failures)
		return false;
	/* Open already: board_breaker_try() has moved its time. */
	return atomic_compare_exchange_strong(&row->open_until_ms, &closed,
	                                      now_ms + MAX(open_ms, 1u));
}

/*
 * Copies of memory that another process may be writing. Word by word, so that
 * the compiler may not assume that nobody does; the stamp, read before and
 * after, tells whether what was read belongs together.
 */
static void read_words(void *to, const void *from, size_t size)
{
	uint64_t *out = to;
	const uint64_t *in = from;

	for (size_t i = 0; i < size / sizeof(*in); i++)
		out[i] = __atomic_load_n(&in[i], __ATOMIC_RELAXED);
}

static void write_words(void *to, const void *from, size_t size)
{
	uint64_t *out = to;
	const uint64_t *in = from;

	for (size_t i = 0; i < size / sizeof(*out); i++)
		__atomic_store_n(&out[i], in[i], __ATOMIC_RELAXED);
}

/* A row's bytes behind its stamp and owner. */
#define VERDICT_BODY offsetof(struct verdict_row, hash)
#define AUDIT_BODY   offsetof(struct audit_row, at_ms)

static struct verdict_row *verdict_at(const struct board *b,
                                      const uint8_t hash[32], uint32_t probe)
{
	uint32_t home;

	memcpy(&home, hash, sizeof(home));
	return &verdict_rows(b)[(home + probe) & (b->n_verdicts - 1)];
}

/* A copy of a row that is whole, in words of eight bytes. */
static bool read_verdict(struct verdict_row *row, struct verdict_row *copy)
{
	uint32_t before =
		atomic_load_explicit(&row->stamp, memory_order_acquire);

	if (before == 0 || before & 1)
		return false;
	read_words((char *)copy + VERDICT_BODY, (char *)row + VERDICT_BODY,
	           sizeof(*row) - VERDICT_BODY);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&row->stamp, memory_order_relaxed) ==
	       before;
}

static bool same_hash(const struct verdict_row *row, const uint8_t hash[32])
{
	uint64_t words[4];

	read_words(words, row->hash, sizeof(words));
	return memcmp(words, hash, sizeof(words)) == 0;
}

bool board_verdict_get(const struct board *b, const uint8_t hash[32],
                       int64_t now_s, uint64_t config_generation,
                       struct verdict *out)
{
	struct verdict_row copy;

	for (uint32_t probe = 0; probe < VERDICT_PROBES; probe++) {
		struct verdict_row *row = verdict_at(b, hash, probe);

		if (!same_hash(row, hash) || !read_verdict(row, &copy) ||
		    memcmp(copy.hash, hash, sizeof(copy.hash)) != 0)
			continue;
		if (copy.expires_s <= now_s ||
		    copy.config_generation != config_generation ||
		    copy.client_id_len + copy.subject_len > VERDICT_TEXT)
			continue;
		*out = (struct verdict){
			.expires_s = copy.expires_s,
			.scopes = copy.scopes,
			.client_id_len = copy.client_id_len,
			.subject_len = copy.subject_len,
		};
		memcpy(out->who, copy.who, sizeof(out->who));
		memcpy(out->text, copy.text, sizeof(out->text));
		return true;
	}
	return false;
}

/*
 * The row to write: the token's own, else a free one, else the one that is
 * worth least, which is of an older configuration or expires first.
 */
static struct verdict_row *choose(struct board *b, const uint8_t hash[32],
                                  uint64_t config_generation)
{
	struct verdict_row *best = NULL;
	int64_t least = INT64_MAX;
	struct verdict_row copy;

	for (uint32_t probe = 0; probe < VERDICT_PROBES; probe++) {
		struct verdict_row *row = verdict_at(b, hash, probe);

		if (atomic_load_explicit(&row->stamp, memory_order_relaxed) ==
		    0)
			return row;
		if (!read_verdict(row, &copy))
			continue; /* somebody else is at it */
		if (memcmp(copy.hash, hash, sizeof(copy.hash)) == 0)
			return row;
		if (copy.config_generation != config_generation)
			copy.expires_s = INT64_MIN;
		if (!best || copy.expires_s < least) {
			best = row;
			least = copy.expires_s;
		}
	}
	return best;
}

void board_verdict_put(struct board *b, const uint8_t hash[32], uint32_t worker,
                       uint64_t config_generation, const struct verdict *v)
{
	struct verdict_row *row = choose(b, hash, config_generation);

	assert(worker <= WORKERS_MAX);
	assert(v->client_id_len + v->subject_len <= VERDICT_TEXT);
	if (!row)
		return;

	uint32_t rest = atomic_load_explicit(&row->stamp, memory_order_relaxed);
	uint32_t next = (rest & ~(VERDICT_STEP - 1)) + VERDICT_STEP;
	if (rest & 1 || !atomic_compare_exchange_strong(&row->stamp, &rest,
	                                                next | worker << 1 | 1))
		return; /* another writer came first; it is only a cache */
	/* No store below may be seen before the odd stamp is. */
	atomic_thread_fence(memory_order_release);

	struct verdict_row now = {
		.expires_s = v->expires_s,
		.config_generation = config_generation,
		.scopes = v->scopes,
		.client_id_len = v->client_id_len,
		.subject_len = v->subject_len,
	};
	memcpy(now.hash, hash, sizeof(now.hash));
	memcpy(now.who, v->who, sizeof(now.who));
	memcpy(now.text, v->text, sizeof(now.text));
	atomic_store_explicit(&row->owner, worker, memory_order_relaxed);
	write_words((char *)row + VERDICT_BODY, (char *)&now + VERDICT_BODY,
	            sizeof(now) - VERDICT_BODY);
	/* 0 says that the row is free: skip it when the number comes round. */
	atomic_store_explicit(&row->stamp, next ? next : VERDICT_STEP,
	                      memory_order_release);
}

void board_bury(struct board *b, uint32_t worker)
{
	clients_bury(&b->clients, worker);
	for (uint32_t i = 0; i < b->n_verdicts; i++) {
		struct verdict_row *row = &verdict_rows(b)[i];
		uint32_t stamp = atomic_load(&row->stamp);

		if (!(stamp & 1) || (stamp & (VERDICT_STEP - 1)) >> 1 != worker)
			continue;
		/* Its owner is dead, so the row is ours: make it worthless. */
		__atomic_store_n(&row->expires_s, 0, __ATOMIC_RELAXED);
		atomic_store_explicit(&row->stamp,
		                      (stamp & ~(VERDICT_STEP - 1)) +
		                              VERDICT_STEP,
		                      memory_order_release);
	}
	for (uint32_t i = 0; i < b->n_audit; i++) {
		struct audit_row *row = &audit_rows(b)[i];
		uint64_t stamp = atomic_load(&row->stamp);

		/* No record has the stamp 0: the half-written one is lost. */
		if (stamp & 1 && stamp >> AUDIT_NUMBERS == worker)
			atomic_store(&row->stamp, 0);
	}
}

void board_audit(struct board *b, const struct audit_row *from)
{
	uint64_t number = atomic_fetch_add_explicit(&b->audit_next, 1,
	                                            memory_order_relaxed);
	struct audit_row *row = &audit_rows(b)[number & (b->n_audit - 1)];
	uint64_t done = 2 * (number + 1);
	uint64_t seen = atomic_load_explicit(&row->stamp, memory_order_relaxed);

	assert(from->worker <= WORKERS_MAX);
	/*
	 * A writer that is a whole ring behind us, or ahead of us: one of the
	 * two records is lost from memory. The audit log file has both.
	 */
	if (seen & 1 || seen >= done ||
	    !atomic_compare_exchange_strong(
		    &row->stamp, &seen,
		    (uint64_t)from->worker << AUDIT_NUMBERS | (done - 1)))
		return;
	atomic_thread_fence(memory_order_release);
	write_words((char *)row + AUDIT_BODY, (const char *)from + AUDIT_BODY,
	            sizeof(*row) - AUDIT_BODY);
	atomic_store_explicit(&row->stamp, done, memory_order_release);
}

/* Whoever wrote it may have been out of its mind: end every text. */
static void end_texts(struct audit_row *row)
{
	row->request_id[sizeof(row->request_id) - 1] = '\0';
	row->tool[sizeof(row->tool) - 1] = '\0';
	row->backend[sizeof(row->backend) - 1] = '\0';
	row->client_id[sizeof(row->client_id) - 1] = '\0';
	row->subject[sizeof(row->subject) - 1] = '\0';
	row->address[sizeof(row->address) - 1] = '\0';
	row->error[sizeof(row->error) - 1] = '\0';
}

bool board_audit_get(const struct board *b, uint64_t n, struct audit_row *out)
{
	uint64_t next = count_read(&b->audit_next);

	if (n >= next || n >= b->n_audit)
		return false;

	uint64_t number = next - 1 - n;
	struct audit_row *row = &audit_rows(b)[number & (b->n_audit - 1)];
	uint64_t stamp = 2 * (number + 1);
	if (atomic_load_explicit(&row->stamp, memory_order_acquire) != stamp)
		return false;
	read_words((char *)out + AUDIT_BODY, (char *)row + AUDIT_BODY,
	           sizeof(*row) - AUDIT_BODY);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&row->stamp, memory_order_relaxed) != stamp)
		return false;
	atomic_store_explicit(&out->stamp, stamp, memory_order_relaxed);
	end_texts(out);
	return true;
}

/*
 * Last words. Everything from here on may run in a signal handler of a process
 * that is no longer sane: no allocation, no stdio, no lock.
 */
#define CRASH_STACK 65536

static struct {
	struct slot *_Atomic slot;
	const char *_Atomic doing;
} last;

static const struct cause {
	int signal;
	const char *words;
} causes[] = {
	{ SIGABRT, "aborted" },
	{ SIGSYS, "used a system call that its filter forbids: " },
#ifndef __SANITIZE_ADDRESS__ /* it reports these better itself */
	{ SIGSEGV, "touched memory that is not there" },
	{ SIGBUS, "touched memory that is not there any more" },
	{ SIGFPE, "failed in arithmetic" },
	{ SIGILL, "ran into an instruction that does not exist" },
#endif
};

struct words {
	char *at;
	size_t left; /* the NUL's place is not counted */
};

static void say(struct words *w, const char *text)
{
	for (; *text && w->left; text++, w->left--)
		*w->at++ = *text;
	*w->at = '\0';
}

static void say_number(struct words *w, unsigned n)
{
	char digits[12];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	say(w, at);
}

static struct words words_of(struct slot *slot)
{
	return (struct words){ slot->obituary, sizeof(slot->obituary) - 1 };
}

static void say_doing(struct words *w)
{
	const char *doing = last.doing;

	if (doing) {
		say(w, ", doing ");
		say(w, doing);
	}
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
	struct slot *slot = last.slot;

	(void)context;
	/* A failed assertion has said more than we could. */
	if (slot && slot->obituary[0] == '\0') {
		struct words w = words_of(slot);

		for (size_t i = 0; i < ARRAY_LEN(causes); i++)
			if (causes[i].signal == sig)
				say(&w, causes[i].words);
		if (sig == SIGSYS)
			say_number(&w, (unsigned)info->si_syscall);
		say_doing(&w);
	}
	raise(sig); /* its default action is back: SA_RESETHAND */
}

/*
 * The C library calls this when an assertion fails; ours takes its place in
 * the whole program.
 */
void __assert_fail(const char *expression, const char *file, unsigned line,
                   const char *function)
{
	struct slot *slot = last.slot;
	char text[OBITUARY_MAX];
	struct words w = { text, sizeof(text) - 2 };

	say(&w, file);
	say(&w, ":");
	say_number(&w, line);
	say(&w, ": ");
	say(&w, function);
	say(&w, ": assertion failed: ");
	say(&w, expression);
	say_doing(&w);
	if (slot) {
		struct words into = words_of(slot);

		say(&into, text);
	} else {
		*w.at++ = '\n';

		ssize_t n = write(STDERR_FILENO, text, (size_t)(w.at - text));
		(void)n;
	}
	abort();
}

void board_last_words(struct slot *slot)
{
	static _Alignas(16) char stack[CRASH_STACK]; /* ours may be the cause */
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction crash = {
		.sa_sigaction = on_crash,
		.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND |
		                  SA_NODEFER),
	};

	slot->obituary[0] = '\0';
	last.slot = slot;
	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		sigaction(causes[i].signal, &crash, NULL);
}

void board_doing(const char *what)
{
	atomic_store_explicit(&last.doing, what, memory_order_relaxed);
}

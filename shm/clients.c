#include "shm/clients.h"

#define OWNER_BITS  9 /* of a stamp: who writes */
#define STEP        (1u << (1 + OWNER_BITS))
#define WORD_PROBES 16
#define DAY_S       86400

static_assert(sizeof(struct clients_row) == 512, "rows do not share lines");
static_assert((CLIENTS_ROWS & (CLIENTS_ROWS - 1)) == 0, "a power of two");
static_assert((CLIENTS_WORDS & (CLIENTS_WORDS - 1)) == 0, "a power of two");
static_assert((CLIENTS_CHANGES & (CLIENTS_CHANGES - 1)) == 0, "likewise");

/* ---- words ---- */

/*
 * A word has the upper 48 bits of a session's hash, which with its place are
 * all that matter of it, and 16 bits of what is kept.
 */
#define TAG(session) ((session) & ~(uint64_t)0xffff)

static _Atomic uint64_t *word_at(const _Atomic uint64_t *words,
                                 uint64_t session, uint32_t probe)
{
	return (_Atomic uint64_t *)(uintptr_t)&words[(session + probe) &
	                                             (CLIENTS_WORDS - 1)];
}

static bool is_of(uint64_t word, uint64_t session)
{
	return word && TAG(word) == TAG(session);
}

/* The place of the session's first word, from here on; or NULL. */
static _Atomic uint64_t *find_word(const _Atomic uint64_t *words,
                                   uint64_t session, const void *except)
{
	for (uint32_t i = 0; i < WORD_PROBES; i++) {
		_Atomic uint64_t *word = word_at(words, session, i);

		if (word != except && is_of(atomic_load(word), session))
			return word;
	}
	return NULL;
}

bool clients_hold(struct clients *c, uint32_t worker, uint64_t session)
{
	uint64_t mine = TAG(session) | (worker + 1);

	if (find_word(c->streams, session, NULL))
		return false;
	for (uint32_t i = 0; i < WORD_PROBES; i++) {
		_Atomic uint64_t *word = word_at(c->streams, session, i);
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(word, &none, mine))
			continue;
		/* Two at the same moment see each other here; both may lose,
		   and one of them will try again. */
		if (!find_word(c->streams, session, word))
			return true;
		atomic_compare_exchange_strong(word, &mine, 0);
		return false;
	}
	return true;
}

void clients_release(struct clients *c, uint32_t worker, uint64_t session)
{
	for (uint32_t i = 0; i < WORD_PROBES; i++) {
		uint64_t mine = TAG(session) | (worker + 1);

		if (atomic_compare_exchange_strong(
			    word_at(c->streams, session, i), &mine, 0))
			return;
	}
}

bool clients_held(const struct clients *c, uint64_t session)
{
	return find_word(c->streams, session, NULL) != NULL;
}

/* 12 bits of days, then the level and 1. */
static uint64_t level_word(uint64_t session, int level, int64_t now_s)
{
	return TAG(session) | ((uint64_t)(now_s / DAY_S) & 0xfff) << 4 |
	       (uint64_t)(level + 1);
}

/* A free word, else the one that was written longest ago. */
static _Atomic uint64_t *oldest(_Atomic uint64_t *words, uint64_t session,
                                int64_t now_s)
{
	uint64_t today = (uint64_t)(now_s / DAY_S);
	uint64_t oldest_days = 0;
	_Atomic uint64_t *best = word_at(words, session, 0);

	for (uint32_t i = 0; i < WORD_PROBES; i++) {
		_Atomic uint64_t *at = word_at(words, session, i);
		uint64_t word = atomic_load(at);
		uint64_t days = (today - (word >> 4)) & 0xfff;

		if (word == 0)
			return at;
		if (days > oldest_days) {
			oldest_days = days;
			best = at;
		}
	}
	return best;
}

void clients_set_level(struct clients *c, uint64_t session, int level,
                       int64_t now_s)
{
	_Atomic uint64_t *word = find_word(c->levels, session, NULL);

	assert(level >= 0 && level <= 7);
	atomic_store(word ? word : oldest(c->levels, session, now_s),
	             level_word(session, level, now_s));
}

int clients_level(const struct clients *c, uint64_t session)
{
	_Atomic uint64_t *word = find_word(c->levels, session, NULL);

	return word ? (int)(atomic_load(word) & 0xf) - 1 : -1;
}

/* ---- rows ---- */

static struct clients_row *row_at(const struct clients *c, uint64_t session,
                                  uint32_t place)
{
	uint64_t i = (session + place) & (CLIENTS_ROWS - 1);

	return (struct clients_row *)(uintptr_t)&c->rows[i];
}

/* Members that another process may be writing. */
#define LOAD(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)
#define STORE(member, value) \
	__atomic_store_n(&(member), (value), __ATOMIC_RELAXED)

static void read_uri(const struct clients_row *row, char *to)
{
	for (size_t i = 0; i < CLIENTS_URI_MAX; i += 8) {
		uint64_t word = __atomic_load_n(
			(const uint64_t *)(const void *)(row->uri + i),
			__ATOMIC_RELAXED);

		memcpy(to + i, &word, 8);
	}
}

static void write_uri(struct clients_row *row, struct span uri)
{
	for (size_t i = 0; i < uri.len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, uri.at + i, MIN(uri.len - i, 8u));
		__atomic_store_n((uint64_t *)(void *)(row->uri + i), word,
		                 __ATOMIC_RELAXED);
	}
}

struct copy {
	int64_t expires_s, seen_s;
	size_t len;
	char uri[CLIENTS_URI_MAX];
};

/* A row of this session, whole; false: it is not, or is being written. */
static bool read_row(const struct clients_row *row, uint64_t session,
                     struct copy *out)
{
	uint32_t before =
		atomic_load_explicit(&row->stamp, memory_order_acquire);

	if (before & 1 || LOAD(row->session) != session)
		return false;
	out->expires_s = LOAD(row->expires_s);
	out->seen_s = LOAD(row->seen_s);
	out->len = LOAD(row->uri_len);
	read_uri(row, out->uri);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&row->stamp, memory_order_relaxed) ==
	               before &&
	       LOAD(row->session) == session && out->len <= CLIENTS_URI_MAX;
}

/* Begin to write; false: somebody else does. */
static bool seize(struct clients *c, struct clients_row *row, uint32_t worker,
                  uint32_t *stamp)
{
	uint32_t rest = atomic_load_explicit(&row->stamp, memory_order_relaxed);

	assert(worker < CLIENTS_WRITERS);
	*stamp = (rest & ~(STEP - 1)) + STEP;
	atomic_store(&c->writing[worker], (uint32_t)(row - c->rows) + 1);
	if (rest & 1 || !atomic_compare_exchange_strong(
				&row->stamp, &rest, *stamp | worker << 1 | 1))
		return false;
	/* No store below may be seen before the odd stamp is. */
	atomic_thread_fence(memory_order_release);
	return true;
}

static void let_go(struct clients_row *row, uint32_t stamp)
{
	atomic_store_explicit(&row->stamp, stamp, memory_order_release);
}

/* The row is written before its change is told, so who finds the number and
 * not the change looks at the rows and misses nothing. */
static void tell(struct clients *c, uint64_t session)
{
	uint64_t n = atomic_fetch_add(&c->n_changes, 1);
	struct clients_change *change = &c->changes[n & (CLIENTS_CHANGES - 1)];

	atomic_store_explicit(&change->number, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&change->session, session, memory_order_relaxed);
	atomic_store_explicit(&change->number, n + 1, memory_order_release);
}

enum clients_news clients_changed(const struct clients *c, uint64_t *seen,
                                  uint64_t *session)
{
	uint64_t now =
		atomic_load_explicit(&c->n_changes, memory_order_acquire);
	const struct clients_change *change =
		&c->changes[*seen & (CLIENTS_CHANGES - 1)];
	uint64_t number =
		atomic_load_explicit(&change->number, memory_order_acquire);

	if (now == *seen)
		return CLIENTS_SAME;
	*session = atomic_load_explicit(&change->session, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (number == *seen + 1 &&
	    atomic_load_explicit(&change->number, memory_order_relaxed) ==
	            number) {
		++*seen;
		return CLIENTS_ONE;
	}
	*seen = now;
	return CLIENTS_ALL;
}

/* When it was seen last; what has expired, never. */
static int64_t last_seen(const struct clients_row *row, int64_t now_s)
{
	return LOAD(row->expires_s) <= now_s ? INT64_MIN : LOAD(row->seen_s);
}

/* May another session have it? */
static bool is_vacant(const struct clients_row *row, int64_t now_s)
{
	return LOAD(row->session) == 0 ||
	       last_seen(row, now_s) < now_s - CLIENTS_KEEP_S;
}

/* The row that makes room; NULL: all are in use. */
static struct clients_row *worst(struct clients *c, uint64_t session,
                                 int64_t now_s)
{
	struct clients_row *worst = NULL;

	for (uint32_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		struct clients_row *row = row_at(c, session, i);

		if (!(atomic_load(&row->stamp) & 1) && is_vacant(row, now_s) &&
		    LOAD(row->session) != session &&
		    (!worst || last_seen(row, now_s) < last_seen(worst, now_s)))
			worst = row;
	}
	return worst;
}

static struct clients_row *choose(struct clients *c, uint64_t session,
                                  struct span uri, int64_t now_s, bool *have)
{
	struct clients_row *free_row = NULL;
	struct copy copy;

	for (uint32_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		struct clients_row *row = row_at(c, session, i);

		if (!free_row && LOAD(row->session) == 0 &&
		    !(atomic_load(&row->stamp) & 1))
			free_row = row;
		*have = read_row(row, session, &copy) &&
		        span_eq(span_of(copy.uri, copy.len), uri);
		if (*have)
			return row;
	}
	return free_row ? free_row : worst(c, session, now_s);
}

bool clients_subscribe(struct clients *c, uint32_t worker, uint64_t session,
                       struct span uri, int64_t expires_s, int64_t now_s)
{
	if (uri.len > CLIENTS_URI_MAX)
		return false;
	/* Another writer may take the row that was chosen. */
	for (int tries = 0; tries < CLIENTS_PER_SESSION; tries++) {
		bool have;
		uint32_t stamp;
		struct clients_row *row = choose(c, session, uri, now_s, &have);

		if (have) {
			STORE(row->seen_s, now_s);
			return true;
		}
		if (!row)
			return false;
		if (!seize(c, row, worker, &stamp))
			continue;
		if (!is_vacant(row, now_s)) { /* taken since */
			let_go(row, stamp);
			continue;
		}
		STORE(row->session, session);
		atomic_store(&row->settled, 0);
		STORE(row->expires_s, expires_s);
		STORE(row->seen_s, now_s);
		STORE(row->uri_len, (uint32_t)uri.len);
		write_uri(row, uri);
		let_go(row, stamp);
		tell(c, session);
		return true;
	}
	return false;
}

static struct clients_row *find_row(const struct clients *c, uint64_t session,
                                    struct span uri)
{
	struct copy copy;

	for (uint32_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		struct clients_row *row = row_at(c, session, i);

		if (read_row(row, session, &copy) &&
		    span_eq(span_of(copy.uri, copy.len), uri))
			return row;
	}
	return NULL;
}

void clients_settle(struct clients *c, uint64_t session, struct span uri)
{
	struct clients_row *row = find_row(c, session, uri);

	if (row)
		atomic_store(&row->settled, session);
}

bool clients_settled(const struct clients *c, uint64_t session, struct span uri)
{
	struct clients_row *row = find_row(c, session, uri);

	return !row || atomic_load(&row->settled) == session ||
	       !clients_held(c, session);
}

static bool is_meant(const struct clients_row *row, uint64_t session,
                     const struct span *uri)
{
	return LOAD(row->session) == session &&
	       (!uri || span_eq(span_of(row->uri, row->uri_len), *uri));
}

/* uri NULL: every one of them. */
static void remove_rows(struct clients *c, uint32_t worker, uint64_t session,
                        const struct span *uri)
{
	bool changed = false;
	uint32_t stamp;

	for (uint32_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		struct clients_row *row = row_at(c, session, i);

		if (LOAD(row->session) != session ||
		    !seize(c, row, worker, &stamp))
			continue;
		if (is_meant(row, session, uri)) {
			STORE(row->session, 0);
			changed = true;
		}
		let_go(row, stamp);
	}
	if (changed)
		tell(c, session);
}

void clients_unsubscribe(struct clients *c, uint32_t worker, uint64_t session,
                         struct span uri)
{
	remove_rows(c, worker, session, &uri);
}

void clients_forget(struct clients *c, uint32_t worker, uint64_t session)
{
	_Atomic uint64_t *level = find_word(c->levels, session, NULL);

	if (level)
		atomic_store(level, 0);
	remove_rows(c, worker, session, NULL);
}

void clients_end(struct clients *c, uint32_t worker, uint64_t session,
                 int64_t now_s)
{
	if (!clients_ended(c, session))
		atomic_store(oldest(c->ended, session, now_s),
		             level_word(session, 0, now_s));
	clients_forget(c, worker, session);
	tell(c, session); /* also if it had no subscription: its stream ends */
}

bool clients_ended(const struct clients *c, uint64_t session)
{
	return find_word(c->ended, session, NULL) != NULL;
}

bool clients_next(const struct clients *c, uint64_t session, int64_t now_s,
                  uint32_t *at, char *uri, size_t *len)
{
	struct copy copy;

	while (*at < CLIENTS_PER_SESSION) {
		const struct clients_row *row = row_at(c, session, (*at)++);

		if (LOAD(row->session) != session ||
		    !read_row(row, session, &copy) || copy.expires_s <= now_s)
			continue;
		memcpy(uri, copy.uri, copy.len);
		*len = copy.len;
		return true;
	}
	return false;
}

void clients_seen(struct clients *c, uint64_t session, int64_t now_s)
{
	for (uint32_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		struct clients_row *row = row_at(c, session, i);

		if (LOAD(row->session) == session)
			STORE(row->seen_s, now_s);
	}
}

void clients_bury(struct clients *c, uint32_t worker)
{
	for (uint32_t i = 0; i < CLIENTS_WORDS; i++) {
		uint64_t word = atomic_load(&c->streams[i]);

		if (word && (word & 0xffff) == worker + 1)
			atomic_compare_exchange_strong(&c->streams[i], &word,
			                               0);
	}
	uint32_t n = atomic_load(&c->writing[worker]);
	if (n == 0 || n > CLIENTS_ROWS)
		return;

	struct clients_row *row = &c->rows[n - 1];
	uint32_t stamp = atomic_load(&row->stamp);
	if (!(stamp & 1) || (stamp & (STEP - 1)) >> 1 != worker)
		return;
	/* Its owner is dead, so the row is ours: make it free. */
	STORE(row->session, 0);
	let_go(row, (stamp & ~(STEP - 1)) + STEP);
}

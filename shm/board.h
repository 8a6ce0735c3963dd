/*
 * board - what the processes tell each other while they run.
 *
 * One writable segment, made before the first fork and never resized. Each
 * worker has a slot that it alone writes; rows that several processes write
 * hold nothing but atomics. There is no lock: a writer may be killed between
 * any two stores and the others go on. Readers tolerate being a moment late.
 * Counters are relaxed: they count, they do not order.
 */
#ifndef SHM_BOARD_H
#define SHM_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/span.h"
#include "shm/clients.h"
#include "shm/layout.h"

#define BOARD_MAGIC    0x47574244u /* "GWBD" */
#define BOARD_VERSION  3u
#define WORKERS_MAX    256
#define TOOL_ROWS      16384 /* a power of two; row 0 is "others" */
#define TOOL_NAME_MAX  128
#define NAME_TEXT      64  /* a backend's name and its NUL fit in 65 */
#define OBITUARY_MAX   512 /* last words of a process that fails a check */
#define BUCKETS        14  /* of a histogram, the last is +Inf */
#define STATUS_CLASSES 5   /* HTTP 1xx to 5xx */
#define AUDIT_TEXT     128
#define VERDICT_TEXT   192 /* client id and subject together */
#define VERDICT_WHO    16  /* bytes of a hash of both, uncut */

/* Upper bounds of the histogram buckets, in microseconds. */
extern const uint64_t board_bounds_us[BUCKETS - 1];

/* How a call of a tool ended. */
enum outcome {
	OUTCOME_SUCCESS,
	OUTCOME_TOOL_ERROR,   /* a result with isError */
	OUTCOME_ERROR,        /* a JSON-RPC error */
	OUTCOME_UNAUTHORIZED, /* 401, 403 or a scope is missing */
	OUTCOME_UNAVAILABLE,  /* backend down, breaker open, timed out */
	OUTCOME_CANCELLED,    /* the client went away */
	OUTCOMES,
};
/* The word for it in metrics and in the audit log. */
const char *outcome_name(enum outcome outcome);

enum process_state {
	PROCESS_NONE,     /* no process in this slot */
	PROCESS_STARTING, /* forked, no snapshot yet */
	PROCESS_SERVING,
	PROCESS_DRAINING, /* accepts nothing new */
};
const char *process_state_name(enum process_state state);

/* A counter that one process writes and everybody reads. */
typedef _Atomic uint64_t counter;

struct histogram {
	counter buckets[BUCKETS];
	counter sum_us;
};

/* One worker, or the keeper. Written by that process, life by the master. */
struct slot {
	_Alignas(64) _Atomic int32_t pid; /* master */
	_Atomic uint32_t state;           /* enum process_state */
	_Atomic uint64_t started_ms;      /* monotonic; master */
	_Atomic uint64_t beat_ms;         /* monotonic; every turn of its loop,
	                                     at most once a second */
	_Atomic uint32_t restarts;        /* master */
	_Atomic uint64_t config_generation, catalog_serial; /* served now */
	counter connections;                                /* accepted */
	counter connections_open;                           /* now */
	counter refused;                                    /* over a limit */
	counter requests[STATUS_CLASSES];
	counter received_bytes, sent_bytes; /* from and to clients */
	counter tokens_cached, tokens_verified, tokens_refused;
	counter upstream_connections; /* opened */
	counter upstream_reused;
	counter streams_open;           /* event streams to clients now */
	counter memory_bytes;           /* of connections and requests */
	_Atomic uint32_t handover_port; /* of 127.0.0.1, where other workers
	                                   hand requests over; master */
	struct histogram duration;      /* of requests to the endpoint */
	char obituary[OBITUARY_MAX]; /* NUL-terminated when it died by check */
};

enum health {
	HEALTH_PENDING,
	HEALTH_CONNECTING,
	HEALTH_HEALTHY,
	HEALTH_DEGRADED,
	HEALTH_UNHEALTHY,
	HEALTH_DISCONNECTED,
};
const char *health_name(enum health health);

/* A backend by name, whatever its place in the configuration. */
struct backend_row {
	_Alignas(64) char name[NAME_TEXT + 1]; /* master; empty: free */
	_Atomic uint32_t health;               /* enum health; keeper */
	_Atomic uint32_t failures_in_row;      /* of probes; keeper */
	_Atomic int64_t last_check_ms, last_healthy_ms; /* UTC; keeper */
	_Atomic uint32_t latency_us; /* of the last probe; keeper */
	_Atomic uint32_t n_tools;    /* keeper */
	char error[AUDIT_TEXT];      /* of the last probe, no secret;
	                                NUL-terminated; keeper */
	/* The breaker: everybody. */
	_Atomic uint32_t call_failures; /* in a row */
	_Atomic uint64_t open_until_ms; /* monotonic; 0: closed */
	counter calls[OUTCOMES];
	counter retries;
	struct histogram duration;
};

struct tool_row {
	_Atomic uint64_t hash;        /* of name; 0: free. Written last */
	char name[TOOL_NAME_MAX + 1]; /* public name; keeper or master */
	counter calls[OUTCOMES];
	counter duration_us;
};

/* One call in the audit trail. Valid when stamp is 2 * (number + 1). */
struct audit_row {
	_Atomic uint64_t stamp; /* odd while being written */
	int64_t at_ms;          /* UTC */
	uint64_t duration_us;
	uint64_t bytes_in, bytes_out;
	uint32_t outcome; /* enum outcome */
	int32_t status;   /* HTTP */
	uint32_t worker;
	char request_id[40];
	char tool[TOOL_NAME_MAX + 1];
	char backend[NAME_TEXT + 1];
	char client_id[AUDIT_TEXT], subject[AUDIT_TEXT];
	char address[48];
	char error[AUDIT_TEXT];
};

/* A token that was verified. Valid while stamp is even and not 0. */
struct verdict_row {
	_Atomic uint32_t stamp; /* odd while owner writes */
	_Atomic uint32_t owner; /* slot of the last writer */
	uint8_t hash[32];       /* crypto_cache_hash() of the token */
	int64_t expires_s;      /* UTC */
	uint64_t config_generation;
	struct scope_set scopes;
	uint16_t client_id_len, subject_len; /* in text, one after the other */
	uint8_t who[VERDICT_WHO];
	char text[VERDICT_TEXT];
};

struct board {
	uint32_t magic, version;
	uint64_t size;
	int64_t started_at_ms; /* UTC */
	uint64_t started_ms;   /* monotonic */
	uint64_t instance;     /* random: no other board has it */
	_Atomic int32_t master_pid;
	_Atomic uint32_t n_workers; /* slots in use now */
	_Atomic uint32_t draining;  /* 1: readiness fails */
	_Atomic uint64_t config_generation, catalog_serial; /* published */
	_Atomic uint64_t discovered_generation; /* of the configuration whose
	                                           backends have all been asked
	                                           once: ready */
	/* Changes of lists that backends announced, and whose lists were the
	   same as before; by kind, that of resources for templates too.
	   Keeper. */
	counter announced[LIST_KINDS];
	counter reloads, reloads_failed, catalogs;
	counter audit_next;
	uint32_t n_audit, n_verdicts; /* powers of two */
	uint64_t audit_off, verdicts_off;
	struct slot workers[WORKERS_MAX];
	struct slot keeper;
	struct backend_row backends[BACKENDS_MAX];
	struct tool_row tools[TOOL_ROWS];
	struct clients clients;
	/* then struct audit_row[n_audit], struct verdict_row[n_verdicts] */
};

/*
 * A new board, shared with the children forked later and with whoever gets
 * *fd. The two sizes are rounded up to powers of two. Returns 0 or -errno.
 */
MUST_CHECK int board_new(uint32_t audit_rows, uint32_t verdict_rows,
                         struct board **out, int *fd);

/* Map a board received as a descriptor, for reading. -EPROTO: not ours. */
MUST_CHECK int board_open(int fd, const struct board **out);

/* Add to a counter that only the caller writes: no locked instruction. */
static inline void count_own(counter *c, uint64_t n)
{
	atomic_store_explicit(c,
	                      atomic_load_explicit(c, memory_order_relaxed) + n,
	                      memory_order_relaxed);
}

/* Add to a counter that several processes write. */
static inline void count_shared(counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t count_read(const counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* Index of the bucket for a duration. */
unsigned board_bucket(uint64_t us);

/*
 * The row of a backend's name; taken from the free ones when it is new. Only
 * the master calls this. Returns BACKENDS_MAX when all are taken.
 */
uint32_t board_backend_slot(struct board *b, struct span name);

/*
 * The row of a tool's public name; a free one is taken when it is new. Only
 * one process at a time may call this: the one that builds a catalogue.
 * Returns 0, "others", when the table is nearly full or the name too long.
 */
uint32_t board_tool_row(struct board *b, struct span name);

/*
 * May a request go to this backend now? False while its breaker is open; when
 * the open time has passed, true for one caller, who tries for all, and the
 * breaker is open for open_ms more unless board_breaker_ok() comes.
 */
bool board_breaker_try(struct backend_row *row, uint64_t now_ms,
                       uint64_t open_ms);

/* The backend answered. */
void board_breaker_ok(struct backend_row *row);

/*
 * It did not: refused, reset, silent too long. After failures of these in a
 * row the breaker opens for open_ms. Returns true when this one opened it.
 */
bool board_breaker_failed(struct backend_row *row, uint64_t now_ms,
                          uint32_t failures, uint64_t open_ms);

/* A verified token's principal, copied out of the board. */
struct verdict {
	int64_t expires_s;
	struct scope_set scopes;
	uint16_t client_id_len, subject_len;
	uint8_t who[VERDICT_WHO];
	char text[VERDICT_TEXT];
};

/* Look up a token's hash. False: unknown, expired or of another load. */
bool board_verdict_get(const struct board *b, const uint8_t hash[32],
                       int64_t now_s, uint64_t config_generation,
                       struct verdict *out);

/* Remember a verdict; may overwrite an older one, or do nothing. */
void board_verdict_put(struct board *b, const uint8_t hash[32], uint32_t worker,
                       uint64_t config_generation, const struct verdict *v);

/* Release the rows that a dead worker was writing, and what it held in
 * clients. The master calls it. */
void board_bury(struct board *b, uint32_t worker);

/* Append to the audit trail; stamp is set here. */
void board_audit(struct board *b, const struct audit_row *row);

/*
 * The n-th newest record (0: the newest). False when there is none or it is
 * being overwritten.
 */
bool board_audit_get(const struct board *b, uint64_t n, struct audit_row *out);

/*
 * From now on a failed assertion of this process leaves its words in slot, for
 * the master's obituary, before it aborts.
 */
void board_last_words(struct slot *slot);

/* What the process was doing, for the last words; NULL: nothing. The text
 * must stay valid until the next call. */
void board_doing(const char *what);

#endif

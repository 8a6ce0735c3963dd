/*
 * runner - runs tools in one process: from a recipe and arguments to a result.
 *
 * What a tool does is its step function (oci/tool); this is what is the same
 * for all of them. Arguments are checked, the identity behind the credentials
 * is asked for, requests are built, sent and gathered, at most
 * RUNNER_PARALLEL_MAX of a run at a time, and the result is written: data,
 * and the same as Markdown or JSON text.
 *
 * All callbacks come from the loop, none from inside the functions below.
 */
#ifndef OCI_RUNNER_H
#define OCI_RUNNER_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "oci/cache.h"
#include "oci/client.h"
#include "oci/operation.h"
#include "oci/tool.h"

#define RUNNER_RUNS_MAX     1024   /* at the same time */
#define RUNNER_PARALLEL_MAX 16     /* requests of one run at the same time */
#define RUNNER_ASK_MS       60000  /* for one request with all its tries */
#define RUNNER_RUN_MS       900000 /* for one run, waiting included */
#define RUNNER_LIMIT        100    /* items asked for in one page */
#define RUNNER_PATHS_MAX    6      /* path parameters of a request */
#define RUNNER_IDENTITIES   16     /* credentials whose identity is kept */
#define RUNNER_IDENTITY_MS  60000  /* that long */

struct runner;

/* One backend's settings: the same for all runs of it. */
struct runner_account {
	struct client_account client;
	struct span endpoint;    /* one URL for all services; empty: theirs */
	struct span region;      /* configured; empty: of the credentials */
	struct span tenancy;     /* likewise */
	struct span compartment; /* where to look by default; empty: tenancy */
	const struct span *compartments; /* where changes are allowed ... */
	size_t n_compartments;           /* ... 0: everywhere */
	bool allow_mutations;
	bool mask; /* OCIDs in results */
};

/* The tools there are, for those that speak about tools. */
struct runner_tools {
	/* The i-th: its name, and its entry in the pack, which has another
	   name when this is an alias; empty behind the last. */
	struct span (*recipe)(void *owner, size_t i, struct span *name);
	void *owner;
	struct span server_name, server_version;
};

struct runner_result {
	bool is_error;
	struct span text;       /* Markdown or JSON, plain text */
	struct span structured; /* one JSON object */
	const char *error;      /* for records: static category; NULL: none */
	/* For records, too: the operation that was asked for, the one that
	   changed something before those that only read; and the cloud's id of
	   that request. Empty when nothing was asked. */
	struct span operation, request_id;
};

/* A call. Everything is the caller's and lives until on_done. */
struct runner_input {
	const struct runner_account *account;
	const struct runner_tools *tools;
	struct span recipe;
	struct span
		arguments; /* raw JSON as the client sent it; may be empty */
	bool may_write;    /* the caller's scopes allow changes */
	void (*on_done)(struct tool_run *run,
	                const struct runner_result *result);
	/* May be NULL. fraction grows from 0 to 1. */
	void (*on_progress)(struct tool_run *run, double fraction,
	                    struct span message);
	void *owner;
};

struct runner_config {
	struct loop *loop;
	struct fetcher *fetcher;
	struct signature_channel *signatures;
	struct cache *cache; /* may be NULL */
	/* Carries out requests; NULL: oci/client. For tests. */
	void (*send)(struct tool_ask *ask);
};

/* NULL without memory. */
struct runner *runner_new(const struct runner_config *config);

/* Cancel all runs. NULL is fine. */
void runner_free(struct runner *runner);

/* Begin; NULL without memory, or when RUNNER_RUNS_MAX run. */
struct tool_run *runner_start(struct runner *runner,
                              const struct runner_input *input);

/* Stop without on_done; the run is gone. */
void runner_cancel(struct tool_run *run);

void *runner_owner(const struct tool_run *run);

size_t runner_running(const struct runner *runner);

/* The cache the runner was given; NULL: none. */
struct cache *runner_cache(const struct tool_run *run);
const struct runner_account *runner_account(const struct tool_run *run);
const struct runner_tools *runner_tools(const struct tool_run *run);
int64_t runner_skew_s(const struct tool_run *run);

/* Why there are no credentials, for offline functions; empty: there are. */
struct span runner_no_identity(const struct tool_run *run);

/* --- the inner side, for oci/tool.c and tests ----------------------------- */

struct tool_parameter {
	char name[64];
	struct span value; /* kept by the run */
};

enum tool_ask_state { ASK_NEW, ASK_WAITING, ASK_RUNNING, ASK_DONE };

struct tool_ask {
	struct tool_run *run;
	struct tool_ask *next;
	const struct operation *op;
	struct tool_parameter paths[RUNNER_PATHS_MAX];
	size_t n_paths;
	struct buf query;  /* name=value&..., encoded */
	struct buf fields; /* header lines with CR LF */
	struct buf body;
	struct buf url;
	struct span region;   /* empty: of the run */
	struct span endpoint; /* the resource's own; or empty */
	const char *tier;     /* NULL: by the operation; "": none */
	uint64_t epoch;       /* of the cache, before it was sent */
	uint8_t key[CACHE_KEY_LEN];
	bool has_limit, optional, home, cached, has_body, internal, keyed;
	enum tool_ask_state state;
	struct client_call call;
	struct span answer; /* valid JSON; empty: none */
	char why[CLIENT_TEXT_MAX + CLIENT_ID_MAX + 128];
};

/* A piece of a run's memory. */
struct tool_block {
	struct tool_block *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

struct tool_run {
	struct runner *runner;
	struct tool_run *next, **prev;
	struct runner_input in;
	const struct tool_function *function;
	struct tool_block *blocks; /* of tool_alloc() */
	void *state;
	struct buf flat; /* the checked arguments */
	struct buf out;  /* structuredContent */
	struct tool_ask *asks, **asks_end;
	size_t n_asks, n_running;
	size_t bytes; /* of all answers */
	unsigned phase;
	uint64_t started_ms, sleep_ms;
	bool failed, slept;
	enum tool_error category;
	struct span error, suggestion;
	int status;
	struct span code, request_id;
	struct timer timer;
	struct signature *identifying;
	struct span tenancy, region, home, method, no_identity;
	double progress;
};

/* An ask has ended: call.end and the rest are set. For send of a test. */
void runner_ask_done(struct tool_ask *ask);

#endif

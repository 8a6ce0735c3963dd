/*
 * tool - one call of a curated tool, from its arguments to its result.
 *
 * A tool is an entry of a pack (oci/pack): data that says which operations to
 * call and what to show of their answers. Who carries it out is a step
 * function: oci/mapping for everything that the entry says itself, a function
 * of its own for the rest ("function" in the pack).
 *
 * A step function is called once when the call begins (phase 0) and again, in
 * the next phase, whenever everything it asked for has ended. It asks with
 * tool_ask() any number of requests, which run at the same time, and returns
 * TOOL_WAIT; or it writes its result into tool_out(), or calls tool_fail(), and
 * returns TOOL_DONE. It never blocks. The arguments are valid against the
 * tool's parameters before the first step, and defaults are filled in.
 *
 * Everything that a step gets lives until the run ends: answers, texts, and
 * the memory of tool_state() and tool_alloc().
 */
#ifndef OCI_TOOL_H
#define OCI_TOOL_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define TOOL_ASKS_MAX   256         /* requests of one run, all phases */
#define TOOL_ITEMS_MAX  10000       /* items of one list, all its pages */
#define TOOL_BYTES_MAX  (16u << 20) /* of all answers of one run */
#define TOOL_RESULT_MAX (1u << 20)  /* bytes of structuredContent */

struct tool_run;
struct tool_ask; /* one operation: its request, then its answer */

enum tool_next { TOOL_WAIT, TOOL_DONE };

typedef enum tool_next tool_step(struct tool_run *run);

/* A step function that packs may name. */
struct tool_function {
	const char *name; /* "function" in a pack */
	tool_step *step;
	size_t state_bytes; /* of tool_state(), zeroed */
	bool offline;       /* needs no credentials: no identity is asked for
	                       before phase 0 */
};

/* Categories of an error, for tool_fail(). */
enum tool_error {
	TOOL_VALIDATION,
	TOOL_AUTHENTICATION,
	TOOL_AUTHORIZATION,
	TOOL_NOT_FOUND,
	TOOL_RATE_LIMIT,
	TOOL_SERVICE,
	TOOL_NETWORK,
	TOOL_TIMEOUT,
	TOOL_UNKNOWN,
};

/* "validation", "authentication", ... */
const char *tool_error_name(enum tool_error category);

/* --- the call ------------------------------------------------------------- */

/* 0 for the first call of the step function, one more each time. */
unsigned tool_phase(const struct tool_run *run);

/* The memory the function's state_bytes ask for, zeroed at the beginning. */
void *tool_state(struct tool_run *run);

/* Zeroed memory for the length of the run. Never NULL: when memory is short
 * the run has failed, and this is scratch memory; n is at most 1 MiB. */
void *tool_alloc(struct tool_run *run, size_t n);

/* A copy of a text for the length of the run, with a NUL behind it. */
struct span tool_keep(struct tool_run *run, struct span text);

/* The tool's entry in its pack, raw JSON. */
struct span tool_recipe(const struct tool_run *run);

/* The arguments, one JSON object, flat and with defaults. */
struct span tool_arguments(const struct tool_run *run);

/* The raw JSON value of an argument; empty when it was not given, or null. */
struct span tool_raw(const struct tool_run *run, const char *name);

/* What a string argument means; empty when it was not given. */
struct span tool_text(struct tool_run *run, const char *name);

/* An integer argument, or otherwise when it was not given. */
int64_t tool_integer(const struct tool_run *run, const char *name,
                     int64_t otherwise);

/* A number argument (with fraction), or otherwise. */
double tool_number(const struct tool_run *run, const char *name,
                   double otherwise);

/* A boolean argument; false when it was not given. */
bool tool_flag(const struct tool_run *run, const char *name);

/*
 * The compartment to look at: the argument compartment_id, else the configured
 * one, else the tenancy. Empty only when not even that is known (offline).
 */
struct span tool_compartment(struct tool_run *run);

/* Who we are towards OCI; empty while not known (offline functions). */
struct span tool_tenancy(const struct tool_run *run);
struct span tool_auth_method(const struct tool_run *run);

/* The region that requests go to: the argument region, else the configured
 * one, else that of the credentials. An identifier such as us-ashburn-1. */
struct span tool_region(const struct tool_run *run);

/* Seconds since 1970, UTC, as the services see it. */
int64_t tool_now_s(const struct tool_run *run);

/* --- asking --------------------------------------------------------------- */

/*
 * Call an operation of the catalogue, "core/Compute/GetInstance". Sent when
 * the step returns TOOL_WAIT. Never NULL; the name must be one that exists
 * (what a caller names is looked up first with operation_find()).
 */
struct tool_ask *tool_ask(struct tool_run *run, const char *operation);

/* A path parameter; encoded so that it stays one segment. "." and ".." in it
 * fail the run: who knows who decodes it on the way. */
void tool_ask_path(struct tool_ask *ask, const char *name, struct span value);

/* A query parameter; empty values are left out. May be repeated for lists. */
void tool_ask_query(struct tool_ask *ask, const char *name, struct span value);
void tool_ask_query_number(struct tool_ask *ask, const char *name,
                           int64_t value);

/* A request header, e.g. if-match. */
void tool_ask_header(struct tool_ask *ask, const char *name, struct span value);

/* Where to write the JSON body. */
struct buf *tool_ask_body(struct tool_ask *ask);

/* Follow opc-next-page until there are at least so many items (at most
 * TOOL_ITEMS_MAX); the answer is one array of all items. Without this the
 * first page is the answer, as it came. */
void tool_ask_items(struct tool_ask *ask, size_t wanted);

/* Its failure does not fail the run: the step looks at tool_ask_ok(). */
void tool_ask_optional(struct tool_ask *ask);

/* Go to another region than tool_region(). */
void tool_ask_region(struct tool_ask *ask, struct span region);

/* Go to the tenancy's home region (IAM writes, usage, budgets). */
void tool_ask_home(struct tool_ask *ask);

/* The resource's own endpoint, as an answer of its service named it (vaults,
 * streams): https, in the domain of a known realm. Empty: none. */
void tool_ask_endpoint(struct tool_ask *ask, struct span url);

/* The cache tier; default "operational" for what only reads. "" for none. */
void tool_ask_cache(struct tool_ask *ask, const char *tier);

/* --- answers, from the next phase on -------------------------------------- */

/* Did it succeed? (A request that fails and is not optional ends the run with
 * the error of the contract, so that later phases need not look.) */
bool tool_ask_ok(const struct tool_ask *ask);

/* The HTTP status; 0 when there was no answer. */
int tool_ask_status(const struct tool_ask *ask);

/*
 * The body, valid JSON; with tool_ask_items() an array. Empty when there was
 * none or the request failed.
 */
struct span tool_ask_answer(const struct tool_ask *ask);

/* More items exist than were read (tool_ask_items). */
bool tool_ask_more(const struct tool_ask *ask);

/* A field of the answer's head: "etag", "opc-work-request-id"; empty: none. */
struct span tool_ask_field(const struct tool_ask *ask, const char *name);

/* One sentence why an optional request failed, with opc-request-id. */
struct span tool_ask_error(const struct tool_ask *ask);

/* --- results -------------------------------------------------------------- */

/* Where to write structuredContent, one JSON object, before TOOL_DONE. The
 * text (Markdown or JSON) is made from it. */
struct buf *tool_out(struct tool_run *run);

/* Give up: isError with the contract's error object. The sentence says what
 * is wrong, suggestion what to do; both without a full stop at the end is
 * fine. suggestion may be NULL: one that fits the category. */
PRINTF(4, 5)
void tool_fail(struct tool_run *run, enum tool_error category,
               const char *suggestion, const char *format, ...);

/* Give up with the error of a request. */
void tool_fail_ask(struct tool_run *run, const struct tool_ask *ask);

/* Tell the client how far it is, from 0 to 1 and growing. */
void tool_progress(struct tool_run *run, double fraction, const char *message);

/* Have the step called again after so long, with or without requests: to be
 * followed by TOOL_WAIT. */
void tool_sleep(struct tool_run *run, uint64_t ms);

/* May this call change anything? False: the mutation guard has refused, and
 * tool_fail() has been called. compartment is that of the resource (empty: not
 * known), destructive asks for "confirm": true. A dry run passes. */
bool tool_may_change(struct tool_run *run, struct span compartment,
                     bool destructive);

/* Is this a dry run ("dry_run": true)? Then nothing may be changed. */
bool tool_is_dry(const struct tool_run *run);

#endif

/*
 * fixture_tool - runs a tool's step function against answers from a script.
 *
 *	fixture_tool_begin();
 *	fixture_tool_answer("core/Compute/GetInstance", "{\"id\":\"x\"}");
 *	result = fixture_tool_call(step_function, recipe, "{\"a\":1}");
 *	cr_assert_not(result->is_error);
 *	fixture_tool_is("vnics[0].public_ip", "\"192.0.2.1\"");
 *	fixture_tool_end();
 *
 * Everything between the call and the network is real: arguments, phases, the
 * building of requests, the texts. There is no network and no keeper: the
 * identity is that of FIXTURE_TENANCY, and time passes only while a step
 * sleeps. What a test does wrong fails it.
 */
#ifndef TESTS_FIXTURE_TOOL_H
#define TESTS_FIXTURE_TOOL_H

#include "lib/span.h"
#include "oci/runner.h"
#include "oci/tool.h"

#define FIXTURE_TENANCY "ocid1.tenancy.oc1..fixture"
#define FIXTURE_REGION  "us-ashburn-1"
#define FIXTURE_METHOD  "config_file"

/* The outcome of the last call; texts end with a NUL. */
struct fixture_tool_result {
	bool is_error;
	const char *category; /* of an error, else NULL */
	const char *text;
	struct span structured;
};

/* Before and after each test: .init and .fini of its suite. */
void fixture_tool_begin(void);
void fixture_tool_end(void);

/* The account that calls are made with, to be changed before one: by default
 * changes are allowed, to a caller who may write. */
struct runner_account *fixture_tool_account(void);
void fixture_tool_may_write(bool may_write);

/*
 * What an operation answers, with status 200. Several for one operation are
 * given in order, the last one again and again. An operation without any
 * answers 404. For a request that follows pages, items that are wanted are
 * taken out of an array or a collection.
 */
void fixture_tool_answer(const char *operation, const char *json);

/* An answer with a part of the target that it is for: "instanceId=b", "/b". */
void fixture_tool_answer_for(const char *operation, const char *part,
                             const char *json);

/* An error that an operation answers with. */
void fixture_tool_refuse(const char *operation, int status, const char *code,
                         const char *message);

/* Fields of the head of every answer from now on; NULL: none. */
void fixture_tool_head(const char *etag, const char *work_request);

/*
 * Call with a recipe, the entry of a pack (JSON; its shared parameters must be
 * spelled out in "parameters"), and arguments (JSON; NULL: none).
 */
const struct fixture_tool_result *
fixture_tool_call(const struct tool_function *function, const char *recipe,
                  const char *arguments);

/* The same for a tool of the stock packs, with its own function. */
const struct fixture_tool_result *fixture_tool_stock(const char *tool,
                                                     const char *arguments);

/* Is the value at a path of the last result this, raw? NULL: none there. */
void fixture_tool_is(const char *path, const char *raw);

/* The i-th request of the last call, in the order they were sent:
 * "core/Compute/GetInstance GET /20160918/instances/x?query body"; NULL when
 * there were fewer. */
const char *fixture_tool_asked(size_t i);

/* Its header lines. */
const char *fixture_tool_fields(size_t i);

/* How far the last call said it was, 0 to 1. */
double fixture_tool_progress(void);

#endif

/*
 * autonomous - start and stop Autonomous Databases: step functions
 * database_start_autonomous and database_stop_autonomous.
 *
 * The state of the database decides: nothing to do, allowed, or refused. With
 * wait_for_state the database is looked at again, after 2 seconds first and 30
 * at most, until it is where it should be, its work request has failed, or the
 * time is over.
 */
#ifndef OCI_AUTONOMOUS_H
#define OCI_AUTONOMOUS_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

#define AUTONOMOUS_PAUSE_MS     2000
#define AUTONOMOUS_PAUSE_MAX_MS 30000
#define AUTONOMOUS_WAIT_S       600 /* when the call does not say */

/* Write a database as one object with the keys of the contract. */
void autonomous_write(struct output *o, const char *key, struct span database);

extern const struct tool_function autonomous_functions[];
extern const size_t autonomous_n_functions;

#endif

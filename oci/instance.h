/*
 * instance - step functions of compute instances: listing them with their
 * addresses, showing one, and starting, stopping and restarting.
 *
 * Stopping and restarting are soft unless forced: SOFTSTOP and SOFTRESET ask
 * the operating system, STOP and RESET cut the power (Compute API,
 * InstanceAction). An instance that is in the state already, or on its way to
 * it, is left alone.
 */
#ifndef OCI_INSTANCE_H
#define OCI_INSTANCE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

/* How long wait_for_state waits: a soft stop may take 15 minutes of OCI's, but
 * clients do not wait that long. Looked at every INSTANCE_POLL_MIN_MS first,
 * then ever more rarely, up to INSTANCE_POLL_MAX_MS. */
#define INSTANCE_WAIT_S      600
#define INSTANCE_POLL_MIN_MS 2000
#define INSTANCE_POLL_MAX_MS 30000

/* A restart that shows in no state by then is taken to be over. */
#define INSTANCE_RESET_S 30

/* VNICs that are shown of one instance. */
#define INSTANCE_VNICS_MAX 32

enum instance_verb { INSTANCE_START, INSTANCE_STOP, INSTANCE_RESTART };

/* What is to be done with an instance in a state. */
enum instance_plan {
	INSTANCE_ACT,    /* send the action */
	INSTANCE_WAIT,   /* it is on its way already */
	INSTANCE_DONE,   /* it is there already */
	INSTANCE_REFUSE, /* not from this state */
};

/* The plan for a lifecycle state, "RUNNING". A forced stop acts while a soft
 * one is still under way. */
enum instance_plan instance_plan(enum instance_verb verb, struct span state,
                                 bool force);

extern const struct tool_function instance_functions[];
extern const size_t instance_n_functions;

#endif

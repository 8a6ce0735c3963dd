/*
 * troubleshoot - what ails an instance: state, utilization, errors in its logs,
 * alarms about it. Every finding comes from a service that was asked; what
 * could not be read is said, and does not end the investigation.
 *
 * An alarm is about the instance when its query names the instance's OCID, or
 * when it watches the instances of the compartment. When such a one is firing,
 * Monitoring says for which of them (RetrieveDimensionStates).
 */
#ifndef OCI_TROUBLESHOOT_H
#define OCI_TROUBLESHOOT_H

#include "lib/base.h"
#include "oci/tool.h"

/* Average utilization in percent above which it is WARNING, or CRITICAL. */
#define TROUBLESHOOT_CPU_WARNING     70
#define TROUBLESHOOT_CPU_CRITICAL    90
#define TROUBLESHOOT_MEMORY_WARNING  80
#define TROUBLESHOOT_MEMORY_CRITICAL 90

/* Errors in the logs above which there is something to look at, or to worry
 * about. */
#define TROUBLESHOOT_ERRORS_NOTED 10
#define TROUBLESHOOT_ERRORS_BAD   100

#define TROUBLESHOOT_SAMPLES 5  /* log entries that are shown */
#define TROUBLESHOOT_ALARMS  50 /* related alarms that are looked at */
#define TROUBLESHOOT_FIRING  10 /* of which firing ones are asked about */
#define TROUBLESHOOT_NAMED   3  /* firing alarms in recommendations */

extern const struct tool_function troubleshoot_functions[];
extern const size_t troubleshoot_n_functions;

#endif

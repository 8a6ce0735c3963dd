/*
 * alarm - alarms of the Monitoring service with the state each is in now.
 *
 * ListAlarms says what an alarm is; whether it is firing is said by
 * ListAlarmsStatus alone, so both are asked and put together by OCID.
 */
#ifndef OCI_ALARM_H
#define OCI_ALARM_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

/* Firing alarms that an overview shows. */
#define ALARM_FIRING_MAX 20

/* Changes of state that a history shows, the latest. */
#define ALARM_EVENTS_MAX 1000

/* The states of alarms, by OCID. */
struct alarm_states {
	struct alarm_state {
		struct span id;   /* raw */
		struct span item; /* AlarmStatusSummary, raw */
	} * states;               /* in the order of the ids */
	size_t n;
};

/* Ask what the alarms of a compartment are, and in which states. */
struct tool_ask *alarm_ask_list(struct tool_run *run, struct span compartment,
                                bool subtree);
struct tool_ask *alarm_ask_states(struct tool_run *run, struct span compartment,
                                  bool subtree);

/* Read the answer to alarm_ask_states(); empty when it failed. */
void alarm_read_states(struct tool_run *run, const struct tool_ask *ask,
                       struct alarm_states *out);

/* The state of an alarm, raw JSON (AlarmStatusSummary); empty: not known. */
struct span alarm_state(const struct alarm_states *states, struct span alarm);

/* Is this state, or this alarm's, FIRING? */
bool alarm_is_firing(struct span state);

/* The metric in a query: what stands before the interval's bracket. */
struct span alarm_metric(struct span query);

/* The state that an entry of a history tells of: "FIRING", "OK", ... in
 * capitals; "UNKNOWN" when its texts do not say. */
const char *alarm_entry_status(struct span summary, struct span alarm_summary);

/* Write what an alarm is and the state it is in, into an open object. */
void alarm_write(struct tool_run *run, struct output *o, struct span alarm,
                 struct span state);

extern const struct tool_function alarm_functions[];
extern const size_t alarm_n_functions;

#endif

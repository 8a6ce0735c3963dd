/*
 * auditlog - who did what: step function audit_list_events.
 *
 * The service filters by compartment and time only, so a window is read to its
 * end and everything else is looked for here. Headers, payloads and
 * credentials of the requests never leave this file: they hold tokens.
 */
#ifndef OCI_AUDITLOG_H
#define OCI_AUDITLOG_H

#include "lib/base.h"
#include "oci/tool.h"

#define AUDITLOG_WINDOW_MAX_S (31 * 86400) /* of one call */

extern const struct tool_function auditlog_functions[];
extern const size_t auditlog_n_functions;

#endif

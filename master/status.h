/*
 * status - the subcommand `oci-mcp-gateway status`.
 *
 *	status [--runtime-dir DIR | --config FILE] [--json] [--once] [--watch]
 *
 * What a running gateway is doing: its processes, backends and busiest tools.
 * Rates are those of one second (--once: without rates, at once); --watch
 * begins again every second until interrupted. Everything is read from the
 * shared memory of the gateway, which does not notice.
 */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#include "master/options.h"

/* Run it. Returns the exit status: 0, 1 (no gateway is running there, or it may
 * not be asked, and standard error says which), 2 (usage). */
int status_main(const struct options *opt);

#endif

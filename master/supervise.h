/*
 * supervise - the life of the master.
 *
 * One loop in which everything arrives: signals, messages of the children,
 * times. The master reads no byte that comes from a client or a backend.
 *
 *	SIGHUP   read the configuration again
 *	SIGUSR1  open the log files again
 *	SIGTERM  finish what is open, then end; a second one: end at once
 *	SIGINT   the same
 *	SIGQUIT  end at once
 *	SIGCHLD  somebody died
 */
#ifndef MASTER_SUPERVISE_H
#define MASTER_SUPERVISE_H

#include "lib/base.h"
#include "master/config.h"
#include "master/options.h"

/*
 * Serve until told to stop. opt is what the configuration was read with and is
 * used again on SIGHUP; config is taken over. Returns the exit status: 0, or 1
 * when it could not start, and then the log says why.
 */
int supervise_run(const struct options *opt, struct config *config);

#endif

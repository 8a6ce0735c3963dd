/*
 * sink - the log files that workers write and the master opens.
 *
 * Workers may not open files; they get descriptors. Where no file is
 * configured, lines go where the log goes.
 */
#ifndef MASTER_SINK_H
#define MASTER_SINK_H

#include "lib/base.h"
#include "master/child.h"
#include "master/config.h"

#define SINKS        2 /* access log, audit log */
#define SINK_WHY_MAX 512

struct sinks {
	int fds[SINKS]; /* -1: none of its own */
};

#define SINKS_NONE ((struct sinks){ { -1, -1 } })

/*
 * Open the files that a configuration names. Returns 0, or -errno of open(2)
 * and a sentence with the path in why; then none is open.
 */
MUST_CHECK int sink_open(struct sinks *s, const struct config *config,
                         char why[SINK_WHY_MAX]);

/* Open them again under the same names. One that fails stays as it is, and the
 * log says so. */
void sink_reopen(struct sinks *s, const struct config *config);

/* Close what is open. */
void sink_close(struct sinks *s);

/* Tell a worker where to write from now on. */
void sink_send(const struct sinks *s, struct child *worker);

#endif

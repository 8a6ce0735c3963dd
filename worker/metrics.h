/*
 * metrics - numbers of the board, as Prometheus reads them (text format 0.0.4).
 *
 * All samples of a family stand together behind its HELP and TYPE lines, so a
 * family is the outer loop, always. Names of tools are among the labels: keep
 * them inside.
 */
#ifndef WORKER_METRICS_H
#define WORKER_METRICS_H

#include "lib/buf.h"
#include "shm/board.h"
#include "shm/snapshot.h"

/*
 * Append everything: up to 8 KiB for each worker that ever was, 8 KiB for each
 * backend of the snapshot and 4 KiB for each tool that was called, on top of 8
 * KiB. What does not fit is told by buf_err().
 */
void metrics_write(const struct snapshot *snap, const struct board *board,
                   struct buf *out);

#endif

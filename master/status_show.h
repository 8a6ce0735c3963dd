/*
 * status_show - what two looks at the board say, for people and for programs.
 */
#ifndef MASTER_STATUS_SHOW_H
#define MASTER_STATUS_SHOW_H

#include <stdio.h>

#include "shm/board.h"
#include "shm/snapshot.h"

struct status_view {
	const struct board *live;
	struct board *then, *now; /* copies, without what follows the struct */
	double seconds;           /* between the two; 0: no rates */
	struct snapshot *snap;
};

/* Tables: processes, backends, the busiest tools, totals. */
void status_show_text(const struct status_view *v, FILE *out);

/* One JSON object and a newline; rates are null without two looks. */
void status_show_json(const struct status_view *v, FILE *out);

#endif

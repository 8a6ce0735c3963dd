/*
 * columns - a table for a terminal.
 *
 * Cells are added from left to right, row by row, and padded to the widest of
 * their column when all are there. What is in them may come from anywhere:
 * bytes that a terminal would act on become '?'.
 */
#ifndef MASTER_COLUMNS_H
#define MASTER_COLUMNS_H

#include <stdio.h>

#include "lib/base.h"
#include "lib/buf.h"

#define COLUMNS_MAX     10
#define COLUMNS_CELL    160     /* bytes of a cell; the rest is cut */
#define COLUMNS_CONTENT 1048576 /* bytes of a table */

struct columns {
	struct buf text; /* cells, each with a NUL */
	unsigned n;      /* columns */
	unsigned at;     /* of the next cell */
	unsigned right;  /* bit i: column i is aligned to the right */
	size_t width[COLUMNS_MAX];
};

/* A table with these headings, separated by '|'; a heading that begins with
 * '>' is that of a column aligned to the right. */
void columns_init(struct columns *c, const char *headings);

/* The next cell. */
PRINTF(2, 3) void columns_add(struct columns *c, const char *format, ...);

/* Print it with two spaces before each row, and give the memory back. */
void columns_print(struct columns *c, FILE *out);

#endif

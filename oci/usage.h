/*
 * usage - what the tenancy costs, as the Usage API answers it
 * (RequestSummarizedUsages, queryType COST).
 *
 * The API wants periods of whole days (midnight, UTC) or whole months with an
 * exclusive end, at most 90 days or 12 months at once, and its home region. So
 * callers' times are moved outwards to such bounds, and longer periods are
 * asked for piece by piece.
 */
#ifndef OCI_USAGE_H
#define OCI_USAGE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/comptree.h"
#include "oci/tool.h"

#define USAGE_DAYS_MAX   90 /* of one request, DAILY */
#define USAGE_MONTHS_MAX 12 /* of one request, MONTHLY */
#define USAGE_PIECES_MAX 12 /* of one period */
#define USAGE_FILTER_MAX 20 /* compartments the API is asked to filter by */

/* A period, end exclusive. */
struct usage_period {
	int64_t start_s, end_s;
	bool monthly; /* granularity MONTHLY, else DAILY */
};

enum usage_error {
	USAGE_OK,
	USAGE_BAD_START,  /* no time */
	USAGE_BAD_END,    /* no time */
	USAGE_BACKWARDS,  /* start is not before end */
	USAGE_TOO_LONG,   /* more than USAGE_PIECES_MAX pieces */
	USAGE_ERRORS_MAX, /* how many there are */
};

/* The error as a sentence for a person; a constant. */
const char *usage_error(enum usage_error error);

/*
 * The period that two times mean: the start moves back to its midnight (its
 * month), an end that is not on such a bound moves on to the next. A date
 * alone is its midnight.
 */
enum usage_error usage_period(struct span start, struct span end, bool monthly,
                              struct usage_period *out);

/* How many requests it takes, USAGE_PIECES_MAX at most, and the n-th piece. */
size_t usage_pieces(const struct usage_period *period);
struct usage_period usage_piece(const struct usage_period *period, size_t n);

/* Whole days from start to end. */
int64_t usage_days(const struct usage_period *period);

/* A question; zeroed before its first use, lives as long as the run. */
struct usage {
	struct span tenancy;
	struct usage_period period;
	const char *group_by[3]; /* dimensions; NULL: no more */
	bool added_up;           /* one row for the whole period */
	struct span scope;       /* only this compartment; empty: all */
	bool with_children;      /* ... and everything below it */
	struct comptree tree;    /* needed with with_children */

	/* private */
	struct tool_ask *asks[USAGE_PIECES_MAX];
	size_t n_asks;
};

/* One row of the answer. */
struct usage_row {
	struct span service, compartment, start;
	double amount;
};

/* The tenancy that the call is about: tenancy_ocid, else our own. */
struct span usage_tenancy(struct tool_run *run);

/* Read time_start, time_end, granularity and the scope of a call. False: the
 * run has failed. */
bool usage_arguments(struct tool_run *run, bool monthly, struct usage *usage);

/* Ask for all pieces. */
void usage_ask(struct tool_run *run, struct usage *usage);

/*
 * Call for every row of the scope that is no forecast and has an amount. False,
 * and the run has failed: not all rows could be read, or there are several
 * currencies. *currency is empty when there is no row.
 */
bool usage_each(struct tool_run *run, const struct usage *usage,
                struct span *currency,
                void (*row)(void *context, const struct usage_row *row),
                void *context);

#endif

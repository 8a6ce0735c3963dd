/*
 * markdown - the text of a tool's result, made from its data.
 *
 * The entry of a tool in its pack may say how ("markdown"):
 *
 *	{ "title": "Compute instances",
 *	  "lines": [["Region", "region"], ["Total", "total"]],
 *	  "table": { "items": "instances", "empty": "No instances.",
 *	             "columns": [["Name", "display_name"], ...] },
 *	  "tables": [ further tables, each with an optional "title" ] }
 *
 * where the second word of a line or column is a path (oci/path). Rows with an
 * OCID as "id" show it, also when no column says so. Without a description
 * every member is shown: scalars as lines, objects as lists, arrays of objects
 * as tables.
 *
 * What services say stays text: it cannot become a link, an image, HTML, or
 * another cell or line. Times and OCIDs are shown in full, null as "-".
 */
#ifndef OCI_MARKDOWN_H
#define OCI_MARKDOWN_H

#include "lib/buf.h"
#include "lib/span.h"

#define MARKDOWN_ROWS_MAX    50   /* of one table; then "... and N more" */
#define MARKDOWN_COLUMNS_MAX 8    /* of a table that no pack describes */
#define MARKDOWN_DEPTH_MAX   6    /* objects within objects; then "..." */
#define MARKDOWN_CELL_MAX    2048 /* bytes of one value; then "..." */

/* Result texts stop growing here: what is left out is said. */
#define MARKDOWN_BYTES_MAX (256u << 10)

/*
 * Append the text for a JSON object. spec is the raw value of "markdown",
 * empty for none; title is the heading when spec has none, plain text. What
 * the check of packs lets through is well-formed; other parts are skipped.
 */
void markdown_write(struct buf *out, struct span spec, struct span title,
                    struct span structured);

/* Append foreign plain text so that it stays text. */
void markdown_add_text(struct buf *out, struct span text);

#endif

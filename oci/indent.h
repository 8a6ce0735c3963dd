/*
 * indent - JSON for people: one member a line, 2 spaces for each level.
 */
#ifndef OCI_INDENT_H
#define OCI_INDENT_H

#include "lib/buf.h"
#include "lib/span.h"

/*
 * Append a valid JSON value to out, indented; no line break at its end. Empty
 * containers stay on their line. Strings and numbers stay as they are written.
 */
void indent_write(struct buf *out, struct span json);

#endif

/*
 * generic - everything else: find one of the cloud's operations in the
 * catalogue, describe it, call it.
 *
 * A call is checked against the catalogue before anything is sent: parameters
 * by name, type and allowed values, the body by its model. What hands out
 * secrets is refused; what changes something passes the same guard as the
 * tools that are made for it.
 */
#ifndef OCI_GENERIC_H
#define OCI_GENERIC_H

#include "oci/tool.h"

#define GENERIC_ITEMS_MAX  1000         /* items of one call */
#define GENERIC_ANSWER_MAX (512u << 10) /* bytes of an answer shown */
#define GENERIC_DEPTH      3            /* of a body that is described */

extern const struct tool_function generic_functions[];
extern const size_t generic_n_functions;

#endif

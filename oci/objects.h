/*
 * objects - what is known about one object of Object Storage: step function
 * objectstorage_head_object.
 *
 * The object's row of the bucket's list is asked for: it says more than the
 * head of the object in JSON, and an object that is missing is told from a
 * bucket that is.
 */
#ifndef OCI_OBJECTS_H
#define OCI_OBJECTS_H

#include "lib/base.h"
#include "oci/tool.h"

extern const struct tool_function objects_functions[];
extern const size_t objects_n_functions;

#endif

/*
 * discovery - the tools about the tools: is the cloud reached, what is there,
 * what helps with what, what is kept.
 */
#ifndef OCI_DISCOVERY_H
#define OCI_DISCOVERY_H

#include "oci/tool.h"

extern const struct tool_function discovery_functions[];
extern const size_t discovery_n_functions;

#endif

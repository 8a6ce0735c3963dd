/*
 * vcn - step function of the list of virtual cloud networks, which counts the
 * subnets of each with one request for all.
 */
#ifndef OCI_VCN_H
#define OCI_VCN_H

#include "oci/tool.h"

extern const struct tool_function vcn_functions[];
extern const size_t vcn_n_functions;

#endif

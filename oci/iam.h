/*
 * iam - users, groups and policies of the tenancy.
 *
 * Step functions security_list_users, security_list_groups,
 * security_list_policies and security_get_user. Lists are read to their end,
 * so that totals are exact and filters come before paging.
 */
#ifndef OCI_IAM_H
#define OCI_IAM_H

#include "lib/base.h"
#include "oci/tool.h"

#define IAM_GROUPS_MAX 100 /* groups of a user that are asked for by name */

extern const struct tool_function iam_functions[];
extern const size_t iam_n_functions;

#endif

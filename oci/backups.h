/*
 * backups - backups of databases of every kind: step function
 * database_list_backups.
 *
 * Autonomous Databases, databases on DB systems and MySQL DB systems have
 * their own lists; here they are one, newest first, with sizes in GB.
 */
#ifndef OCI_BACKUPS_H
#define OCI_BACKUPS_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

#define BACKUPS_DATABASES_MAX 50 /* databases of one DB system */

/* Ask for the backups of an Autonomous Database; failure does not end the run.
 * For oci/dbhealth. */
struct tool_ask *backups_ask(struct tool_run *run, struct span database);

extern const struct tool_function backups_functions[];
extern const size_t backups_n_functions;

#endif

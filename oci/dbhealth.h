/*
 * dbhealth - what is wrong with a database: step function
 * troubleshoot_database.
 *
 * Lifecycle, metrics, backups and ways in are read; a table of limits says
 * what is worth a finding. What cannot be read is listed as such.
 */
#ifndef OCI_DBHEALTH_H
#define OCI_DBHEALTH_H

#include "lib/base.h"
#include "oci/tool.h"

#define DBHEALTH_BACKUP_HOURS 48 /* a younger good backup is expected */

enum dbhealth_grade { DBHEALTH_FINE, DBHEALTH_WARNING, DBHEALTH_CRITICAL };

/* Of a figure in percent against two limits. */
enum dbhealth_grade dbhealth_grade(double percent, double warning,
                                   double critical);

extern const struct tool_function dbhealth_functions[];
extern const size_t dbhealth_n_functions;

#endif

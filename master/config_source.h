/*
 * config_source - the places besides the configuration file that backends may
 * be defined in: include_configs, backends_dir, scan_paths.
 */
#ifndef MASTER_CONFIG_SOURCE_H
#define MASTER_CONFIG_SOURCE_H

#include "master/config_reader.h"

/*
 * Read what r->config->include_configs, backends_dir and scan_paths lead to, in
 * this order, so that the first definition of a name wins.
 *
 * include_configs: files of the form of a configuration, of which only
 * "backends" counts; a fault is an error. backends_dir: each *.json, in the
 * order of the names, is a backend, an array of them or an object with
 * "backends"; one with a fault is skipped with a warning. scan_paths: .mcp.json
 * or mcp.json of a directory and of those one level below; what they list is
 * added disabled.
 */
void config_source_collect(struct config_reader *r);

/* Call load for each tool pack (*.json) of a directory, by name; one that
 * cannot be listed is a warning. */
void config_source_packs(struct config_reader *r, const char *dir,
                         void (*load)(struct config_reader *r,
                                      const char *path));

#endif

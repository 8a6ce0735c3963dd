/*
 * config_reader - what the parts that read a configuration share: memory that
 * goes at once, problems with their place, the environment, and secrets.
 *
 * Only master/config*.c use this. Nothing here says what a key means.
 */
#ifndef MASTER_CONFIG_READER_H
#define MASTER_CONFIG_READER_H

#include "lib/json.h"
#include "master/config.h"

/* One reading of all sources. */
struct config_reader {
	const struct options *opt;
	struct config *config;
	struct config_report *report;
	const char *file;          /* being read, as problems name it */
	enum config_source source; /* of what is being read */
	bool is_fragment; /* its errors are warnings, see config_load() */
	bool is_isolated; /* config_parse(): no environment, no files */
	bool is_disabled; /* a backend not in use: leave its secrets alone */
	bool has_failed;  /* since somebody last set it to false */
	struct config_env *vars; /* of --env-file */
	size_t n_vars;
};

/* Memory of the configuration being made; it grows and is freed at once. */
struct config_memory *config_memory_new(void);

/* n zeroed bytes, aligned for anything; NULL, now and ever after, when there is
 * no more: config_memory_failed() tells. */
void *config_memory_alloc(struct config_memory *m, size_t n);

/* A copy followed by a NUL; "" when there is no memory. */
const char *config_memory_copy(struct config_memory *m, struct span s);

/* There is no more memory: somebody else found out. */
void config_memory_spend(struct config_memory *m);

bool config_memory_failed(const struct config_memory *m);

/* Wipe and free. */
void config_memory_free(struct config_memory *m);

/* Short forms for the memory of r->config. */
void *config_reader_alloc(struct config_reader *r, size_t n, size_t size);
const char *config_reader_copy(struct config_reader *r, struct span s);

/* Make room for n strings; list->len stays 0. */
void config_reader_list(struct config_reader *r, struct config_list *list,
                        size_t n);
void config_reader_append(struct config_reader *r, struct config_list *list,
                          struct span item);

/* Add one line to the report, at a place of r->file; line 0 leaves it out. */
void config_reader_note(struct config_reader *r, enum log_level level,
                        struct json_place place, const char *fmt, ...)
	PRINTF(4, 5);

/* An error, or in a fragment a warning; sets r->has_failed. */
void config_reader_complain(struct config_reader *r, struct json_place place,
                            const char *fmt, ...) PRINTF(3, 4);

/*
 * A variable of the environment, else of --env-file; NULL when it is not set
 * or empty, and always while isolated.
 */
const char *config_reader_env(const struct config_reader *r, const char *name);

/* Read the file of --env-file; problems are reported. */
void config_reader_env_file(struct config_reader *r, const char *path);

/*
 * A whole file, of CONFIG_SECRET_MAX bytes or less, into the configuration's
 * memory, followed by a NUL. Returns 0, FILE_EXPOSED or file_read()'s error.
 */
MUST_CHECK int config_reader_file(struct config_reader *r, const char *path,
                                  struct span *out);

/*
 * Parse a file, which from now on is r->file. NULL after a complaint, or
 * without one when the file does not exist and may_miss.
 */
struct json *config_reader_json(struct config_reader *r, const char *path,
                                bool may_miss);

/*
 * A secret: a string, or a reference to a file, a variable or a systemd
 * credential. NULL after a complaint. Never empty, no control characters.
 */
const char *config_reader_secret(struct config_reader *r, const char *what,
                                 struct json_value value);

#endif

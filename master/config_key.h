/*
 * config_key - keys of JSON objects as tables.
 *
 * A schema is a table of keys: where the value belongs in a structure, of what
 * kind it is, its limits and its default. Reading, defaults, the environment
 * and --dump are loops over it. Keys of groups are written with a dot:
 * "limits.body_bytes".
 */
#ifndef MASTER_CONFIG_KEY_H
#define MASTER_CONFIG_KEY_H

#include "master/config_reader.h"

#define CONFIG_KEY_PATH_MAX 96 /* bytes of "group.key" with its NUL */

enum config_key_kind {
	CONFIG_KEY_BOOL,   /* int64_t, 0 or 1 */
	CONFIG_KEY_COUNT,  /* int64_t */
	CONFIG_KEY_BYTES,  /* int64_t */
	CONFIG_KEY_MILLIS, /* int64_t, in the file seconds */
	CONFIG_KEY_SWITCH, /* bool */
	CONFIG_KEY_TEXT,   /* const char *; null gives the default */
	CONFIG_KEY_CHOICE, /* an enum, the index of the word */
	CONFIG_KEY_LIST,   /* struct config_list; a string is a list of one */
	CONFIG_KEY_SECRET, /* const char *; a string or a reference */
	CONFIG_KEY_CUSTOM, /* read and write of the row */
};

/* Flags of a row. */
#define CONFIG_KEY_LIVE    0U
#define CONFIG_KEY_RESTART 1U /* a change takes effect at a restart */
#define CONFIG_KEY_GATEWAY 2U /* not for the server program */
#define CONFIG_KEY_STDIO   4U /* belongs to backends of this transport */
#define CONFIG_KEY_HTTP    8U
#define CONFIG_KEY_PROCESS 16U /* in_process */
#define CONFIG_KEY_QUERY   32U /* a URL whose query may be a secret */

struct config_key {
	const char *path;
	enum config_key_kind kind;
	size_t at; /* in the structure; of CUSTOM a size_t, its entries */
	unsigned flags;
	int64_t initial, min, max; /* of numbers; of a CHOICE initial */
	const char *const *words;  /* of a CHOICE; ends with NULL */
	const char *text;          /* default of a TEXT, or NULL */
	/* NULL, or what the text must be: "must begin with '/'". */
	const char *(*check)(struct span text);
	/* CUSTOM: base is the structure. */
	void (*read)(struct config_reader *r, struct json_value value,
	             void *base);
	void (*write)(struct buf *out, const void *base);
};

/* Where the value of a row came from. */
struct config_origin {
	enum config_source source;
	const char *file;
	struct json_place place;
};

struct config_schema {
	const struct config_key *keys;
	size_t len;
};

/* Set every value of base to its default. */
void config_key_defaults(const struct config_schema *schema, void *base);

/*
 * Read an object into base; unknown keys and bad values are complained about.
 * origins has an entry per row, or is NULL.
 */
void config_key_read(struct config_reader *r,
                     const struct config_schema *schema,
                     struct json_value object, void *base,
                     struct config_origin *origins);

/*
 * Set one value from the environment or the command line; r->file names it in
 * complaints. Not for SECRET and CUSTOM; MILLIS are whole seconds here.
 */
void config_key_set(struct config_reader *r, const struct config_schema *schema,
                    const char *path, struct span text, void *base,
                    struct config_origin *origins);

/* The row of a path; -1 when there is none. */
int config_key_find(const struct config_schema *schema, struct span path);

/*
 * Append the values of base as one JSON object, secrets redacted. Optional
 * values that are not set are left out, and, unless usual is NULL, those that
 * are the same in usual.
 */
void config_key_dump(const struct config_schema *schema, const void *base,
                     const void *usual, struct buf *out);

/* Is this a scope-token of RFC 6749, section 3.3? As check in a row. */
const char *config_key_check_scope(struct span text);

/* Append a list as a JSON array. */
void config_key_dump_list(struct buf *out, const struct config_list *list);

/* Do the values of a row differ? A CUSTOM row never does. */
bool config_key_differs(const struct config_key *key, const void *a,
                        const void *b);

/* Read a string or an array of strings; check as in struct config_key. */
void config_key_read_list(struct config_reader *r, const char *path,
                          struct json_value value,
                          const char *(*check)(struct span text),
                          struct config_list *out);

#endif

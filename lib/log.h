/*
 * log - one line per event, written once, where the decision is made.
 *
 * A line is an event in a few words and then fields. It goes to standard error
 * or to a file as a line of JSON (default) or of plain text, or, when standard
 * error is the journal, as JSON with a priority prefix that journald reads.
 *
 *	log_info("worker ready", LOG_INT("slot", 3), LOG_STR("host", "a"));
 *	{"time":"2026-01-02T03:04:05.678Z","level":"info","process":"master",
 *	 "event":"worker ready","slot":3,"host":"a"}
 *
 * Never a secret, a token or a body in a field. A field's text is cut at
 * LOG_TEXT_MAX bytes and control characters are escaped, so that no peer can
 * forge a line.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/span.h"

#define LOG_TEXT_MAX 512  /* bytes of one field's text */
#define LOG_LINE_MAX 8192 /* bytes of one line */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_field {
	const char *name;
	struct span text; /* when is_text */
	int64_t number;
	bool is_text;
};

#define LOG_STR(n, s)        \
	((struct log_field){ \
		.name = (n), .text = span_str(s), .is_text = true })
#define LOG_SPAN(n, s) \
	((struct log_field){ .name = (n), .text = (s), .is_text = true })
#define LOG_INT(n, v) \
	((struct log_field){ .name = (n), .number = (int64_t)(v) })
/* err is a negative errno; written as its sentence. */
#define LOG_ERR(err) LOG_STR("error", log_errno(err))

/* The sentence of a negative errno; static storage, valid until the next. */
const char *log_errno(int err);

/* What this process is called in every line; slot -1 leaves it out. */
void log_process(const char *name, int slot);

/* Lines below this level are not written. Default LOG_INFO. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* "debug", "info", "warning" (also "warn"), "error"; any case. */
bool log_level_of(struct span word, enum log_level *out);

void log_set_format(enum log_format format);

/*
 * Write to this file, append, mode 0640, instead of standard error; NULL goes
 * back to standard error. Returns 0 or -errno of open(2), and then nothing
 * changed.
 */
MUST_CHECK int log_open(const char *path);

/* Open the same path again (after logrotate). Failure keeps the old file. */
void log_reopen(void);

/* Write to this descriptor from now on; takes fd. -1 is standard error. For
 * processes that may open no file: the master sends it. */
void log_set_fd(int fd);

/* The descriptor that lines go to. */
int log_fd(void);

/* The general form: fields end with LOG_END. Use the verbs below. */
void log_write(enum log_level level, const char *event,
               const struct log_field fields[]);

#define LOG_END ((struct log_field){ .name = NULL })
#define LOG_EMIT(level, event, ...)                                           \
	do {                                                                  \
		if (log_enabled(level))                                       \
			log_write(level, event,                               \
			          (const struct log_field[]){ __VA_ARGS__ }); \
	} while (0)

/* log_info("event", LOG_INT("slot", 3), ...): any number of fields. */
#define log_debug(...)   LOG_EMIT(LOG_DEBUG, __VA_ARGS__, LOG_END)
#define log_info(...)    LOG_EMIT(LOG_INFO, __VA_ARGS__, LOG_END)
#define log_warning(...) LOG_EMIT(LOG_WARNING, __VA_ARGS__, LOG_END)
#define log_error(...)   LOG_EMIT(LOG_ERROR, __VA_ARGS__, LOG_END)

#endif

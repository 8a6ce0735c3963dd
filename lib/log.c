#include "lib/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"

static const char *const names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};
/* What journald takes for the priority of a line (sd-daemon(3)). */
static const char *const priorities[] = {
	[LOG_DEBUG] = "<7>",
	[LOG_INFO] = "<6>",
	[LOG_WARNING] = "<4>",
	[LOG_ERROR] = "<3>",
};

static struct {
	enum log_level level;
	enum log_format format;
	const char *process;
	int slot;
	int fd; /* of the file, or -1 */
	char *path;
	struct buf line; /* kept, so that logging does not allocate */
} the = {
	.level = LOG_INFO,
	.process = "main",
	.slot = -1,
	.fd = -1,
	.line = { .max = LOG_LINE_MAX },
};

const char *log_errno(int err)
{
	return strerror(err < 0 ? -err : err);
}

void log_process(const char *name, int slot)
{
	the.process = name;
	the.slot = slot;
}

void log_set_level(enum log_level level)
{
	the.level = level;
}

bool log_enabled(enum log_level level)
{
	return level >= the.level;
}

bool log_level_of(struct span word, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_nocase(word, span_str(names[i]))) {
			*out = (enum log_level)i;
			return true;
		}
	}
	if (span_eq_nocase(word, SPAN("warn"))) {
		*out = LOG_WARNING;
		return true;
	}
	return false;
}

void log_set_format(enum log_format format)
{
	the.format = format;
}

int log_fd(void)
{
	return the.fd >= 0 ? the.fd : STDERR_FILENO;
}

void log_set_fd(int fd)
{
	if (the.fd >= 0)
		close(the.fd);
	the.fd = fd;
	free(the.path);
	the.path = NULL;
}

int log_open(const char *path)
{
	int fd = -1;
	char *copy = NULL;

	if (path) {
		fd = open(path,
		          O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
		          0640);
		if (fd < 0)
			return os_error();
		copy = strdup(path);
		if (!copy) {
			close(fd);
			return -ENOMEM;
		}
	}
	if (the.fd >= 0)
		close(the.fd);
	free(the.path);
	the.fd = fd;
	the.path = copy;
	return 0;
}

void log_reopen(void)
{
	char *path = the.path ? strdup(the.path) : NULL;

	if (!path)
		return;
	int err = log_open(path);
	if (err < 0)
		log_error("log file cannot be reopened", LOG_STR("path", path),
		          LOG_ERR(err));
	free(path);
}

static void json(struct buf *b, enum log_level level, const char *event,
                 const struct log_field *f)
{
	char when[CLOCK_ISO_LEN + 1];

	buf_addf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\"",
	         clock_iso(clock_utc_ms(), when), names[level], the.process);
	if (the.slot >= 0)
		buf_addf(b, ",\"slot\":%d", the.slot);
	buf_addf(b, ",\"pid\":%d,\"event\":", (int)getpid());
	buf_add_json(b, span_first(span_str(event), LOG_TEXT_MAX));
	for (; f->name; f++) {
		buf_addf(b, ",\"%s\":", f->name);
		if (f->is_text)
			buf_add_json(b, span_first(f->text, LOG_TEXT_MAX));
		else
			buf_addf(b, "%lld", (long long)f->number);
	}
	buf_puts(b, "}\n");
}

static void text(struct buf *b, enum log_level level, const char *event,
                 const struct log_field *f)
{
	char when[CLOCK_ISO_LEN + 1];

	buf_addf(b, "%s %-7s %s", clock_iso(clock_utc_ms(), when), names[level],
	         the.process);
	if (the.slot >= 0)
		buf_addf(b, " %d", the.slot);
	buf_addf(b, ": %s", event);
	for (; f->name; f++) {
		buf_addf(b, " %s=", f->name);
		if (f->is_text)
			buf_add_json(b, span_first(f->text, LOG_TEXT_MAX));
		else
			buf_addf(b, "%lld", (long long)f->number);
	}
	buf_putc(b, '\n');
}

void log_write(enum log_level level, const char *event,
               const struct log_field fields[])
{
	int saved = errno;
	struct buf *b = &the.line;

	buf_reset(b);
	/* systemd sets this when standard error is the journal. */
	if (the.fd < 0 && getenv("JOURNAL_STREAM"))
		buf_puts(b, priorities[level]);
	if (the.format == LOG_JSON)
		json(b, level, event, fields);
	else
		text(b, level, event, fields);
	/*
	 * One write for one line, so that lines of several processes do not
	 * mix. A full pipe or disk loses the line; there is nobody to tell.
	 */
	if (buf_err(b) == 0) {
		ssize_t n = write(log_fd(), b->bytes, b->len);
		(void)n;
	}
	errno = saved;
}

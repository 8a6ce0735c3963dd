#include "master/sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#define MODE 0640

static const struct {
	enum control_type type;
	size_t path; /* offset in struct config */
} kinds[SINKS] = {
	{ CONTROL_ACCESS_LOG, offsetof(struct config, access_log_file) },
	{ CONTROL_AUDIT_LOG, offsetof(struct config, audit_log_file) },
};

static const char *path_of(const struct config *config, size_t i)
{
	const char *path;

	memcpy(&path, (const char *)config + kinds[i].path, sizeof(path));
	return path;
}

static int open_one(const struct config *config, size_t i, int *fd)
{
	const char *path = path_of(config, i);

	*fd = -1;
	if (!path)
		return 0;
	*fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
	           MODE);
	return *fd < 0 ? os_error() : 0;
}

int sink_open(struct sinks *s, const struct config *config,
              char why[SINK_WHY_MAX])
{
	*s = SINKS_NONE;
	for (size_t i = 0; i < SINKS; i++) {
		int err = open_one(config, i, &s->fds[i]);

		if (err < 0) {
			snprintf(why, SINK_WHY_MAX, "%s cannot be opened: %s",
			         path_of(config, i), log_errno(err));
			sink_close(s);
			return err;
		}
	}
	return 0;
}

void sink_reopen(struct sinks *s, const struct config *config)
{
	for (size_t i = 0; i < SINKS; i++) {
		int fd;
		int err = open_one(config, i, &fd);

		if (err < 0) {
			log_error("log file cannot be reopened",
			          LOG_STR("path", path_of(config, i)),
			          LOG_ERR(err));
			continue;
		}
		if (s->fds[i] >= 0)
			close(s->fds[i]);
		s->fds[i] = fd;
	}
}

void sink_close(struct sinks *s)
{
	for (size_t i = 0; i < SINKS; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	*s = SINKS_NONE;
}

void sink_send(const struct sinks *s, struct child *worker)
{
	for (size_t i = 0; i < SINKS; i++) {
		const struct control msg = { .type = kinds[i].type };

		child_send(worker, &msg, s->fds[i] >= 0 ? s->fds[i] : log_fd());
	}
}

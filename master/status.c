#include "master/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "master/config.h"
#include "master/reception.h"
#include "master/status_show.h"
#include "shm/control.h"

#define ANSWER_WAIT_S 5
#define SAMPLE_NS     999999999L /* between two samples */
#define EXIT_USAGE    2

struct wishes {
	const char *runtime_dir;
	const char *config_file;
	bool json, once, watch, help;
};

static const char usage[] =
	"Usage: status [--runtime-dir DIR | --config FILE] [--json] [--once] "
	"[--watch]\n"
	"\n"
	"  --runtime-dir DIR  where the gateway has its control socket\n"
	"  --config FILE      take that from this configuration\n"
	"  --json             for a program to read\n"
	"  --once             at once, without rates\n"
	"  --watch            again every second\n";

static const struct {
	const char *flag;
	size_t at;
	bool has_value;
} flags[] = {
	{ "--runtime-dir", offsetof(struct wishes, runtime_dir), true },
	{ "--config", offsetof(struct wishes, config_file), true },
	{ "--json", offsetof(struct wishes, json), false },
	{ "--once", offsetof(struct wishes, once), false },
	{ "--watch", offsetof(struct wishes, watch), false },
	{ "--help", offsetof(struct wishes, help), false },
};

/* Returns how many words were used, 0 when the first is none of ours. */
static int take(struct wishes *w, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		void *at = (char *)w + flags[i].at;
		size_t len = strlen(flags[i].flag);
		const char *value = argc > 1 ? argv[1] : NULL;
		int used = 2;

		if (strncmp(argv[0], flags[i].flag, len) != 0)
			continue;
		if (argv[0][len] == '=' && flags[i].has_value) {
			value = argv[0] + len + 1;
			used = 1;
		} else if (argv[0][len] != '\0') {
			continue;
		}
		if (!flags[i].has_value) {
			*(bool *)at = true;
			return 1;
		}
		if (value)
			memcpy(at, &value, sizeof(value));
		return value ? used : 0;
	}
	return 0;
}

static bool parse(struct wishes *w, int argc, char **argv)
{
	int used;

	*w = (struct wishes){ .json = false };
	for (int i = 1; i < argc; i += used) {
		used = take(w, argc - i, argv + i);
		if (used == 0) {
			fprintf(stderr, "status: \"%s\" is not understood\n%s",
			        argv[i], usage);
			return false;
		}
	}
	if (w->runtime_dir && w->config_file) {
		fprintf(stderr, "status: --runtime-dir and --config exclude "
		                "each other\n");
		return false;
	}
	return true;
}

/* Where the configuration says that the socket is. */
static bool ask_config(const struct options *opt, const struct wishes *w,
                       char *path, size_t size)
{
	struct config_report *report = malloc(sizeof(*report));
	struct config *config = NULL;
	struct options own;
	bool found = false;

	options_init(&own, opt->program);
	own.action = OPTIONS_DUMP;
	own.config_file = w->config_file;
	if (report && config_load(&own, &config, report) == 0)
		found = reception_path(config->runtime_dir, path, size);
	else if (report && w->config_file)
		fprintf(stderr, "status: %s\n",
		        config ? "runtime_dir: the path is too long"
		               : config_report_first(report));
	config_free(config);
	free(report);
	return found;
}

static bool find(const struct options *opt, const struct wishes *w, char *path,
                 size_t size)
{
	char usual[64];
	const char *dir = w->runtime_dir;

	if (!dir && ask_config(opt, w, path, size))
		return true;
	if (!dir && w->config_file)
		return false; /* ask_config() has said why */
	/* Not everybody may read the configuration; the usual place then. */
	snprintf(usual, sizeof(usual), "/run/%s", opt->program->name);
	if (reception_path(dir ? dir : usual, path, size))
		return true;
	fprintf(stderr, "status: the path of the runtime directory is too "
	                "long\n");
	return false;
}

static void explain(const struct options *opt, const char *path, int err)
{
	if (err == -ENOENT || err == -ECONNREFUSED)
		fprintf(stderr,
		        "status: no %s is running: nobody answers at %s\n"
		        "Start it, or say where it is with --runtime-dir DIR "
		        "or --config FILE.\n",
		        opt->program->name, path);
	else if (err == -EACCES || err == -EPERM)
		fprintf(stderr,
		        "status: %s may only be asked by root and by the user "
		        "that the gateway runs as\n",
		        path);
	else
		fprintf(stderr, "status: %s: %s\n", path, log_errno(err));
}

static int dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = ANSWER_WAIT_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return os_error();
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;

	int err = os_error();
	close(fd);
	return err;
}

/* control_receive() does not wait, so wait here. */
static int receive(int sock, struct control *msg, int *fd)
{
	char byte;

	if (recv(sock, &byte, 1, MSG_PEEK) < 0)
		return os_error();
	return control_receive(sock, msg, fd);
}

/* What the gateway hands out. */
static int fetch(int sock, struct status_view *v)
{
	struct control msg;
	int fd, err;

	while ((err = receive(sock, &msg, &fd)) == 1) {
		if (msg.type == RECEPTION_BOARD && fd >= 0 && !v->live) {
			err = board_open(fd, &v->live);
			close(fd);
		} else if (msg.type == RECEPTION_SNAPSHOT && fd >= 0 &&
		           !v->snap) {
			err = snapshot_open(fd, &v->snap);
		} else if (fd >= 0) {
			close(fd);
		}
		if (err < 0)
			return err;
	}
	if (err < 0)
		return err;
	return v->live && v->snap ? 0 : -EACCES;
}

static int open_view(const char *path, struct status_view *v)
{
	int sock = dial(path);
	int err = sock;

	*v = (struct status_view){ .live = NULL };
	if (sock >= 0) {
		err = fetch(sock, v);
		close(sock);
	}
	if (err == 0) {
		v->then = malloc(sizeof(*v->then));
		v->now = malloc(sizeof(*v->now));
		if (!v->then || !v->now)
			err = -ENOMEM;
	}
	return err;
}

static void close_view(struct status_view *v)
{
	free(v->then);
	free(v->now);
	snapshot_unref(v->snap);
	if (v->live)
		munmap((void *)(uintptr_t)v->live, v->live->size);
}

static void take_sample(const struct board *live, struct board *out,
                        uint64_t *at_us)
{
	*at_us = clock_mono_us();
	memcpy(out, live, sizeof(*out));
}

static void sample(struct status_view *v, bool once)
{
	const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	uint64_t then_us, now_us;

	take_sample(v->live, v->then, &then_us);
	if (!once)
		nanosleep(&pause, NULL);
	take_sample(v->live, v->now, &now_us);
	v->seconds = once ? 0 : (double)(now_us - then_us) / 1e6;
}

static void show(const struct status_view *v, const struct wishes *w)
{
	if (w->watch && !w->json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (w->json)
		status_show_json(v, stdout);
	else
		status_show_text(v, stdout);
	fflush(stdout);
}

int status_main(const struct options *opt)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct status_view v;
	struct wishes w;
	int err = 0;

	if (!parse(&w, opt->argc, opt->argv))
		return EXIT_USAGE;
	if (w.help) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (!find(opt, &w, path, sizeof(path)))
		return EXIT_FAILURE;
	do {
		err = open_view(path, &v);
		if (err == 0) {
			sample(&v, w.once);
			show(&v, &w);
		}
		close_view(&v);
	} while (err == 0 && w.watch && !ferror(stdout));
	if (err < 0)
		explain(opt, path, err);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

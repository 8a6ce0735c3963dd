#include "master/reception.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "shm/control.h"

#define BACKLOG     16
#define DIR_MODE    0755
#define SOCKET_MASK 0177 /* root and our own user, nobody else */

bool reception_path(const char *runtime_dir, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/%s", runtime_dir, RECEPTION_SOCKET);

	return n > 0 && (size_t)n < size;
}

static bool may_ask(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	return who.uid == 0 || who.uid == geteuid();
}

static void answer(struct reception *r, int fd)
{
	struct control msg = { .type = RECEPTION_BOARD };
	int err = control_send(fd, &msg, r->board_fd);

	if (err == 0 && publication_is(r->current)) {
		msg.type = RECEPTION_SNAPSHOT;
		err = control_send(fd, &msg, r->current->fd);
	}
	if (err < 0)
		log_debug("control socket: no answer", LOG_ERR(err));
}

static void on_knock(struct source *src, uint32_t events)
{
	struct reception *r = CONTAINER_OF(src, struct reception, door);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (may_ask(fd))
		answer(r, fd);
	close(fd);
}

/* A descriptor of the same memory that cannot write to it. */
static int for_reading(int fd)
{
	char path[32];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDONLY | O_CLOEXEC);
	return copy < 0 ? os_error() : copy;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char *name = at.sun_path;
	int n = snprintf(name, sizeof(at.sun_path), "%s.%d", path,
	                 (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return -ENAMETOOLONG;

	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                0);
	if (fd < 0)
		return os_error();
	unlink(name);

	mode_t before = umask(SOCKET_MASK);
	int rc = bind(fd, (const struct sockaddr *)&at, sizeof(at));
	umask(before);
	/* Under its own name only when it answers: no moment without one. */
	if (rc == 0 && listen(fd, BACKLOG) == 0 && rename(name, path) == 0)
		return fd;

	int err = os_error();
	unlink(name);
	close(fd);
	return err;
}

static int make(struct reception *r, const char *runtime_dir)
{
	if (!reception_path(runtime_dir, r->path, sizeof(r->path)))
		return -ENAMETOOLONG;
	if (mkdir(runtime_dir, DIR_MODE) < 0 && errno != EEXIST)
		return os_error();
	r->door.fd = listen_at(r->path);
	if (r->door.fd < 0)
		return r->door.fd;
	if (stat(r->path, &r->made) < 0)
		return os_error();
	return loop_add(r->loop, &r->door, EPOLLIN);
}

int reception_open(struct reception *r, struct loop *loop,
                   const char *runtime_dir, int board_fd,
                   const struct publication *current)
{
	*r = (struct reception){
		.door = { .fd = -1, .on_ready = on_knock },
		.loop = loop,
		.board_fd = for_reading(board_fd),
		.current = current,
	};
	int err = r->board_fd < 0 ? r->board_fd : make(r, runtime_dir);

	if (err < 0)
		reception_close(r);
	return err;
}

void reception_close(struct reception *r)
{
	struct stat now;

	if (r->door.fd >= 0) {
		loop_close(r->loop, &r->door);
		if (stat(r->path, &now) == 0 && now.st_ino == r->made.st_ino &&
		    now.st_dev == r->made.st_dev)
			unlink(r->path);
	}
	if (r->board_fd >= 0)
		close(r->board_fd);
	r->door.fd = -1;
	r->board_fd = -1;
}

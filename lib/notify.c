#include "lib/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/span.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

bool notify_wanted(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (path[0] == '/' || path[0] == '@');
}

static int address(struct sockaddr_un *to, socklen_t *len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n;

	assert(path); /* notify_wanted() */
	n = strlen(path);
	if (n >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, path, n);
	/* An abstract name begins with a NUL and has no NUL at its end. */
	if (path[0] == '@')
		to->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *m, union ancillary *room, int fd)
{
	memset(room, 0, sizeof(*room));
	m->msg_control = room->bytes;
	m->msg_controllen = sizeof(room->bytes);

	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

static int tell(const char *text, int fd)
{
	struct sockaddr_un to;
	union ancillary room;
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!notify_wanted())
		return 0;

	int err = address(&to, &m.msg_namelen);
	if (err < 0)
		return err;
	m.msg_name = &to;
	if (fd >= 0)
		attach(&m, &room, fd);

	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return os_error();
	/* The manager reads promptly; one that does not must not stop us. */
	err = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? os_error()
	                                                         : 0;
	close(sock);
	return err;
}

int notify_send(const char *format, ...)
{
	char text[NOTIFY_TEXT_MAX];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	return tell(text, -1);
}

int notify_store(const char *name, int fd)
{
	char text[NOTIFY_NAME_MAX + 32];

	/* Without FDPOLL=0 the manager drops what epoll reports as failed. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return tell(text, fd);
}

int notify_forget(const char *name)
{
	return notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* A number in the environment; false when it is not there or not one. */
static bool env_number(const char *name, uint64_t max, uint64_t *out)
{
	return span_u64(span_str(getenv(name)), max, out);
}

uint64_t notify_watchdog_us(void)
{
	uint64_t pid, us;

	if (!notify_wanted() || !env_number("WATCHDOG_USEC", INT64_MAX, &us))
		return 0;
	if (env_number("WATCHDOG_PID", INT32_MAX, &pid) &&
	    pid != (uint64_t)getpid())
		return 0;
	return us;
}

/* The n-th of the names separated by colons; empty when there are fewer. */
static struct span nth_name(struct span names, size_t n)
{
	while (n-- > 0)
		names = span_from(names, span_find(names, ':') + 1);
	return span_first(names, span_find(names, ':'));
}

size_t notify_take(struct notify_fd out[NOTIFY_FDS_MAX])
{
	uint64_t pid, n = 0;
	struct span names = span_str(getenv("LISTEN_FDNAMES"));

	if (!env_number("LISTEN_PID", INT32_MAX, &pid) ||
	    pid != (uint64_t)getpid() ||
	    !env_number("LISTEN_FDS", INT16_MAX, &n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		int fd = FIRST_FD + (int)i;
		struct span name =
			span_first(nth_name(names, i), NOTIFY_NAME_MAX - 1);

		if (i >= NOTIFY_FDS_MAX) {
			close(fd);
			continue;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		out[i].fd = fd;
		snprintf(out[i].name, sizeof(out[i].name), "%.*s",
		         SPAN_ARG(name));
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return (size_t)MIN(n, NOTIFY_FDS_MAX);
}

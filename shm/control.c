#include "shm/control.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int control_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	               0, fds) < 0)
		return os_error();
	return 0;
}

int control_send(int sock, const struct control *msg, int fd)
{
	struct control copy = *msg;
	struct iovec iov = { &copy, sizeof(copy) };
	union ancillary room;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&room, 0, sizeof(room));
	if (fd >= 0) {
		m.msg_control = room.bytes;
		m.msg_controllen = sizeof(room.bytes);

		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &m, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return os_error();
	}
}

static int take_fd(struct msghdr *m)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

int control_receive(int sock, struct control *msg, int *fd)
{
	struct iovec iov = { msg, sizeof(*msg) };
	union ancillary room;
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	*fd = -1;
	if (n < 0)
		return os_error();
	if (n == 0)
		return 0;
	*fd = take_fd(&m);
	if (n == (ssize_t)sizeof(*msg) && !(m.msg_flags & MSG_TRUNC))
		return 1;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -EPROTO;
}

void control_apply_log(const struct control *msg, int fd)
{
	uint64_t level = msg->number & 0xff, format = msg->number >> 8 & 0xff;

	if (level <= LOG_ERROR)
		log_set_level((enum log_level)level);
	if (format <= LOG_TEXT)
		log_set_format((enum log_format)format);
	log_set_fd(fd);
}

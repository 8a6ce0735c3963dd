#include "shm/control.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(control, messages_arrive_whole_and_in_order)
{
	int fds[2], fd;
	struct control msg;

	cr_assert_eq(control_pair(fds), 0);
	cr_assert_eq(control_receive(fds[1], &msg, &fd), -EAGAIN);
	for (uint64_t i = 0; i < 3; i++) {
		struct control out = {
			.type = CONTROL_ADOPTED,
			.error = -5,
			.number = i,
			.serial = UINT64_MAX - i,
		};

		cr_assert_eq(control_send(fds[0], &out, -1), 0);
	}
	for (uint64_t i = 0; i < 3; i++) {
		cr_assert_eq(control_receive(fds[1], &msg, &fd), 1);
		cr_assert_eq(fd, -1);
		cr_assert_eq(msg.type, CONTROL_ADOPTED);
		cr_assert_eq(msg.error, -5);
		cr_assert_eq(msg.number, i);
		cr_assert_eq(msg.serial, UINT64_MAX - i);
	}
	cr_assert_eq(control_receive(fds[1], &msg, &fd), -EAGAIN);
	close(fds[0]);
	cr_assert_eq(control_receive(fds[1], &msg, &fd), 0);
	close(fds[1]);
}

Test(control, a_descriptor_travels)
{
	int fds[2], pipes[2], fd;
	struct control msg = { .type = CONTROL_LISTEN };
	char c = 'a';

	cr_assert_eq(control_pair(fds), 0);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(control_send(fds[0], &msg, pipes[1]), 0);
	close(pipes[1]);
	cr_assert_eq(control_receive(fds[1], &msg, &fd), 1);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(fd, "b", 1), 1);
	cr_assert_eq(read(pipes[0], &c, 1), 1);
	cr_assert_eq(c, 'b');
	close(fd);
	cr_assert_eq(read(pipes[0], &c, 1), 0, "it was the last writer");
}

Test(control, another_size_is_refused_and_its_descriptor_closed)
{
	char bytes[sizeof(struct control) + 1] = { 0 };
	int fds[2], fd;
	struct control msg;

	cr_assert_eq(control_pair(fds), 0);
	for (size_t n = 1; n <= sizeof(bytes); n++) {
		int before = open_fds();
		struct iovec iov = { bytes, n };
		union {
			struct cmsghdr head;
			char room[CMSG_SPACE(sizeof(int))];
		} a;
		struct msghdr m = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = a.room,
			.msg_controllen = sizeof(a.room),
		};

		if (n == sizeof(struct control))
			continue;
		memset(&a, 0, sizeof(a));
		a.head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		};
		memcpy(CMSG_DATA(&a.head), &fds[0], sizeof(int));
		cr_assert_eq(sendmsg(fds[0], &m, 0), (ssize_t)n);
		cr_assert_eq(control_receive(fds[1], &msg, &fd), -EPROTO);
		cr_assert_eq(fd, -1);
		cr_assert_eq(open_fds(), before);
	}
}

Test(control, a_full_socket_and_a_gone_peer_are_told)
{
	int fds[2];
	struct control msg = { .type = CONTROL_REFRESH };
	int err = 0;

	cr_assert_eq(control_pair(fds), 0);
	for (int i = 0; i < 100000 && err == 0; i++)
		err = control_send(fds[0], &msg, -1);
	cr_assert_eq(err, -EAGAIN);
	close(fds[1]);
	/* What it has not read is lost first; that is told once. */
	cr_assert_eq(control_send(fds[0], &msg, -1), -ECONNRESET);
	cr_assert_eq(control_send(fds[0], &msg, -1), -EPIPE);
}

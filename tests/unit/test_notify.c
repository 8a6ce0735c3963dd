#include "lib/notify.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64];

/* A service manager: listens at name, which begins with '/' or '@'. */
static int listen_at(const char *at)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t n = strlen(at);

	memcpy(to.sun_path, at, n);
	if (at[0] == '@')
		to.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&to,
	                  (socklen_t)(sizeof(sa_family_t) + n)),
	             0);
	setenv("NOTIFY_SOCKET", at, 1);
	return fd;
}

/* The next message, and the descriptor that came with it or -1. */
static const char *receive(int fd, int *with)
{
	static char text[NOTIFY_TEXT_MAX + 1];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} a;
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = a.room,
		.msg_controllen = sizeof(a.room),
	};
	ssize_t n = recvmsg(fd, &m, 0);

	cr_assert_geq(n, 0);
	text[n] = '\0';
	*with = -1;
	if (CMSG_FIRSTHDR(&m))
		memcpy(with, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return text;
}

static void check_messages(int manager)
{
	int fd;

	cr_assert(notify_wanted());
	cr_assert_eq(notify_send("READY=1\nSTATUS=%d workers", 4), 0);
	cr_assert_str_eq(receive(manager, &fd), "READY=1\nSTATUS=4 workers");
	cr_assert_eq(fd, -1);
	cr_assert_eq(notify_store("listen-3", manager), 0);
	cr_assert_str_eq(receive(manager, &fd),
	                 "FDSTORE=1\nFDPOLL=0\nFDNAME=listen-3");
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(notify_forget("listen-3"), 0);
	cr_assert_str_eq(receive(manager, &fd),
	                 "FDSTOREREMOVE=1\nFDNAME=listen-3");
	close(manager);
}

Test(notify, messages_reach_a_socket_in_the_file_system)
{
	snprintf(name, sizeof(name), "/tmp/test_notify.%d", (int)getpid());
	check_messages(listen_at(name));
	cr_assert_eq(notify_send("READY=1"), -ECONNREFUSED);
	unlink(name);
	cr_assert_eq(notify_send("READY=1"), -ENOENT);
}

Test(notify, messages_reach_an_abstract_socket)
{
	snprintf(name, sizeof(name), "@test_notify.%d", (int)getpid());
	check_messages(listen_at(name));
}

Test(notify, without_a_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	cr_assert_not(notify_wanted());
	cr_assert_eq(notify_send("READY=1"), 0);
	cr_assert_eq(notify_store("x", 0), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	cr_assert_not(notify_wanted());
}

Test(notify, what_does_not_fit_is_refused)
{
	char big[NOTIFY_TEXT_MAX + 1];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	big[0] = '/';
	cr_assert_eq(notify_send("%s", big), -ENAMETOOLONG);
	setenv("NOTIFY_SOCKET", big, 1);
	cr_assert_eq(notify_send("READY=1"), -ENAMETOOLONG);
}

Test(notify, the_watchdog_is_for_the_process_that_is_meant)
{
	char pid[16];

	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	cr_assert_eq(notify_watchdog_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	cr_assert_eq(notify_watchdog_us(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(notify_watchdog_us(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	cr_assert_eq(notify_watchdog_us(), 30000000);
	setenv("WATCHDOG_USEC", "x", 1);
	cr_assert_eq(notify_watchdog_us(), 0);
}

/* Descriptors begin at 3, so it happens in a process of its own. */
static void take_three(void)
{
	static struct notify_fd fds[NOTIFY_FDS_MAX];
	char pid[16];

	for (int fd = 3; fd < 6; fd++)
		if (dup2(STDIN_FILENO, fd) < 0)
			_exit(1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_FDNAMES", "listen-0:listen-1", 1);
	setenv("LISTEN_PID", "1", 1);
	if (notify_take(fds) != 0) /* of another process */
		_exit(2);
	setenv("LISTEN_PID", pid, 1);
	if (notify_take(fds) != 3 || fds[1].fd != 4 ||
	    strcmp(fds[0].name, "listen-0") != 0 ||
	    strcmp(fds[1].name, "listen-1") != 0 || fds[2].name[0] != '\0')
		_exit(3);
	if (!(fcntl(5, F_GETFD) & FD_CLOEXEC) || getenv("LISTEN_FDS"))
		_exit(4);
	_exit(notify_take(fds) == 0 ? 0 : 5);
}

Test(notify, kept_descriptors_are_taken_over_once)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		take_three();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}

#include "master/listener.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct listeners l;
static char why[LISTENER_WHY_MAX];

/* A port that is free, held by a socket that does not listen. */
static int hold(bool shared)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;

	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	listener_init(&l, "127.0.0.1", ntohs(at.sin_port));
	return fd;
}

static bool connects(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)l.port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

	close(fd);
	return ok;
}

Test(listener, there_is_one_socket_per_slot_at_one_address)
{
	int holder = hold(true);
	int value = 0;
	socklen_t len = sizeof(value);

	cr_assert_eq(listener_open(&l, 3, why), 0, "%s", why);
	for (int i = 0; i < 3; i++)
		cr_assert_geq(l.fds[i], 0);
	cr_assert_eq(l.fds[3], -1);
	cr_assert(connects());
	cr_assert(fcntl(l.fds[0], F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(l.fds[0], F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(
		getsockopt(l.fds[0], IPPROTO_TCP, TCP_NODELAY, &value, &len),
		0);
	cr_assert_eq(value, 1);

	int first = l.fds[0];
	cr_assert_eq(listener_open(&l, 5, why), 0, "%s", why);
	cr_assert_eq(l.fds[0], first, "those that are open stay");
	cr_assert_geq(l.fds[4], 0);
	listener_close(&l);
	cr_assert_not(connects());
	close(holder);
}

Test(listener, a_taken_port_is_explained)
{
	int other = hold(false);
	char port[8];

	listen(other, 1);
	snprintf(port, sizeof(port), "%d", l.port);
	cr_assert_eq(listener_open(&l, 1, why), -EADDRINUSE);
	cr_assert_not_null(strstr(why, port), "%s", why);
	cr_assert_not_null(strstr(why, "127.0.0.1"));
	cr_assert_not_null(strstr(why, "another program"));
	close(other);
}

Test(listener, a_host_that_is_not_ours_is_explained)
{
	listener_init(&l, "192.0.2.1", 9);
	cr_assert_lt(listener_open(&l, 1, why), 0);
	cr_assert_not_null(strstr(why, "192.0.2.1"), "%s", why);
	listener_init(&l, "not a host", 9);
	cr_assert_lt(listener_open(&l, 1, why), 0);
	cr_assert_not_null(strstr(why, "not a host"), "%s", why);
}

Test(listener, addresses_are_written_as_in_a_url)
{
	listener_init(&l, "::", 80);
	cr_assert_str_eq(l.address, "[::]:80");
	listener_init(&l, "localhost", 80);
	cr_assert_str_eq(l.address, "localhost:80");
}

Test(listener, kept_sockets_are_taken_over_when_they_are_ours)
{
	static struct notify_fd kept[5];
	int holder = hold(true);

	cr_assert_eq(listener_open(&l, 2, why), 0, "%s", why);
	kept[0] = (struct notify_fd){ "listen-0", l.fds[0] };
	kept[1] = (struct notify_fd){ "listen-7", l.fds[1] };
	kept[2] = (struct notify_fd){ "listen-1", dup(holder) };
	kept[3] = (struct notify_fd){ "listen-999", dup(l.fds[0]) };
	kept[4] = (struct notify_fd){ "stranger", dup(l.fds[0]) };

	struct listeners next;
	listener_init(&next, "127.0.0.1", l.port);
	cr_assert_eq(listener_adopt(&next, kept, 5), 2);
	cr_assert_eq(next.fds[0], kept[0].fd);
	cr_assert_eq(next.fds[7], kept[1].fd);
	cr_assert_eq(next.fds[1], -1, "it does not listen");
	for (int i = 2; i < 5; i++)
		cr_assert_eq(fcntl(kept[i].fd, F_GETFD), -1);

	/* Another port now. */
	struct listeners other;
	listener_init(&other, "127.0.0.1", l.port == 1 ? 2 : 1);
	cr_assert_eq(listener_adopt(&other, kept, 2), 0);
	cr_assert_eq(fcntl(kept[0].fd, F_GETFD), -1);
	close(holder);
}

Test(listener, a_private_one)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fds[2], one = 1, other;
	uint16_t ports[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(listener_private(&fds[i], &ports[i]), 0);
	cr_expect_neq(ports[0], ports[1]);
	cr_assert_eq(getsockname(fds[0], (struct sockaddr *)&at, &len), 0);
	cr_expect_eq(at.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_expect_eq(ntohs(at.sin_port), ports[0]);
	cr_expect(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	l.port = ports[0];
	cr_expect(connects());
	/* Nobody takes a share of it. */
	other = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	cr_expect_lt(bind(other, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_expect_eq(errno, EADDRINUSE);
	close(other);
	close(fds[0]);
	close(fds[1]);
}

Test(listener, a_private_one_without_descriptors)
{
	struct rlimit all, few;
	uint16_t port;
	int fd, err;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	err = listener_private(&fd, &port);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_expect_eq(err, -EMFILE);
	cr_expect_lt(fd, 0);
}

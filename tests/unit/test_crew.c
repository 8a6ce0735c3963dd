#include "master/crew.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/control.h"

static struct crew crew;
static int control[WORKERS_MAX][2];

/* Children without processes: what they are sent lies in their sockets. */
static void begin(void)
{
	struct board *board;
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	crew.home.board = board;
	crew_init(&crew);
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert_eq(control_pair(control[i]), 0);
		crew.workers[i].control.fd = control[i][0];
		crew.workers[i].pid = 1;
		crew.workers[i].state = CHILD_SERVING;
	}
}

TestSuite(crew, .init = begin);

/* The descriptor of the next handover message; -1: there is none. */
static int next_handover(uint32_t slot)
{
	struct control msg;
	int fd;

	while (control_receive(control[slot][1], &msg, &fd) == 1) {
		if (msg.type == CONTROL_HANDOVER)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in at = { .sin_port = 0 };
	socklen_t len = sizeof(at);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

/* Each worker has one, which its successor gets too. */
Test(crew, sockets_between_workers)
{
	uint16_t ports[2];

	for (uint32_t i = 0; i < 2; i++) {
		int fd;

		cr_expect_eq(crew.handover[i], -1);
		crew_connect(&crew, &crew.workers[i]);
		fd = next_handover(i);
		cr_assert_geq(fd, 0);
		ports[i] = port_of(fd);
		cr_expect_eq(ports[i],
		             atomic_load(&crew.workers[i].row->handover_port));
		close(fd);
		crew_connect(&crew, &crew.workers[i]);
		fd = next_handover(i);
		cr_assert_geq(fd, 0);
		cr_expect_eq(port_of(fd), ports[i]);
		close(fd);
		cr_expect_eq(next_handover(i), -1);
	}
	cr_expect_neq(ports[0], ports[1]);
	cr_expect_eq(crew.handover[2], -1);
}

/* Without a descriptor for it a worker serves as well, and the next one tries
 * again. */
Test(crew, no_socket_between_workers)
{
	struct rlimit all, few;

	cr_assert_eq(control_pair(crew.signing[0]), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	crew_connect(&crew, &crew.workers[0]);
	cr_expect_eq(crew.handover[0], -1);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_expect_eq(next_handover(0), -1);
	cr_expect_eq(atomic_load(&crew.workers[0].row->handover_port), 0u);
	crew_connect(&crew, &crew.workers[0]);
	cr_expect_geq(next_handover(0), 0);
	cr_expect_neq(atomic_load(&crew.workers[0].row->handover_port), 0u);
}

/* Nor does it need those for signatures. */
Test(crew, a_socket_between_workers_alone)
{
	struct rlimit all, few;
	int next = dup(STDERR_FILENO);

	cr_assert_geq(next, 0);
	close(next);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = (rlim_t)next + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	crew_connect(&crew, &crew.workers[0]);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_expect_eq(crew.signing[0][0], -1);
	cr_expect_geq(next_handover(0), 0);
}

#include "master/outlet.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUCH (3u << 20)

static struct loop *loop;
static struct outlet out;
static struct source reader;
static size_t arrived;

static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putc(&out.queue, (char)('a' + i % 26));
}

static void on_bytes(struct source *src, uint32_t events)
{
	static char bytes[10000];
	ssize_t n = read(src->fd, bytes, sizeof(bytes));

	(void)events;
	for (ssize_t i = 0; i < n; i++)
		cr_assert(bytes[i] == (char)('a' + (arrived + (size_t)i) % 26));
	arrived += n > 0 ? (size_t)n : 0;
	if (arrived == MUCH)
		loop_stop(loop);
}

/* All of it arrives in order, and the descriptor stays a blocking one. */
static void carry(int from, int to)
{
	loop = loop_new();
	cr_assert(loop && outlet_open(&out, loop, to) == 0);
	fill(MUCH);
	cr_expect(outlet_is_full(&out));
	outlet_flush(&out);
	cr_expect(outlet_waiting(&out) > 0 && outlet_waiting(&out) < MUCH);
	reader = (struct source){ .fd = from, .on_ready = on_bytes };
	cr_assert(loop_add(loop, &reader, EPOLLIN) == 0);
	cr_assert(loop_run(loop) == 0);
	outlet_flush(&out);
	cr_expect(outlet_waiting(&out) == 0 && !out.is_broken);
	cr_expect(!(fcntl(to, F_GETFL) & O_NONBLOCK));
	outlet_close(&out);
}

Test(outlet, pipe, .timeout = 20)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	carry(ends[0], ends[1]);
}

Test(outlet, socket, .timeout = 20)
{
	int ends[2];

	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	carry(ends[0], ends[1]);
}

Test(outlet, file, .timeout = 20)
{
	char name[] = "/tmp/test_outlet.XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	loop = loop_new();
	cr_assert(outlet_open(&out, loop, fd) == 0);
	fill(MUCH);
	outlet_flush(&out);
	cr_expect(outlet_waiting(&out) == 0);
	cr_expect(lseek(fd, 0, SEEK_CUR) == MUCH);
}

Test(outlet, nobody_reads, .timeout = 20)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert(pipe(ends) == 0);
	close(ends[0]);
	loop = loop_new();
	cr_assert(outlet_open(&out, loop, ends[1]) == 0);
	fill(10);
	outlet_flush(&out);
	cr_expect(out.is_broken && outlet_waiting(&out) == 0);
	outlet_flush(&out);
	outlet_close(&out);
}

#include "master/outlet.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that is ready takes PIPE_BUF bytes without waiting (pipe(7)). */
static ssize_t put(const struct outlet *o, struct span bytes)
{
	struct pollfd ready = { .fd = o->source.fd, .events = POLLOUT };

	if (o->is_socket)
		return send(o->source.fd, bytes.at, bytes.len,
		            MSG_DONTWAIT | MSG_NOSIGNAL);
	if (o->is_file)
		return write(o->source.fd, bytes.at, bytes.len);
	if (poll(&ready, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(o->source.fd, bytes.at, MIN(bytes.len, PIPE_BUF));
}

size_t outlet_waiting(const struct outlet *o)
{
	return o->queue.len - o->written;
}

bool outlet_is_full(const struct outlet *o)
{
	return outlet_waiting(o) > OUTLET_FULL;
}

static void watch(struct outlet *o, uint32_t events)
{
	if (!o->is_file)
		loop_set(o->loop, &o->source, events);
}

static void give_up(struct outlet *o)
{
	o->is_broken = true;
	o->written = 0;
	buf_free(&o->queue);
	if (!o->is_file)
		loop_remove(o->loop, &o->source);
	o->is_file = true; /* nothing is watched any more */
}

void outlet_flush(struct outlet *o)
{
	if (o->is_broken)
		return;
	if (buf_err(&o->queue) < 0) {
		give_up(o);
		return;
	}
	while (outlet_waiting(o) > 0) {
		ssize_t n = put(o, span_from(buf_span(&o->queue), o->written));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			give_up(o);
			return;
		}
		o->written += (size_t)n;
	}
	/* Moving the rest down costs no more than what was written. */
	if (o->written >= o->queue.len - o->written) {
		buf_consume(&o->queue, o->written);
		o->written = 0;
	}
	watch(o, outlet_waiting(o) ? EPOLLOUT : 0);
}

static void on_ready(struct source *src, uint32_t events)
{
	struct outlet *o = CONTAINER_OF(src, struct outlet, source);

	if (events & (EPOLLERR | EPOLLHUP))
		give_up(o);
	else
		outlet_flush(o);
}

int outlet_open(struct outlet *o, struct loop *loop, int fd)
{
	struct stat st;

	*o = (struct outlet){
		.loop = loop,
		.source = { .fd = fd, .on_ready = on_ready },
		.queue = { .max = OUTLET_MAX },
	};
	o->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);

	int err = loop_add(loop, &o->source, 0);
	if (err != -EPERM)
		return err;
	o->is_file = true; /* epoll(7) knows no regular files */
	return 0;
}

void outlet_close(struct outlet *o)
{
	if (!o->is_file)
		loop_remove(o->loop, &o->source);
	o->is_file = true;
	buf_free(&o->queue);
	o->written = 0;
}

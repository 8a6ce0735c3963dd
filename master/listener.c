#include "master/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ip.h"
#include "lib/log.h"

#define NAME_HEAD "listen-"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

void listener_init(struct listeners *l, const char *host, int port)
{
	*l = (struct listeners){ .host = host, .port = port };
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		l->fds[i] = -1;
	snprintf(l->address, sizeof(l->address),
	         strchr(host, ':') ? "[%.50s]:%d" : "%.50s:%d", host, port);
}

/* The address to bind to; a name ("localhost") gives its first one. */
static int resolve(const struct listeners *l, union address *out,
                   socklen_t *len, char why[LISTENER_WHY_MAX])
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *found = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%d", l->port);

	int rc = getaddrinfo(l->host, port, &hints, &found);
	if (rc != 0) {
		snprintf(why, LISTENER_WHY_MAX,
		         "host: \"%.200s\" is neither an address nor a name of "
		         "this machine: %s",
		         l->host, gai_strerror(rc));
		return -EADDRNOTAVAIL;
	}
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* What an administrator can do about it. */
static const char *advice(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another program listens there; stop it, or choose "
		       "another port";
	case -EACCES:
		return "a port below 1024 needs CAP_NET_BIND_SERVICE; choose "
		       "a higher one, or let the service manager grant it";
	case -EADDRNOTAVAIL:
		return "this machine does not have that address";
	default:
		return log_errno(err);
	}
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static int open_one(const union address *at, socklen_t len)
{
	int fd = socket(at->any.sa_family,
	                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return os_error();
	/* "::" is IPv4 too. Connections inherit TCP_NODELAY from here. */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
	    set(fd, SOL_SOCKET, SO_REUSEPORT, 1) &&
	    set(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
	    (at->any.sa_family != AF_INET6 ||
	     set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
	    bind(fd, &at->any, len) == 0 && listen(fd, LISTENER_BACKLOG) == 0)
		return fd;

	int err = os_error();
	close(fd);
	return err;
}

int listener_open(struct listeners *l, uint32_t n, char why[LISTENER_WHY_MAX])
{
	union address at;
	socklen_t len;
	int err = resolve(l, &at, &len, why);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		if (l->fds[i] >= 0)
			continue;

		int fd = open_one(&at, len);
		if (fd < 0) {
			snprintf(why, LISTENER_WHY_MAX,
			         "cannot listen on %s: %s", l->address,
			         advice(fd));
			return fd;
		}
		l->fds[i] = fd;
	}
	return 0;
}

/* Does this socket listen where we would? */
static bool is_ours(int fd, const union address *ours)
{
	union address its = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(its);
	struct ip a, b;
	uint16_t a_port, b_port;
	int listening = 0;
	socklen_t size = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ||
	    !listening || getsockname(fd, &its.any, &len) < 0)
		return false;
	return its.any.sa_family == ours->any.sa_family &&
	       ip_from_sockaddr(&its.any, &a, &a_port) &&
	       ip_from_sockaddr(&ours->any, &b, &b_port) && ip_eq(&a, &b) &&
	       a_port == b_port;
}

static bool slot_of(const char *name, uint32_t *slot)
{
	struct span s = span_str(name);
	uint64_t n;

	if (!span_starts(s, SPAN(NAME_HEAD)) ||
	    !span_u64(span_from(s, strlen(NAME_HEAD)), WORKERS_MAX - 1, &n))
		return false;
	*slot = (uint32_t)n;
	return true;
}

unsigned listener_adopt(struct listeners *l, const struct notify_fd *kept,
                        size_t n)
{
	union address at;
	socklen_t len;
	char why[LISTENER_WHY_MAX];
	bool known = resolve(l, &at, &len, why) == 0;
	unsigned taken = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t slot;

		if (known && slot_of(kept[i].name, &slot) && l->fds[slot] < 0 &&
		    is_ours(kept[i].fd, &at)) {
			l->fds[slot] = kept[i].fd;
			taken++;
			continue;
		}
		if (slot_of(kept[i].name, &slot))
			notify_forget(kept[i].name);
		close(kept[i].fd);
	}
	return taken;
}

bool listener_store(const struct listeners *l)
{
	char name[NOTIFY_NAME_MAX];

	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		if (l->fds[i] < 0)
			continue;
		snprintf(name, sizeof(name), NAME_HEAD "%u", i);
		notify_store(name, l->fds[i]);
	}
	return notify_wanted();
}

int listener_private(int *fd, uint16_t *port)
{
	union address at = {
		.v4 = { .sin_family = AF_INET,
		        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof(at.v4);
	struct ip ip;
	int err;

	/* Without SO_REUSEPORT: nobody else may take a share of it. */
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return os_error();
	if (bind(*fd, &at.any, len) == 0 &&
	    listen(*fd, LISTENER_BACKLOG) == 0 &&
	    getsockname(*fd, &at.any, &len) == 0 &&
	    ip_from_sockaddr(&at.any, &ip, port))
		return 0;
	err = os_error();
	close(*fd);
	*fd = -1;
	return err;
}

void listener_close(struct listeners *l)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		if (l->fds[i] >= 0)
			close(l->fds[i]);
		l->fds[i] = -1;
	}
}

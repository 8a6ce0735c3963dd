#include "lib/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES 524288 /* of a thread */
#define HOST_MAX    253    /* bytes (RFC 1035, section 2.3.4) */

/* What the threads and the loop's side share; the last one frees it. */
struct mailbox {
	pthread_mutex_t lock;
	int eventfd;         /* written to: look here */
	unsigned refs;       /* threads and the loop's side; under lock */
	bool closed;         /* the loop's side is gone; under lock */
	struct lookup *done; /* under lock */
};

enum lookup_state { LOOKUP_QUEUED, LOOKUP_RUNNING };

struct lookup {
	struct lookups *all; /* not for the thread */
	struct mailbox *mail;
	struct lookup *next; /* in a queue, or among the done */
	void (*on_done)(void *owner, int err, const struct sockaddr_storage *at,
	                size_t n); /* NULL: cancelled; not for the thread */
	void *owner;
	enum lookup_state state;
	int err;
	uint16_t port;
	size_t n;
	struct sockaddr_storage found[LOOKUP_ADDRESSES_MAX];
	char host[HOST_MAX + 1];
};

struct lookups {
	struct loop *loop;
	struct source wakeup; /* mail->eventfd */
	struct mailbox *mail;
	struct lookup *queue; /* newest first */
	unsigned n_running;
};

static void release(struct mailbox *mail) /* holds the lock */
{
	bool last = --mail->refs == 0;

	pthread_mutex_unlock(&mail->lock);
	if (!last)
		return;
	close(mail->eventfd);
	pthread_mutex_destroy(&mail->lock);
	free(mail);
}

static void find(struct lookup *l)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%u", l->port);
	if (getaddrinfo(l->host, port, &hints, &list) == 0)
		for (struct addrinfo *a = list; a; a = a->ai_next)
			if (l->n < ARRAY_LEN(l->found) &&
			    a->ai_addrlen <= sizeof(l->found[0]))
				memcpy(&l->found[l->n++], a->ai_addr,
				       a->ai_addrlen);
	if (list)
		freeaddrinfo(list);
	l->err = l->n ? 0 : -EHOSTUNREACH;
}

static void *look_up(void *arg)
{
	struct lookup *l = arg;
	struct mailbox *mail = l->mail;

	find(l);
	pthread_mutex_lock(&mail->lock);
	if (mail->closed) {
		free(l);
	} else {
		l->next = mail->done;
		mail->done = l;
		eventfd_write(mail->eventfd, 1);
	}
	release(mail);
	return NULL;
}

static int start_thread(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all); /* signals are for the loop's thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, look_up, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

static void run_lookup(struct lookup *l)
{
	struct mailbox *mail = l->mail;

	l->state = LOOKUP_RUNNING;
	l->all->n_running++;
	pthread_mutex_lock(&mail->lock);
	mail->refs++;
	pthread_mutex_unlock(&mail->lock);
	if (start_thread(l) == 0)
		return;
	pthread_mutex_lock(&mail->lock);
	mail->refs--;
	l->err = -EHOSTUNREACH;
	l->next = mail->done;
	mail->done = l;
	eventfd_write(mail->eventfd, 1);
	pthread_mutex_unlock(&mail->lock);
}

static void run_queued(struct lookups *all)
{
	while (all->queue && all->n_running < LOOKUP_THREADS_MAX) {
		struct lookup **oldest = &all->queue;

		while ((*oldest)->next)
			oldest = &(*oldest)->next;

		struct lookup *l = *oldest;
		*oldest = NULL;
		run_lookup(l);
	}
}

static void collect(struct lookups *all)
{
	pthread_mutex_lock(&all->mail->lock);
	struct lookup *done = all->mail->done;
	all->mail->done = NULL;
	pthread_mutex_unlock(&all->mail->lock);

	while (done) {
		struct lookup *l = done;

		done = l->next;
		all->n_running--;
		if (l->on_done)
			l->on_done(l->owner, l->err, l->found, l->n);
		free(l);
	}
	run_queued(all);
}

struct lookup *
lookup_start(struct lookups *all, struct span host, uint16_t port,
             void (*on_done)(void *owner, int err,
                             const struct sockaddr_storage *at, size_t n),
             void *owner)
{
	struct lookup *l;

	if (host.len == 0 || host.len > HOST_MAX)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	*l = (struct lookup){ .all = all,
		              .mail = all->mail,
		              .port = port,
		              .on_done = on_done,
		              .owner = owner };
	memcpy(l->host, host.at, host.len);
	l->next = all->queue;
	all->queue = l;
	run_queued(all);
	return l;
}

void lookup_cancel(struct lookup *lookup)
{
	lookup->on_done = NULL;
	if (lookup->state != LOOKUP_QUEUED)
		return; /* freed when its thread is done */
	for (struct lookup **l = &lookup->all->queue; *l; l = &(*l)->next) {
		if (*l == lookup) {
			*l = lookup->next;
			free(lookup);
			return;
		}
	}
}

static void on_wakeup(struct source *src, uint32_t events)
{
	struct lookups *all = CONTAINER_OF(src, struct lookups, wakeup);
	eventfd_t count;

	(void)events;
	eventfd_read(src->fd, &count);
	collect(all);
}

static struct mailbox *new_mailbox(void)
{
	struct mailbox *mail = calloc(1, sizeof(*mail));

	if (!mail)
		return NULL;
	mail->refs = 1;
	mail->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mail->eventfd < 0) {
		free(mail);
		return NULL;
	}
	pthread_mutex_init(&mail->lock, NULL);
	return mail;
}

static void close_mailbox(struct mailbox *mail)
{
	pthread_mutex_lock(&mail->lock);
	mail->closed = true;
	while (mail->done) {
		struct lookup *l = mail->done;

		mail->done = l->next;
		free(l);
	}
	release(mail);
}

struct lookups *lookups_new(struct loop *loop)
{
	struct lookups *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->loop = loop;
	all->mail = new_mailbox();
	if (!all->mail) {
		free(all);
		return NULL;
	}
	all->wakeup = (struct source){ .fd = all->mail->eventfd,
		                       .on_ready = on_wakeup };
	if (loop_add(loop, &all->wakeup, EPOLLIN) < 0) {
		close_mailbox(all->mail);
		free(all);
		return NULL;
	}
	return all;
}

void lookups_free(struct lookups *all)
{
	if (!all)
		return;
	while (all->queue) {
		struct lookup *l = all->queue;

		all->queue = l->next;
		free(l);
	}
	loop_remove(all->loop, &all->wakeup);
	close_mailbox(all->mail);
	free(all);
}

#include "oci/signature.h"

#include <fcntl.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "oci/exchange.h"

/* A message's memory that is kept for the next; longer ones are rare. */
#define KEPT_MAX 4096

struct signature {
	struct signature_channel *channel;
	struct signature *next; /* in the list of free ones, or of unsent */
	uint64_t id;            /* its low bits are its place in the table */
	uint64_t deadline_ms;
	bool pending;
	bool unsent; /* in the list of those that wait for the socket */
	struct timer timer;
	struct buf message;
	void (*on_done)(void *owner, const struct signature_answer *answer);
	void *owner;
};

struct signature_channel {
	struct loop *loop;
	struct source socket;
	struct signature *table[SIGNATURE_PENDING_MAX];
	size_t n_table; /* made so far */
	struct signature *free;
	struct signature *unsent, **unsent_end;
	bool closed;     /* the other end is gone for good */
	uint64_t serial; /* of the last id, from a random start, so that an
	                    answer to a predecessor is not taken for ours */
	struct signature_counts counts;
	char room[EXCHANGE_MAX];
};

/* --- requests --------------------------------------------------------------
 */

static struct signature *take(struct signature_channel *c)
{
	struct signature *s = c->free;

	if (s) {
		c->free = s->next;
		return s;
	}
	if (c->n_table == SIGNATURE_PENDING_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->channel = c;
	s->id = c->n_table;
	s->message.max = EXCHANGE_MAX;
	c->table[c->n_table++] = s;
	return s;
}

static void leave_unsent(struct signature *s)
{
	struct signature_channel *c = s->channel;
	struct signature **link = &c->unsent;

	if (!s->unsent)
		return;
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	if (!*link)
		c->unsent_end = link;
	s->unsent = false;
}

static void give_back(struct signature *s)
{
	struct signature_channel *c = s->channel;

	loop_timer_stop(c->loop, &s->timer);
	leave_unsent(s);
	s->pending = false;
	if (s->message.cap > KEPT_MAX)
		buf_free(&s->message);
	else
		buf_reset(&s->message);
	s->next = c->free;
	c->free = s;
}

static void finish(struct signature *s, const struct signature_answer *answer)
{
	void (*on_done)(void *, const struct signature_answer *) = s->on_done;
	void *owner = s->owner;
	struct signature_counts *counts = &s->channel->counts;

	counts->answered += answer->err == 0;
	counts->failed += answer->err != 0;
	give_back(s);
	on_done(owner, answer);
}

/* --- sending ---------------------------------------------------------------
 */

/* What fails for another reason than a full socket is sent again in time. */
static bool send_now(struct signature *s)
{
	return exchange_send(s->channel->socket.fd, buf_span(&s->message)) !=
	       -EAGAIN;
}

static void send_or_wait(struct signature *s)
{
	struct signature_channel *c = s->channel;

	if (c->closed || s->unsent || (!c->unsent && send_now(s)))
		return;
	s->unsent = true;
	s->next = NULL;
	*c->unsent_end = s;
	c->unsent_end = &s->next;
	loop_set(c->loop, &c->socket, EPOLLIN | EPOLLOUT);
}

static void send_waiting(struct signature_channel *c)
{
	while (c->unsent && send_now(c->unsent))
		leave_unsent(c->unsent);
	if (!c->unsent)
		loop_set(c->loop, &c->socket, EPOLLIN);
}

static void arm(struct signature *s);

static void on_due(struct timer *t)
{
	struct signature *s = CONTAINER_OF(t, struct signature, timer);

	if (clock_mono_ms() >= s->deadline_ms) {
		finish(s, &(struct signature_answer){
				  .err = -ETIMEDOUT,
				  .sentence = SPAN(
					  "The keeper process, which holds "
					  "the credentials, did not answer in "
					  "time. Try again; if this goes on, "
					  "see its log.") });
		return;
	}
	s->channel->counts.repeated++;
	send_or_wait(s);
	arm(s);
}

static void arm(struct signature *s)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t left_ms =
		s->deadline_ms > now_ms ? s->deadline_ms - now_ms : 0;

	loop_timer(s->channel->loop, &s->timer,
	           MIN(left_ms, SIGNATURE_REPEAT_MS), on_due);
}

static uint64_t flags_of(const struct signature_request *r)
{
	return (r->identity_only ? ASK_IDENTITY_ONLY : 0) |
	       (r->with_body ? ASK_WITH_BODY : 0) |
	       (r->unsigned_body ? ASK_UNSIGNED_BODY : 0);
}

static int compose(struct signature *s, const struct signature_request *r)
{
	const struct exchange_message ask = {
		.kind = EXCHANGE_ASK,
		.id = s->id,
		.numbers = { [ASK_CREDENTIAL] = r->credential,
		             [ASK_FLAGS] = flags_of(r),
		             [ASK_CONTENT_LENGTH] = r->content_length,
		             [ASK_REFUSED] = r->refused_generation,
		             [ASK_SKEW_S] = (uint64_t)r->skew_s,
		             [ASK_DEADLINE] = s->deadline_ms },
		.texts = { [ASK_METHOD] = r->method,
		           [ASK_TARGET] = r->target,
		           [ASK_HOST] = r->host,
		           [ASK_CONTENT_TYPE] = r->content_type,
		           [ASK_BODY_SHA256] = r->body_sha256 },
	};

	return exchange_write(&ask, &s->message);
}

int signature_ask(struct signature_channel *channel,
                  const struct signature_request *request,
                  struct signature **out)
{
	struct signature *s;
	int err;

	assert(request->on_done);
	if (request->body_sha256.len &&
	    request->body_sha256.len != SIGNATURE_SHA256_LEN)
		return -EINVAL;
	s = take(channel);
	if (!s)
		return channel->n_table == SIGNATURE_PENDING_MAX ? -ENOBUFS
		                                                 : -ENOMEM;
	s->id = ++channel->serial * SIGNATURE_PENDING_MAX +
	        s->id % SIGNATURE_PENDING_MAX;
	s->deadline_ms =
		clock_mono_ms() + (request->timeout_ms ? request->timeout_ms
	                                               : SIGNATURE_TIMEOUT_MS);
	s->on_done = request->on_done;
	s->owner = request->owner;
	err = compose(s, request);
	if (err < 0) {
		give_back(s);
		return err;
	}
	s->pending = true;
	channel->counts.asked++;
	send_or_wait(s);
	arm(s);
	*out = s;
	return 0;
}

void signature_cancel(struct signature *signature)
{
	give_back(signature);
}

/* --- answers ---------------------------------------------------------------
 */

static struct signature *find(struct signature_channel *c, uint64_t id)
{
	size_t place = id % SIGNATURE_PENDING_MAX;
	struct signature *s = place < c->n_table ? c->table[place] : NULL;

	return s && s->pending && s->id == id ? s : NULL;
}

static void take_answer(struct signature_channel *c, struct span packet)
{
	struct sockaddr_storage at[SIGNATURE_ADDRESSES_MAX];
	struct exchange_message got;
	struct signature *s = NULL;
	struct span addresses;

	if (exchange_read(packet, EXCHANGE_ANSWER, &got) &&
	    got.numbers[ANSWER_ERR] <= INT32_MAX)
		s = find(c, got.id);
	if (!s) {
		c->counts.foreign++;
		return;
	}
	/* In the packet they may lie at any place. */
	addresses = got.texts[ANSWER_ADDRESSES];
	if (addresses.len % sizeof(at[0]) || addresses.len > sizeof(at))
		addresses.len = 0;
	if (addresses.len)
		memcpy(at, addresses.at, addresses.len);
	finish(s,
	       &(struct signature_answer){
		       .addresses = at,
		       .n_addresses = addresses.len / sizeof(at[0]),
		       .err = -(int)got.numbers[ANSWER_ERR],
		       .sentence = got.texts[ANSWER_SENTENCE],
		       .lines = got.texts[ANSWER_LINES],
		       .generation = got.numbers[ANSWER_GENERATION],
		       .identity = {
			       .tenancy = got.texts[ANSWER_TENANCY],
			       .subject = got.texts[ANSWER_SUBJECT],
			       .region = got.texts[ANSWER_REGION],
			       .domain = got.texts[ANSWER_DOMAIN],
			       .method = got.texts[ANSWER_METHOD],
			       .expires_s =
				       (int64_t)got.numbers[ANSWER_EXPIRES_S],
		       } });
}

/* Level-triggered: what is left after a batch is reported again. */
static void on_ready(struct source *src, uint32_t events)
{
	struct signature_channel *c =
		CONTAINER_OF(src, struct signature_channel, socket);

	for (int i = 0; i < EXCHANGE_BATCH; i++) {
		int n = exchange_receive(src->fd, c->room);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			/* Nobody will answer any more; times run out. */
			c->closed = true;
			loop_remove(c->loop, src);
			return;
		}
		take_answer(c, span_of(c->room, (size_t)n));
	}
	if (events & EPOLLOUT)
		send_waiting(c);
}

/* --- the channel -----------------------------------------------------------
 */

static void discard_old(struct signature_channel *c)
{
	while (exchange_receive(c->socket.fd, c->room) >= 0)
		c->counts.foreign++;
}

struct signature_channel *signature_channel_new(struct loop *loop, int fd)
{
	struct signature_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = loop;
	c->socket.fd = fd;
	c->socket.on_ready = on_ready;
	c->unsent_end = &c->unsent;
	crypto_random(&c->serial, sizeof(c->serial));
	discard_old(c);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    loop_add(loop, &c->socket, EPOLLIN) < 0) {
		free(c);
		return NULL;
	}
	return c;
}

void signature_channel_free(struct signature_channel *channel)
{
	if (!channel)
		return;
	if (!channel->closed)
		loop_remove(channel->loop, &channel->socket);
	for (size_t i = 0; i < channel->n_table; i++) {
		loop_timer_stop(channel->loop, &channel->table[i]->timer);
		buf_free(&channel->table[i]->message);
		free(channel->table[i]);
	}
	free(channel);
}

const struct signature_counts *
signature_counts(const struct signature_channel *channel)
{
	return &channel->counts;
}

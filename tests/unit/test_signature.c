#include "oci/signature.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "oci/exchange.h"

static struct loop *loop;
static struct signature_channel *channel;
static int fd[2]; /* ours, the keeper's */
static char room[EXCHANGE_MAX];

/* What on_done was told last. */
static struct {
	unsigned times;
	int err;
	uint64_t generation;
	char lines[256], sentence[512], region[64];
} told;

static void start(void)
{
	cr_assert_eq(crypto_init(), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	loop = loop_new();
	channel = signature_channel_new(loop, fd[0]);
	cr_assert(channel);
	memset(&told, 0, sizeof(told));
}

static void stop(void)
{
	signature_channel_free(channel);
	loop_free(loop);
	close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
}

TestSuite(signature, .init = start, .fini = stop);

static void copy(char *to, size_t size, struct span text)
{
	size_t n = MIN(text.len, size - 1);

	memcpy(to, text.at ? text.at : "", n);
	to[n] = '\0';
}

static void on_done(void *owner, const struct signature_answer *a)
{
	cr_assert_eq(owner, &told);
	told.times++;
	told.err = a->err;
	told.generation = a->generation;
	copy(told.lines, sizeof(told.lines), a->lines);
	copy(told.sentence, sizeof(told.sentence), a->sentence);
	copy(told.region, sizeof(told.region), a->identity.region);
}

static struct signature_request request(void)
{
	return (struct signature_request){ .credential = 5,
		                           .method = SPAN("GET"),
		                           .target = SPAN("/a"),
		                           .host = SPAN("h"),
		                           .skew_s = -7,
		                           .refused_generation = 9,
		                           .on_done = on_done,
		                           .owner = &told };
}

static struct signature *ask(uint64_t timeout_ms)
{
	struct signature_request r = request();
	struct signature *s = NULL;

	r.timeout_ms = timeout_ms;
	cr_assert_eq(signature_ask(channel, &r, &s), 0);
	return s;
}

static void on_stop(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void turn(uint64_t ms)
{
	struct timer t = { 0 };

	loop_timer(loop, &t, ms, on_stop);
	cr_assert_eq(loop_run(loop), 0);
}

/* The next question, as the keeper gets it; false: none. */
static bool hear(struct exchange_message *out)
{
	int n = exchange_receive(fd[1], room);

	return n > 0 &&
	       exchange_read(span_of(room, (size_t)n), EXCHANGE_ASK, out);
}

static void reply(uint64_t id, int err)
{
	struct buf b = { .max = EXCHANGE_MAX };
	const struct exchange_message answer = {
		.kind = EXCHANGE_ANSWER,
		.id = id,
		.numbers = { [ANSWER_ERR] = (uint64_t)-err,
		             [ANSWER_GENERATION] = 11 },
		.texts = { [ANSWER_LINES] = SPAN("date: x\r\n"),
		           [ANSWER_SENTENCE] = SPAN("why"),
		           [ANSWER_REGION] = SPAN("fra") },
	};

	cr_assert_eq(exchange_write(&answer, &b), 0);
	cr_assert_eq(exchange_send(fd[1], buf_span(&b)), 0);
	buf_free(&b);
}

Test(signature, a_question_and_its_answer)
{
	struct exchange_message got;

	ask(0);
	cr_assert_eq(told.times, 0);
	cr_assert(hear(&got));
	cr_assert_eq(got.numbers[ASK_CREDENTIAL], 5);
	cr_assert_eq(got.numbers[ASK_REFUSED], 9);
	cr_assert_eq((int64_t)got.numbers[ASK_SKEW_S], -7);
	cr_assert_gt(got.numbers[ASK_DEADLINE], clock_mono_ms() + 10000);
	cr_assert(span_is(got.texts[ASK_TARGET], "/a"));
	reply(got.id, 0);
	turn(5);
	cr_assert_eq(told.times, 1);
	cr_assert_eq(told.err, 0);
	cr_assert_eq(told.generation, 11);
	cr_assert_str_eq(told.lines, "date: x\r\n");
	cr_assert_str_eq(told.region, "fra");
	reply(got.id, 0);
	turn(5);
	cr_assert_eq(told.times, 1);
	cr_assert_eq(signature_counts(channel)->foreign, 1);
	cr_assert_eq(signature_counts(channel)->answered, 1);
}

Test(signature, an_error)
{
	struct exchange_message got;

	ask(0);
	cr_assert(hear(&got));
	reply(got.id, -EACCES);
	turn(5);
	cr_assert_eq(told.err, -EACCES);
	cr_assert_str_eq(told.sentence, "why");
	cr_assert_eq(signature_counts(channel)->failed, 1);
}

Test(signature, what_is_not_answered_is_asked_again_and_then_given_up)
{
	struct exchange_message first, second;
	uint64_t id;

	ask(SIGNATURE_REPEAT_MS + 200);
	cr_assert(hear(&first));
	id = first.id;
	turn(SIGNATURE_REPEAT_MS + 50);
	cr_assert(hear(&second));
	cr_assert_eq(second.id, id);
	cr_assert_eq(told.times, 0);
	turn(300);
	cr_assert_eq(told.err, -ETIMEDOUT);
	cr_assert(strstr(told.sentence, "keeper"));
	cr_assert_not(hear(&second));
	cr_assert_eq(signature_counts(channel)->repeated, 1);
}

Test(signature, cancelled)
{
	struct signature *s = ask(50);
	struct exchange_message got;

	signature_cancel(s);
	cr_assert(hear(&got));
	reply(got.id, 0);
	turn(100);
	cr_assert_eq(told.times, 0);
	cr_assert_eq(signature_counts(channel)->foreign, 1);
}

Test(signature, foreign_messages_are_counted_and_ignored)
{
	cr_assert_eq(exchange_send(fd[1], SPAN("x")), 0);
	cr_assert_eq(exchange_send(fd[1], span_of(room, 1000)), 0);
	reply(12345, 0);
	turn(5);
	cr_assert_eq(signature_counts(channel)->foreign, 3);
	cr_assert_eq(told.times, 0);
}

Test(signature, what_a_predecessor_left_is_thrown_away)
{
	struct exchange_message got;
	struct signature *s = ask(0);

	cr_assert(hear(&got));
	(void)s;
	signature_channel_free(channel);
	reply(got.id, 0);
	channel = signature_channel_new(loop, fd[0]);
	turn(5);
	cr_assert_eq(told.times, 0);
	cr_assert_eq(signature_counts(channel)->foreign, 1);
}

Test(signature, a_full_table_and_a_full_socket)
{
	static struct signature *all[SIGNATURE_PENDING_MAX];
	struct signature_request r = request();
	struct signature *more;
	struct exchange_message got;
	unsigned heard = 0;

	for (size_t i = 0; i < SIGNATURE_PENDING_MAX; i++) {
		r.target = span_of(room, 2000);
		cr_assert_eq(signature_ask(channel, &r, &all[i]), 0);
	}
	cr_assert_eq(signature_ask(channel, &r, &more), -ENOBUFS);
	/* What did not fit follows as the keeper reads. */
	for (int i = 0; i < 1000 && heard < SIGNATURE_PENDING_MAX; i++) {
		while (heard < SIGNATURE_PENDING_MAX && hear(&got))
			heard++;
		turn(1);
	}
	cr_assert_eq(heard, SIGNATURE_PENDING_MAX);
	cr_assert_eq(told.times, 0);
	signature_cancel(all[7]);
	cr_assert_eq(signature_ask(channel, &r, &more), 0);
}

Test(signature, unsent_ones_can_be_cancelled)
{
	struct signature_request r = request();
	struct signature *all[300];

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		r.target = span_of(room, 20000);
		cr_assert_eq(signature_ask(channel, &r, &all[i]), 0);
	}
	for (size_t i = ARRAY_LEN(all); i-- > 0;)
		if (i % 3)
			signature_cancel(all[i]);
	for (size_t i = 0; i < ARRAY_LEN(all); i += 3)
		signature_cancel(all[i]);
	turn(2);
}

Test(signature, what_cannot_be_asked)
{
	struct signature_request r = request();
	struct signature *s;

	r.body_sha256 = SPAN("short");
	cr_assert_eq(signature_ask(channel, &r, &s), -EINVAL);
	r = request();
	r.target = span_of(room, EXCHANGE_MAX);
	cr_assert_eq(signature_ask(channel, &r, &s), -EMSGSIZE);
	turn(2);
	cr_assert_eq(told.times, 0);
}

Test(signature, the_other_end_is_gone)
{
	ask(100);
	close(fd[1]);
	fd[1] = -1;
	turn(20);
	ask(100);
	turn(200);
	cr_assert_eq(told.times, 2);
	cr_assert_eq(told.err, -ETIMEDOUT);
}

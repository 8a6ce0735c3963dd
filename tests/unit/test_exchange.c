#include "oci/exchange.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct exchange_message sample = {
	.kind = EXCHANGE_ASK,
	.id = UINT64_C(0x1122334455667788),
	.numbers = { [ASK_CREDENTIAL] = 7, [ASK_SKEW_S] = (uint64_t)-3 },
	.texts = { [ASK_METHOD] = { "GET", 3 }, [ASK_TARGET] = { "/a?b", 4 } },
};

Test(exchange, what_is_written_is_read)
{
	struct buf b = { .max = EXCHANGE_MAX };
	struct exchange_message got;

	cr_assert_eq(exchange_write(&sample, &b), 0);
	cr_assert(exchange_read(buf_span(&b), EXCHANGE_ASK, &got));
	cr_assert_eq(got.id, sample.id);
	cr_assert_eq((int64_t)got.numbers[ASK_SKEW_S], -3);
	cr_assert(span_is(got.texts[ASK_METHOD], "GET"));
	cr_assert(span_is(got.texts[ASK_TARGET], "/a?b"));
	cr_assert_eq(got.texts[ASK_HOST].len, 0);
	cr_assert_not(exchange_read(buf_span(&b), EXCHANGE_ANSWER, &got));
	buf_free(&b);
}

Test(exchange, no_cut_and_no_longer_message_is_one)
{
	struct buf b = { .max = EXCHANGE_MAX };
	struct exchange_message got;

	cr_assert_eq(exchange_write(&sample, &b), 0);
	for (size_t n = 0; n < b.len; n++)
		cr_assert_not(
			exchange_read(span_of(b.bytes, n), EXCHANGE_ASK, &got));
	buf_putc(&b, 'x');
	cr_assert_not(exchange_read(buf_span(&b), EXCHANGE_ASK, &got));
	buf_free(&b);
}

Test(exchange, every_changed_byte_of_the_head_is_survived)
{
	struct buf b = { .max = EXCHANGE_MAX };
	struct exchange_message got;

	cr_assert_eq(exchange_write(&sample, &b), 0);
	for (size_t i = 0; i < b.len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			b.bytes[i] ^= (char)(1U << bit);
			if (exchange_read(buf_span(&b), EXCHANGE_ASK, &got))
				cr_assert_leq(got.texts[ASK_METHOD].len +
				                      got.texts[ASK_TARGET].len,
				              7);
			b.bytes[i] ^= (char)(1U << bit);
		}
	buf_free(&b);
}

Test(exchange, too_long_is_not_written)
{
	static char text[EXCHANGE_MAX];
	struct buf b = { .max = EXCHANGE_MAX };
	struct exchange_message m = { .kind = EXCHANGE_ANSWER };

	m.texts[ANSWER_LINES] = span_of(text, sizeof(text));
	cr_assert_eq(exchange_write(&m, &b), -EMSGSIZE);
	cr_assert_eq(b.len, 0);
	buf_free(&b);
}

Test(exchange, packets_over_a_socket)
{
	static char room[EXCHANGE_MAX], longer[EXCHANGE_MAX + 1];
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	cr_assert_eq(exchange_receive(fd[0], room), -EAGAIN);
	cr_assert_eq(exchange_send(fd[1], SPAN("abc")), 0);
	cr_assert_eq(exchange_send(fd[1], span_of(longer, sizeof(longer))), 0);
	cr_assert_eq(exchange_send(fd[1], SPAN("de")), 0);
	cr_assert_eq(exchange_receive(fd[0], room), 3);
	cr_assert_eq(exchange_receive(fd[0], room), 0);
	cr_assert_eq(exchange_receive(fd[0], room), 2);
	int err = 0;
	for (int i = 0; i < 10000 && err == 0; i++)
		err = exchange_send(fd[1], span_of(room, EXCHANGE_MAX));
	cr_assert_eq(err, -EAGAIN);
	close(fd[0]);
	cr_assert_lt(exchange_send(fd[1], SPAN("x")), 0);
	cr_assert_lt(exchange_receive(fd[1], room), 0);
	close(fd[1]);
}

#include "oci/exchange.h"

#include <sys/socket.h>

/* Changes with the form of struct head and the meaning of its fields. */
#define EXCHANGE_FORM 0x4f434902U

struct head {
	uint32_t form;
	uint32_t kind;
	uint64_t id;
	uint64_t numbers[EXCHANGE_NUMBERS];
	uint32_t lens[EXCHANGE_TEXTS];
};

static_assert(sizeof(struct head) ==
                      16 + 8 * EXCHANGE_NUMBERS + 4 * EXCHANGE_TEXTS,
              "no padding may carry what was in memory before");

int exchange_write(const struct exchange_message *message, struct buf *into)
{
	struct head head = { .form = EXCHANGE_FORM,
		             .kind = message->kind,
		             .id = message->id };
	size_t total = sizeof(head);

	memcpy(head.numbers, message->numbers, sizeof(head.numbers));
	for (size_t i = 0; i < EXCHANGE_TEXTS; i++) {
		if (message->texts[i].len > EXCHANGE_MAX - total)
			return -EMSGSIZE;
		total += message->texts[i].len;
		head.lens[i] = (uint32_t)message->texts[i].len;
	}
	buf_add(into, &head, sizeof(head));
	for (size_t i = 0; i < EXCHANGE_TEXTS; i++)
		buf_add_span(into, message->texts[i]);
	return buf_err(into);
}

bool exchange_read(struct span packet, enum exchange_kind kind,
                   struct exchange_message *out)
{
	struct head head;

	if (packet.len < sizeof(head) || packet.len > EXCHANGE_MAX)
		return false;
	memcpy(&head, packet.at, sizeof(head));
	if (head.form != EXCHANGE_FORM || head.kind != (uint32_t)kind)
		return false;

	struct span rest = span_from(packet, sizeof(head));
	for (size_t i = 0; i < EXCHANGE_TEXTS; i++) {
		if (head.lens[i] > rest.len)
			return false;
		out->texts[i] = span_first(rest, head.lens[i]);
		rest = span_from(rest, head.lens[i]);
	}
	out->kind = kind;
	out->id = head.id;
	memcpy(out->numbers, head.numbers, sizeof(out->numbers));
	return rest.len == 0;
}

int exchange_receive(int fd, char room[EXCHANGE_MAX])
{
	for (;;) {
		ssize_t n =
			recv(fd, room, EXCHANGE_MAX, MSG_DONTWAIT | MSG_TRUNC);

		if (n > EXCHANGE_MAX)
			return 0;
		if (n > 0)
			return (int)n;
		if (n == 0)
			return EXCHANGE_CLOSED;
		if (errno != EINTR)
			return os_error();
	}
}

int exchange_send(int fd, struct span packet)
{
	for (;;) {
		ssize_t n = send(fd, packet.at, packet.len,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			return 0; /* packets are sent whole */
		if (errno != EINTR)
			return os_error();
	}
}

/*
 * fuzz_message - header lines, an empty line, and a body: whatever they are,
 * the message is located inside of the body or refused with an answer that can
 * be sent.
 */
#include "proxy/message.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/scan.h"
#include "lib/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span body, struct span part)
{
	if (part.at && (part.at < body.at || part.len == 0 ||
	                part.at + part.len > body.at + body.len))
		abort();
}

static void check_taken(struct span body, const struct message *m)
{
	const struct span parts[] = {
		m->id,
		m->params,
		m->meta,
		m->name,
		m->ref,
		m->cursor,
		m->level,
		m->arguments,
		m->notifications,
		m->log_level,
		m->capabilities,
		m->progress_token,
		m->protocol_version,
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		inside(body, parts[i]);
	/* A response without an id answers nothing. */
	assert(m->kind != MESSAGE_REQUEST || m->id.len > 0);
	assert(m->kind != MESSAGE_NOTIFICATION || m->id.len == 0);
	assert(m->id.len <= MESSAGE_ID_MAX);
	assert(m->kind != MESSAGE_REQUEST || m->method);
	assert(m->era != VIEW_MODERN || m->kind != MESSAGE_RESPONSE);
	if (m->era == VIEW_LEGACY)
		assert(m->revision < REVISION_2026_07_28);
	if (m->kind == MESSAGE_REQUEST && m->era == VIEW_MODERN)
		assert(value_type(m->capabilities) == VALUE_OBJECT);
}

static void check_refused(const struct message *m, const struct problem *p)
{
	struct scan_error why;

	assert(p->status == 200 || p->status == 400 || p->status == 404);
	assert(!p->has_id || m->id.len > 0);
	assert(memchr(p->text, '\0', sizeof(p->text)) && p->text[0]);
	if (p->data[0])
		assert(scan_document(span_str(p->data), NULL, 0, NULL, &why) ==
		       SCAN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h1_limits limits = { 65536, 8192, H1_FIELDS_MAX };
	static struct h1_request request;
	const uint8_t *gap = memmem(data, size, "\n\n", 2);
	size_t n = gap ? (size_t)(gap - data) + 1 : 0;
	struct buf head = { .max = 1 << 20 };
	struct span body =
		span_of(data + n + (gap != NULL), size - n - (gap != NULL));
	struct message msg;
	struct problem why;

	buf_puts(&head, "POST /mcp HTTP/1.1\r\nHost: h\r\n");
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			buf_putc(&head, '\r');
		buf_putc(&head, (char)data[i]);
	}
	buf_puts(&head, "\r\n");
	if (buf_err(&head) == 0 &&
	    h1_parse_request(buf_span(&head), 0, &limits, &request) == H1_OK) {
		if (message_read(&request.head, body, &msg, &why))
			check_taken(body, &msg);
		else
			check_refused(&msg, &why);
	}
	buf_free(&head);
	return 0;
}

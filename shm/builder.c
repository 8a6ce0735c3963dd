#include "shm/builder.h"

#include "lib/clock.h"
#include "shm/segment.h"

#define ALIGNMENT 8u

static const char zeros[64];

static void align(struct builder *b)
{
	size_t over = b->bytes.len % ALIGNMENT;

	if (over)
		buf_add(&b->bytes, zeros, ALIGNMENT - over);
}

void builder_init(struct builder *b)
{
	struct header head = {
		.magic = LAYOUT_MAGIC,
		.version = LAYOUT_VERSION,
		.n_settings = sizeof(struct settings) / sizeof(int64_t),
	};

	*b = (struct builder){ .bytes = { .max = LAYOUT_MAX } };
	buf_add(&b->bytes, &head, sizeof(head));
}

void builder_copy_config(struct builder *b, const struct snapshot *from)
{
	*b = (struct builder){ .bytes = { .max = LAYOUT_MAX } };
	buf_add(&b->bytes, from->base, from->head->config_end);

	struct header *head = builder_header(b);
	if (head) {
		head->origins = (struct ref){ 0, 0 };
		head->views = (struct ref){ 0, 0 };
	}
}

void builder_free(struct builder *b)
{
	buf_free(&b->bytes);
}

struct header *builder_header(struct builder *b)
{
	return buf_err(&b->bytes) ? NULL : (void *)b->bytes.bytes;
}

struct ref builder_text(struct builder *b, struct span text)
{
	struct ref r = { (uint32_t)b->bytes.len, (uint32_t)text.len };

	buf_add_span(&b->bytes, text);
	buf_putc(&b->bytes, '\0');
	return r;
}

struct ref builder_array(struct builder *b, const void *elements, size_t n,
                         size_t size)
{
	align(b);

	struct ref r = { (uint32_t)b->bytes.len, (uint32_t)n };
	if (elements) {
		buf_add(&b->bytes, elements, n * size);
		return r;
	}
	char *room = buf_reserve(&b->bytes, n * size);
	if (room && n) {
		memset(room, 0, n * size);
		buf_commit(&b->bytes, n * size);
	}
	return r;
}

void *builder_at(struct builder *b, struct ref r)
{
	return buf_err(&b->bytes) ? NULL : b->bytes.bytes + r.off;
}

void builder_end_config(struct builder *b)
{
	align(b);

	struct header *head = builder_header(b);
	if (head)
		head->config_end = (uint32_t)b->bytes.len;
}

int builder_freeze(struct builder *b)
{
	align(b);

	struct header *head = builder_header(b);
	int fd = buf_err(&b->bytes);

	if (head) {
		head->size = b->bytes.len;
		head->built_at_ms = clock_utc_ms();
		fd = segment_freeze("snapshot", b->bytes.bytes, b->bytes.len);
	}
	builder_free(b);
	return fd;
}

/*
 * buf - bytes that grow up to a limit.
 *
 * Failure sticks. The first append that would pass the limit, or finds no
 * memory, empties the buffer and marks it; every later append does nothing. So
 * append freely and ask once, at the end, with buf_err().
 *
 * A buffer of zero bytes with max set is ready to use: { .max = 4096 }.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stddef.h>

#include "lib/base.h"
#include "lib/span.h"

struct buf {
	char *bytes; /* NULL while nothing has been appended */
	size_t len;
	size_t cap;
	size_t max; /* bytes; set by the owner, never raised */
	int err;    /* 0, -ENOBUFS or -ENOMEM; sticky */
};

/* Append len bytes; a no-op once the buffer has failed. */
void buf_add(struct buf *b, const void *bytes, size_t len);

/* Append a span. */
static inline void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.at, s.len);
}

/* Append a C string of our own, without its NUL. */
static inline void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

/* Append a number in decimal; much cheaper than buf_addf(). */
void buf_add_u64(struct buf *b, uint64_t n);
void buf_add_i64(struct buf *b, int64_t n);

/* Append formatted text, without the terminating NUL. */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/*
 * Append s as a JSON string, quotes included (RFC 8259, section 7). Bytes that
 * are not UTF-8 become U+FFFD, so the output is always valid JSON.
 */
void buf_add_json(struct buf *b, struct span s);

/*
 * Room for at least n more bytes to be written at the returned place, then
 * claimed by buf_commit(). Returns NULL when the buffer has failed or fails.
 */
char *buf_reserve(struct buf *b, size_t n);

/* n bytes were written at the place buf_reserve() gave. */
void buf_commit(struct buf *b, size_t n);

/* Take n bytes off the front; the rest moves down. n is at most len. */
void buf_consume(struct buf *b, size_t n);

/* Forget the content and the failure, keep the memory. */
void buf_reset(struct buf *b);

/* What is in it now; valid until the next append. */
static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->bytes, b->len);
}

/* 0, or the first failure since the buffer was made or reset. */
MUST_CHECK int buf_err(const struct buf *b);

/* Give the memory back; the buffer is as good as new (max stays). */
void buf_free(struct buf *b);

#endif

#include "lib/chunked.h"

/* Value of a hex digit, or -1. */
static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * White space before ';' (BWS of section 7.1.1) is refused with the rest: some
 * readers stop at it, others take it for part of the size.
 */
static enum chunk_state size_digit(struct chunked *d, unsigned char c)
{
	int digit = hex(c);

	if (digit >= 0) {
		if (d->digits == CHUNKED_DIGITS_MAX)
			return CHUNK_BAD;
		d->left = d->left << 4 | (unsigned)digit;
		d->digits++;
		return CHUNK_SIZE;
	}
	if (d->digits == 0)
		return CHUNK_BAD;
	return c == '\r' ? CHUNK_SIZE_LF : c == ';' ? CHUNK_EXT : CHUNK_BAD;
}

/* A byte of an extension or a trailer; CR leads to the state after_cr. A bare
 * LF ends a line for some readers, and so must not pass (section 11.2). */
static enum chunk_state skip(struct chunked *d, unsigned char c,
                             enum chunk_state after_cr)
{
	if (c == '\r')
		return after_cr;
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return CHUNK_BAD;
	if (++d->skipped > CHUNKED_SKIP_MAX)
		return CHUNK_BAD;
	return d->state;
}

/* A trailer line must begin like a field: not a folded line, not a colon. */
static enum chunk_state trailer_start(struct chunked *d, unsigned char c)
{
	if (c == '\r')
		return CHUNK_LAST_LF;
	if (c == ' ' || c == '\t' || c == ':')
		return CHUNK_BAD;
	d->state = CHUNK_TRAILER;
	return skip(d, c, CHUNK_BAD);
}

/* One byte in, the next state out: section 7.1. */
static enum chunk_state step(struct chunked *d, unsigned char c)
{
	switch (d->state) {
	case CHUNK_SIZE:
		return size_digit(d, c);
	case CHUNK_EXT:
		return skip(d, c, CHUNK_SIZE_LF);
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return CHUNK_BAD;
		d->digits = 0;
		return d->left ? CHUNK_DATA : CHUNK_LINE;
	case CHUNK_DATA_CR:
		return c == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
	case CHUNK_DATA_LF:
		return c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
	case CHUNK_LINE:
		return trailer_start(d, c);
	case CHUNK_TRAILER:
		return skip(d, c, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LF:
		return c == '\n' ? CHUNK_LINE : CHUNK_BAD;
	case CHUNK_LAST_LF:
		return c == '\n' ? CHUNK_DONE : CHUNK_BAD;
	case CHUNK_DATA:
	case CHUNK_DONE:
	case CHUNK_BAD:
		break; /* chunked_next() never asks about these */
	}
	return CHUNK_BAD;
}

static struct span take(struct chunked *d, struct span *in)
{
	size_t n = d->left < in->len ? (size_t)d->left : in->len;
	struct span run = span_first(*in, n);

	*in = span_from(*in, n);
	d->left -= n;
	if (d->left == 0)
		d->state = CHUNK_DATA_CR;
	return run;
}

struct span chunked_next(struct chunked *d, struct span *in)
{
	while (in->len && d->state != CHUNK_DONE && d->state != CHUNK_BAD) {
		if (d->state == CHUNK_DATA)
			return take(d, in);
		d->state = step(d, (unsigned char)*in->at);
		if (d->state != CHUNK_BAD)
			*in = span_from(*in, 1);
	}
	return span_of(in->at, 0);
}

size_t chunked_head(char out[static CHUNKED_HEAD_MAX], uint64_t n)
{
	unsigned digits = 1;

	assert(n > 0);
	while (digits < 16 && n >> (4 * digits))
		digits++;
	for (unsigned i = 0; i < digits; i++)
		out[i] = "0123456789abcdef"[n >> (4 * (digits - 1 - i)) & 15];
	out[digits] = '\r';
	out[digits + 1] = '\n';
	return digits + 2;
}

/*
 * chunked - take the chunked transfer coding off a body (RFC 9112, section
 * 7.1), and write the line that begins a chunk.
 *
 * Feed it whatever has arrived, in pieces of any size. It keeps its place
 * between calls, copies nothing and allocates nothing: body bytes come back as
 * a span of the caller's own input. Extensions and trailer fields are checked
 * for control bytes, and skipped.
 */
#ifndef LIB_CHUNKED_H
#define LIB_CHUNKED_H

#include "lib/base.h"
#include "lib/span.h"

/* Bytes of extensions and trailers in one body; a peer that sends more sends
 * framing, not content. */
#define CHUNKED_SKIP_MAX 4096

/* Digits of one chunk size. 15 cannot overflow 64 bits, nor the sum of what
 * any connection will ever carry. */
#define CHUNKED_DIGITS_MAX 15

/* Room for what chunked_head() writes: 16 digits, CR, LF. */
#define CHUNKED_HEAD_MAX 18

/* What ends the data of a chunk, and what ends the body. */
#define CHUNKED_CRLF SPAN("\r\n")
#define CHUNKED_LAST SPAN("0\r\n\r\n")

enum chunk_state {
	CHUNK_SIZE,       /* hex digits, 1 to 15 of them */
	CHUNK_EXT,        /* ";name=value", skipped up to CR */
	CHUNK_SIZE_LF,    /* LF that ends the size line */
	CHUNK_DATA,       /* left more bytes belong to this chunk */
	CHUNK_DATA_CR,    /* CR after the data */
	CHUNK_DATA_LF,    /* LF after the data */
	CHUNK_LINE,       /* after the last chunk: a trailer line, or CR */
	CHUNK_TRAILER,    /* a trailer field, skipped up to CR */
	CHUNK_TRAILER_LF, /* LF that ends a trailer field */
	CHUNK_LAST_LF,    /* LF of the empty line */
	CHUNK_DONE,       /* body complete: the next byte is a new message */
	CHUNK_BAD,        /* not chunked coding: close the connection */
};

/* Zeroed, it is ready for the first byte of a body. */
struct chunked {
	enum chunk_state state;
	uint64_t left;    /* bytes of the current chunk still to come */
	uint32_t skipped; /* bytes of extensions and trailers so far */
	uint8_t digits;   /* of the current chunk size */
};

/*
 * Decode the front of in, and move in past what was used.
 * Returns the next run of body bytes. An empty span means that in is used up,
 * or that state is CHUNK_DONE or CHUNK_BAD; in then begins with the byte after
 * the body, or with the byte that was refused.
 */
struct span chunked_next(struct chunked *d, struct span *in);

/*
 * Write the line that begins a chunk of n bytes, n in hex, CR and LF.
 * Returns how many bytes that took. n is at least 1: a chunk of 0 would end
 * the body (asserted); CHUNKED_LAST does that.
 */
size_t chunked_head(char out[static CHUNKED_HEAD_MAX], uint64_t n);

#endif

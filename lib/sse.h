/*
 * sse - read an event stream (WHATWG HTML, section 9.2, "server-sent events").
 *
 * Feed it the body in pieces of any size; it hands out events. Lines end with
 * LF, CR LF or CR, also when a piece ends between CR and LF. A byte order mark
 * at the start, comments and unknown fields are skipped.
 *
 * An event whose data is one line, and that lies within one piece, is not
 * copied. Anything else is gathered in data, up to its max.
 *
 * When the stream ends, an event that no empty line has ended is discarded, as
 * the standard says: sse_fini() and nothing else.
 */
#ifndef LIB_SSE_H
#define LIB_SSE_H

#include "lib/buf.h"

#define SSE_TYPE_MAX 64  /* bytes of an event type */
#define SSE_ID_MAX   512 /* bytes of an event id */

enum sse_result {
	SSE_MORE,      /* the piece is used up */
	SSE_EVENT,     /* *ev is an event; call again with what is left */
	SSE_TOO_LARGE, /* past data.max, SSE_TYPE_MAX or SSE_ID_MAX, or no
	                * memory; sticky: give the stream up */
};

struct sse_event {
	struct span type; /* "message" when the stream said none */
	struct span data; /* its data lines, joined with LF; may be empty */
	struct span id;   /* last id the stream has set; may be empty */
};

/* Zeroed with data.max set, { .data = { .max = n } }, it is ready. */
struct sse {
	struct buf data;   /* gathered data, then the unfinished line */
	struct span piece; /* one data line, still in the caller's piece */
	size_t gathered;   /* bytes of data that are data */
	uint32_t lines;    /* data lines of this event */
	uint64_t retry_ms; /* last "retry" of the stream; 0: none */
	uint16_t type_len;
	uint16_t id_len;
	bool started;  /* the first line is behind us */
	bool after_cr; /* an LF now belongs to the line before */
	bool handed;   /* the last call gave an event away */
	bool failed;
	char type[SSE_TYPE_MAX];
	char id[SSE_ID_MAX];
};

/*
 * Read the front of *in, and move *in past what was used.
 *
 * ev's spans live until the next call for s, or until the bytes of *in move or
 * go away, whichever is first.
 * Returns SSE_EVENT with *ev filled, SSE_MORE when *in is used up (nothing in
 * s points into it any more), or SSE_TOO_LARGE.
 */
enum sse_result sse_next(struct sse *s, struct span *in, struct sse_event *ev);

/* Give the memory back; s is then ready for another stream. */
void sse_fini(struct sse *s);

/* May these bytes stand in one "data: " line: no CR, no LF. */
bool sse_data_safe(struct span data);

#endif

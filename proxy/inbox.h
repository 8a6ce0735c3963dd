/*
 * inbox - JSON-RPC messages out of the body of a backend's answer.
 *
 * A body may be one JSON document, a batch (MCP 2025-03-26), one document per
 * line, or an event stream, and its Content-Type may say something else. So
 * the first byte decides: '{' or '[' begins JSON, all else is an event stream.
 *
 * Each message is checked completely as JSON, and its members that matter for
 * reading lists and hearing of changes are located. A document or an event is
 * held in memory until it is whole.
 */
#ifndef PROXY_INBOX_H
#define PROXY_INBOX_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "lib/sse.h"

/* Members of a message; children of result, of error and of its data. */
enum inbox_row {
	INBOX_ID,
	INBOX_METHOD,
	INBOX_PARAMS,
	INBOX_URI,           /* of params */
	INBOX_NOTIFICATIONS, /* likewise */
	INBOX_RESULT,
	INBOX_RESULT_TYPE,
	INBOX_SUPPORTED_VERSIONS,
	INBOX_PROTOCOL_VERSION,
	INBOX_CAPABILITIES,
	INBOX_INSTRUCTIONS,
	INBOX_TOOLS,
	INBOX_PROMPTS,
	INBOX_RESOURCES,
	INBOX_TEMPLATES,
	INBOX_NEXT_CURSOR,
	INBOX_TTL,
	INBOX_ERROR,
	INBOX_CODE,
	INBOX_DATA,
	INBOX_SUPPORTED,
	INBOX_ROWS,
};

enum inbox_form { INBOX_UNKNOWN, INBOX_JSON, INBOX_EVENTS };

/* Zeroed with max and on_message set, it is ready. */
struct inbox {
	size_t max; /* bytes of a JSON body, or of one event */
	/* One message; found are raw values that live during the call, as
	   scan_document() gives them. */
	void (*on_message)(struct inbox *box, const struct span found[]);
	enum inbox_form form;
	struct buf body; /* of JSON: from the first line not yet read */
	size_t looked;   /* bytes of it without an end of line */
	bool whole;      /* a document over several lines: wait for the end */
	struct sse sse;
	const char *bad; /* why something was refused; NULL: nothing was */
};

/* Read a piece of the body. False when it is larger than max, for good. */
MUST_CHECK bool inbox_feed(struct inbox *box, struct span piece);

/* The body has ended: what is left is a message or nothing. */
void inbox_end(struct inbox *box);

/* Give the memory back; ready for another body. */
void inbox_fini(struct inbox *box);

#endif

/*
 * rejoin - going on with an event stream that broke before its answer (MCP
 * 2025-11-25, "Resumability and Redelivery").
 *
 * A legacy backend that gives its events ids lets a stream be asked for again
 * from the last one on. The gateway does so itself when its own connection
 * broke, or when the backend ended the stream to be polled. Its legacy clients
 * get ids too, sealed, with all that another worker or replica needs to go on
 * for them; nothing is kept here.
 */
#ifndef PROXY_REJOIN_H
#define PROXY_REJOIN_H

#include "proxy/call.h"

#define REJOIN_TRIES_MAX 5     /* without data or a new id in between */
#define REJOIN_WAIT_MS   200   /* when the backend does not say (retry) */
#define REJOIN_LEAST_MS  5     /* when it says less */
#define REJOIN_MOST_MS   30000 /* when it says more */

/*
 * An event of the backend has come; its id, if it has one, is remembered. Data
 * and a new id are progress: a backend that ends its stream behind each event
 * to be polled (SEP-1699) may do so for as long as the call takes.
 */
void rejoin_note(struct call *c, const struct sse_event *event);

/*
 * The line that tells c's client the id of the event that is being written, in
 * c->event_line until the next call; empty: its events have none.
 */
struct span rejoin_line(struct call *c);

/* The stream ended without an answer: is it worth to ask for the rest? */
bool rejoin_possible(const struct call *c);

/* Ask for it, in a moment. */
void rejoin_later(struct call *c);

/* It does not matter any more. */
void rejoin_stop(struct call *c);

/*
 * A client asks for the rest of a stream: s is its sealed event id. c->caller,
 * c->reply and c->snap are set; the answer goes to c->reply, later.
 */
void rejoin_start(struct call *c, const struct sealed *s, uint32_t backend);

#endif

/*
 * fetch - HTTP requests to other servers, on the loop, through libcurl.
 *
 * For https:// backends and for everything that is asked on a timer. A request
 * is started, and its answer comes in pieces through callbacks, all of them
 * out of the loop and never from inside fetch_start(). Connections are kept
 * alive and shared by all requests of one fetcher.
 *
 * HTTP/1.1 only. Nothing comes from the environment or from the home
 * directory: no proxy, no .netrc, no cookies. No redirect is followed: a 3xx
 * is an answer like any other. Answers are not decompressed, since compression
 * is never asked for. TLS certificates and names are always checked.
 */
#ifndef LIB_FETCH_H
#define LIB_FETCH_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/loop.h"
#include "lib/span.h"

#define FETCH_HEAD_MAX      65536 /* bytes of an answer's head */
#define FETCH_IDLE_POOL_MAX 256   /* unused connections kept open */
#define FETCH_POOL_AGE_S    55    /* of an unused connection, then closed */
#define FETCH_ADDRESSES_MAX 8     /* of one request */
#define FETCH_PAUSE         0     /* on_body: nothing now, ask me later */

struct fetcher; /* connections and requests of one loop */
struct fetch;   /* one request */

/* The head of an answer. Its spans live until on_end has returned. */
struct fetch_head {
	int status;
	struct span content_type; /* empty, at NULL: the field is not there */
	struct span mcp_session_id;
	struct span www_authenticate;
	struct span retry_after;
};

/*
 * What a request's owner wants to hear. fetch_cancel() may be called, and other
 * requests may be started, in any of them; fetcher_free() may not.
 */
struct fetch_events {
	/* The head is complete; 1xx heads are not reported. May be NULL. */
	void (*on_head)(struct fetch *f, const struct fetch_head *head);
	/*
	 * Bytes of the body, at least one. Returns how many were taken; with
	 * fewer than body.len nothing more comes, and nothing more is read
	 * from the server, until fetch_resume(): then the rest comes again.
	 */
	size_t (*on_body)(struct fetch *f, struct span body);
	/*
	 * Over; f is gone when this returns. err is 0 when the answer is
	 * complete, else:
	 *	-EHOSTUNREACH  the host name has no address
	 *	-ECONNREFUSED  no connection to any address
	 *	-ETIMEDOUT     one of the request's timeouts
	 *	-EKEYREJECTED  TLS: certificate or name not accepted, or the
	 *	               handshake failed
	 *	-ECONNRESET    the connection broke before the answer was
	 *	               complete
	 *	-EMSGSIZE      more than max_bytes or FETCH_HEAD_MAX
	 *	-EBADMSG       not HTTP
	 *	-ENOMEM, -EIO  anything else
	 * sentence says the same to a person, without a secret; it begins in
	 * lower case, has no full stop, and lives until the call returns. It
	 * is "" when err is 0.
	 */
	void (*on_end)(struct fetch *f, int err, const char *sentence);
};

/* Everything is copied by fetch_start(), except events and owner. */
struct fetch_request {
	struct span method; /* a token; empty: GET, or POST with a body */
	struct span url;    /* absolute, http or https, without user info */
	const struct span *lines; /* header lines, "Name: value", no CR LF */
	size_t n_lines;
	struct span fields; /* more of them, each ended with CR LF */
	struct span body;
	bool repeatable; /* may be sent again by itself when a kept connection
	                    turns out to be dead: nothing is done twice that
	                    may not be */
	/* Where host names lead, with ports; n 0: names are resolved by
	   libcurl in a thread of its own. */
	const struct sockaddr_storage *addresses;
	size_t n_addresses;
	/* Connect there, whatever host and port the URL has: these are what a
	   certificate is checked for. Connections are kept for each of these
	   apart. NULL: where the URL says. */
	const struct sockaddr_storage *connect_to;
	struct span ca_pem; /* certificates to trust; empty: the system's */
	uint64_t connect_timeout_ms; /* name, TCP and TLS; 0: 10 s */
	uint64_t answer_timeout_ms;  /* then to the first byte; 0: no limit */
	uint64_t idle_timeout_ms;    /* between two bytes; 0: no limit */
	uint64_t unused_ms; /* of a kept connection that may serve it; counted
	                       in seconds, 2 at least; 0: FETCH_POOL_AGE_S */
	uint64_t max_bytes; /* of the body; 0: no limit */
	const struct fetch_events *events;
	void *owner;
};

/* A new fetcher, or NULL when there is no memory. */
struct fetcher *fetcher_new(struct loop *loop);

/*
 * Cancel what runs, close all connections. Not from a callback. NULL is fine.
 */
void fetcher_free(struct fetcher *fr);

/* Requests that have not ended. */
size_t fetcher_running(const struct fetcher *fr);

/* Start a request. Returns NULL when there is no memory or when method, url or
 * a header line is not sendable; on_end is then not called. */
struct fetch *fetch_start(struct fetcher *fr, const struct fetch_request *req);

/* What the request was started with, or given since. */
void *fetch_owner(const struct fetch *f);

/* Somebody else owns it from now on: another owner, other events. */
void fetch_hand_over(struct fetch *f, const struct fetch_events *events,
                     void *owner);

/* The first field of this name (any case) of the answer; empty, at NULL, when
 * there is none or no head has come yet. */
struct span fetch_field(const struct fetch *f, struct span name);

/*
 * In on_end with an error: may the server have seen the request? False when
 * not a byte of it was sent, so that it may be sent again in any case.
 */
bool fetch_was_sent(const struct fetch *f);

/* Another idle timeout from now on, e.g. for an event stream; 0: no limit. */
void fetch_set_idle(struct fetch *f, uint64_t idle_timeout_ms);

/* Take more after on_body took less than it was given. Not in on_body. */
void fetch_resume(struct fetch *f);

/* End it without another callback. f is gone for the caller at once. */
void fetch_cancel(struct fetch *f);

#endif

/*
 * errand - one small question to one server, asked again when it fails: how
 * principals get certificates and tokens.
 *
 * A try that ends with no connection, with a connection that breaks, with a
 * timeout, with 429 or with 5xx is made again after a pause, which is twice as
 * long each time and a little random. Another status is an answer. A signed
 * request is signed anew for each try; a 401 whose Date field is far from our
 * clock is one more reason to try once more, with the time as the server has
 * it.
 */
#ifndef OCI_ERRAND_H
#define OCI_ERRAND_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/fetch.h"
#include "lib/keys.h"
#include "lib/loop.h"
#include "lib/span.h"

#define ERRAND_TRIES        3      /* when the request does not say */
#define ERRAND_CONNECT_MS   5000   /* likewise */
#define ERRAND_ANSWER_MS    15000  /* likewise */
#define ERRAND_ANSWER_MAX   262144 /* bytes of an answer's body */
#define ERRAND_PAUSE_MS     500    /* before the second try */
#define ERRAND_FIELDS_MAX   65536  /* bytes of header lines */
#define ERRAND_FIELD_MAX    2048   /* bytes of the field that is wanted */
#define ERRAND_SENTENCE_MAX 512

/* What an errand works with. */
struct errand_host {
	struct loop *loop;
	struct fetcher *fetcher;
	int64_t (*utc_s)(void); /* the clock; NULL: the system's */
	uint64_t pause_ms;      /* 0: ERRAND_PAUSE_MS */
	struct span ca_pem; /* certificates to trust, configured; or empty */
};

/* Spans, and what pointers lead to, live until the errand is over. */
struct errand_request {
	struct span method;    /* "GET" or "POST" */
	struct span url;       /* absolute */
	struct span fields;    /* more header lines, each ended with CR LF */
	struct span body;      /* JSON, for POST */
	struct span ca_pem;    /* empty: the system's */
	const struct key *key; /* sign with it; NULL: unsigned */
	struct span key_id;
	bool no_host;      /* do not sign the host (federation) */
	bool missing_ok;   /* 404 is tried again: it may come into being */
	unsigned tries;    /* 0: ERRAND_TRIES */
	uint64_t limit_ms; /* to connect, and to answer; 0: see above */
	struct span want;  /* name of an answer's field; may be empty */
};

/* Zeroed before the first use; one request at a time. */
struct errand {
	/* The outcome, valid in on_done and until the next request. */
	int err;           /* as fetch's on_end; 0: there is an answer */
	int status;        /* of the answer */
	struct buf answer; /* its body */
	struct buf field;  /* the field that was wanted; empty: not there */
	char sentence[ERRAND_SENTENCE_MAX]; /* what went wrong, or "answered
	                                       with status 404 (code)" */
	int64_t skew_s;                     /* learned; kept between requests */

	/* private */
	struct errand_host host;
	struct errand_request request;
	struct fetch *fetch;
	struct timer timer;
	struct buf lines;
	unsigned tried;
	bool corrected; /* the clock's skew was learned in this request */
	void (*on_done)(struct errand *errand);
	void *owner;
};

/*
 * Ask. on_done is called once, from the loop, never from here, and may start
 * the next request. Must not be running.
 */
void errand_start(struct errand *errand, const struct errand_host *host,
                  const struct errand_request *request,
                  void (*on_done)(struct errand *errand), void *owner);

/* Was it answered with 200? */
static inline bool errand_is_good(const struct errand *errand)
{
	return errand->err == 0 && errand->status == 200;
}

/* Stop, wipe and free what it holds; on_done is not called. Zeroed: fine. */
void errand_stop(struct errand *errand);

/* The time as servers have it: the clock and the skew that was learned. */
int64_t errand_now_s(const struct errand *errand);

#endif

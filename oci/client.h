/*
 * client - requests to Oracle Cloud: signed by the keeper, sent, repeated
 * where that is right, followed from page to page.
 *
 * One client belongs to one loop. A request is repeated, with growing pauses
 * of random length, when no answer came, on 429, when a GET meets 409 for a
 * moment's state, and on 5xx but 501, as long as it may be sent twice and its
 * time is not over; a retry-after field is honoured. A 401 gets one more try
 * with a newer key or token, and with the server's clock when ours is wrong.
 *
 * Nothing that comes back is trusted: a body is checked completely as JSON
 * before anybody looks into it.
 */
#ifndef OCI_CLIENT_H
#define OCI_CLIENT_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/fetch.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "lib/url.h"
#include "oci/signature.h"

#define CLIENT_ATTEMPTS_MAX  8     /* of one page, the first included */
#define CLIENT_CONNECTS_MAX  5     /* of those, when nothing could be sent */
#define CLIENT_PAUSE_MS      250   /* before the second; doubled each time */
#define CLIENT_PAUSE_MAX_MS  30000 /* of a pause, retry-after included */
#define CLIENT_SKEW_S        300   /* more than this is refused by the cloud */
#define CLIENT_PAGES_MAX     1000  /* of one request */
#define CLIENT_URL_MAX       URL_MAX /* bytes, page included */
#define CLIENT_PAGE_MAX      4096    /* bytes of a page, as it came */
#define CLIENT_ID_MAX        160     /* bytes of an opc-request-id kept */
#define CLIENT_TEXT_MAX      512     /* bytes of a sentence or message kept */
#define CLIENT_FIELDS_MAX    8       /* header fields kept of an answer */
#define CLIENT_ADDRESSES_MAX 8

struct client;

/* Who asks, and how long it may take; of one backend. */
struct client_account {
	uint64_t credential; /* credential_id() */
	struct span ca_pem;  /* certificates to trust; empty: the system's */
	uint64_t connect_timeout_ms;
	uint64_t answer_timeout_ms; /* to the first byte, each try */
};

/* How a request ended. */
enum client_end {
	CLIENT_OK,          /* 2xx */
	CLIENT_STATUS,      /* another status: code and message */
	CLIENT_CREDENTIALS, /* nothing to sign with: message */
	CLIENT_NETWORK,     /* no connection, or it broke */
	CLIENT_TIMEOUT,     /* no answer in time */
	CLIENT_GARBAGE,     /* an answer that is no JSON, or too large */
	CLIENT_MEMORY,
};

/*
 * One request and its answer, in the caller's storage: zeroed before the first
 * use, client_call_fini() at the end. The spans of the request are the
 * caller's and must live until on_done.
 */
struct client_call {
	/* --- the request --- */
	const struct client_account *account;
	struct span method;
	struct span url;    /* absolute, with the query but page */
	struct span fields; /* more header lines, each with CR LF */
	struct span body;
	bool with_body; /* POST, PUT, PATCH: sign the content, even none */
	bool unsigned_body;
	bool repeatable; /* reads, and what carries an opc-retry-token */
	bool no_json;    /* the answer may be anything: it is kept as it is */
	/* Items to gather over pages, at least, if there are so many; 0: one
	   answer. */
	size_t wanted;
	struct span items; /* the member that holds them; empty: usual names */
	uint64_t deadline_ms; /* of the loop's clock; 0: none */
	size_t max_bytes;     /* of all pages */
	void (*on_done)(struct client_call *call);

	/* --- the answer --- */
	enum client_end end;
	int status;
	struct buf answer; /* the body; with wanted: "[item,item...]" */
	bool more;         /* there were more pages */
	unsigned n_pages, n_tries;
	char code[64];                  /* of the error, "" when unknown */
	char message[CLIENT_TEXT_MAX];  /* of the error, or why there is none */
	char request_id[CLIENT_ID_MAX]; /* opc-request-id of the last answer */
	char etag[128], work_request[256];
	uint64_t took_us;

	/* --- private --- */
	size_t n_items;
	struct client *client;
	struct client_call *next, **prev;
	struct fetch *fetch;
	struct signature *signature;
	struct timer timer;
	struct buf body_in; /* of this try */
	char page[CLIENT_PAGE_MAX], next_page[CLIENT_PAGE_MAX];
	uint64_t refused_generation, generation, started_us;
	unsigned tries; /* of this page */
	uint64_t retry_after_ms;
	int64_t skew_s, signed_skew_s;
	bool has_skew, was_401, by_start, closed;
};

struct client_config {
	struct loop *loop;
	struct fetcher *fetcher;
	struct signature_channel *signatures;
};

/* NULL without memory. What config points to must outlive the client. */
struct client *client_new(const struct client_config *config);

/* Cancel what runs. NULL is fine. */
void client_free(struct client *client);

/* Begin. on_done follows from the loop, never from inside. */
void client_start(struct client *client, struct client_call *call);

/* Stop without on_done; harmless when it does not run. */
void client_cancel(struct client_call *call);

/* Give the memory of the answer back; cancels. */
void client_call_fini(struct client_call *call);

/* Seconds that the cloud's clock is ahead of ours, as last seen; 0 at first. */
int64_t client_skew_s(const struct client *client);

/* Requests that run. */
size_t client_running(const struct client *client);

#endif

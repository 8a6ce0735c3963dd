/*
 * ask - one request of the keeper's to a backend, and what comes back.
 *
 * Says what discovery and probes have to say in either era, reads the answer,
 * be it JSON or an event stream, and tells how it ended. Notifications of
 * changed lists are passed on, whatever they come with; requests of a legacy
 * server are answered: it may know that we live (ping), and no more.
 *
 * Callbacks come from the loop.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/fetch.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "proxy/inbox.h"
#include "shm/layout.h"

#define ASK_MODERN_VERSION "2026-07-28"

#define ASK_BYTES_MAX   (16 << 20) /* of one answer */
#define ASK_EVENT_MAX   (1 << 20)  /* bytes of an announcement */
#define ASK_SESSION_MAX 1024       /* bytes of a session identifier */
#define ASK_PARAMS_MAX  131072     /* bytes of params */
#define ASK_WHY_MAX     200        /* bytes of a reason ... */
#define ASK_ERROR_MAX   512        /* ... with words around it and the name */

/* JSON-RPC codes that only a modern server has (MCP 2026-07-28). */
#define ASK_CODE_HEADER_MISMATCH     (-32020)
#define ASK_CODE_MISSING_CAPABILITY  (-32021)
#define ASK_CODE_UNSUPPORTED_VERSION (-32022)
#define ASK_CODE_METHOD_NOT_FOUND    (-32601)
#define ASK_CODE_INVALID_PARAMS      (-32602)

enum ask_method {
	ASK_DISCOVER,
	ASK_INITIALIZE,
	ASK_INITIALIZED,
	ASK_LIST, /* and which, that is in ask.kind */
	ASK_PING,
	ASK_LISTEN,
	ASK_GET_STREAM,
};

/* How an exchange ended, the more favourable last. */
enum ask_ending {
	ASK_NO_ANSWER, /* the network, or a timeout */
	ASK_NOT_UNDERSTOOD,
	ASK_STATUS, /* an HTTP status that says enough */
	ASK_ERROR,  /* of JSON-RPC */
	ASK_RESULT,
	ASK_ACCEPTED, /* 2xx to a notification */
};

/* A legacy session (MCP 2025-11-25). */
struct ask_session {
	bool open;                    /* initialized */
	char id[ASK_SESSION_MAX + 1]; /* "": it gave none */
	char version[16];             /* negotiated */
};

/* A backend that is asked, and how; its owner fills it in. */
struct ask_peer {
	struct loop *loop;
	struct fetcher *fetcher;
	char *name, *url, *fields, *ca_pem;
	struct sockaddr_storage addresses[FETCH_ADDRESSES_MAX];
	size_t n_addresses;
	uint32_t connect_timeout_ms, stream_idle_ms;
	uint64_t timeout_ms; /* for one answer, whole */
	uint32_t next_id;
	uint32_t latency_us;        /* of the last answer that was timed */
	struct ask_session session; /* legacy requests are sent in */
	/* The backend says that this list has changed; LIST_RESOURCES stands
	   for that of templates too. */
	void (*on_announced)(struct ask_peer *p, enum list_kind kind);
	char error[ASK_ERROR_MAX];
};

/* One HTTP request and its answer, or a kept stream. */
struct ask {
	struct ask_peer *peer;
	struct fetch *f; /* NULL: none under way */
	/* Over; the last thing that is done with it, so it may be freed. */
	void (*on_done)(struct ask *a, enum ask_ending how);
	/* Its result or error has come: found has a row for each member of
	   proxy/inbox. They may set bad. Each may be NULL. */
	void (*on_result)(struct ask *a, const struct span found[]);
	void (*on_error)(struct ask *a, const struct span found[]);
	struct ask_session *opens; /* what an initialize begins */
	struct inbox box;
	struct timer timer;
	enum view_era era;
	enum ask_method method;
	enum list_kind kind; /* of ASK_LIST */
	uint32_t id;
	size_t taken, max_taken; /* bytes of bodies; 0: no limit */
	int status;
	bool open;     /* a stream: its head came, and it is one */
	bool answered; /* our message came, */
	bool own_id;   /* with our id in it */
	bool is_error; /* ... and was an error: */
	int64_t code;
	const char *bad; /* ... or a result of no use; a constant */
	uint64_t began_us, began_ms;
	char why[ASK_WHY_MAX]; /* of the network */
};

/*
 * Send a request; on_done follows. params are members for its params, without
 * the comma in front: at most ASK_PARAMS_MAX bytes. None is under way.
 */
void ask_send(struct ask *a, enum view_era era, enum ask_method method,
              struct span params);

/* End it without another callback. */
void ask_stop(struct ask *a);

/* Why it ended so, in a sentence that names backend and method and has nothing
 * in it that the backend wrote; good until the next one of the same peer. */
const char *ask_explain(const struct ask *a, enum ask_ending how);

/* Forget a session, and let the backend know, without waiting for it. */
void ask_end_session(struct ask_peer *p, struct ask_session *session);

#endif

/*
 * proxyproto - the PROXY protocol, version 2 (binary): the bytes a load
 * balancer puts before those of the client, to say who the client is.
 *
 * Only for connections from a configured balancer: whoever may send this may
 * call himself anything. A pure function on bytes, as the parsers of lib/h1.h.
 * Version 1 (text) is recognised, so that the refusal can say so.
 */
#ifndef LIB_PROXYPROTO_H
#define LIB_PROXYPROTO_H

#include "lib/ip.h"

/* Bytes of a header, extensions included; a longer one is refused. */
#define PROXYPROTO_MAX 1024

enum proxyproto_result {
	PROXYPROTO_OK,
	PROXYPROTO_MORE,     /* in ends before the header does */
	PROXYPROTO_MISSING,  /* the bytes do not begin with a PROXY header */
	PROXYPROTO_TEXT,     /* version 1: configure the balancer for 2 */
	PROXYPROTO_VERSION,  /* neither 1 nor 2 */
	PROXYPROTO_COMMAND,  /* neither LOCAL nor PROXY */
	PROXYPROTO_FAMILY,   /* a family or transport that does not exist */
	PROXYPROTO_SHORT,    /* its length has no room for the addresses */
	PROXYPROTO_TOO_LONG, /* more than PROXYPROTO_MAX bytes */
	PROXYPROTO_BAD_TLV,  /* an extension that passes the end */
	PROXYPROTO_RESULTS_MAX,
};

struct proxyproto {
	size_t bytes;      /* of the header: the client's follow */
	bool has_source;   /* false: keep the peer of the connection */
	struct ip source;  /* the client */
	uint16_t port;     /* its port */
	struct ip arrived; /* the address it connected to */
	uint16_t arrived_port;
};

/*
 * Read the header at the front of in. Returns PROXYPROTO_OK and fills *out, or
 * PROXYPROTO_MORE, or a refusal, after which the connection is closed.
 *
 * LOCAL (the balancer's own health checks), UNSPEC, UNIX sockets and datagrams
 * leave has_source false. Extensions (TLV) are checked for length and skipped.
 */
enum proxyproto_result proxyproto_parse(struct span in, struct proxyproto *out);

/* The result as a sentence for a person; a constant, never NULL. */
const char *proxyproto_reason(enum proxyproto_result result);

#endif

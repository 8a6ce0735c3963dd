/*
 * url - where a server is: absolute http and https URLs (RFC 9110, section
 * 4.2; RFC 3986), and the host[:port] of a Host field.
 *
 * Strict: no user information, no fragment, no white space, control or
 * non-ASCII bytes, no backslash, no host that is not a DNS name or an address.
 * Nothing is decoded and nothing is copied: spans point into the text.
 */
#ifndef LIB_URL_H
#define LIB_URL_H

#include "lib/base.h"
#include "lib/span.h"

#define URL_MAX      8192 /* bytes of a whole URL */
#define URL_HOST_MAX 253  /* bytes of a host (RFC 1035, section 2.3.4) */

struct url {
	bool tls;              /* https */
	bool ipv6;             /* host is an IPv6 address; brackets are off */
	uint16_t port;         /* 80 or 443 unless the URL says another */
	struct span host;      /* without brackets; as written, any case */
	struct span authority; /* host and port as written: a Host field */
	struct span path;      /* "/" when the URL has none */
	struct span query;     /* with its '?'; may be empty */
};

/* The host and port of an authority. */
struct url_authority {
	struct span host; /* without brackets */
	bool ipv6;
	uint16_t port; /* 0 when none is written */
};

/* Why a URL was refused; 0 is not an error. */
enum url_error {
	URL_OK,
	URL_TOO_LONG,
	URL_BAD_BYTE,
	URL_BAD_SCHEME,
	URL_HAS_USER,
	URL_HAS_FRAGMENT,
	URL_BAD_HOST,
	URL_BAD_PORT,
	URL_ERRORS_MAX,
};

/*
 * Take a URL apart. The request target is path followed by query.
 * Returns URL_OK and fills *out, or says what is wrong, for url_error().
 */
enum url_error url_parse(struct span text, struct url *out);

/*
 * Take host[:port] apart: a DNS name (letters, digits, '-', '_', '.'), an IPv4
 * address or an IPv6 address in brackets; port 1 to 65535.
 * Returns URL_OK and fills *out, URL_HAS_USER, URL_BAD_HOST or URL_BAD_PORT.
 */
enum url_error url_parse_authority(struct span text, struct url_authority *out);

/* The error as a sentence for a person; a constant, never NULL. */
const char *url_error(enum url_error error);

#endif

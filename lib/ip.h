/*
 * ip - addresses of peers: text, networks, and who is behind a proxy.
 *
 * An address is 16 bytes whatever its family: an IPv4 address is held as
 * IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2), so 192.0.2.1 and
 * ::ffff:192.0.2.1 are the same address, and comparing is comparing bytes.
 */
#ifndef LIB_IP_H
#define LIB_IP_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/span.h"

#define IP_TEXT_MAX 46 /* longest text of an address, with its NUL */

/* Addresses of an X-Forwarded-For value that are looked at, from the right. */
#define IP_HOPS_MAX 32

struct ip {
	uint8_t bytes[16];
};

/* A network: the addresses whose first bits are those of base. */
struct ip_net {
	struct ip base;
	uint8_t bits; /* of the 16 bytes: an IPv4 /8 is 104 here */
};

/* An IPv4 or IPv6 address, no brackets, no port, no zone, no leading zeros. */
MUST_CHECK bool ip_parse(struct span text, struct ip *out);

/*
 * An address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1,
 * [2001:db8::1], [2001:db8::1]:80. *port is 0 when there is none.
 */
MUST_CHECK bool ip_parse_endpoint(struct span text, struct ip *out,
                                  uint16_t *port);

/* Address and port of an IPv4 or IPv6 socket address; false for another. */
MUST_CHECK bool ip_from_sockaddr(const struct sockaddr *from, struct ip *out,
                                 uint16_t *port);

/* The reverse: the socket address of an address and a port, ready to connect.
 */
struct sockaddr_storage ip_sockaddr(const struct ip *ip, uint16_t port);

/* Write the text of an address, with a NUL. Returns its length without it. */
size_t ip_format(char out[static IP_TEXT_MAX], const struct ip *ip);

static inline bool ip_eq(const struct ip *a, const struct ip *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_v4(const struct ip *ip);

/* 127.0.0.0/8 or ::1. */
bool ip_is_loopback(const struct ip *ip);

/* 169.254.0.0/16 or fe80::/10, where instance metadata lives. */
bool ip_is_link_local(const struct ip *ip);

/* 64 bits that differ when seed or address do; not a secret function. */
uint64_t ip_hash(const struct ip *ip, uint64_t seed);

/*
 * A network "address/bits", or an address alone for that one. Bits of the
 * address past the prefix must be 0: "10.1.2.3/8" is refused as a slip.
 */
MUST_CHECK bool ip_net_parse(struct span text, struct ip_net *out);

/*
 * Is ip in net? An IPv6 network, ::/0 too, has no IPv4 addresses in it; only
 * within ::ffff:0:0/96 are the two the same thing.
 */
bool ip_net_contains(const struct ip_net *net, const struct ip *ip);

/* Is ip in one of n networks? */
bool ip_nets_contain(const struct ip_net *nets, size_t n, const struct ip *ip);

/*
 * Who sent a request that came from peer with this X-Forwarded-For value?
 *
 * Each proxy appends the address it was called from, so the value is believed
 * from the right, as long as the address that vouches for the next one is in
 * nets: the result is the right-most address that is not. When all are, it is
 * the left-most. What cannot be read ends the walk, as do IP_HOPS_MAX
 * addresses: then the result is the last address that was read.
 *
 * Give it the last field of that name; an earlier one is further away.
 */
struct ip ip_forwarded_for(struct span header, const struct ip_net *nets,
                           size_t n, struct ip peer);

#endif

#include "lib/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define V4_PREFIX 96 /* bits of ::ffff:0:0/96, where IPv4 addresses live */

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static struct ip from_v4(const void *four)
{
	struct ip ip;

	memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(ip.bytes + sizeof(v4_prefix), four, 4);
	return ip;
}

bool ip_parse(struct span text, struct ip *out)
{
	char copy[IP_TEXT_MAX]; /* inet_pton() wants a NUL */
	uint8_t four[4];

	if (text.len == 0 || text.len >= sizeof(copy) ||
	    memchr(text.at, '\0', text.len))
		return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, four) == 1) {
		*out = from_v4(four);
		return true;
	}
	return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

/* The port after an address: nothing, or ':' and 1 to 65535. */
static bool parse_port(struct span text, uint16_t *port)
{
	uint64_t value = 0;

	*port = 0;
	if (text.len == 0)
		return true;
	if (*text.at != ':' || text.len > 6 ||
	    !span_u64(span_from(text, 1), UINT16_MAX, &value) || value == 0)
		return false;
	*port = (uint16_t)value;
	return true;
}

bool ip_parse_endpoint(struct span text, struct ip *out, uint16_t *port)
{
	size_t colon = span_find(text, ':'), close;

	if (text.len && *text.at == '[') {
		text = span_from(text, 1);
		close = span_find(text, ']');
		return close < text.len && span_find(text, ':') < close &&
		       ip_parse(span_first(text, close), out) &&
		       parse_port(span_from(text, close + 1), port);
	}
	/* Two colons or more: IPv6 without brackets has no port. */
	if (span_find(span_from(text, colon + 1), ':') <
	    span_from(text, colon + 1).len)
		colon = text.len;
	return ip_parse(span_first(text, colon), out) &&
	       parse_port(span_from(text, colon), port);
}

bool ip_from_sockaddr(const struct sockaddr *from, struct ip *out,
                      uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (from->sa_family) {
	case AF_INET:
		memcpy(&v4, from, sizeof(v4));
		*out = from_v4(&v4.sin_addr);
		*port = ntohs(v4.sin_port);
		return true;
	case AF_INET6:
		memcpy(&v6, from, sizeof(v6));
		memcpy(out->bytes, &v6.sin6_addr, sizeof(out->bytes));
		*port = ntohs(v6.sin6_port);
		return true;
	}
	return false;
}

struct sockaddr_storage ip_sockaddr(const struct ip *ip, uint16_t port)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in *v4 = (void *)&at;
	struct sockaddr_in6 *v6 = (void *)&at;

	if (ip_is_v4(ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes + sizeof(v4_prefix),
		       sizeof(v4->sin_addr));
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, ip->bytes, sizeof(v6->sin6_addr));
	}
	return at;
}

size_t ip_format(char out[static IP_TEXT_MAX], const struct ip *ip)
{
	const char *text =
		ip_is_v4(ip) ? inet_ntop(AF_INET, ip->bytes + sizeof(v4_prefix),
	                                 out, IP_TEXT_MAX)
			     : inet_ntop(AF_INET6, ip->bytes, out, IP_TEXT_MAX);

	assert(text); /* IP_TEXT_MAX has room for every address */
	return strlen(out);
}

bool ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const struct ip one = { .bytes = { [15] = 1 } };

	return ip_is_v4(ip) ? ip->bytes[12] == 127 : ip_eq(ip, &one);
}

bool ip_is_link_local(const struct ip *ip)
{
	if (ip_is_v4(ip))
		return ip->bytes[12] == 169 && ip->bytes[13] == 254;
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* Multiplies and folds; the constants are odd and have no structure. */
uint64_t ip_hash(const struct ip *ip, uint64_t seed)
{
	uint64_t half[2], h = seed ^ 0x9e3779b97f4a7c15;

	memcpy(half, ip->bytes, sizeof(half));
	for (size_t i = 0; i < ARRAY_LEN(half); i++) {
		h = (h ^ half[i]) * 0xbf58476d1ce4e5b9;
		h ^= h >> 31;
		h *= 0x94d049bb133111eb;
		h ^= h >> 29;
	}
	return h;
}

/* Are the first bits of a and b the same? */
static bool same_bits(const struct ip *a, const struct ip *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool clear_after(const struct ip *ip, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (ip->bytes[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

bool ip_net_parse(struct span text, struct ip_net *out)
{
	size_t slash = span_find(text, '/');
	struct span address = span_first(text, slash);
	bool dotted = span_find(address, ':') == address.len;
	unsigned before = dotted ? V4_PREFIX : 0; /* bits the text leaves out */
	uint64_t bits = 128 - before;

	if (!ip_parse(address, &out->base))
		return false;
	if (slash < text.len &&
	    (text.len - slash > 4 ||
	     !span_u64(span_from(text, slash + 1), 128 - before, &bits)))
		return false;
	out->bits = (uint8_t)(before + bits);
	return clear_after(&out->base, out->bits);
}

bool ip_net_contains(const struct ip_net *net, const struct ip *ip)
{
	if (net->bits < V4_PREFIX && ip_is_v4(ip))
		return false;
	return same_bits(&net->base, ip, net->bits);
}

bool ip_nets_contain(const struct ip_net *nets, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (ip_net_contains(&nets[i], ip))
			return true;
	return false;
}

/* The part after the last comma, taken off the end of list. */
static struct span last_item(struct span *list)
{
	size_t cut = list->len;
	struct span item;

	while (cut > 0 && list->at[cut - 1] != ',')
		cut--;
	item = span_from(*list, cut);
	list->len = cut > 0 ? cut - 1 : 0;
	return span_trim(item);
}

struct ip ip_forwarded_for(struct span header, const struct ip_net *nets,
                           size_t n, struct ip peer)
{
	for (unsigned hop = 0; hop < IP_HOPS_MAX && header.len; hop++) {
		struct ip next;
		uint16_t port;

		if (!ip_nets_contain(nets, n, &peer))
			break;
		if (!ip_parse_endpoint(last_item(&header), &next, &port))
			break;
		peer = next;
	}
	return peer;
}

#include "lib/proxyproto.h"

/*
 * Version 2, all numbers in network order:
 *
 *	0   signature, 12 bytes
 *	12  version (high half, 2) and command (low half)
 *	13  family (high half) and transport (low half)
 *	14  length of what follows, 2 bytes
 *	16  source address, destination address, source port, destination port
 *	..  extensions: type 1 byte, length 2 bytes, value
 */
#define FIXED      16
#define TLV_HEAD   3
#define AT_COMMAND 12
#define AT_FAMILY  13
#define AT_LENGTH  14

static const struct span signature = {
	"\r\n\r\n\0\r\nQUIT\n",
	12,
};
static const struct span text_signature = { "PROXY ", 6 };

enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNSPEC, FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX, N_FAMILIES };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DATAGRAM, N_TRANSPORTS };

/* Bytes of one address, without its port. */
static const struct {
	size_t address, block;
} families[N_FAMILIES] = {
	[FAMILY_UNSPEC] = { 0, 0 },
	[FAMILY_IPV4] = { 4, 12 },
	[FAMILY_IPV6] = { 16, 36 },
	[FAMILY_UNIX] = { 108, 216 },
};

static const char *const sentences[PROXYPROTO_RESULTS_MAX] = {
	[PROXYPROTO_OK] = "complete",
	[PROXYPROTO_MORE] = "the PROXY header is not complete",
	[PROXYPROTO_MISSING] = "the connection does not begin with a PROXY "
			       "protocol header",
	[PROXYPROTO_TEXT] = "PROXY protocol version 1 is not accepted; set the "
			    "load balancer to version 2",
	[PROXYPROTO_VERSION] = "unknown version of the PROXY protocol",
	[PROXYPROTO_COMMAND] = "unknown command in the PROXY header",
	[PROXYPROTO_FAMILY] = "unknown address family or transport in the "
			      "PROXY header",
	[PROXYPROTO_SHORT] = "the PROXY header is too short for its addresses",
	[PROXYPROTO_TOO_LONG] = "the PROXY header is longer than 1024 bytes",
	[PROXYPROTO_BAD_TLV] = "an extension passes the end of the PROXY "
			       "header",
};

const char *proxyproto_reason(enum proxyproto_result result)
{
	return sentences[result];
}

static unsigned get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Does in begin like head, as far as it goes? */
static bool may_become(struct span in, struct span head)
{
	size_t n = MIN(in.len, head.len);

	return span_eq(span_first(in, n), span_first(head, n));
}

static enum proxyproto_result check_signature(struct span in)
{
	if (in.len && may_become(in, text_signature))
		return in.len < text_signature.len ? PROXYPROTO_MORE
		                                   : PROXYPROTO_TEXT;
	return may_become(in, signature) ? PROXYPROTO_OK : PROXYPROTO_MISSING;
}

/* What the fixed part says; in has all of it. */
static enum proxyproto_result check_fixed(const unsigned char *p)
{
	unsigned family = p[AT_FAMILY] >> 4;

	if (p[AT_COMMAND] >> 4 != 2)
		return PROXYPROTO_VERSION;
	if ((p[AT_COMMAND] & 15) > COMMAND_PROXY)
		return PROXYPROTO_COMMAND;
	if (get16(p + AT_LENGTH) > PROXYPROTO_MAX - FIXED)
		return PROXYPROTO_TOO_LONG;
	if ((p[AT_COMMAND] & 15) == COMMAND_LOCAL)
		return PROXYPROTO_OK; /* the family is to be ignored */
	if (family >= N_FAMILIES || (p[AT_FAMILY] & 15) >= N_TRANSPORTS)
		return PROXYPROTO_FAMILY;
	if (get16(p + AT_LENGTH) < families[family].block)
		return PROXYPROTO_SHORT;
	return PROXYPROTO_OK;
}

static struct ip take_address(const unsigned char *p, size_t len)
{
	struct ip ip = { .bytes = { [10] = 0xff, [11] = 0xff } };

	memcpy(ip.bytes + sizeof(ip.bytes) - len, p, len);
	return ip;
}

static void take_addresses(const unsigned char *p, unsigned family,
                           struct proxyproto *out)
{
	size_t len = families[family].address;

	out->has_source = true;
	out->source = take_address(p, len);
	out->arrived = take_address(p + len, len);
	out->port = (uint16_t)get16(p + 2 * len);
	out->arrived_port = (uint16_t)get16(p + 2 * len + 2);
}

static bool tlvs_ok(struct span in)
{
	while (in.len) {
		size_t len;

		if (in.len < TLV_HEAD)
			return false;
		len = get16((const unsigned char *)in.at + 1);
		if (len > in.len - TLV_HEAD)
			return false;
		in = span_from(in, TLV_HEAD + len);
	}
	return true;
}

enum proxyproto_result proxyproto_parse(struct span in, struct proxyproto *out)
{
	const unsigned char *p = (const unsigned char *)in.at;
	enum proxyproto_result result = check_signature(in);
	unsigned family;

	if (result != PROXYPROTO_OK)
		return result;
	if (in.len < FIXED)
		return PROXYPROTO_MORE;
	result = check_fixed(p);
	if (result != PROXYPROTO_OK)
		return result;

	*out = (struct proxyproto){ .bytes = FIXED + get16(p + AT_LENGTH) };
	if (in.len < out->bytes)
		return PROXYPROTO_MORE;
	if ((p[AT_COMMAND] & 15) == COMMAND_LOCAL)
		return PROXYPROTO_OK;
	family = p[AT_FAMILY] >> 4;
	in = span_first(in, out->bytes);
	if (family != FAMILY_UNSPEC &&
	    !tlvs_ok(span_from(in, FIXED + families[family].block)))
		return PROXYPROTO_BAD_TLV;
	if ((family == FAMILY_IPV4 || family == FAMILY_IPV6) &&
	    (p[AT_FAMILY] & 15) == TRANSPORT_STREAM)
		take_addresses(p + FIXED, family, out);
	return PROXYPROTO_OK;
}

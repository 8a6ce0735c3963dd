#include "lib/url.h"

#include "lib/ip.h"

#define LABEL_MAX 63 /* RFC 1035, section 2.3.4 */

static const char *const sentences[URL_ERRORS_MAX] = {
	[URL_OK] = "no error",
	[URL_TOO_LONG] = "the URL is longer than 2048 bytes",
	[URL_BAD_BYTE] = "a URL has no spaces, control bytes, quotes, "
			 "backslashes or non-ASCII bytes: percent-encode them",
	[URL_BAD_SCHEME] = "a URL begins with http:// or https://",
	[URL_HAS_USER] = "a URL must not have a user name or password in it",
	[URL_HAS_FRAGMENT] = "a URL must not have a '#' part",
	[URL_BAD_HOST] = "the host is neither a DNS name, nor an IPv4 address, "
			 "nor an IPv6 address in brackets",
	[URL_BAD_PORT] = "the port is not a number from 1 to 65535",
};

const char *url_error(enum url_error error)
{
	return sentences[error];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       is_digit(c) || c == '-' || c == '_';
}

/* Would a resolver read this label as a number: 127, 0x7f? */
static bool is_number(struct span label)
{
	bool hex = label.len > 1 && label.at[0] == '0' &&
	           ascii_lower((unsigned char)label.at[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < label.len; i++) {
		unsigned char c = ascii_lower((unsigned char)label.at[i]);

		if (!is_digit((char)c) && !(hex && c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

/*
 * A name whose last label is a number is an IPv4 address in four decimal parts
 * or refused: resolvers take 127.1 and 0x7f.0.0.1 for addresses too, and a
 * check that sees a name there has been walked around.
 */
static bool name_ok(struct span host)
{
	struct span name = host; /* without the dot at the end */
	size_t label = 0;        /* where the current one begins */
	struct ip ip;

	if (host.len == 0 || host.len > URL_HOST_MAX)
		return false;
	if (host.at[host.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '.') {
			if (i == label || i - label > LABEL_MAX)
				return false;
			label = i + 1;
		} else if (!is_name_byte(name.at[i])) {
			return false;
		}
	}
	if (label == name.len || name.len - label > LABEL_MAX)
		return false;
	return !is_number(span_from(name, label)) || ip_parse(host, &ip);
}

static bool port_ok(struct span text, uint16_t *port)
{
	uint64_t value = 0;

	if (text.len > 5 || !span_u64(text, UINT16_MAX, &value) || value == 0)
		return false;
	*port = (uint16_t)value;
	return true;
}

enum url_error url_parse_authority(struct span text, struct url_authority *out)
{
	size_t end;
	struct ip ip;

	*out = (struct url_authority){ 0 };
	if (span_find(text, '@') < text.len)
		return URL_HAS_USER;
	out->ipv6 = text.len && *text.at == '[';
	if (out->ipv6) {
		text = span_from(text, 1);
		end = span_find(text, ']');
		out->host = span_first(text, end);
		if (end == text.len ||
		    span_find(out->host, ':') == out->host.len ||
		    !ip_parse(out->host, &ip))
			return URL_BAD_HOST;
		text = span_from(text, end + 1);
		if (text.len && *text.at != ':')
			return URL_BAD_HOST;
	} else {
		end = span_find(text, ':');
		out->host = span_first(text, end);
		if (!name_ok(out->host))
			return URL_BAD_HOST;
		text = span_from(text, end);
	}
	if (text.len && !port_ok(span_from(text, 1), &out->port))
		return URL_BAD_PORT;
	return URL_OK;
}

static enum url_error check_bytes(struct span text)
{
	if (text.len > URL_MAX)
		return URL_TOO_LONG;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\", c))
			return URL_BAD_BYTE;
		if (c == '#')
			return URL_HAS_FRAGMENT;
	}
	return URL_OK;
}

/* Move text past its scheme. */
static bool take_scheme(struct span *text, bool *tls)
{
	static const struct {
		struct span head;
		bool tls;
	} schemes[] = {
		{ { "http://", 7 }, false },
		{ { "https://", 8 }, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct span head = schemes[i].head;

		if (!span_eq_nocase(span_first(*text, head.len), head))
			continue;
		*text = span_from(*text, head.len);
		*tls = schemes[i].tls;
		return true;
	}
	return false;
}

enum url_error url_parse(struct span text, struct url *out)
{
	struct url_authority authority;
	size_t end = 0;
	enum url_error error = check_bytes(text);

	if (error != URL_OK)
		return error;
	*out = (struct url){ 0 };
	if (!take_scheme(&text, &out->tls))
		return URL_BAD_SCHEME;
	while (end < text.len && text.at[end] != '/' && text.at[end] != '?')
		end++;
	out->authority = span_first(text, end);
	error = url_parse_authority(out->authority, &authority);
	if (error != URL_OK)
		return error;
	out->host = authority.host;
	out->ipv6 = authority.ipv6;
	out->port = authority.port ? authority.port : out->tls ? 443 : 80;

	text = span_from(text, end);
	end = span_find(text, '?');
	out->path = end > 0 ? span_first(text, end) : SPAN("/");
	out->query = span_from(text, end);
	return URL_OK;
}

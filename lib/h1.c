#include "lib/h1.h"

#include <endian.h>

#include "lib/items.h"
#include "lib/url.h"

/* clang-format off */
static const struct {
	int status;
	const char *sentence;
} refusals[H1_RESULTS_MAX] = {
	[H1_OK] = { 200, "complete" },
	[H1_MORE] = { 400, "the head of the message is not complete" },
	[H1_BAD_LINE] = { 400, "the first line is not HTTP/1.1" },
	[H1_BAD_NEWLINE] = { 400,
		"a line must end with CR and LF, and neither may stand alone" },
	[H1_BAD_TARGET] = { 400,
		"the request target must be a path or an absolute http(s) URI, "
		"percent-encoded, without '#'" },
	[H1_BAD_FOLD] = { 400, "a header line must not begin with white space" },
	[H1_BAD_NAME] = { 400,
		"a header line must be a name, directly followed by ':'" },
	[H1_BAD_VALUE] = { 400, "control byte in a header value" },
	[H1_NO_HOST] = { 400, "the Host header is missing" },
	[H1_BAD_HOST] = { 400,
		"there must be one Host header, host or host:port, "
		"the same as in the request target" },
	[H1_BAD_LENGTH] = { 400,
		"there must be one Content-Length header, digits only" },
	[H1_BAD_CODING] = { 400,
		"Transfer-Encoding must end with 'chunked', and have it once" },
	[H1_BAD_FRAMING] = { 400,
		"Transfer-Encoding must not come with Content-Length, "
		"nor in HTTP/1.0" },
	[H1_TARGET_TOO_LONG] = { 414, "the request target is too long" },
	[H1_UNKNOWN_EXPECTATION] = { 417,
		"the only Expect that is understood is 100-continue" },
	[H1_HEAD_TOO_LARGE] = { 431, "the header section is too large" },
	[H1_TOO_MANY_FIELDS] = { 431, "there are too many header lines" },
	[H1_UNKNOWN_CODING] = { 501,
		"the only Transfer-Encoding that is understood is chunked" },
	[H1_UNKNOWN_VERSION] = { 505, "the protocol must be HTTP/1.1" },
};

static const struct {
	struct span text;
	enum h1_method method;
} methods[] = {
	{ { "POST", 4 },    H1_POST },
	{ { "GET", 3 },     H1_GET },
	{ { "HEAD", 4 },    H1_HEAD },
	{ { "DELETE", 6 },  H1_DELETE },
	{ { "OPTIONS", 7 }, H1_OPTIONS },
	{ { "PUT", 3 },     H1_PUT },
	{ { "PATCH", 5 },   H1_PATCH },
	{ { "TRACE", 5 },   H1_TRACE },
	{ { "CONNECT", 7 }, H1_CONNECT },
};

static const struct span names[H1_KNOWN_MAX] = {
#define X(slot, name) [H1_##slot] = { name, sizeof(name) - 1 },
	H1_KNOWN(X)
#undef X
};

/* The first slot of each length; the others of that length follow it. */
static const uint8_t first_of_length[] = {
	[4]  = H1_DATE,             [6]  = H1_ACCEPT,
	[7]  = H1_BAGGAGE,          [8]  = H1_LOCATION,
	[9]  = H1_FORWARDED,        [10] = H1_CONNECTION,
	[11] = H1_RETRY_AFTER,      [12] = H1_CONTENT_TYPE,
	[13] = H1_AUTHORIZATION,    [14] = H1_CONTENT_LENGTH,
	[15] = H1_ACCEPT_ENCODING,  [16] = H1_CONTENT_ENCODING,
	[17] = H1_TRANSFER_ENCODING,
	[20] = H1_MCP_PROTOCOL_VERSION,
	[29] = H1_ACCESS_CONTROL_REQUEST_METHOD,
	[30] = H1_ACCESS_CONTROL_REQUEST_HEADERS,
};

/*
 * Which bytes may stand where: a token (RFC 9110, section 5.6.2), a request
 * target (what RFC 3986 allows but for '#', and what browsers leave as it is).
 */
enum { TOKEN = 1, TARGET = 2 };

#define n TOKEN
#define t TARGET
#define b (TOKEN | TARGET)
static const uint8_t classes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, b, 0, n, b, b, b, b, t, t, b, b, t, b, b, t, /* sp !"#$%&'()*+,-./ */
	b, b, b, b, b, b, b, b, b, b, t, t, 0, t, 0, t, /* 0-9 :;<=>? */
	t, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, /* @ A-O */
	b, b, b, b, b, b, b, b, b, b, b, t, 0, t, b, b, /* P-Z [\]^_ */
	b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, /* ` a-o */
	b, b, b, b, b, b, b, b, b, b, b, t, b, t, b, 0, /* p-z {|}~ DEL */
	/* and nothing from 0x80 on */
};
#undef n
#undef t
#undef b
/* clang-format on */

int h1_status(enum h1_result refusal)
{
	return refusals[refusal].status;
}

const char *h1_reason(enum h1_result refusal)
{
	return refusals[refusal].sentence;
}

struct span h1_name(enum h1_known slot)
{
	return names[slot];
}

/* What is left to read. Every step looks only below end. */
struct reader {
	const unsigned char *at, *end;
};

/* Move past bytes of a class; what they were. The loops here work on copies of
 * the places: a byte might, for all the compiler knows, be one of *r. */
static struct span take(struct reader *r, unsigned class)
{
	const unsigned char *start = r->at, *end = r->end, *at = start;

	while (at < end && classes[*at] & class)
		at++;
	r->at = at;
	return span_of(start, (size_t)(at - start));
}

#define WIDE 16 /* bytes that are looked at together */

/*
 * Which of WIDE bytes are control bytes: 8 bits for each, all set or clear, the
 * first byte in the lowest bits of low. Values are most of a head, tokens of
 * close to 1 KiB among them; this makes a vector instruction of each step.
 */
struct wide {
	uint64_t low, high;
};

static struct wide controls(const unsigned char *at)
{
	unsigned char bytes __attribute__((vector_size(WIDE)));
	struct wide found;

	memcpy(&bytes, at, WIDE);
	bytes = (unsigned char __attribute__((vector_size(WIDE))))(
		(bytes < 0x20) | (bytes == 0x7f));
	memcpy(&found, &bytes, WIDE);
	return (struct wide){ le64toh(found.low), le64toh(found.high) };
}

/* The next control byte, or end. */
static const unsigned char *find_control(const unsigned char *at,
                                         const unsigned char *end)
{
	for (; end - at >= WIDE; at += WIDE) {
		struct wide found = controls(at);

		if (found.low)
			return at + __builtin_ctzll(found.low) / 8;
		if (found.high)
			return at + 8 + __builtin_ctzll(found.high) / 8;
	}
	while (at < end && *at >= ' ' && *at != 0x7f)
		at++;
	return at;
}

/*
 * Move past a field value (RFC 9110, section 5.5): up to a control byte that is
 * not a tab. Bytes from 0x80 on may be in it; nobody here gives them a meaning.
 */
static struct span take_value(struct reader *r)
{
	const unsigned char *at = find_control(r->at, r->end);
	struct span value;

	while (at < r->end && *at == '\t')
		at = find_control(at + 1, r->end);
	value = span_of(r->at, (size_t)(at - r->at));
	r->at = at;
	return value;
}

static void skip_blanks(struct reader *r)
{
	const unsigned char *at = r->at;

	while (at < r->end && (*at == ' ' || *at == '\t'))
		at++;
	r->at = at;
}

/*
 * Only CR LF ends a line, though RFC 9112, section 2.2 would let us take a
 * bare LF: the proxy before us may not have.
 */
static enum h1_result end_line(struct reader *r, enum h1_result otherwise)
{
	if (r->at == r->end)
		return H1_MORE;
	if (*r->at == '\n')
		return H1_BAD_NEWLINE;
	if (*r->at != '\r')
		return otherwise;
	if (r->end - r->at < 2)
		return H1_MORE;
	if (r->at[1] != '\n')
		return H1_BAD_NEWLINE;
	r->at += 2;
	return H1_OK;
}

/* One space, where section 3 has one; nothing else will do. */
static enum h1_result take_space(struct reader *r, enum h1_result otherwise)
{
	if (r->at == r->end)
		return H1_MORE;
	if (*r->at != ' ')
		return otherwise;
	r->at++;
	return H1_OK;
}

/* "HTTP/1.x" (section 2.3). A minor above 1 is one that we can talk to. */
static enum h1_result take_version(struct reader *r, int *minor)
{
	static const struct span head = { "HTTP/", 5 };
	struct span rest = span_of(r->at, (size_t)(r->end - r->at));
	size_t n = MIN(rest.len, head.len);

	if (!span_eq(span_first(rest, n), span_first(head, n)))
		return H1_BAD_LINE;
	if (rest.len < 8)
		return H1_MORE;
	if (r->at[5] < '0' || r->at[5] > '9' || r->at[6] != '.' ||
	    r->at[7] < '0' || r->at[7] > '9')
		return H1_BAD_LINE;
	if (r->at[5] != '1')
		return H1_UNKNOWN_VERSION;
	*minor = r->at[7] != '0';
	r->at += 8;
	return H1_OK;
}

/*
 * Are the bytes of the token name those of lower, in any case, when both have
 * len bytes, at least 4? The bit that makes a letter small also makes a digit
 * or
 * '-' of some control bytes, but those are in no token.
 */
static bool same_name(const char *name, const char *lower, size_t len)
{
	const uint64_t small = 0x2020202020202020;
	uint64_t a = 0, b = 0, c = 0, d = 0;
	size_t i = 0;

	if (len < 8) {
		memcpy(&a, name, 4);
		memcpy(&b, lower, 4);
		memcpy(&c, name + len - 4, 4);
		memcpy(&d, lower + len - 4, 4);
		return (((a | small) ^ (b | small)) |
		        ((c | small) ^ (d | small))) == 0;
	}
	for (;; i = MIN(i + 8, len - 8)) {
		memcpy(&a, name + i, 8);
		memcpy(&b, lower + i, 8);
		if ((a | small) != b)
			return false;
		if (i == len - 8)
			return true;
	}
}

static enum h1_known find_known(struct span name)
{
	unsigned slot;

	if (name.len >= ARRAY_LEN(first_of_length))
		return H1_UNKNOWN;
	slot = first_of_length[name.len];
	if (slot == H1_UNKNOWN)
		return H1_UNKNOWN;
	for (; slot < H1_KNOWN_MAX && names[slot].len == name.len; slot++)
		if (same_name(name.at, names[slot].at, name.len))
			return (enum h1_known)slot;
	return H1_UNKNOWN;
}

static void keep(struct h1_head *head, struct span name, struct span value)
{
	enum h1_known slot = find_known(name);

	head->fields[head->n_fields++] = (struct h1_field){
		.name = name,
		.value = value,
		.known = slot,
	};
	if (slot == H1_UNKNOWN)
		return;
	if (head->seen[slot] == 0)
		head->known[slot] = value;
	if (head->seen[slot] < UINT8_MAX)
		head->seen[slot]++;
}

/* One field line (section 5). */
static enum h1_result take_field(struct reader *r, struct h1_head *head)
{
	struct span name, value;
	enum h1_result result;

	/* A folded line (section 5.2) continues a value for some readers. */
	if (*r->at == ' ' || *r->at == '\t')
		return H1_BAD_FOLD;
	name = take(r, TOKEN);
	if (r->at == r->end)
		return H1_MORE;
	/* Section 5.1: "Content-Length :" has been read both ways. */
	if (*r->at != ':' || name.len == 0)
		return H1_BAD_NAME;
	r->at++;
	skip_blanks(r);
	value = take_value(r);
	result = end_line(r, H1_BAD_VALUE);
	if (result != H1_OK)
		return result;
	while (value.len && (value.at[value.len - 1] == ' ' ||
	                     value.at[value.len - 1] == '\t'))
		value.len--;
	keep(head, name, value);
	return H1_OK;
}

static enum h1_result take_fields(struct reader *r, struct h1_head *head,
                                  size_t fields_max)
{
	enum h1_result result = H1_OK;

	while (result == H1_OK && r->at < r->end) {
		if (*r->at == '\r' || *r->at == '\n')
			return end_line(r, H1_BAD_NEWLINE);
		if (head->n_fields == fields_max)
			return H1_TOO_MANY_FIELDS;
		result = take_field(r, head);
	}
	return result == H1_OK ? H1_MORE : result;
}

/* Is token in a slot's list? Its fields are one list (section 5.3). */
static bool fields_have(const struct h1_head *head, enum h1_known slot,
                        struct span token)
{
	for (size_t i = 0; head->seen[slot] && i < head->n_fields; i++)
		if (head->fields[i].known == slot &&
		    items_have(head->fields[i].value, token))
			return true;
	return false;
}

/* What the transfer codings of a message are, as far as they were read. */
struct codings {
	bool chunked; /* the last one was */
	bool other;   /* there is one that we cannot take off */
};

static bool add_codings(struct codings *codings, struct span list)
{
	if (list.len && list.at[list.len - 1] == ',')
		return false;
	do {
		struct span item = items_next(&list, ',');
		struct reader r = {
			(const unsigned char *)item.at,
			(const unsigned char *)item.at + item.len,
		};

		/* Neither empty, nor quoted, nor with parameters; and nothing
		 * may come after chunked. */
		if (take(&r, TOKEN).len != item.len || item.len == 0 ||
		    codings->chunked)
			return false;
		codings->chunked = span_eq_nocase(item, SPAN("chunked"));
		codings->other |= !codings->chunked;
	} while (list.len);
	return true;
}

/* Transfer-Encoding (RFC 9112, sections 6.1 and 6.3). */
static enum h1_result check_codings(const struct h1_head *head)
{
	struct codings codings = { 0 };

	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].known == H1_TRANSFER_ENCODING &&
		    !add_codings(&codings, head->fields[i].value))
			return H1_BAD_CODING;
	if (!codings.chunked)
		return H1_BAD_CODING;
	return codings.other ? H1_UNKNOWN_CODING : H1_OK;
}

/*
 * How the body is framed (RFC 9112, section 6.3). Both fields in one message
 * are how a request is smuggled past one of two readers; a coding in HTTP/1.0
 * is unknown to a reader that keeps to that version (section 6.1).
 */
static enum h1_result frame(struct h1_head *head)
{
	enum h1_result result;

	head->body = H1_BODY_NONE;
	if (head->seen[H1_TRANSFER_ENCODING]) {
		if (head->seen[H1_CONTENT_LENGTH] || head->minor == 0)
			return H1_BAD_FRAMING;
		result = check_codings(head);
		if (result == H1_OK)
			head->body = H1_BODY_CHUNKED;
		return result;
	}
	if (head->seen[H1_CONTENT_LENGTH] == 0)
		return H1_OK;
	if (head->seen[H1_CONTENT_LENGTH] > 1 ||
	    !span_u64(head->known[H1_CONTENT_LENGTH], INT64_MAX,
	              &head->content_length))
		return H1_BAD_LENGTH;
	if (head->content_length > 0)
		head->body = H1_BODY_LENGTH;
	return H1_OK;
}

/* What Connection says (sections 9.3 and 9.6). */
static void persist(struct h1_head *head)
{
	head->keep_alive = head->minor == 1;
	if (head->seen[H1_CONNECTION] == 0)
		return;
	if (head->minor == 0)
		head->keep_alive =
			fields_have(head, H1_CONNECTION, SPAN("keep-alive"));
	if (fields_have(head, H1_CONNECTION, SPAN("close")))
		head->keep_alive = false;
	head->upgrade = head->minor == 1 && head->seen[H1_UPGRADE] &&
	                fields_have(head, H1_CONNECTION, SPAN("upgrade"));
}

static enum h1_method find_method(struct span text)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (span_eq(text, methods[i].text))
			return methods[i].method;
	return H1_OTHER;
}

/* Move target past "http://host" or "https://host" (section 3.2.2). */
static bool take_authority(struct span *target, struct span *authority)
{
	static const struct span schemes[] = { { "http://", 7 },
		                               { "https://", 8 } };
	struct url_authority parts;
	size_t end = 0;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct span rest = span_from(*target, schemes[i].len);

		if (!span_eq_nocase(span_first(*target, schemes[i].len),
		                    schemes[i]))
			continue;
		while (end < rest.len && rest.at[end] != '/' &&
		       rest.at[end] != '?')
			end++;
		*authority = span_first(rest, end);
		*target = span_from(rest, end);
		return url_parse_authority(*authority, &parts) == URL_OK;
	}
	return false;
}

/* The forms of a target (section 3.2); CONNECT and its own is not served. */
static enum h1_result split_target(struct h1_request *out)
{
	struct span rest = out->target;
	size_t mark;

	out->authority = span_of(NULL, 0);
	out->query = span_of(NULL, 0);
	if (span_eq(rest, SPAN("*"))) {
		out->path = rest;
		return out->method == H1_OPTIONS ? H1_OK : H1_BAD_TARGET;
	}
	if (*rest.at != '/' && !take_authority(&rest, &out->authority))
		return H1_BAD_TARGET;
	mark = span_find(rest, '?');
	out->path = mark > 0 ? span_first(rest, mark) : SPAN("/");
	if (mark < rest.len)
		out->query = span_from(rest, mark + 1);
	return H1_OK;
}

/* The request line (section 3). */
static enum h1_result take_request_line(struct reader *r, size_t target_max,
                                        struct h1_request *out)
{
	enum h1_result result;

	out->method_text = take(r, TOKEN);
	result = take_space(r, H1_BAD_LINE);
	if (result != H1_OK)
		return result;
	if (out->method_text.len == 0)
		return H1_BAD_LINE;
	out->target = take(r, TARGET);
	if (out->target.len > target_max)
		return H1_TARGET_TOO_LONG;
	result = take_space(r, H1_BAD_TARGET);
	if (result != H1_OK)
		return result;
	if (out->target.len == 0)
		return H1_BAD_TARGET;
	result = take_version(r, &out->head.minor);
	if (result == H1_OK)
		result = end_line(r, H1_BAD_LINE);
	if (result != H1_OK)
		return result;
	out->method = find_method(out->method_text);
	return split_target(out);
}

/*
 * Host (section 3.2), one and well-formed. A target with an authority of its
 * own must agree with it: whoever looks at only one of the two would take the
 * request for another.
 */
static enum h1_result check_host(const struct h1_request *r)
{
	struct span host = r->head.known[H1_HOST];
	struct url_authority parts;

	if (r->head.seen[H1_HOST] == 0)
		return r->head.minor == 1 ? H1_NO_HOST : H1_OK;
	if (r->head.seen[H1_HOST] > 1 ||
	    url_parse_authority(host, &parts) != URL_OK ||
	    (r->authority.len && !span_eq_nocase(r->authority, host)))
		return H1_BAD_HOST;
	return H1_OK;
}

/* Expect (RFC 9110, section 10.1.1); HTTP/1.0 has none, so it is ignored. */
static enum h1_result check_expect(struct h1_request *r)
{
	r->expect_continue = false;
	if (r->head.seen[H1_EXPECT] == 0 || r->head.minor == 0)
		return H1_OK;
	if (r->head.seen[H1_EXPECT] > 1 ||
	    !span_eq_nocase(r->head.known[H1_EXPECT], SPAN("100-continue")))
		return H1_UNKNOWN_EXPECTATION;
	r->expect_continue = r->head.body != H1_BODY_NONE;
	return H1_OK;
}

/* What makes sense only when all fields are known. */
static enum h1_result check_request(struct h1_request *out)
{
	enum h1_result result = frame(&out->head);

	if (result == H1_OK)
		result = check_host(out);
	if (result == H1_OK)
		result = check_expect(out);
	if (result == H1_OK)
		persist(&out->head);
	return result;
}

/* Ready for a new message; the fields are written before they are read. */
static void clear(struct h1_head *head)
{
	memset(head, 0, offsetof(struct h1_head, fields));
}

static enum h1_result read_request(struct span in,
                                   const struct h1_limits *limits,
                                   struct h1_request *out)
{
	const unsigned char *start = (const unsigned char *)in.at;
	struct reader r = { start, start + in.len };
	enum h1_result result;

	clear(&out->head);
	if (in.len == 0)
		return H1_MORE;
	if (*r.at == '\r' || *r.at == '\n') {
		result = end_line(&r, H1_BAD_LINE);
		if (result != H1_OK)
			return result;
	}
	result = take_request_line(&r, limits->target_max, out);
	if (result == H1_OK)
		result = take_fields(&r, &out->head, limits->fields_max);
	if (result != H1_OK)
		return result;
	out->head.bytes = (size_t)(r.at - start);
	return check_request(out);
}

/*
 * Can reading in give more than "incomplete", when it did not for its first
 * seen_before bytes? Yes at an empty line, and at an LF that ends no line.
 */
static bool may_end(struct span in, size_t seen_before)
{
	size_t i = seen_before;

	while (i < in.len) {
		i += span_find(span_from(in, i), '\n');
		if (i == in.len)
			return false;
		if (i == 0 || in.at[i - 1] != '\r')
			return true;
		if (i >= 3 && in.at[i - 2] == '\n' && in.at[i - 3] == '\r')
			return true;
		i++;
	}
	return false;
}

/*
 * Is it worth reading in? The first time it is: what is wrong is found early,
 * and mostly the head has come in one piece. After that only once more, so
 * that many small pieces cost no more than one large one.
 */
static bool worth_reading(struct span in, size_t seen_before, size_t head_max)
{
	assert(seen_before <= in.len);
	return seen_before == 0 || in.len >= head_max ||
	       may_end(in, seen_before);
}

static void check_limits(const struct h1_limits *limits)
{
	assert(limits->fields_max <= H1_FIELDS_MAX);
}

enum h1_result h1_parse_request(struct span in, size_t seen_before,
                                const struct h1_limits *limits,
                                struct h1_request *out)
{
	enum h1_result result;

	check_limits(limits);
	if (!worth_reading(in, seen_before, limits->head_max))
		return H1_MORE;
	result = read_request(span_first(in, limits->head_max), limits, out);
	if (result == H1_MORE && in.len >= limits->head_max)
		return H1_HEAD_TOO_LARGE;
	return result;
}

/* "200", then a space and any text, or nothing (section 4). */
static enum h1_result take_status(struct reader *r, struct h1_response *out)
{
	const unsigned char *p = r->at;

	if (r->end - p < 4)
		return H1_MORE;
	if (p[0] < '1' || p[0] > '5' || p[1] < '0' || p[1] > '9' ||
	    p[2] < '0' || p[2] > '9' || (p[3] != ' ' && p[3] != '\r'))
		return H1_BAD_LINE;
	out->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	r->at += p[3] == ' ' ? 4 : 3;
	out->reason = take_value(r);
	return end_line(r, H1_BAD_LINE);
}

static enum h1_result take_status_line(struct reader *r,
                                       struct h1_response *out)
{
	enum h1_result result = take_version(r, &out->head.minor);

	if (result == H1_OK)
		result = take_space(r, H1_BAD_LINE);
	return result == H1_OK ? take_status(r, out) : result;
}

/* The rules of section 6.3 that depend on the status and the request. */
static void frame_response(struct h1_response *out, bool to_head)
{
	struct h1_head *head = &out->head;
	bool never = out->status < 200 || out->status == 204;

	if (never || out->status == 304 || to_head) {
		if ((never && head->body != H1_BODY_NONE) || out->status == 101)
			head->keep_alive = false;
		head->body = H1_BODY_NONE;
		head->content_length = 0;
	} else if (!head->seen[H1_TRANSFER_ENCODING] &&
	           !head->seen[H1_CONTENT_LENGTH]) {
		head->body = H1_BODY_UNTIL_CLOSE;
		head->keep_alive = false;
	}
}

/* Keep-Alive: timeout=5, max=100 (RFC 2068, section 19.7.1.1, as in use). */
static uint32_t keep_alive_seconds(struct span list)
{
	uint64_t seconds = 0;

	while (list.len) {
		struct span value = items_next(&list, ',');
		struct span name = items_next(&value, '=');

		if (span_eq_nocase(name, SPAN("timeout")) &&
		    span_u64(span_trim(value), UINT32_MAX, &seconds))
			break;
	}
	return (uint32_t)seconds;
}

static enum h1_result read_response(struct span in,
                                    const struct h1_limits *limits,
                                    bool to_head, struct h1_response *out)
{
	const unsigned char *start = (const unsigned char *)in.at;
	struct reader r = { start, start + in.len };
	enum h1_result result;

	clear(&out->head);
	result = take_status_line(&r, out);
	if (result == H1_OK)
		result = take_fields(&r, &out->head, limits->fields_max);
	if (result == H1_OK)
		result = frame(&out->head);
	if (result != H1_OK)
		return result;
	out->head.bytes = (size_t)(r.at - start);
	out->keep_alive_seconds =
		keep_alive_seconds(out->head.known[H1_KEEP_ALIVE]);
	persist(&out->head);
	frame_response(out, to_head);
	return H1_OK;
}

enum h1_result h1_parse_response(struct span in, size_t seen_before,
                                 const struct h1_limits *limits, bool to_head,
                                 struct h1_response *out)
{
	enum h1_result result;

	check_limits(limits);
	if (!worth_reading(in, seen_before, limits->head_max))
		return H1_MORE;
	result = read_response(span_first(in, limits->head_max), limits,
	                       to_head, out);
	if (result == H1_MORE && in.len >= limits->head_max)
		return H1_HEAD_TOO_LARGE;
	return result;
}

struct span h1_last_value(const struct h1_head *head, enum h1_known slot)
{
	for (size_t i = head->n_fields; i > 0; i--)
		if (head->fields[i - 1].known == slot)
			return head->fields[i - 1].value;
	return span_of(NULL, 0);
}

bool h1_is_hop(const struct h1_head *head, struct span name)
{
	static const char *const hop[] = {
		"connection",
		"keep-alive",
		"proxy-connection",
		"proxy-authenticate",
		"http2-settings",
		"proxy-authorization",
		"te",
		"trailer",
		"transfer-encoding",
		"upgrade",
	};

	for (size_t i = 0; i < ARRAY_LEN(hop); i++)
		if (span_eq_nocase(name, span_str(hop[i])))
			return true;
	return fields_have(head, H1_CONNECTION, name);
}

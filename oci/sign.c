#include "oci/sign.h"

#include <time.h>

#include "lib/url.h"

#define REQUEST_TARGET "(request-target)"
#define FIELDS_MAX     8   /* of the lists that we write */
#define NAMES_BYTES    128 /* of a list that we write */
#define DIGITS_MAX     20  /* of a content length */
#define DECODED_MAX    BASE64_BYTES(SIGN_SIGNATURE_MAX)

static const char *const sentences[SIGN_ERRORS_MAX] = {
	[SIGN_OK] = "no error",
	[SIGN_BAD_METHOD] = "the method is not a word of at most 16 letters",
	[SIGN_BAD_TARGET] = "the path and query are not at most 8192 visible "
			    "ASCII characters that begin with '/' and have no "
			    "'#': percent-encode the others",
	[SIGN_BAD_HOST] = "the host is not a host name or address with an "
			  "optional port",
	[SIGN_BAD_DATE] = "the date is not written like "
			  "Thu, 05 Jan 2023 21:31:40 GMT",
	[SIGN_BAD_TYPE] = "the content type is not at most 256 printable ASCII "
			  "characters without spaces at its ends",
	[SIGN_BAD_SHA256] = "the digest of the body is not the base64 of 32 "
			    "bytes",
	[SIGN_BAD_OBO] = "the delegation token is not at most 16384 visible "
			 "ASCII characters",
	[SIGN_BAD_KEY_ID] = "the key id is not 1 to 16384 visible ASCII "
			    "characters without quotes and backslashes",
	[SIGN_BAD_LIST] = "the signed headers are not a list of 1 to 16 names "
			  "of header fields with one space between them",
	[SIGN_TWICE] = "the list of signed headers has a name twice",
	[SIGN_NO_FIELD] = "the list of signed headers has one that the request "
			  "does not have",
	[SIGN_BAD_VALUE] = "a signed header's value has control or non-ASCII "
			   "characters or is longer than 16384 bytes",
	[SIGN_BAD_KEY] = "the key is not a private RSA key that can sign",
	[SIGN_FULL] = "the signed request does not fit into its memory",
	[SIGN_TOO_LONG] = "the Authorization header is too long",
	[SIGN_BAD_SCHEME] = "the Authorization header is not of the scheme "
			    "Signature",
	[SIGN_BAD_PARAMETER] = "the Authorization header is not a list of "
			       "keyId, headers, algorithm, signature and "
			       "version, each with a value in quotes, "
			       "separated by commas",
	[SIGN_PARAMETER_TWICE] = "the Authorization header has a parameter "
				 "twice",
	[SIGN_NO_PARAMETER] = "the Authorization header lacks one of keyId, "
			      "headers, algorithm, signature and version",
	[SIGN_BAD_ALGORITHM] = "the signature's algorithm is not rsa-sha256",
	[SIGN_BAD_VERSION] = "the signature's version is not 1",
	[SIGN_BAD_SIGNATURE] = "the signature is not base64 of a sensible "
			       "length",
};

const char *sign_error(enum sign_error error)
{
	return sentences[error];
}

/* --- bytes ---------------------------------------------------------------- */

static bool is_letter(char c)
{
	char lower = (char)ascii_lower((unsigned char)c);

	return lower >= 'a' && lower <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_printable(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] > '~')
			return false;
	return true;
}

/* No space either. */
static bool is_visible(struct span text)
{
	return is_printable(text) && span_find(text, ' ') == text.len;
}

static bool lacks(struct span text, const char *bytes)
{
	for (; *bytes; bytes++)
		if (span_find(text, *bytes) < text.len)
			return false;
	return true;
}

/* A field's name: token of RFC 9110, section 5.6.2. */
static bool is_token(struct span name)
{
	static const struct span marks = { "!#$%&'*+-.^_`|~", 15 };

	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (!is_letter(c) && !is_digit(c) &&
		    span_find(marks, c) == marks.len)
			return false;
	}
	return name.len > 0;
}

/* Bytes in base64, and how many; at most those of a signature. */
static bool decode(struct span text, uint8_t out[DECODED_MAX], size_t *len)
{
	return text.len <= SIGN_SIGNATURE_MAX &&
	       base64_decode(text, out, len) && *len <= KEY_SIGNATURE_MAX;
}

static void add_lower(struct buf *into, struct span text)
{
	char *to = text.len ? buf_reserve(into, text.len) : NULL;

	if (!to)
		return;
	for (size_t i = 0; i < text.len; i++)
		to[i] = (char)ascii_lower((unsigned char)text.at[i]);
	buf_commit(into, text.len);
}

static bool is_unreserved(char c)
{
	return is_letter(c) || is_digit(c) || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static void add_percent(struct buf *into, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char byte = (unsigned char)c;
	char code[3] = { '%', digits[byte >> 4], digits[byte & 15] };

	buf_add(into, code, sizeof(code));
}

void sign_encode(struct span value, struct buf *into)
{
	for (size_t i = 0; i < value.len; i++) {
		if (is_unreserved(value.at[i]))
			buf_putc(into, value.at[i]);
		else
			add_percent(into, value.at[i]);
	}
}

void sign_encode_segment(struct span segment, struct buf *into)
{
	if (!span_is(segment, ".") && !span_is(segment, "..")) {
		sign_encode(segment, into);
		return;
	}
	for (size_t i = 0; i < segment.len; i++)
		add_percent(into, segment.at[i]);
}

/* --- parts of a request --------------------------------------------------- */

void sign_body_sha256(struct span body, char out[SIGN_SHA256_LEN])
{
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_sha256(body, hash);
	base64_encode(span_of(hash, sizeof(hash)), out);
}

/* RFC 9110, section 5.6.7: not those of a locale. */
static const char days[7][4] = {
	"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
};
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void put_number(char *to, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
}

bool sign_date(int64_t utc_s, char out[SIGN_DATE_LEN + 1])
{
	time_t when = (time_t)utc_s;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
		return false;
	memcpy(out, "Thu, 05 Jan 2023 21:31:40 GMT", SIGN_DATE_LEN + 1);
	memcpy(out, days[tm.tm_wday], 3);
	put_number(out + 5, tm.tm_mday, 2);
	memcpy(out + 8, months[tm.tm_mon], 3);
	put_number(out + 12, tm.tm_year + 1900, 4);
	put_number(out + 17, tm.tm_hour, 2);
	put_number(out + 20, tm.tm_min, 2);
	put_number(out + 23, tm.tm_sec, 2);
	return true;
}

static bool date_ok(struct span date)
{
	static const char form[] = "Aaa, 00 Aaa 0000 00:00:00 GMT";
	bool good = date.len == SIGN_DATE_LEN;

	for (size_t i = 0; good && i < date.len; i++) {
		char c = date.at[i];

		if (form[i] == '0')
			good = is_digit(c);
		else if (form[i] == 'A')
			good = c >= 'A' && c <= 'Z';
		else if (form[i] == 'a')
			good = c >= 'a' && c <= 'z';
		else
			good = c == form[i];
	}
	return good;
}

static int number_at(struct span text, size_t at, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++)
		value = value * 10 + (text.at[at + (size_t)i] - '0');
	return value;
}

bool sign_date_read(struct span text, int64_t *utc_s)
{
	struct tm tm = { 0 }, same;
	int month = 0;

	if (!date_ok(text))
		return false;
	while (month < 12 && memcmp(text.at + 8, months[month], 3) != 0)
		month++;
	tm.tm_mday = number_at(text, 5, 2);
	tm.tm_mon = month;
	tm.tm_year = number_at(text, 12, 4) - 1900;
	tm.tm_hour = number_at(text, 17, 2);
	tm.tm_min = number_at(text, 20, 2);
	tm.tm_sec = number_at(text, 23, 2);
	if (month == 12 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	/* 31 February would become a day of March. */
	same = (struct tm){ .tm_mday = tm.tm_mday,
		            .tm_mon = tm.tm_mon,
		            .tm_year = tm.tm_year };
	timegm(&same);
	if (same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday)
		return false;
	*utc_s = (int64_t)timegm(&tm);
	return true;
}

/* --- checks --------------------------------------------------------------- */

static bool method_ok(struct span method)
{
	for (size_t i = 0; i < method.len; i++)
		if (!is_letter(method.at[i]))
			return false;
	return method.len > 0 && method.len <= SIGN_METHOD_MAX;
}

static bool target_ok(struct span target)
{
	return target.len == 0 ||
	       (*target.at == '/' && target.len <= SIGN_TARGET_MAX &&
	        is_visible(target) && lacks(target, "#"));
}

static bool host_ok(struct span host)
{
	struct url_authority parts;

	return host.len <= SIGN_HOST_MAX &&
	       url_parse_authority(host, &parts) == URL_OK;
}

static bool type_ok(struct span type)
{
	return type.len <= SIGN_TYPE_MAX && is_printable(type) &&
	       span_trim(type).len == type.len;
}

static bool sha256_ok(struct span text)
{
	uint8_t bytes[DECODED_MAX];
	size_t len;

	return decode(text, bytes, &len) && len == CRYPTO_HASH_LEN;
}

static bool key_id_ok(struct span key_id)
{
	return key_id.len > 0 && key_id.len <= SIGN_KEY_ID_MAX &&
	       is_visible(key_id) && lacks(key_id, "\"\\");
}

static bool signature_ok(struct span signature)
{
	uint8_t bytes[DECODED_MAX];
	size_t len;

	return signature.len > 0 && decode(signature, bytes, &len);
}

/* Are the content fields part of what is signed? */
static bool signs_body(const struct sign_request *r)
{
	return r->with_body && !r->unsigned_body;
}

static bool digest_ok(const struct sign_request *r)
{
	if (!signs_body(r))
		return true;
	if (r->body_sha256.len == 0)
		return r->content_length == 0;
	return sha256_ok(r->body_sha256);
}

static enum sign_error check(const struct sign_request *r)
{
	if (!method_ok(r->method))
		return SIGN_BAD_METHOD;
	if (!target_ok(r->target))
		return SIGN_BAD_TARGET;
	if (!r->no_host && !host_ok(r->host))
		return SIGN_BAD_HOST;
	if (!date_ok(r->date))
		return SIGN_BAD_DATE;
	if (!type_ok(r->content_type))
		return SIGN_BAD_TYPE;
	if (!digest_ok(r))
		return SIGN_BAD_SHA256;
	if (r->obo_token.len > SIGN_OBO_MAX || !is_visible(r->obo_token))
		return SIGN_BAD_OBO;
	return SIGN_OK;
}

/* --- lists of names ------------------------------------------------------- */

/* The next name; more says whether another one must follow. */
static struct span take_name(struct span *list, bool *more)
{
	size_t end = span_find(*list, ' ');
	struct span name = span_first(*list, end);

	*more = end < list->len;
	*list = span_from(*list, end + 1);
	return name;
}

static bool is_target_name(struct span name)
{
	return span_eq_nocase(name, SPAN(REQUEST_TARGET));
}

static bool is_among(struct span name, const struct span *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(name, names[i]))
			return true;
	return false;
}

static enum sign_error check_list(struct span list)
{
	struct span names[SIGN_NAMES_MAX];
	size_t n = 0;
	bool more = true;

	if (list.len > SIGN_LIST_MAX)
		return SIGN_BAD_LIST;
	while (more) {
		struct span name = take_name(&list, &more);

		if (n == SIGN_NAMES_MAX || name.len > SIGN_NAME_MAX ||
		    (!is_token(name) && !is_target_name(name)))
			return SIGN_BAD_LIST;
		if (is_among(name, names, n))
			return SIGN_TWICE;
		names[n++] = name;
	}
	return SIGN_OK;
}

/* --- the signing string --------------------------------------------------- */

static enum sign_error full_or_ok(const struct buf *into)
{
	return buf_err(into) < 0 ? SIGN_FULL : SIGN_OK;
}

static void add_line(struct buf *into, struct span name, struct span value)
{
	add_lower(into, name);
	buf_puts(into, ": ");
	buf_add_span(into, value);
}

static void add_target(struct buf *into, struct span method, struct span target)
{
	buf_puts(into, REQUEST_TARGET ": ");
	add_lower(into, method);
	buf_putc(into, ' ');
	buf_add_span(into, target.len ? target : SPAN("/"));
}

/* What is signed of a request, in order. The target has an empty value. */
struct listing {
	struct sign_field fields[FIELDS_MAX];
	size_t n;
	char length[DIGITS_MAX];
};

static void list(struct listing *l, struct span name, struct span value)
{
	assert(l->n < FIELDS_MAX);
	l->fields[l->n++] = (struct sign_field){ name, value };
}

static struct span write_length(struct listing *l, uint64_t length)
{
	size_t at = DIGITS_MAX;

	do {
		l->length[--at] = (char)('0' + length % 10);
		length /= 10;
	} while (length);
	return span_of(l->length + at, DIGITS_MAX - at);
}

static struct span type_of(const struct sign_request *r)
{
	if (r->content_type.len == 0 && signs_body(r))
		return SPAN("application/json");
	return r->content_type;
}

static struct span sha256_of(const struct sign_request *r)
{
	return r->body_sha256.len ? r->body_sha256 : SPAN(SIGN_SHA256_EMPTY);
}

static struct span date_name(const struct sign_request *r)
{
	return r->x_date ? SPAN("x-date") : SPAN("date");
}

static void list_fields(const struct sign_request *r, struct listing *l)
{
	l->n = 0;
	list(l, date_name(r), r->date);
	list(l, SPAN(REQUEST_TARGET), (struct span){ 0 });
	if (!r->no_host)
		list(l, SPAN("host"), r->host);
	if (r->obo_token.len)
		list(l, SPAN("opc-obo-token"), r->obo_token);
	if (!signs_body(r))
		return;
	list(l, SPAN("content-length"), write_length(l, r->content_length));
	list(l, SPAN("content-type"), type_of(r));
	list(l, SPAN("x-content-sha256"), sha256_of(r));
}

static struct span join_names(const struct sign_request *r,
                              char out[NAMES_BYTES])
{
	struct listing l;
	size_t len = 0;

	list_fields(r, &l);
	for (size_t i = 0; i < l.n; i++) {
		struct span name = l.fields[i].name;

		assert(len + 1 + name.len <= NAMES_BYTES);
		if (i > 0)
			out[len++] = ' ';
		memcpy(out + len, name.at, name.len);
		len += name.len;
	}
	return span_of(out, len);
}

void sign_names(const struct sign_request *request, struct buf *into)
{
	char names[NAMES_BYTES];

	buf_add_span(into, join_names(request, names));
}

enum sign_error sign_string(const struct sign_request *request,
                            struct buf *into)
{
	struct listing l;
	enum sign_error error = check(request);

	if (error != SIGN_OK)
		return error;
	list_fields(request, &l);
	for (size_t i = 0; i < l.n; i++) {
		if (i > 0)
			buf_putc(into, '\n');
		if (is_target_name(l.fields[i].name))
			add_target(into, request->method, request->target);
		else
			add_line(into, l.fields[i].name, l.fields[i].value);
	}
	return full_or_ok(into);
}

static const struct sign_field *
find_field(struct span name, const struct sign_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(name, fields[i].name))
			return &fields[i];
	return NULL;
}

static enum sign_error check_fields(struct span names,
                                    const struct sign_field *fields, size_t n)
{
	enum sign_error error = check_list(names);
	bool more = error == SIGN_OK;

	while (more) {
		struct span name = take_name(&names, &more);
		const struct sign_field *field = find_field(name, fields, n);

		if (is_target_name(name))
			continue;
		if (!field)
			return SIGN_NO_FIELD;
		if (field->value.len > SIGN_VALUE_MAX ||
		    !is_printable(field->value))
			return SIGN_BAD_VALUE;
	}
	return error;
}

enum sign_error sign_string_of(struct span names, struct span method,
                               struct span target,
                               const struct sign_field *fields, size_t n_fields,
                               struct buf *into)
{
	enum sign_error error;
	bool more = true;

	if (!method_ok(method))
		return SIGN_BAD_METHOD;
	if (!target_ok(target))
		return SIGN_BAD_TARGET;
	error = check_fields(names, fields, n_fields);
	if (error != SIGN_OK)
		return error;
	while (more) {
		struct span name = take_name(&names, &more);

		if (is_target_name(name))
			add_target(into, method, target);
		else
			add_line(into, name,
			         find_field(name, fields, n_fields)->value);
		if (more)
			buf_putc(into, '\n');
	}
	return full_or_ok(into);
}

/* --- the header lines ----------------------------------------------------- */

static enum sign_error make_signature(const struct key *key, struct span string,
                                      char out[SIGN_SIGNATURE_MAX], size_t *len)
{
	uint8_t raw[KEY_SIGNATURE_MAX];
	size_t n;

	if (key_sign(key, KEY_RS256, string, raw, &n) < 0)
		return SIGN_BAD_KEY;
	*len = base64_encode(span_of(raw, n), out);
	return SIGN_OK;
}

enum sign_error sign_signature(const struct key *key, struct span string,
                               struct buf *into)
{
	char text[SIGN_SIGNATURE_MAX];
	size_t len;
	enum sign_error error = make_signature(key, string, text, &len);

	if (error != SIGN_OK)
		return error;
	buf_add(into, text, len);
	return full_or_ok(into);
}

static void add_authorization(struct span key_id, struct span names,
                              struct span signature, struct buf *into)
{
	buf_puts(into, "Signature algorithm=\"rsa-sha256\",headers=\"");
	buf_add_span(into, names);
	buf_puts(into, "\",keyId=\"");
	buf_add_span(into, key_id);
	buf_puts(into, "\",signature=\"");
	buf_add_span(into, signature);
	buf_puts(into, "\",version=\"1\"");
}

enum sign_error sign_authorization(struct span key_id, struct span names,
                                   struct span signature, struct buf *into)
{
	enum sign_error error = check_list(names);

	if (!key_id_ok(key_id))
		return SIGN_BAD_KEY_ID;
	if (error != SIGN_OK)
		return error;
	if (!signature_ok(signature))
		return SIGN_BAD_SIGNATURE;
	add_authorization(key_id, names, signature, into);
	return full_or_ok(into);
}

static void add_header(struct buf *into, struct span name, struct span value)
{
	add_line(into, name, value);
	buf_puts(into, "\r\n");
}

static void add_headers(const struct sign_request *r, struct span key_id,
                        struct span signature, struct buf *into)
{
	char names[NAMES_BYTES];

	add_header(into, date_name(r), r->date);
	buf_puts(into, "authorization: ");
	add_authorization(key_id, join_names(r, names), signature, into);
	buf_puts(into, "\r\n");
	if (signs_body(r))
		add_header(into, SPAN("x-content-sha256"), sha256_of(r));
	if (type_of(r).len)
		add_header(into, SPAN("content-type"), type_of(r));
	if (r->obo_token.len)
		add_header(into, SPAN("opc-obo-token"), r->obo_token);
}

enum sign_error sign_headers(const struct key *key, struct span key_id,
                             const struct sign_request *request,
                             struct buf *into)
{
	char signature[SIGN_SIGNATURE_MAX];
	size_t start = into->len, len = 0;
	enum sign_error error;

	if (!key_id_ok(key_id))
		return SIGN_BAD_KEY_ID;
	/* The string stands where the lines will: no memory of its own. */
	error = sign_string(request, into);
	if (error != SIGN_OK)
		return error;
	error = make_signature(key, span_from(buf_span(into), start), signature,
	                       &len);
	into->len = start;
	if (error != SIGN_OK)
		return error;
	add_headers(request, key_id, span_of(signature, len), into);
	return full_or_ok(into);
}

/* --- to read -------------------------------------------------------------- */

static const struct parameter {
	struct span name;
	size_t offset; /* of the span in struct sign_parsed */
} parameters[] = {
	{ { "keyId", 5 }, offsetof(struct sign_parsed, key_id) },
	{ { "algorithm", 9 }, offsetof(struct sign_parsed, algorithm) },
	{ { "headers", 7 }, offsetof(struct sign_parsed, headers) },
	{ { "signature", 9 }, offsetof(struct sign_parsed, signature) },
	{ { "version", 7 }, offsetof(struct sign_parsed, version) },
};

static struct span *place_of(struct sign_parsed *out, const struct parameter *p)
{
	return (struct span *)(void *)((char *)out + p->offset);
}

/* A name="value" at the front of *text, which moves past it. */
static bool take_pair(struct span *text, struct span *name, struct span *value)
{
	size_t equals = span_find(*text, '=');
	struct span rest = span_from(*text, equals + 1);

	if (rest.len == 0 || *rest.at != '"')
		return false;
	rest = span_from(rest, 1);
	size_t quote = span_find(rest, '"');
	if (quote == rest.len)
		return false;
	*name = span_first(*text, equals);
	*value = span_first(rest, quote);
	*text = span_trim(span_from(rest, quote + 1));
	return true;
}

static enum sign_error keep(struct span name, struct span value,
                            struct sign_parsed *out)
{
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		struct span *place = place_of(out, &parameters[i]);

		if (!span_eq(name, parameters[i].name))
			continue;
		if (place->at)
			return SIGN_PARAMETER_TWICE;
		*place = value;
		return SIGN_OK;
	}
	return SIGN_BAD_PARAMETER;
}

static enum sign_error take_parameters(struct span text,
                                       struct sign_parsed *out)
{
	struct span name, value;
	enum sign_error error;

	for (;;) {
		if (!take_pair(&text, &name, &value))
			return SIGN_BAD_PARAMETER;
		error = keep(name, value, out);
		if (error != SIGN_OK || text.len == 0)
			return error;
		if (*text.at != ',')
			return SIGN_BAD_PARAMETER;
		text = span_trim(span_from(text, 1));
	}
}

static enum sign_error check_parsed(struct sign_parsed *parsed)
{
	enum sign_error error;

	for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
		if (!place_of(parsed, &parameters[i])->at)
			return SIGN_NO_PARAMETER;
	if (!span_is(parsed->version, "1"))
		return SIGN_BAD_VERSION;
	if (!span_is(parsed->algorithm, "rsa-sha256"))
		return SIGN_BAD_ALGORITHM;
	if (!key_id_ok(parsed->key_id))
		return SIGN_BAD_KEY_ID;
	error = check_list(parsed->headers);
	if (error != SIGN_OK)
		return error;
	return signature_ok(parsed->signature) ? SIGN_OK : SIGN_BAD_SIGNATURE;
}

enum sign_error sign_parse(struct span value, struct sign_parsed *out)
{
	static const struct span scheme = { "Signature ", 10 };
	enum sign_error error;

	*out = (struct sign_parsed){ 0 };
	if (value.len > SIGN_AUTHORIZATION_MAX)
		return SIGN_TOO_LONG;
	if (!span_eq_nocase(span_first(value, scheme.len), scheme))
		return SIGN_BAD_SCHEME;
	error = take_parameters(span_trim(span_from(value, scheme.len)), out);
	if (error == SIGN_OK)
		error = check_parsed(out);
	if (error != SIGN_OK)
		*out = (struct sign_parsed){ 0 };
	return error;
}

bool sign_verify(const struct sign_parsed *parsed, struct span string,
                 const struct key *key)
{
	uint8_t raw[DECODED_MAX];
	size_t len;

	return decode(parsed->signature, raw, &len) &&
	       key_verify(key, KEY_RS256, string, span_of(raw, len));
}

#include "oci/sign.h"

#include <criterion/criterion.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/url.h"

#define FILE_MAX_BYTES 262144
#define FIELDS_MAX     16
#define DATE           "Thu, 05 Jan 2023 21:31:40 GMT"

#define CHECK_SPAN(got, text)                                               \
	do {                                                                \
		struct span got_ = (got), want_ = (text);                   \
		cr_assert(span_eq(got_, want_), "%s: \"%.*s\" != \"%.*s\"", \
		          #got, SPAN_ARG(got_), SPAN_ARG(want_));           \
	} while (0)

/* The file of vectors: read from the project's root. */
static struct json *load_vectors(void)
{
	struct buf text = { .max = FILE_MAX_BYTES };
	struct json_error why;
	struct json *doc;

	cr_assert_eq(crypto_init(), 0);
	cr_assert_eq(file_read("tests/unit/sign_vectors.json", &text), 0);
	cr_assert_eq(json_parse(buf_span(&text), 0, &doc, &why), 0, "%s",
	             why.text);
	buf_free(&text);
	return doc;
}

/* The n-th form of the vectors' key. */
static struct key *load_key(const struct json *doc, int n)
{
	struct json_value root = json_root(doc);
	struct json_value pem = json_first(json_get(root, "private_keys"));
	const char *why = "";
	struct key *key;

	while (n-- > 0)
		pem = json_next(pem);
	cr_assert_eq(
		key_private_from_pem(json_text(pem),
	                             json_text(json_get(root, "pass_phrase")),
	                             &key, &why),
		0, "%s", why);
	return key;
}

/* Path and query of a URL. */
static struct span target_of(struct span text)
{
	struct url url;

	cr_assert_eq(url_parse(text, &url), URL_OK);
	if (url.query.len)
		return span_of(
			url.path.at,
			(size_t)(url.query.at + url.query.len - url.path.at));
	return url.path;
}

static size_t fields_of(struct json_value headers, struct sign_field *out)
{
	size_t n = 0;

	for (struct json_value v = json_first(headers); json_exists(v);
	     v = json_next(v))
		out[n++] = (struct sign_field){ json_key(v), json_text(v) };
	return n;
}

static struct span field_of(struct json_value vector, const char *name)
{
	return json_text(json_get(json_get(vector, "headers"), name));
}

Test(sign, every_vector_is_rebuilt_signed_and_verified)
{
	struct json *doc = load_vectors();
	struct key *key = load_key(doc, 0);
	size_t n = 0;

	for (struct json_value v =
	             json_first(json_get(json_root(doc), "vectors"));
	     json_exists(v); v = json_next(v), n++) {
		struct span names = json_text(json_get(v, "signed_headers"));
		struct span want = json_text(json_get(v, "signing_string"));
		struct span value = json_text(json_get(v, "authorization"));
		struct buf string = { .max = SIGN_STRING_MAX };
		struct buf signature = { .max = SIGN_SIGNATURE_MAX };
		struct sign_field fields[FIELDS_MAX];
		struct sign_parsed parsed;
		size_t n_fields = fields_of(json_get(v, "headers"), fields);

		cr_assert_eq(
			sign_string_of(names, json_text(json_get(v, "method")),
		                       target_of(json_text(json_get(v, "url"))),
		                       fields, n_fields, &string),
			SIGN_OK, "%s", json_string(json_get(v, "name")));
		CHECK_SPAN(buf_span(&string), want);
		cr_assert_eq(sign_signature(key, buf_span(&string), &signature),
		             SIGN_OK);
		CHECK_SPAN(buf_span(&signature),
		           json_text(json_get(v, "signature")));

		cr_assert_eq(sign_parse(value, &parsed), SIGN_OK);
		CHECK_SPAN(parsed.headers, names);
		CHECK_SPAN(parsed.key_id, json_text(json_get(v, "key_id")));
		CHECK_SPAN(parsed.signature, buf_span(&signature));
		cr_assert(sign_verify(&parsed, want, key));
		cr_assert_not(sign_verify(&parsed, span_from(want, 1), key));
		buf_free(&string);
		buf_free(&signature);
	}
	cr_assert_eq(n, 60);
	key_free(key);
	json_free(doc);
}

/* As the keeper would have it: all but the lists of npm, which have another
 * order. */
static struct sign_request request_of(struct json_value v, size_t body_bytes)
{
	struct span names = json_text(json_get(v, "signed_headers"));
	struct sign_request r = {
		.method = json_text(json_get(v, "method")),
		.target = target_of(json_text(json_get(v, "url"))),
		.host = field_of(v, "host"),
		.date = field_of(v, "date"),
		.content_type = field_of(v, "content-type"),
		.body_sha256 = field_of(v, "x-content-sha256"),
		.obo_token = field_of(v, "opc-obo-token"),
		.content_length = body_bytes,
	};

	r.x_date = span_starts(names, SPAN("x-date"));
	if (r.x_date)
		r.date = field_of(v, "x-date");
	r.no_host = !memmem(names.at, names.len, "host", 4);
	r.with_body = memmem(names.at, names.len, "x-content", 9) != NULL;
	return r;
}

static size_t body_bytes(struct json_value v, char digest[SIGN_SHA256_LEN])
{
	struct span text = json_text(json_get(v, "body_base64"));
	char *body = malloc(text.len + 1);
	size_t len = 0;

	cr_assert(base64_decode(text, body, &len));
	sign_body_sha256(span_of(body, len), digest);
	free(body);
	return len;
}

Test(sign, requests_give_the_same_header_lines)
{
	struct json *doc = load_vectors();
	struct key *key = load_key(doc, 0);
	size_t n = 0;

	for (struct json_value v =
	             json_first(json_get(json_root(doc), "vectors"));
	     json_exists(v); v = json_next(v)) {
		char digest[SIGN_SHA256_LEN];
		struct sign_request r = request_of(v, body_bytes(v, digest));
		struct buf lines = { .max = SIGN_HEADERS_MAX };
		struct buf want = { .max = SIGN_HEADERS_MAX };

		if (r.with_body)
			CHECK_SPAN(r.body_sha256,
			           span_of(digest, SIGN_SHA256_LEN));
		if (r.x_date && r.with_body)
			continue;
		cr_assert_eq(sign_headers(key, json_text(json_get(v, "key_id")),
		                          &r, &lines),
		             SIGN_OK);
		buf_addf(&want, "signature=\"%s\"",
		         json_string(json_get(v, "signature")));
		cr_assert(memmem(lines.bytes, lines.len, want.bytes, want.len),
		          "%s", json_string(json_get(v, "name")));
		buf_reset(&want);
		buf_addf(&want, "authorization: %s\r\n",
		         json_string(json_get(v, "authorization")));
		if (!r.x_date)
			cr_assert(memmem(lines.bytes, lines.len, want.bytes,
			                 want.len));
		buf_free(&lines);
		buf_free(&want);
		n++;
	}
	cr_assert_eq(n, 51);
	key_free(key);
	json_free(doc);
}

Test(sign, all_forms_of_the_key_are_one_key)
{
	struct json *doc = load_vectors();
	char hex[2 * KEY_MD5_LEN], *at;
	uint8_t md5[KEY_MD5_LEN];

	for (int i = 0; i < 4; i++) {
		struct key *key = load_key(doc, i);

		cr_assert_eq(key_fingerprint_md5(key, md5), 0);
		crypto_hex_encode(span_of(md5, sizeof(md5)), hex);
		at = hex;
		for (const char *p = json_string(
			     json_get(json_root(doc), "fingerprint"));
		     *p; p++)
			if (*p != ':')
				cr_assert_eq(*p, *at++);
		cr_assert_eq(at, hex + sizeof(hex));
		key_free(key);
	}
	json_free(doc);
}

/* --- one request and all that can be wrong with it ------------------------ */

static struct sign_request good_request(void)
{
	return (struct sign_request){ .method = SPAN("POST"),
		                      .target = SPAN("/20160918/x?a=b"),
		                      .host = SPAN("iaas.example.com:8443"),
		                      .date = SPAN(DATE),
		                      .with_body = true };
}

static void check_string(const struct sign_request *r, const char *want)
{
	struct buf b = { .max = SIGN_STRING_MAX };

	cr_assert_eq(sign_string(r, &b), SIGN_OK);
	CHECK_SPAN(buf_span(&b), span_str(want));
	buf_free(&b);
}

static void check_names(const struct sign_request *r, const char *want)
{
	struct buf b = { .max = SIGN_LIST_MAX };

	sign_names(r, &b);
	CHECK_SPAN(buf_span(&b), span_str(want));
	buf_free(&b);
}

#define EMPTY_TAIL                         \
	"\ncontent-length: 0"              \
	"\ncontent-type: application/json" \
	"\nx-content-sha256: " SIGN_SHA256_EMPTY

Test(sign, strings_and_lists)
{
	struct sign_request r = good_request();

	check_string(&r,
	             "date: " DATE "\n(request-target): post /20160918/x?a=b"
	             "\nhost: iaas.example.com:8443" EMPTY_TAIL);
	check_names(&r, "date (request-target) host content-length "
	                "content-type x-content-sha256");
	r.no_host = true;
	r.host = (struct span){ 0 };
	r.target = (struct span){ 0 };
	check_string(&r, "date: " DATE "\n(request-target): post /" EMPTY_TAIL);
	check_names(&r, "date (request-target) content-length content-type "
	                "x-content-sha256");
	r = good_request();
	r.x_date = true;
	r.unsigned_body = true;
	r.obo_token = SPAN("tok.en");
	r.content_length = 7; /* its digest is not asked for */
	check_string(&r,
	             "x-date: " DATE "\n(request-target): post /20160918/x?a=b"
	             "\nhost: iaas.example.com:8443"
	             "\nopc-obo-token: tok.en");
	check_names(&r, "x-date (request-target) host opc-obo-token");
}

static const struct {
	const char *method, *target, *host, *date, *type, *sha256, *obo;
	uint64_t length;
	enum sign_error error;
} wrong[] = {
	{ "", "/", "a.b", DATE, "", "", "", 0, SIGN_BAD_METHOD },
	{ "GE T", "/", "a.b", DATE, "", "", "", 0, SIGN_BAD_METHOD },
	{ "ABCDEFGHIJKLMNOPQ", "/", "a", DATE, "", "", "", 0, SIGN_BAD_METHOD },
	{ "GET\n", "/", "a.b", DATE, "", "", "", 0, SIGN_BAD_METHOD },
	{ "GET", "x", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "?x", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/a b", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/a\nhost: b", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/a\r", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/\xc3\xa9", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/a#b", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/\x7f", "a.b", DATE, "", "", "", 0, SIGN_BAD_TARGET },
	{ "GET", "/", "", DATE, "", "", "", 0, SIGN_BAD_HOST },
	{ "GET", "/", "a b", DATE, "", "", "", 0, SIGN_BAD_HOST },
	{ "GET", "/", "a\n", DATE, "", "", "", 0, SIGN_BAD_HOST },
	{ "GET", "/", "u@a", DATE, "", "", "", 0, SIGN_BAD_HOST },
	{ "GET", "/", "a:0", DATE, "", "", "", 0, SIGN_BAD_HOST },
	{ "GET", "/", "a.b", "", "", "", "", 0, SIGN_BAD_DATE },
	{ "GET", "/", "a.b", "Thu, 5 Jan 2023 21:31:40 GMT", "", "", "", 0,
	  SIGN_BAD_DATE },
	{ "GET", "/", "a.b", "Thu, 05 Jan 2023 21:31:40 UTC", "", "", "", 0,
	  SIGN_BAD_DATE },
	{ "GET", "/", "a.b", "thu, 05 Jan 2023 21:31:40 GMT", "", "", "", 0,
	  SIGN_BAD_DATE },
	{ "GET", "/", "a.b", DATE "x", "", "", "", 0, SIGN_BAD_DATE },
	{ "GET", "/", "a.b", DATE, "a/b\n", "", "", 0, SIGN_BAD_TYPE },
	{ "GET", "/", "a.b", DATE, " a/b", "", "", 0, SIGN_BAD_TYPE },
	{ "GET", "/", "a.b", DATE, "a/b ", "", "", 0, SIGN_BAD_TYPE },
	{ "GET", "/", "a.b", DATE, "a\xe4", "", "", 0, SIGN_BAD_TYPE },
	{ "GET", "/", "a.b", DATE, "", "", "", 1, SIGN_BAD_SHA256 },
	{ "GET", "/", "a.b", DATE, "", "AAAA", "", 0, SIGN_BAD_SHA256 },
	{ "GET", "/", "a.b", DATE, "", "not base64", "", 0, SIGN_BAD_SHA256 },
	{ "GET", "/", "a.b", DATE, "", SIGN_SHA256_EMPTY "AAAA", "", 0,
	  SIGN_BAD_SHA256 },
	{ "GET", "/", "a.b", DATE, "", "", "a b", 0, SIGN_BAD_OBO },
	{ "GET", "/", "a.b", DATE, "", "", "a\r\nx: y", 0, SIGN_BAD_OBO },
};

Test(sign, what_is_wrong_is_said_and_nothing_is_appended)
{
	struct buf b = { .max = 2 * SIGN_STRING_MAX };

	buf_puts(&b, "before");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct sign_request r = {
			.method = span_str(wrong[i].method),
			.target = span_str(wrong[i].target),
			.host = span_str(wrong[i].host),
			.date = span_str(wrong[i].date),
			.content_type = span_str(wrong[i].type),
			.body_sha256 = span_str(wrong[i].sha256),
			.obo_token = span_str(wrong[i].obo),
			.content_length = wrong[i].length,
			.with_body = true,
		};

		cr_assert_eq(sign_string(&r, &b), wrong[i].error, "row %zu", i);
		CHECK_SPAN(buf_span(&b), SPAN("before"));
	}
	for (int i = 0; i < SIGN_ERRORS_MAX; i++)
		cr_assert_not_null(sign_error((enum sign_error)i));
	buf_free(&b);
}

Test(sign, limits)
{
	struct sign_request r = good_request();
	char *text = malloc(SIGN_OBO_MAX + 1);
	struct buf b = { .max = SIGN_STRING_MAX };
	struct buf small = { .max = 100 };

	memset(text, 'a', SIGN_OBO_MAX + 1);
	r.obo_token = span_of(text, SIGN_OBO_MAX);
	r.content_type = span_of(text, SIGN_TYPE_MAX);
	text[0] = '/';
	r.target = span_of(text, SIGN_TARGET_MAX);
	r.content_length = UINT64_MAX;
	r.body_sha256 = SPAN(SIGN_SHA256_EMPTY);
	cr_assert_eq(sign_string(&r, &b), SIGN_OK);
	r.target.len++;
	cr_assert_eq(sign_string(&r, &b), SIGN_BAD_TARGET);
	r.target.len = 1;
	r.content_type.len++;
	cr_assert_eq(sign_string(&r, &b), SIGN_BAD_TYPE);
	r.content_type.len = 0;
	r.obo_token.len++;
	cr_assert_eq(sign_string(&r, &b), SIGN_BAD_OBO);
	r.obo_token.len = 0;
	cr_assert_eq(sign_string(&r, &small), SIGN_FULL);
	cr_assert_eq(sign_string(&r, &small), SIGN_FULL);
	buf_free(&b);
	free(text);
}

Test(sign, headers)
{
	struct json *doc = load_vectors();
	struct key *key = load_key(doc, 1);
	struct sign_request r = good_request();
	struct buf b = { .max = SIGN_HEADERS_MAX };
	struct span lines;

	r.x_date = true;
	r.obo_token = SPAN("tok");
	r.content_type = SPAN("application/json; charset=utf-8");
	cr_assert_eq(sign_headers(key, SPAN("a/b/c"), &r, &b), SIGN_OK);
	lines = buf_span(&b);
	cr_assert(span_starts(lines,
	                      SPAN("x-date: " DATE "\r\nauthorization: "
	                           "Signature algorithm=\"rsa-sha256\","
	                           "headers=\"x-date (request-target) host "
	                           "opc-obo-token content-length content-type "
	                           "x-content-sha256\",keyId=\"a/b/c\","
	                           "signature=\"")));
	lines = span_from(lines, (size_t)((char *)memmem(lines.at, lines.len,
	                                                 "\",version=", 10) -
	                                  lines.at));
	CHECK_SPAN(lines, SPAN("\",version=\"1\"\r\n"
	                       "x-content-sha256: " SIGN_SHA256_EMPTY "\r\n"
	                       "content-type: application/json; "
	                       "charset=utf-8\r\nopc-obo-token: tok\r\n"));

	/* What is not signed is sent only when there is one. */
	buf_reset(&b);
	r = good_request();
	r.with_body = false;
	cr_assert_eq(sign_headers(key, SPAN("k"), &r, &b), SIGN_OK);
	cr_assert_null(memmem(b.bytes, b.len, "content", 7));
	r.unsigned_body = true;
	r.content_type = SPAN("image/png");
	cr_assert_eq(sign_headers(key, SPAN("k"), &r, &b), SIGN_OK);
	cr_assert_not_null(
		memmem(b.bytes, b.len, "\r\ncontent-type: image/png", 25));
	cr_assert_null(memmem(b.bytes, b.len, "x-content", 9));
	key_free(key);
	json_free(doc);
	buf_free(&b);
}

Test(sign, headers_need_a_private_rsa_key_and_a_key_id)
{
	struct json *doc = load_vectors();
	struct sign_request r = good_request();
	struct buf b = { .max = SIGN_HEADERS_MAX };
	struct buf small = { .max = 100 };
	static const char *const ids[] = { "",    "a b", "a\"",
		                           "a\\", "a\n", "\xc3\xa9" };
	const char *why;
	struct key *key;

	buf_puts(&b, "x");
	cr_assert_eq(
		key_from_pem(json_text(json_get(json_root(doc), "public_key")),
	                     &key, &why),
		0);
	cr_assert_eq(sign_headers(key, SPAN("k"), &r, &b), SIGN_BAD_KEY);
	CHECK_SPAN(buf_span(&b), SPAN("x"));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		cr_assert_eq(sign_headers(key, span_str(ids[i]), &r, &b),
		             SIGN_BAD_KEY_ID);
	key_free(key);
	cr_assert_eq(key_generate(KEY_ES256, &key), 0);
	cr_assert_eq(sign_headers(key, SPAN("k"), &r, &b), SIGN_BAD_KEY);
	CHECK_SPAN(buf_span(&b), SPAN("x"));
	cr_assert_eq(sign_headers(key, SPAN("k"), &r, &small), SIGN_FULL);
	key_free(key);
	json_free(doc);
	buf_free(&b);
}

/* --- lists that others chose ---------------------------------------------- */

static const struct {
	const char *names;
	enum sign_error error;
} lists[] = {
	{ "date", SIGN_OK },
	{ "Date (Request-Target) HOST", SIGN_OK },
	{ "(request-target)", SIGN_OK },
	{ "", SIGN_BAD_LIST },
	{ " date", SIGN_BAD_LIST },
	{ "date ", SIGN_BAD_LIST },
	{ "date  host", SIGN_BAD_LIST },
	{ "date,host", SIGN_BAD_LIST },
	{ "(date)", SIGN_BAD_LIST },
	{ "date\thost", SIGN_BAD_LIST },
	{ "date:", SIGN_BAD_LIST },
	{ "a b c d e f g h i j k l m n o p q", SIGN_BAD_LIST },
	{ "date Date", SIGN_TWICE },
	{ "(request-target) host (REQUEST-TARGET)", SIGN_TWICE },
	{ "date x-missing", SIGN_NO_FIELD },
	{ "bad", SIGN_BAD_VALUE },
	{ "utf", SIGN_BAD_VALUE },
};

Test(sign, lists_of_names)
{
	static const struct sign_field fields[] = {
		{ { "DATE", 4 }, { "d", 1 } },
		{ { "host", 4 }, { "h", 1 } },
		{ { "bad", 3 }, { "a\nb", 3 } },
		{ { "utf", 3 }, { "\xc3\xa9", 2 } },
		{ { "host", 4 }, { "second", 6 } },
	};
	struct buf b = { .max = 4096 };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		buf_reset(&b);
		cr_assert_eq(sign_string_of(span_str(lists[i].names),
		                            SPAN("Get"), SPAN("/"), fields,
		                            ARRAY_LEN(fields), &b),
		             lists[i].error, "%s", lists[i].names);
		cr_assert(lists[i].error == SIGN_OK || b.len == 0);
	}
	buf_reset(&b);
	cr_assert_eq(sign_string_of(SPAN("Date (Request-Target) HOST"),
	                            SPAN("Get"), SPAN("/"), fields,
	                            ARRAY_LEN(fields), &b),
	             SIGN_OK);
	CHECK_SPAN(buf_span(&b),
	           SPAN("date: d\n(request-target): get /\nhost: h"));
	cr_assert_eq(sign_string_of(SPAN("date"), SPAN("G-T"), SPAN("/"),
	                            fields, 1, &b),
	             SIGN_BAD_METHOD);
	cr_assert_eq(sign_string_of(SPAN("date"), SPAN("GET"), SPAN("*"),
	                            fields, 1, &b),
	             SIGN_BAD_TARGET);
	buf_free(&b);
}

/* --- Authorization values ------------------------------------------------- */

#define A "algorithm=\"rsa-sha256\""
#define H "headers=\"date host\""
#define K "keyId=\"k\""
#define S "signature=\"AAAA\""
#define V "version=\"1\""

static const struct {
	const char *value;
	enum sign_error error;
} values[] = {
	{ "Signature " A "," H "," K "," S "," V, SIGN_OK },
	{ "Signature " V "," S "," K "," H "," A, SIGN_OK },
	{ "signature  " V " ,\t" S ", " K "," H "," A " ", SIGN_OK },
	{ "", SIGN_BAD_SCHEME },
	{ "Signature", SIGN_BAD_SCHEME },
	{ "Bearer x", SIGN_BAD_SCHEME },
	{ "Signature" V, SIGN_BAD_SCHEME },
	{ "Signature ", SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S "," V ",", SIGN_BAD_PARAMETER },
	{ "Signature ," A "," H "," K "," S "," V, SIGN_BAD_PARAMETER },
	{ "Signature " A H "," K "," S "," V, SIGN_BAD_PARAMETER },
	{ "Signature " A ";" H "," K "," S "," V, SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S ",version=1", SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S ",version=\"1", SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S ",other=\"1\"", SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S ",VERSION=\"1\"",
	  SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S ",version =\"1\"",
	  SIGN_BAD_PARAMETER },
	{ "Signature " A "," H "," K "," S "," V "," V, SIGN_PARAMETER_TWICE },
	{ "Signature " A "," H "," K "," S "," V ",signature=\"\"",
	  SIGN_PARAMETER_TWICE },
	{ "Signature " A "," H "," K "," S, SIGN_NO_PARAMETER },
	{ "Signature " A "," H "," K "," V, SIGN_NO_PARAMETER },
	{ "Signature " A "," H "," S "," V, SIGN_NO_PARAMETER },
	{ "Signature " A "," K "," S "," V, SIGN_NO_PARAMETER },
	{ "Signature " H "," K "," S "," V, SIGN_NO_PARAMETER },
	{ "Signature algorithm=\"hmac-sha256\"," H "," K "," S "," V,
	  SIGN_BAD_ALGORITHM },
	{ "Signature algorithm=\"\"," H "," K "," S "," V, SIGN_BAD_ALGORITHM },
	{ "Signature " A "," H "," K "," S ",version=\"2\"", SIGN_BAD_VERSION },
	{ "Signature " A "," H ",keyId=\"\"," S "," V, SIGN_BAD_KEY_ID },
	{ "Signature " A "," H ",keyId=\"a b\"," S "," V, SIGN_BAD_KEY_ID },
	{ "Signature " A "," H ",keyId=\"a\\\"," S "," V, SIGN_BAD_KEY_ID },
	{ "Signature " A ",headers=\"\"," K "," S "," V, SIGN_BAD_LIST },
	{ "Signature " A ",headers=\"date date\"," K "," S "," V, SIGN_TWICE },
	{ "Signature " A "," H "," K ",signature=\"\"," V, SIGN_BAD_SIGNATURE },
	{ "Signature " A "," H "," K ",signature=\"AAA\"," V,
	  SIGN_BAD_SIGNATURE },
	{ "Signature " A "," H "," K ",signature=\"AA-A\"," V,
	  SIGN_BAD_SIGNATURE },
};

Test(sign, authorization_values)
{
	struct sign_parsed p;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		cr_assert_eq(sign_parse(span_str(values[i].value), &p),
		             values[i].error, "%s", values[i].value);
		if (values[i].error != SIGN_OK) {
			cr_assert_null(p.key_id.at);
			continue;
		}
		CHECK_SPAN(p.key_id, SPAN("k"));
		CHECK_SPAN(p.headers, SPAN("date host"));
		CHECK_SPAN(p.signature, SPAN("AAAA"));
		CHECK_SPAN(p.version, SPAN("1"));
		CHECK_SPAN(p.algorithm, SPAN("rsa-sha256"));
	}
}

/* Every value cut at every byte is an error, and no byte past it is read. */
Test(sign, authorization_cut_at_every_byte)
{
	struct span whole = span_str(values[0].value);
	struct sign_parsed p;

	for (size_t cut = 0; cut < whole.len; cut++) {
		char *copy = malloc(cut + 1);

		memcpy(copy, whole.at, cut);
		cr_assert_neq(sign_parse(span_of(copy, cut), &p), SIGN_OK);
		free(copy);
	}
}

Test(sign, authorization_that_is_too_long)
{
	struct buf b = { .max = 2 * SIGN_AUTHORIZATION_MAX };
	struct sign_parsed p;

	buf_puts(&b, "Signature keyId=\"");
	while (b.len < SIGN_AUTHORIZATION_MAX + 1)
		buf_putc(&b, 'k');
	cr_assert_eq(sign_parse(buf_span(&b), &p), SIGN_TOO_LONG);
	buf_free(&b);
}

Test(sign, authorization_is_written_as_it_is_read)
{
	struct buf b = { .max = SIGN_AUTHORIZATION_MAX };
	struct buf small = { .max = 20 };
	struct sign_parsed p;

	cr_assert_eq(sign_authorization(SPAN("ST$x.y.z"), SPAN("date host"),
	                                SPAN("AAAA"), &b),
	             SIGN_OK);
	CHECK_SPAN(buf_span(&b),
	           SPAN("Signature " A "," H ",keyId=\"ST$x.y.z\"," S "," V));
	cr_assert_eq(sign_parse(buf_span(&b), &p), SIGN_OK);
	cr_assert_eq(
		sign_authorization(SPAN("k\""), SPAN("date"), SPAN("AAAA"), &b),
		SIGN_BAD_KEY_ID);
	cr_assert_eq(sign_authorization(SPAN("k"), SPAN(""), SPAN("AAAA"), &b),
	             SIGN_BAD_LIST);
	cr_assert_eq(
		sign_authorization(SPAN("k"), SPAN("a A"), SPAN("AAAA"), &b),
		SIGN_TWICE);
	cr_assert_eq(sign_authorization(SPAN("k"), SPAN("a"), SPAN("A\""), &b),
	             SIGN_BAD_SIGNATURE);
	cr_assert_eq(
		sign_authorization(SPAN("k"), SPAN("a"), SPAN("AAAA"), &small),
		SIGN_FULL);
	buf_free(&b);
}

/* --- parts ---------------------------------------------------------------- */

static const struct {
	int64_t utc_s;
	const char *text; /* NULL: refused */
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
	{ 1672954300, DATE },
	{ 1709251205, "Fri, 01 Mar 2024 00:00:05 GMT" },
	{ 1709164800, "Thu, 29 Feb 2024 00:00:00 GMT" },
	{ -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
	{ -62135596800, "Mon, 01 Jan 0001 00:00:00 GMT" },
	{ 253402300800, NULL },
	{ -62167219201, NULL },
	{ INT64_MAX, NULL },
	{ INT64_MIN, NULL },
};

static const char *const no_dates[] = {
	"",
	"Thu, 5 Jan 2023 21:31:40 GMT",
	"Thu, 05 Jan 2023 21:31:40 UTC",
	"Thu, 05 Foo 2023 21:31:40 GMT",
	"Thu, 00 Jan 2023 21:31:40 GMT",
	"Thu, 32 Jan 2023 21:31:40 GMT",
	"Wed, 29 Feb 2023 21:31:40 GMT",
	"Thu, 05 Jan 2023 24:31:40 GMT",
	"Thu, 05 Jan 2023 21:60:40 GMT",
	"Thu, 05 Jan 2023 21:31:61 GMT",
	"Thursday, 05-Jan-23 21:31:40 GMT",
};

Test(sign, dates)
{
	char out[SIGN_DATE_LEN + 1];
	int64_t back;

	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		cr_assert_eq(sign_date(dates[i].utc_s, out), !!dates[i].text);
		if (!dates[i].text)
			continue;
		cr_assert_str_eq(out, dates[i].text);
		cr_assert(sign_date_read(span_str(out), &back));
		cr_assert_eq(back, dates[i].utc_s);
	}
	back = 7;
	for (size_t i = 0; i < ARRAY_LEN(no_dates); i++)
		cr_assert_not(sign_date_read(span_str(no_dates[i]), &back),
		              "%s", no_dates[i]);
	cr_assert_eq(back, 7);
	cr_assert(sign_date_read(SPAN("Sat, 31 Dec 2016 23:59:60 GMT"), &back));
	cr_assert_eq(back, 1483228800);
}

static const struct {
	const char *in, *value, *segment;
} codes[] = {
	{ "", "", "" },
	{ "aZ09-._~", "aZ09-._~", "aZ09-._~" },
	{ "a b+c:d/e'f(g)*h", "a%20b%2Bc%3Ad%2Fe%27f%28g%29%2Ah",
	  "a%20b%2Bc%3Ad%2Fe%27f%28g%29%2Ah" },
	{ "%25&=#?", "%2525%26%3D%23%3F", "%2525%26%3D%23%3F" },
	{ "\xc3\xa9\x7f\x01", "%C3%A9%7F%01", "%C3%A9%7F%01" },
	{ ".", ".", "%2E" },
	{ "..", "..", "%2E%2E" },
	{ "...", "...", "..." },
	{ "../x", "..%2Fx", "..%2Fx" },
};

Test(sign, percent_encoding)
{
	struct buf b = { .max = 4096 };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		buf_reset(&b);
		sign_encode(span_str(codes[i].in), &b);
		CHECK_SPAN(buf_span(&b), span_str(codes[i].value));
		buf_reset(&b);
		sign_encode_segment(span_str(codes[i].in), &b);
		CHECK_SPAN(buf_span(&b), span_str(codes[i].segment));
	}
	buf_reset(&b);
	sign_encode(span_of("\0", 1), &b);
	CHECK_SPAN(buf_span(&b), SPAN("%00"));
	buf_free(&b);
}

Test(sign, digest_of_no_bytes)
{
	char out[SIGN_SHA256_LEN];

	cr_assert_eq(crypto_init(), 0);
	sign_body_sha256((struct span){ 0 }, out);
	CHECK_SPAN(span_of(out, sizeof(out)), SPAN(SIGN_SHA256_EMPTY));
}

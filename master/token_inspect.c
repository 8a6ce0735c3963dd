#include "master/token_inspect.h"

#include <inttypes.h>
#include <stdio.h>

#include "auth/jwt.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/scan.h"
#include "lib/value.h"

#define INPUT_MAX 16384 /* bytes; enough to say that it is too long */

/*
 * A value as it stands, but for DEL and the C1 controls (U+0080 to U+009F),
 * which JSON allows and a terminal obeys.
 */
static void print_raw(struct span raw)
{
	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.at[i];
		unsigned char next =
			i + 1 < raw.len ? (unsigned char)raw.at[i + 1] : 0;

		if (c == 0x7f) {
			fputs("\\u007f", stdout);
		} else if (c == 0xc2 && next < 0xa0) {
			printf("\\u%04x", next);
			i++;
		} else {
			putchar(c);
		}
	}
}

/* Decode a part and show its members; false when it is no JSON object. */
static bool print_part(const char *title, struct span part, struct buf *json)
{
	struct scan_error why;
	struct value_iter it;
	struct span name, value;
	size_t len;
	char *to = buf_reserve(json, part.len);

	if (!to || !crypto_base64url_decode(part, to, part.len, &len))
		return false;
	buf_commit(json, len);
	if (scan_document(buf_span(json), NULL, 0, NULL, &why) != SCAN_OK ||
	    value_type(buf_span(json)) != VALUE_OBJECT)
		return false;
	printf("%s:\n", title);
	value_iter_init(&it, buf_span(json));
	while (value_object_next(&it, &name, &value)) {
		fputs("  ", stdout);
		print_raw(name);
		fputs(": ", stdout);
		print_raw(value);
		putchar('\n');
	}
	return true;
}

static void print_time(const char *title, struct span claims, struct span name)
{
	int64_t at_s, now_s = clock_utc_ms() / 1000;
	char iso[CLOCK_ISO_LEN + 1];

	/* Beyond the year 9999 there is no such form. */
	if (!value_integer(value_get(claims, name), &at_s) || at_s < 0 ||
	    at_s > INT64_C(253402300799))
		return;
	printf("%s: %s (%" PRId64 " s %s)\n", title,
	       clock_iso(at_s * 1000, iso),
	       at_s > now_s ? at_s - now_s : now_s - at_s,
	       at_s > now_s ? "from now" : "ago");
}

static const char *signature_verdict(struct span token, struct span header,
                                     const struct key *key)
{
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len, dot = token.len;
	enum key_alg alg;
	struct span name;

	while (dot > 0 && token.at[dot - 1] != '.')
		dot--;
	if (!value_string_plain(value_get(header, SPAN("alg")), &name) ||
	    !key_alg_of(name, &alg))
		return "bad: the algorithm is not one that is ever accepted";
	if (!key_allows(key, alg))
		return "bad: the algorithm does not belong to a key of this "
		       "type";
	if (!crypto_base64url_decode(span_from(token, dot), signature,
	                             sizeof(signature), &len) ||
	    !key_verify(key, alg, span_first(token, dot - 1),
	                span_of(signature, len)))
		return "bad: not made with this key, or the token was changed";
	return "good";
}

static int judge(const struct token_wish *w, struct span token,
                 struct span header, const struct key *key)
{
	struct jwt_key row = { .key = key, .issuer = JWT_ISSUER_ANY };
	struct span issuer = span_str(w->issuer);
	struct span audience = span_str(w->audience);
	struct jwt_rules rules = { .keys = &row,
		                   .n_keys = 1,
		                   .issuers = &issuer,
		                   .n_issuers = w->issuer != NULL,
		                   .audiences = &audience,
		                   .n_audiences = w->audience != NULL,
		                   .algs = KEY_ALG_ALL };
	struct jwt_claims claims;

	if (!key) {
		printf("signature: not checked; give --key FILE\n");
		return token_io_finish(TOKEN_DONE);
	}
	printf("signature: %s\n", signature_verdict(token, header, key));
	enum jwt_result result =
		jwt_check(&rules, token, clock_utc_ms() / 1000, &claims);
	printf("verdict: %s: %s\n", result == JWT_OK ? "accepted" : "refused",
	       jwt_reason(result));
	return token_io_finish(result == JWT_OK ? TOKEN_DONE : TOKEN_FAILED);
}

static int show(const struct token_wish *w, struct span token,
                const struct key *key)
{
	struct buf header = { .max = JWT_MAX }, claims = { .max = JWT_MAX };
	struct span first = span_first(token, span_find(token, '.'));
	struct span rest = span_from(token, first.len + 1);
	int status;

	if (token.len > JWT_MAX || !jwt_looks_like(token))
		status = token_io_complain(TOKEN_FAILED, "%s",
		                           jwt_reason(token.len > JWT_MAX
		                                              ? JWT_TOO_LONG
		                                              : JWT_BAD_FORM));
	else if (!print_part("header", first, &header))
		status = token_io_complain(TOKEN_FAILED, "%s",
		                           jwt_reason(JWT_BAD_HEADER));
	else if (!print_part("claims", span_first(rest, span_find(rest, '.')),
	                     &claims))
		status = token_io_complain(TOKEN_FAILED, "%s",
		                           jwt_reason(JWT_BAD_PAYLOAD));
	else {
		print_time("issued", buf_span(&claims), SPAN("iat"));
		print_time("starts", buf_span(&claims), SPAN("nbf"));
		print_time("expires", buf_span(&claims), SPAN("exp"));
		status = judge(w, token, buf_span(&header), key);
	}
	buf_free(&header);
	buf_free(&claims);
	return token_io_finish(status);
}

int token_inspect(const struct token_wish *w)
{
	struct buf token = { .max = INPUT_MAX };
	struct key *key = NULL;
	int status = TOKEN_DONE;

	if (w->key)
		status = token_io_key(w->key, false, &key);
	if (status == TOKEN_DONE)
		status = token_io_ask(&token, "Token");
	if (status == TOKEN_DONE)
		status = show(w, buf_span(&token), key);
	token_io_wipe(&token);
	key_free(key);
	return status;
}

#include "worker/identity.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/keys.h"
#include "tests/unit/fixture_proxy.h"

#define ISSUER   "https://id.example"
#define AUDIENCE "https://gw.example/mcp"

static struct settings settings;
static struct identity *id;
static struct snapshot *snap;
static struct board *board;
static struct slot *slot;
static struct key *key;
static struct principal who;
static const char *why;

/* What the configuration says in a test. */
static struct {
	uint64_t generation;
	bool no_keys, no_tokens, another_key_id;
	const char *first_scope, *subject, *issuer, *audience;
	uint8_t cache_key;
} with;

static const char *either(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void more(struct builder *b)
{
	const char *const scopes[] = { either(with.first_scope, "files:read"),
		                       "files:write", "mail" };
	struct ref names[ARRAY_LEN(scopes)], audience;
	struct token_row tokens[2] = {
		{ .client_id = builder_text(b, SPAN("robot")),
		  .subject = builder_text(
			  b, span_str(either(with.subject, "r2"))) },
		{ .client_id = builder_text(b, SPAN("second")) },
	};
	struct key_row keys[1] = {
		{ .kid = builder_text(b, with.another_key_id ? SPAN("k2")
		                                             : SPAN("k1")) }
	};
	struct buf der = { .max = KEY_DER_MAX };
	struct ref r;

	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		names[i] = builder_text(b, span_str(scopes[i]));
	r = builder_array(b, names, ARRAY_LEN(names), sizeof(names[0]));
	builder_header(b)->scopes = r;
	crypto_sha256(SPAN("static-token"), tokens[0].hash);
	scope_set_add(&tokens[0].scopes, 2);
	crypto_sha256(SPAN("another"), tokens[1].hash);
	if (!with.no_tokens) {
		r = builder_array(b, tokens, 2, sizeof(tokens[0]));
		builder_header(b)->tokens = r;
	}
	cr_assert_eq(key_to_der(key, &der), 0);
	keys[0].der = builder_text(b, buf_span(&der));
	buf_free(&der);
	if (!with.no_keys) {
		r = builder_array(b, keys, 1, sizeof(keys[0]));
		builder_header(b)->keys = r;
	}
	r = builder_text(b, span_str(either(with.issuer, ISSUER)));
	builder_header(b)->issuer = r;
	audience = builder_text(b, span_str(either(with.audience, AUDIENCE)));
	r = builder_array(b, &audience, 1, sizeof(audience));
	builder_header(b)->audiences = r;
	builder_header(b)->jwt_algorithms = KEY_ALG_ALL;
	builder_header(b)->config_generation = with.generation;
	memset(builder_header(b)->cache_key, with.cache_key, 32);
}

static void build(void)
{
	struct snapshot *old = snap;

	snap = fixture_snapshot(NULL, 0, &settings, more);
	cr_assert_eq(identity_adopt(id, snap), 0);
	snapshot_unref(old);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.auth_jwt_clock_skew = 0;
	with.generation = 1;
	board = fixture_board();
	slot = &board->workers[3];
	cr_assert_eq(crypto_init(), 0);
	cr_assert_eq(key_generate(KEY_ES256, &key), 0);
	crypto_random(&with.cache_key, 1);
	id = identity_new(board, 3);
	build();
}

static void end(void)
{
	identity_free(id);
	snapshot_unref(snap);
	key_free(key);
}

TestSuite(identity, .init = begin, .fini = end);

static enum identity_result check(const char *field)
{
	why = "";
	memset(&who, 0x55, sizeof(who));
	return identity_check(id, snap, span_str(field), 5000, &who, &why);
}

static void add_part(struct buf *token, struct span json)
{
	char *to = buf_reserve(token, CRYPTO_BASE64URL_LEN(json.len));

	cr_assert_not_null(to);
	buf_commit(token, crypto_base64url_encode(json, to));
}

/* A field with a JWT of this subject that ends in so many seconds. */
static const char *jwt(const char *subject, int64_t ends_in, const char *more_)
{
	static char field[4096];
	struct buf token = { .max = 4096 }, claims = { .max = 4096 };
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len;

	buf_addf(&claims,
	         "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
	         "\",\"sub\":\"%s\",\"client_id\":\"app\",\"exp\":%lld%s}",
	         subject, (long long)(clock_utc_ms() / 1000 + ends_in), more_);
	add_part(&token, SPAN("{\"alg\":\"ES256\",\"kid\":\"k1\"}"));
	buf_putc(&token, '.');
	add_part(&token, buf_span(&claims));
	cr_assert_eq(
		key_sign(key, KEY_ES256, buf_span(&token), signature, &len), 0);
	buf_putc(&token, '.');
	add_part(&token, span_of(signature, len));
	snprintf(field, sizeof(field), "Bearer %.*s",
	         SPAN_ARG(buf_span(&token)));
	buf_free(&token);
	buf_free(&claims);
	return field;
}

static struct {
	uint64_t cached, verified, refused;
} seen;

static void look(void)
{
	seen.cached = count_read(&slot->tokens_cached);
	seen.verified = count_read(&slot->tokens_verified);
	seen.refused = count_read(&slot->tokens_refused);
}

/* What was counted since look(). */
static void counted(uint64_t cached, uint64_t verified, uint64_t refused)
{
	cr_expect_eq(count_read(&slot->tokens_cached) - seen.cached, cached);
	cr_expect_eq(count_read(&slot->tokens_verified) - seen.verified,
	             verified);
	cr_expect_eq(count_read(&slot->tokens_refused) - seen.refused, refused);
	look();
}

Test(identity, nobody_is_asked_when_authentication_is_off)
{
	settings.auth_enabled = 0;
	build();
	cr_expect_eq(check(NULL), IDENTITY_OK);
	cr_expect(who.everything);
	cr_expect(span_is(principal_client(&who), "anonymous"));
	cr_expect_eq(principal_subject(&who).len, 0u);
	cr_expect_eq(check("Bearer nonsense"), IDENTITY_OK);
}

static const struct {
	const char *field;
	enum identity_result result;
} fields[] = {
	{ NULL, IDENTITY_MISSING },
	{ "", IDENTITY_INVALID },
	{ "Bearer", IDENTITY_INVALID },
	{ "Bearer ", IDENTITY_INVALID },
	{ "Bearer   ", IDENTITY_INVALID },
	{ "Basic c3RhdGljLXRva2Vu", IDENTITY_INVALID },
	{ "static-token", IDENTITY_INVALID },
	{ "Bearerstatic-token", IDENTITY_INVALID },
	{ "DPoP static-token", IDENTITY_INVALID },
	{ "Bearer static-toke", IDENTITY_INVALID },
	{ "Bearer static-token2", IDENTITY_INVALID },
	{ "Bearer STATIC-TOKEN", IDENTITY_INVALID },
	{ "Bearer static-token x", IDENTITY_INVALID },
	{ "Bearer static-token", IDENTITY_OK },
	{ "bEARER   static-token\t", IDENTITY_OK },
	{ "Bearer another", IDENTITY_OK },
};

Test(identity, the_field)
{
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
			cr_expect_eq(check(fields[i].field), fields[i].result,
			             "row %zu: %s", i, why);
			if (fields[i].result == IDENTITY_INVALID)
				cr_expect_gt(strlen(why), 5u);
			cr_expect_null(strpbrk(why, "\"\\"));
		}
}

Test(identity, static_tokens)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(check("Bearer static-token"), IDENTITY_OK);
		cr_expect_not(who.everything);
		cr_expect(span_is(principal_client(&who), "robot"));
		cr_expect(span_is(principal_subject(&who), "r2"));
		cr_expect(scope_set_has(&who.who.scopes, 2));
		cr_expect_not(scope_set_has(&who.who.scopes, 0));
		cr_assert_eq(check("Bearer another"), IDENTITY_OK);
		cr_expect(span_is(principal_client(&who), "second"));
		cr_expect_eq(principal_subject(&who).len, 0u);
		cr_expect(scope_set_empty(&who.who.scopes));
	}
}

Test(identity, tokens_of_the_issuer)
{
	look();
	cr_assert_eq(check(jwt("alice", 60,
	                       ",\"scope\":\"files:write x "
	                       "files:read\"")),
	             IDENTITY_OK, "%s", why);
	cr_expect(span_is(principal_client(&who), "app"));
	cr_expect(span_is(principal_subject(&who), "alice"));
	cr_expect(scope_set_has(&who.who.scopes, 0));
	cr_expect(scope_set_has(&who.who.scopes, 1));
	cr_expect_not(scope_set_has(&who.who.scopes, 2));
	counted(0, 1, 0);
	cr_expect_eq(check(jwt("alice", -5, "")), IDENTITY_INVALID);
	cr_expect_eq(check(jwt("alice", 60, ",\"aud\":\"other\"")),
	             IDENTITY_INVALID);
	counted(0, 0, 2);
}

Test(identity, a_forged_signature)
{
	char field[4096];

	strcpy(field, jwt("alice", 60, ""));
	size_t at = strlen(field) - 10;
	field[at] = field[at] == 'A' ? 'B' : 'A';
	cr_expect_eq(check(field), IDENTITY_INVALID);
	/* The good one beside it is not disturbed, nor the other way round. */
	cr_expect_eq(check(jwt("alice", 60, "")), IDENTITY_OK);
	cr_expect_eq(check(field), IDENTITY_INVALID);
}

Test(identity, a_token_is_verified_once)
{
	char field[4096];
	struct identity *other = identity_new(board, 3);

	strcpy(field, jwt("alice", 60, ""));
	look();
	for (int i = 0; i < 5; i++)
		cr_assert_eq(check(field), IDENTITY_OK);
	counted(4, 1, 0);
	/* Another worker finds the verdict on the board. */
	cr_assert_eq(identity_adopt(other, snap), 0);
	cr_assert_eq(
		identity_check(other, snap, span_str(field), 5000, &who, &why),
		IDENTITY_OK);
	cr_expect(span_is(principal_subject(&who), "alice"));
	counted(1, 0, 0);
	identity_free(other);
}

Test(identity, a_reload_forgets_what_was_verified)
{
	char field[4096];

	strcpy(field, jwt("alice", 60, ""));
	cr_assert_eq(check(field), IDENTITY_OK);
	look();
	with.generation = 2;
	build();
	cr_assert_eq(check(field), IDENTITY_OK);
	counted(0, 1, 0);
	/* The key is not trusted any more. */
	with.generation = 3;
	with.no_keys = true;
	build();
	cr_expect_eq(check(field), IDENTITY_INVALID);
	cr_expect_eq(check("Bearer static-token"), IDENTITY_OK);
	/* Nor is the static token. */
	with.generation = 4;
	with.no_tokens = true;
	build();
	cr_expect_eq(check("Bearer static-token"), IDENTITY_INVALID);
}

Test(identity, a_remembered_token_expires_all_the_same)
{
	char field[4096];
	int64_t limit = clock_mono_ms() ? 3000 : 0;
	uint64_t before = clock_mono_ms();

	strcpy(field, jwt("alice", 2, ""));
	cr_assert_eq(check(field), IDENTITY_OK);
	while (check(field) == IDENTITY_OK)
		cr_assert_lt((int64_t)(clock_mono_ms() - before), limit);
	cr_expect_eq(check(field), IDENTITY_INVALID);
	cr_expect_geq(clock_mono_ms() - before, 900u);
}

/* New tokens cost a signature each: only so many of them in a second. */
Test(identity, verifications_are_capped)
{
	char known[4096];
	size_t busy = 0;

	settings.auth_verifications_per_second = 5;
	build();
	strcpy(known, jwt("known", 60, ""));
	cr_assert_eq(check(known), IDENTITY_OK);
	for (int i = 0; i < 10; i++) {
		char subject[16];

		snprintf(subject, sizeof(subject), "s%d", i);
		busy += check(jwt(subject, 60, "")) == IDENTITY_BUSY;
	}
	cr_expect_eq(busy, 6u);
	/* Known ones and static ones go on. */
	cr_expect_eq(check(known), IDENTITY_OK);
	cr_expect_eq(check("Bearer static-token"), IDENTITY_OK);
	/* And a second later the next. */
	cr_expect_eq(identity_check(id, snap, span_str(jwt("late", 60, "")),
	                            6000, &who, &why),
	             IDENTITY_OK);
}

/* What cannot be a token of ours costs nothing of the cap. */
Test(identity, hopeless_tokens_do_not_use_up_the_cap)
{
	settings.auth_verifications_per_second = 3;
	build();
	for (int i = 0; i < 50; i++) {
		char field[64];

		snprintf(field, sizeof(field), "Bearer hopeless-%d", i);
		cr_expect_eq(check(field), IDENTITY_INVALID, "%d", i);
	}
	cr_expect_eq(check(jwt("alice", 60, "")), IDENTITY_OK);
}

/* Names longer than a verdict holds are cut, never written past it. */
Test(identity, long_names)
{
	char subject[230];

	memset(subject, 's', sizeof(subject));
	subject[sizeof(subject) - 1] = '\0';
	cr_assert_eq(check(jwt(subject, 60, "")), IDENTITY_OK, "%s", why);
	cr_expect_eq(principal_client(&who).len, 3u);
	cr_expect_leq(principal_subject(&who).len, (size_t)VERDICT_TEXT);
}

/* Many tokens share the places of the cache: nobody gets another's name. */
Test(identity, many_tokens_do_not_meet)
{
	char all[400][64];

	settings.auth_verifications_per_second = 100000;
	build();
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < ARRAY_LEN(all); k++) {
			snprintf(all[k], sizeof(all[k]), "n%zu", k);
			cr_assert_eq(check(jwt(all[k], 600, "")), IDENTITY_OK);
			cr_assert(span_is(principal_subject(&who), all[k]));
			if (k % 7 == 0) {
				cr_assert_eq(check("Bearer static-token"),
				             IDENTITY_OK);
				cr_assert(
					span_is(principal_subject(&who), "r2"));
			}
		}
}

/* Is it the same, with what is set now, as it was at the beginning? */
static bool same(void)
{
	struct snapshot *first = snapshot_ref(snap);
	bool result;

	build();
	result = identity_same(first, snap);
	cr_expect_eq(identity_same(snap, first), result);
	snapshot_unref(snap);
	snap = first;
	return result;
}

/* Whether open streams may go on: what is not about callers changes nothing. */
Test(identity, what_makes_callers_others)
{
	with.generation = 2;
	settings.limits_batch++;
	cr_expect(same());
	/* A scope takes another place; no token has it. */
	with.first_scope = "a:new:one";
	cr_expect(same());
	with.first_scope = NULL;
	with.no_tokens = true;
	cr_expect_not(same());
	with.no_tokens = false;
	with.subject = "r3";
	cr_expect_not(same());
	with.subject = NULL;
	with.no_keys = true;
	cr_expect_not(same());
	with.no_keys = false;
	with.another_key_id = true;
	cr_expect_not(same());
	with.another_key_id = false;
	with.issuer = "https://other.example";
	cr_expect_not(same());
	with.issuer = NULL;
	with.audience = "https://other.example";
	cr_expect_not(same());
	with.audience = NULL;
	settings.auth_enabled = 0;
	cr_expect_not(same());
	settings.auth_enabled = 1;
	cr_expect(same());
}

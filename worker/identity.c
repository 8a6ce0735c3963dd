#include "worker/identity.h"

#include <stdlib.h>

#include "auth/jwt.h"
#include "auth/statictoken.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/keys.h"

#define RECENT        256  /* tokens this worker remembers; a power of two */
#define RECENT_MAX    2048 /* bytes of a token that is remembered */
#define TAIL          16   /* bytes at a token's end that choose its place */
#define KEYS_MAX      64
#define AUDIENCES_MAX 64

/* A token seen lately, with what was found about it. */
struct recent {
	char *token;
	size_t len, cap;
	uint64_t config_generation;
	struct verdict who;
};

struct identity {
	struct board *board;
	uint32_t slot;
	uint64_t seed;
	struct recent recent[RECENT];
	struct statictoken *rows;
	size_t n_rows;
	struct key *keys[KEYS_MAX];
	struct jwt_key jwt_keys[KEYS_MAX];
	struct span issuer;
	struct span audiences[AUDIENCES_MAX];
	struct jwt_rules rules;
	uint64_t second; /* of the verifications counted */
	int64_t verified;
	struct jwt_claims claims;
};

struct identity *identity_new(struct board *board, uint32_t slot)
{
	struct identity *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->board = board;
	id->slot = slot;
	crypto_random(&id->seed, sizeof(id->seed));
	return id;
}

static void drop_keys(struct identity *id)
{
	for (size_t i = 0; i < KEYS_MAX; i++) {
		key_free(id->keys[i]);
		id->keys[i] = NULL;
	}
	free(id->rows);
	id->rows = NULL;
	id->n_rows = 0;
}

static void forget(struct recent *r)
{
	if (r->token)
		crypto_wipe(r->token, r->cap);
	free(r->token);
	*r = (struct recent){ 0 };
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	drop_keys(id);
	for (size_t i = 0; i < RECENT; i++)
		forget(&id->recent[i]);
	free(id);
}

static int load_keys(struct identity *id, const struct snapshot *snap)
{
	const struct key_row *rows = snapshot_array(snap, snap->head->keys);
	uint32_t n = snap->head->keys.len;

	if (n > KEYS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		const char *why;
		int err = key_from_der(snapshot_text(snap, rows[i].der),
		                       &id->keys[i], &why);

		if (err < 0)
			return err;
		id->jwt_keys[i] = (struct jwt_key){
			.key = id->keys[i],
			.kid = snapshot_text(snap, rows[i].kid),
			.issuer = JWT_ISSUER_ANY,
		};
	}
	return 0;
}

static void load_rules(struct identity *id, const struct snapshot *snap)
{
	const struct ref *aud = snapshot_array(snap, snap->head->audiences);
	uint32_t n = MIN(snap->head->audiences.len, (uint32_t)AUDIENCES_MAX);

	for (uint32_t i = 0; i < n; i++)
		id->audiences[i] = snapshot_text(snap, aud[i]);
	id->issuer = snapshot_text(snap, snap->head->issuer);
	id->rules = (struct jwt_rules){
		.keys = id->jwt_keys,
		.n_keys = snap->head->keys.len,
		.issuers = &id->issuer,
		.n_issuers = id->issuer.len ? 1 : 0,
		.audiences = id->audiences,
		.n_audiences = n,
		.algs = (uint32_t)snap->head->jwt_algorithms,
		.skew_s =
			(uint32_t)(snap->settings->auth_jwt_clock_skew / 1000),
	};
}

int identity_adopt(struct identity *id, const struct snapshot *snap)
{
	const struct token_row *rows = snapshot_array(snap, snap->head->tokens);
	uint32_t n = snap->head->tokens.len;

	drop_keys(id);
	if (n) {
		id->rows = calloc(n, sizeof(*id->rows));
		if (!id->rows)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		memcpy(id->rows[i].hash, rows[i].hash, CRYPTO_HASH_LEN);
		id->rows[i].index = i;
	}
	id->n_rows = n;
	load_rules(id, snap);
	return load_keys(id, snap);
}

static bool same_texts(const struct snapshot *a, struct ref x,
                       const struct snapshot *b, struct ref y)
{
	const struct ref *p = snapshot_array(a, x), *q = snapshot_array(b, y);

	if (x.len != y.len)
		return false;
	for (uint32_t i = 0; i < x.len; i++)
		if (!span_eq(snapshot_text(a, p[i]), snapshot_text(b, q[i])))
			return false;
	return true;
}

struct scope_set identity_scopes(const struct snapshot *from,
                                 const struct scope_set *set,
                                 const struct snapshot *to)
{
	const struct ref *names = snapshot_array(from, from->head->scopes);
	struct scope_set moved = { { 0 } };

	for (unsigned i = 0; i < from->head->scopes.len; i++) {
		int at = snapshot_scope(to, snapshot_text(from, names[i]));

		if (at >= 0 && scope_set_has(set, i))
			scope_set_add(&moved, (unsigned)at);
	}
	return moved;
}

static bool same_scopes(const struct snapshot *a, const struct scope_set *x,
                        const struct snapshot *b, const struct scope_set *y)
{
	struct scope_set there = identity_scopes(a, x, b);
	struct scope_set back = identity_scopes(b, y, a);

	return memcmp(&there, y, sizeof(there)) == 0 &&
	       memcmp(&back, x, sizeof(back)) == 0;
}

static bool same_tokens(const struct snapshot *a, const struct snapshot *b)
{
	const struct token_row *p = snapshot_array(a, a->head->tokens);
	const struct token_row *q = snapshot_array(b, b->head->tokens);

	if (a->head->tokens.len != b->head->tokens.len)
		return false;
	for (uint32_t i = 0; i < a->head->tokens.len; i++)
		if (memcmp(p[i].hash, q[i].hash, sizeof(p[i].hash)) != 0 ||
		    !same_scopes(a, &p[i].scopes, b, &q[i].scopes) ||
		    !span_eq(snapshot_text(a, p[i].client_id),
		             snapshot_text(b, q[i].client_id)) ||
		    !span_eq(snapshot_text(a, p[i].subject),
		             snapshot_text(b, q[i].subject)))
			return false;
	return true;
}

static bool same_keys(const struct snapshot *a, const struct snapshot *b)
{
	const struct key_row *p = snapshot_array(a, a->head->keys);
	const struct key_row *q = snapshot_array(b, b->head->keys);

	if (a->head->keys.len != b->head->keys.len)
		return false;
	for (uint32_t i = 0; i < a->head->keys.len; i++)
		if (!span_eq(snapshot_text(a, p[i].der),
		             snapshot_text(b, q[i].der)) ||
		    !span_eq(snapshot_text(a, p[i].kid),
		             snapshot_text(b, q[i].kid)))
			return false;
	return true;
}

bool identity_same(const struct snapshot *a, const struct snapshot *b)
{
	return a->settings->auth_enabled == b->settings->auth_enabled &&
	       a->head->jwt_algorithms == b->head->jwt_algorithms &&
	       same_scopes(a, &a->head->required, b, &b->head->required) &&
	       same_texts(a, a->head->audiences, b, b->head->audiences) &&
	       span_eq(snapshot_text(a, a->head->issuer),
	               snapshot_text(b, b->head->issuer)) &&
	       same_tokens(a, b) && same_keys(a, b);
}

/*
 * The last bytes of a token are those of its signature: as good as random, so
 * they spread well. What they choose is only where to look; the whole token is
 * compared, in constant time.
 */
static struct recent *place(struct identity *id, struct span token)
{
	uint64_t parts[2] = { 0, 0 };
	size_t n = MIN(token.len, (size_t)TAIL);

	memcpy(parts, token.at + token.len - n, n);

	uint64_t h = (parts[0] ^ id->seed) * 0x9e3779b97f4a7c15u;
	h ^= (parts[1] + token.len) * 0xc2b2ae3d27d4eb4fu;
	h ^= h >> 32;
	return &id->recent[h % RECENT];
}

static bool same_bytes(const char *a, const char *b, size_t n)
{
	unsigned char differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

static void remember(struct recent *r, struct span token,
                     uint64_t config_generation, const struct verdict *who)
{
	if (token.len > RECENT_MAX)
		return;
	if (r->cap < token.len) {
		forget(r);
		r->token = malloc(token.len);
		if (!r->token)
			return;
		r->cap = token.len;
	}
	memcpy(r->token, token.at, token.len);
	r->len = token.len;
	r->config_generation = config_generation;
	r->who = *who;
}

/* No two callers have the same, however long their names are, and wherever one
 * name ends and the other begins. The same on every replica. */
static void hash_names(struct span client, struct span subject,
                       uint8_t who[VERDICT_WHO])
{
	uint8_t both[2 * CRYPTO_HASH_LEN], hash[CRYPTO_HASH_LEN];

	crypto_sha256(client, both);
	crypto_sha256(subject, both + CRYPTO_HASH_LEN);
	crypto_sha256(span_of(both, sizeof(both)), hash);
	memcpy(who, hash, VERDICT_WHO);
}

static void set_names(struct verdict *v, struct span client,
                      struct span subject)
{
	hash_names(client, subject, v->who);
	client = span_first(client, VERDICT_TEXT);
	subject = span_first(subject, VERDICT_TEXT - client.len);
	v->client_id_len = (uint16_t)client.len;
	v->subject_len = (uint16_t)subject.len;
	memcpy(v->text, client.at, client.len);
	if (subject.len)
		memcpy(v->text + client.len, subject.at, subject.len);
}

static bool check_static(struct identity *id, const struct snapshot *snap,
                         struct span token, struct verdict *v)
{
	const struct token_row *rows = snapshot_array(snap, snap->head->tokens);
	uint32_t i;

	if (!statictoken_find(id->rows, id->n_rows, token, &i))
		return false;
	v->expires_s = INT64_MAX;
	v->scopes = rows[i].scopes;
	set_names(v, snapshot_text(snap, rows[i].client_id),
	          snapshot_text(snap, rows[i].subject));
	return true;
}

static bool may_verify(struct identity *id, const struct snapshot *snap,
                       uint64_t now_ms)
{
	if (id->second != now_ms / 1000) {
		id->second = now_ms / 1000;
		id->verified = 0;
	}
	return id->verified++ < snap->settings->auth_verifications_per_second;
}

static void take_claims(struct identity *id, const struct snapshot *snap,
                        struct verdict *v)
{
	struct span scope = { NULL, 0 };
	int64_t skew_s = snap->settings->auth_jwt_clock_skew / 1000;

	v->expires_s = id->claims.expires_s > INT64_MAX - skew_s
	                       ? INT64_MAX
	                       : id->claims.expires_s + skew_s;
	v->scopes = (struct scope_set){ { 0 } };
	while (jwt_scope_next(&id->claims, &scope)) {
		int i = snapshot_scope(snap, scope);

		if (i >= 0)
			scope_set_add(&v->scopes, (unsigned)i);
	}
	set_names(v, jwt_client(&id->claims), jwt_subject(&id->claims));
}

static enum identity_result check_jwt(struct identity *id,
                                      const struct snapshot *snap,
                                      struct span token, uint64_t now_ms,
                                      struct verdict *v, const char **why)
{
	struct slot *me = &id->board->workers[id->slot];
	uint64_t generation = snap->head->config_generation;
	int64_t now_s = clock_utc_ms() / 1000;
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_cache_hash(snap->head->cache_key, token, hash);
	if (board_verdict_get(id->board, hash, now_s, generation, v)) {
		count_own(&me->tokens_cached, 1);
		return IDENTITY_OK;
	}
	if (!may_verify(id, snap, now_ms))
		return IDENTITY_BUSY;

	enum jwt_result result =
		jwt_check(&id->rules, token, now_s, &id->claims);
	/* Only a signature costs: nonsense must not use up what others need. */
	if (result == JWT_OK || result == JWT_BAD_SIGNATURE)
		count_own(&me->tokens_verified, 1);
	else
		id->verified--;
	if (result != JWT_OK) {
		*why = jwt_reason(result);
		return IDENTITY_INVALID;
	}
	take_claims(id, snap, v);
	board_verdict_put(id->board, hash, id->slot, generation, v);
	return IDENTITY_OK;
}

static bool bearer(struct span field, struct span *token)
{
	static const struct span scheme = { "bearer ", 7 };

	if (field.len <= scheme.len ||
	    !span_eq_nocase(span_first(field, scheme.len), scheme))
		return false;
	*token = span_trim(span_from(field, scheme.len));
	return token->len > 0;
}

enum identity_result identity_check(struct identity *id,
                                    const struct snapshot *snap,
                                    struct span authorization, uint64_t now_ms,
                                    struct principal *out, const char **why)
{
	struct slot *me = &id->board->workers[id->slot];
	uint64_t generation = snap->head->config_generation;
	enum identity_result result = IDENTITY_OK;
	struct span token;

	out->everything = !snap->settings->auth_enabled;
	if (out->everything)
		return IDENTITY_OK;
	if (!authorization.at)
		return IDENTITY_MISSING;
	*why = "The Authorization field must be: Bearer, a space, a token";
	if (!bearer(authorization, &token))
		return IDENTITY_INVALID;

	struct recent *r = place(id, token);
	if (r->len == token.len && r->config_generation == generation &&
	    same_bytes(r->token, token.at, token.len) &&
	    r->who.expires_s > clock_utc_ms() / 1000) {
		out->who = r->who;
		count_own(&me->tokens_cached, 1);
		return IDENTITY_OK;
	}
	if (!check_static(id, snap, token, &out->who)) {
		*why = "The token is not known here";
		result = id->rules.n_keys ? check_jwt(id, snap, token, now_ms,
		                                      &out->who, why)
		                          : IDENTITY_INVALID;
	}
	if (result == IDENTITY_OK)
		remember(r, token, generation, &out->who);
	else
		count_own(&me->tokens_refused, 1);
	return result;
}

#include "master/token_mint.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/jwt.h"
#include "lib/clock.h"
#include "lib/crypto.h"

#define TOKEN_ID_LEN 16    /* random bytes of `jti` */
#define TOKEN_ROOM   32768 /* bytes; what is over JWT_MAX is refused later */

static int write_new(const char *path, mode_t mode, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return os_error();
	ssize_t n = write(fd, text.at, text.len);
	int err = n < 0 ? os_error() : (size_t)n == text.len ? 0 : -ENOSPC;
	if (close(fd) < 0 && err == 0)
		err = os_error();
	if (err < 0)
		unlink(path);
	return err;
}

/* Both files or none. */
static int write_pair(const char *path, struct span private, struct span public)
{
	char pub_path[PATH_MAX];
	int n = snprintf(pub_path, sizeof(pub_path), "%s.pub", path);

	if (n < 0 || (size_t)n >= sizeof(pub_path))
		return token_io_complain(TOKEN_FAILED,
		                         "%s: the name is too long", path);
	int err = write_new(path, 0600, private);
	if (err < 0)
		return token_io_complain(TOKEN_FAILED, "%s: %s", path,
		                         strerror(-err));
	err = write_new(pub_path, 0644, public);
	if (err < 0) {
		unlink(path);
		return token_io_complain(TOKEN_FAILED, "%s: %s", pub_path,
		                         strerror(-err));
	}
	return TOKEN_DONE;
}

static int make_key(const struct token_wish *w, struct key **key)
{
	struct buf private = { .max = KEY_PEM_MAX };
	struct buf public = { .max = KEY_PEM_MAX };
	enum key_alg alg = KEY_RS256;
	int status;

	if (w->alg && !key_alg_of(span_str(w->alg), &alg))
		return token_io_complain(TOKEN_USAGE,
		                         "--alg %s: not an algorithm we know",
		                         w->alg);
	if (key_generate(alg, key) < 0)
		return token_io_complain(TOKEN_FAILED,
		                         "cannot make a key for %s",
		                         key_alg_name(alg));
	if (key_private_to_pem(*key, &private) < 0 ||
	    key_to_pem(*key, &public) < 0)
		status = token_io_complain(TOKEN_FAILED,
		                           "no memory for the key");
	else
		status = write_pair(w->new_key, buf_span(&private),
		                    buf_span(&public));
	token_io_wipe(&private);
	token_io_wipe(&public);
	return status;
}

static int choose_alg(const struct token_wish *w, const struct key *key,
                      enum key_alg *alg)
{
	*alg = key_default_alg(key);
	if (!w->alg)
		return TOKEN_DONE;
	if (!key_alg_of(span_str(w->alg), alg))
		return token_io_complain(TOKEN_USAGE,
		                         "--alg %s: not an algorithm we know",
		                         w->alg);
	if (!key_allows(key, *alg))
		return token_io_complain(TOKEN_FAILED,
		                         "--alg %s: the key is of type %s",
		                         w->alg, key_type_name(key_type(key)));
	return TOKEN_DONE;
}

static void add_member(struct buf *json, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(json, "%s\"%s\":", json->len > 1 ? "," : "", name);
	buf_add_json(json, span_str(value));
}

/* Append what the text means in base64url; the text is used up. */
static void add_part(struct buf *token, struct buf *text)
{
	char *to = buf_reserve(token, CRYPTO_BASE64URL_LEN(text->len));

	if (to)
		buf_commit(token, crypto_base64url_encode(buf_span(text), to));
	buf_free(text);
}

static void add_claims(struct buf *json, const struct token_wish *w,
                       int64_t now_s, int64_t ttl_s)
{
	uint8_t id[TOKEN_ID_LEN];
	char id_text[2 * TOKEN_ID_LEN + 1] = "";

	crypto_random(id, sizeof(id));
	crypto_hex_encode(span_of(id, sizeof(id)), id_text);
	buf_putc(json, '{');
	add_member(json, "iss", w->issuer);
	add_member(json, "aud", w->audience);
	add_member(json, "sub", w->subject ? w->subject : "developer");
	add_member(json, "client_id", w->client_id);
	add_member(json, "scope", w->scope);
	add_member(json, "jti", id_text);
	buf_addf(json, ",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}", now_s,
	         now_s + ttl_s);
}

static int add_signature(struct buf *token, const struct key *key,
                         enum key_alg alg)
{
	uint8_t signature[KEY_SIGNATURE_MAX];
	struct buf text = { .max = KEY_SIGNATURE_MAX };
	size_t len;

	int err = key_sign(key, alg, buf_span(token), signature, &len);
	if (err < 0)
		return err;
	buf_add(&text, signature, len);
	buf_putc(token, '.');
	add_part(token, &text);
	return buf_err(token);
}

/* The gateway's own judgement, so that nobody debugs a token in vain. */
static int print_checked(struct span token, const struct key *key,
                         int64_t now_s)
{
	struct jwt_key row = { .key = key, .issuer = JWT_ISSUER_ANY };
	struct jwt_rules rules = { .keys = &row,
		                   .n_keys = 1,
		                   .algs = KEY_ALG_ALL };
	struct jwt_claims claims;
	enum jwt_result result = jwt_check(&rules, token, now_s, &claims);

	if (result != JWT_OK)
		return token_io_complain(TOKEN_FAILED,
		                         "such a token would be refused: %s",
		                         jwt_reason(result));
	printf("%.*s\n", SPAN_ARG(token));
	return token_io_finish(TOKEN_DONE);
}

static int mint_with(const struct token_wish *w, const struct key *key,
                     int64_t ttl_s)
{
	struct buf header = { .max = JWT_MAX }, claims = { .max = JWT_MAX };
	struct buf token = { .max = TOKEN_ROOM };
	int64_t now_s = clock_utc_ms() / 1000;
	enum key_alg alg;

	int status = choose_alg(w, key, &alg);
	if (status != TOKEN_DONE)
		return status;
	buf_putc(&header, '{');
	add_member(&header, "alg", key_alg_name(alg));
	add_member(&header, "typ", "at+jwt");
	add_member(&header, "kid", w->kid);
	buf_putc(&header, '}');
	add_claims(&claims, w, now_s, ttl_s);
	if (buf_err(&header) || buf_err(&claims))
		status = token_io_complain(TOKEN_FAILED,
		                           "the token would be too long");
	add_part(&token, &header);
	buf_putc(&token, '.');
	add_part(&token, &claims);
	if (status == TOKEN_DONE && add_signature(&token, key, alg) < 0)
		status = token_io_complain(TOKEN_FAILED,
		                           "cannot sign the token");
	if (status == TOKEN_DONE)
		status = print_checked(buf_span(&token), key, now_s);
	token_io_wipe(&token);
	return status;
}

int token_mint(const struct token_wish *w)
{
	struct key *key = NULL;
	uint64_t ttl_s = TOKEN_MINT_TTL_S;

	if (!w->key == !w->new_key)
		return token_io_complain(TOKEN_USAGE,
		                         "mint needs one of --key FILE and "
		                         "--new-key FILE");
	if (w->ttl &&
	    (!span_u64(span_str(w->ttl), TOKEN_MINT_TTL_MAX_S, &ttl_s) ||
	     ttl_s == 0))
		return token_io_complain(TOKEN_USAGE,
		                         "--ttl %s: not a number of seconds "
		                         "from 1 to %d",
		                         w->ttl, TOKEN_MINT_TTL_MAX_S);

	int status =
		w->key ? token_io_key(w->key, true, &key) : make_key(w, &key);
	if (status == TOKEN_DONE)
		status = mint_with(w, key, (int64_t)ttl_s);
	key_free(key);
	return status;
}

#include "oci/userkey.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/url.h"
#include "oci/environment.h"

#define REFRESH_PATH "/v1/authentication/refresh"
#define LOGIN_AGAIN  "Run: oci session authenticate"

/* What a profile and the variables come to. */
struct wanted {
	struct profile profile;
	bool there; /* there is a configuration file */
	struct span values[PROFILE_KEYS];
	struct span key_content; /* of a variable; else empty */
};

struct session {
	struct wanted w;
	struct pass *pass; /* with the token of the file */
	struct buf token, body, fresh;
	struct region_resolved region;
	char url[ATTEMPT_URL_MAX];
};

/* --- what is wanted --------------------------------------------------------
 */

static const char *const overrides[PROFILE_KEYS] = {
	[PROFILE_USER] = "OCI_CLI_USER",
	[PROFILE_FINGERPRINT_KEY] = "OCI_CLI_FINGERPRINT",
	[PROFILE_TENANCY] = "OCI_CLI_TENANCY",
	[PROFILE_KEY_FILE] = "OCI_CLI_KEY_FILE",
	[PROFILE_PASS_PHRASE] = "OCI_CLI_PASSPHRASE",
	[PROFILE_SECURITY_TOKEN_FILE] = "OCI_CLI_SECURITY_TOKEN_FILE",
	[PROFILE_DELEGATION_TOKEN_FILE] = "OCI_CLI_DELEGATION_TOKEN_FILE",
};

/* False: the attempt has failed. Without a file the variables may do. */
static bool find_wanted(struct attempt *a, struct wanted *w, bool needed)
{
	char why[PROFILE_WHY_MAX];
	enum profile_result result =
		attempt_profile(a, &w->profile, &w->there, why);

	if (result != PROFILE_OK && (w->there || needed)) {
		attempt_fail(a, w->there ? -EINVAL : -ENOENT, "%s", why);
		return false;
	}
	memcpy(w->values, w->profile.values, sizeof(w->values));
	if (attempt_is_explicit(a))
		return true;
	for (size_t i = 0; i < PROFILE_KEYS; i++)
		if (overrides[i] && environment_is_set(overrides[i]))
			w->values[i] = environment_get(overrides[i]);
	w->key_content = environment_get("OCI_CLI_KEY_CONTENT");
	return true;
}

bool userkey_is_in_variables(void)
{
	return environment_is_set("OCI_CLI_USER") &&
	       environment_is_set("OCI_CLI_TENANCY") &&
	       environment_is_set("OCI_CLI_FINGERPRINT") &&
	       (environment_is_set("OCI_CLI_KEY_FILE") ||
	        environment_is_set("OCI_CLI_KEY_CONTENT"));
}

/* "the profile, line 3" or "the variable OCI_CLI_USER", for sentences. */
static const char *origin(const struct wanted *w, enum profile_key key,
                          char out[64])
{
	if (w->profile.lines[key] &&
	    span_eq(w->values[key], w->profile.values[key]))
		snprintf(out, 64, "line %u of the configuration file",
		         w->profile.lines[key]);
	else if (overrides[key] && w->values[key].len)
		snprintf(out, 64, "the variable %s", overrides[key]);
	else
		snprintf(out, 64, "the profile");
	return out;
}

static bool check(struct attempt *a, const struct wanted *w,
                  enum profile_key key, bool (*is_good)(struct span),
                  const char *form)
{
	char where[64];
	struct span value = w->values[key];

	if (value.len == 0) {
		attempt_fail(a, -EINVAL,
		             "The profile has no %s; it must be %s.",
		             profile_key_name(key), form);
		return false;
	}
	if (is_good(value))
		return true;
	attempt_fail(a, -EINVAL,
	             "The value of %s (%s) is not good: \"%.*s\". It must be "
	             "%s.",
	             profile_key_name(key), origin(w, key, where),
	             (int)MIN(value.len, 100), value.at, form);
	return false;
}

static struct key *load_key(struct attempt *a, const struct wanted *w)
{
	struct buf pem = { .max = ATTEMPT_FILE_MAX };
	struct span path = w->values[PROFILE_KEY_FILE];
	char where[PROFILE_PATH_MAX] = "The variable OCI_CLI_KEY_CONTENT";
	struct key *key = NULL;

	if (w->key_content.len) {
		buf_add_span(&pem, w->key_content);
	} else if (path.len == 0) {
		attempt_fail(a, -EINVAL,
		             "The profile has no key_file: the path of the "
		             "private key in PEM form.");
		return NULL;
	} else {
		snprintf(where, sizeof(where), "The file %.*s", SPAN_ARG(path));
		if (!attempt_read_named(a, "the private key", true, path,
		                        &pem)) {
			pass_wipe(&pem);
			return NULL;
		}
	}
	key = attempt_key(a, buf_span(&pem), w->values[PROFILE_PASS_PHRASE],
	                  where);
	pass_wipe(&pem);
	return key;
}

/* --- API key ---------------------------------------------------------------
 */

static void write_fingerprint(const struct key *key,
                              char out[PROFILE_FINGERPRINT + 1])
{
	uint8_t md5[KEY_MD5_LEN];
	char hex[2 * KEY_MD5_LEN];
	char *to = out;

	*out = '\0';
	if (key_fingerprint_md5(key, md5) < 0)
		return;
	crypto_hex_encode(span_of(md5, sizeof(md5)), hex);
	for (size_t i = 0; i < KEY_MD5_LEN; i++) {
		if (i)
			*to++ = ':';
		*to++ = hex[2 * i];
		*to++ = hex[2 * i + 1];
	}
	*to = '\0';
}

static bool check_fingerprint(struct attempt *a, const struct wanted *w,
                              const struct key *key)
{
	char own[PROFILE_FINGERPRINT + 1];
	struct span named = w->values[PROFILE_FINGERPRINT_KEY];

	write_fingerprint(key, own);
	if (span_is(named, own))
		return true;
	attempt_fail(a, -EINVAL,
	             "The fingerprint is %.*s, but the private key's is %s. "
	             "Name the key file that belongs to the fingerprint, or "
	             "write the key's fingerprint into the profile if that "
	             "key is registered for the user.",
	             SPAN_ARG(named), own);
	return false;
}

static void write_key_id(const struct wanted *w, struct pass *pass)
{
	buf_add_span(&pass->key_id, w->values[PROFILE_TENANCY]);
	buf_putc(&pass->key_id, '/');
	buf_add_span(&pass->key_id, w->values[PROFILE_USER]);
	buf_putc(&pass->key_id, '/');
	buf_add_span(&pass->key_id, w->values[PROFILE_FINGERPRINT_KEY]);
	pass_set_word(pass->tenancy, sizeof(pass->tenancy),
	              w->values[PROFILE_TENANCY]);
	pass_set_word(pass->subject, sizeof(pass->subject),
	              w->values[PROFILE_USER]);
}

#define OCID_FORM "an OCID, such as ocid1.user.oc1..aaaa"
#define FINGERPRINT_FORM                                    \
	"16 pairs of lower-case hexadecimal digits with "   \
	"colons between, as `openssl rsa -pubout -outform " \
	"DER | openssl md5 -c` shows it"

static bool fill_api(struct attempt *a, const struct wanted *w,
                     struct pass *pass)
{
	if (!check(a, w, PROFILE_USER, profile_is_ocid, OCID_FORM) ||
	    !check(a, w, PROFILE_TENANCY, profile_is_ocid, OCID_FORM) ||
	    !check(a, w, PROFILE_FINGERPRINT_KEY, profile_is_fingerprint,
	           FINGERPRINT_FORM))
		return false;
	pass->key = load_key(a, w);
	if (!pass->key || !check_fingerprint(a, w, pass->key))
		return false;
	write_key_id(w, pass);
	return attempt_place(a, pass, w->values[PROFILE_REGION]);
}

static void begin_api(struct attempt *a)
{
	struct wanted w = { 0 };
	struct pass *pass;

	if (!find_wanted(a, &w,
	                 attempt_is_explicit(a) ||
	                         !userkey_is_in_variables())) {
		profile_fini(&w.profile);
		return;
	}
	if (!w.values[PROFILE_USER].len &&
	    w.values[PROFILE_SECURITY_TOKEN_FILE].len) {
		profile_fini(&w.profile);
		attempt_become(a, CREDENTIAL_SECURITY_TOKEN);
		return;
	}
	pass = pass_new(CREDENTIAL_API_KEY);
	if (!pass)
		attempt_fail_memory(a);
	else if (fill_api(a, &w, pass))
		attempt_succeed(a, pass);
	else
		pass_free(pass);
	profile_fini(&w.profile);
}

const struct attempt_method userkey_api = { .begin = begin_api };

/* --- session token ---------------------------------------------------------
 */

static void end_session(struct attempt *a)
{
	struct session *s = a->state;

	profile_fini(&s->w.profile);
	pass_free(s->pass);
	pass_wipe(&s->token);
	pass_wipe(&s->body);
	pass_wipe(&s->fresh);
	free(s);
}

static void take_pass(struct attempt *a)
{
	struct session *s = a->state;
	struct pass *pass = s->pass;

	s->pass = NULL;
	attempt_succeed(a, pass);
}

/* Put a token into the pass; false: it is none. */
static bool use_token(struct attempt *a, struct span token)
{
	struct session *s = a->state;
	struct claims claims;

	if (!claims_read(token, &claims) || !claims.expires_s)
		return false;
	pass_wipe(&s->pass->key_id);
	pass_set_token(s->pass, token);
	pass_set_claims(s->pass, &claims, attempt_now_s(a));
	return true;
}

static int write_file(const char *path, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return os_error();
	n = write(fd, text.at, text.len);
	int err = n == (ssize_t)text.len ? 0 : n < 0 ? os_error() : -ENOSPC;
	close(fd);
	return err;
}

/* By a new file and a new name, so that nobody reads half a token. A process
 * that may not write goes on with what it has in memory. */
static void write_back(const struct session *s)
{
	char path[PROFILE_PATH_MAX], fresh[PROFILE_PATH_MAX + 8];
	int err;

	if (!profile_path(s->w.values[PROFILE_SECURITY_TOKEN_FILE],
	                  environment_home(), path))
		return;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	err = write_file(fresh, buf_span(&s->fresh));
	if (err == 0 && rename(fresh, path) < 0)
		err = os_error();
	if (err < 0) {
		if (err != -EEXIST)
			unlink(fresh);
		log_debug("a renewed session token is kept in memory only",
		          LOG_STR("file", path), LOG_ERR(err));
	}
}

static void on_refreshed(struct errand *e)
{
	struct attempt *a = e->owner;
	struct session *s = a->state;
	bool good = errand_is_good(e) &&
	            attempt_answer_text(a, "token", &s->fresh) &&
	            use_token(a, buf_span(&s->fresh));

	if (good) {
		write_back(s);
		take_pass(a);
		return;
	}
	/* The token of the file is still good: it serves until its end. */
	if (s->pass->expires_s > attempt_now_s(a) && !a->old) {
		s->pass->renew_s = s->pass->expires_s;
		take_pass(a);
	} else if (e->err == 0 && e->status == 401) {
		attempt_fail(a, -EKEYEXPIRED,
		             "The session cannot be renewed any more. "
		             "%s.",
		             LOGIN_AGAIN);
	} else {
		attempt_fail_errand(a, "The session cannot be renewed",
		                    LOGIN_AGAIN ".");
	}
}

static void refresh(struct attempt *a)
{
	struct session *s = a->state;

	if (!attempt_auth_url(a, &s->region, REFRESH_PATH, s->url))
		return;
	s->body.max = ATTEMPT_BODY_MAX;
	buf_puts(&s->body, "{\"currentToken\":");
	buf_add_json(&s->body, span_from(buf_span(&s->pass->key_id), 3));
	buf_puts(&s->body, "}");
	attempt_ask(a,
	            &(struct errand_request){
			    .method = SPAN("POST"),
			    .url = span_str(s->url),
			    .body = buf_span(&s->body),
			    .key = s->pass->key,
			    .key_id = buf_span(&s->pass->key_id) },
	            on_refreshed);
}

/* The token that was got by a renewal may be younger than the file's. */
static void prefer_old(struct attempt *a)
{
	struct session *s = a->state;
	struct span old;

	if (!a->old || a->old->expires_s <= s->pass->expires_s ||
	    !a->old->key_id.len)
		return;
	old = span_from(buf_span(&a->old->key_id), 3);
	struct claims claims;
	if (claims_read(old, &claims) && claims_match(&claims, s->pass->key))
		(void)!use_token(a, old);
}

static bool fill_session(struct attempt *a)
{
	struct session *s = a->state;
	struct span file = s->w.values[PROFILE_SECURITY_TOKEN_FILE];

	if (file.len == 0) {
		attempt_fail(a, -EINVAL,
		             "The profile has no security_token_file. %s.",
		             LOGIN_AGAIN);
		return false;
	}
	if (!attempt_read_named(a, "the session token", true, file, &s->token))
		return false;
	s->pass->key = load_key(a, &s->w);
	if (!s->pass->key)
		return false;
	pass_set_word(s->pass->tenancy, sizeof(s->pass->tenancy),
	              s->w.values[PROFILE_TENANCY]);
	if (!use_token(a, buf_span(&s->token))) {
		attempt_fail(a, -EINVAL,
		             "The file %.*s does not hold a session token. "
		             "%s.",
		             (int)MIN(file.len, 500), file.at, LOGIN_AGAIN);
		return false;
	}
	prefer_old(a);
	return attempt_place(a, s->pass, s->w.values[PROFILE_REGION]);
}

static bool has_region(struct attempt *a)
{
	struct session *s = a->state;

	if (*s->pass->region)
		return attempt_region(a, span_str(s->pass->region), &s->region);
	attempt_fail(a, -EINVAL,
	             "The profile has no region; a session belongs to one. "
	             "Write region = ... into it, or set OCI_REGION.");
	return false;
}

static void begin_session(struct attempt *a)
{
	struct session *s = calloc(1, sizeof(*s));
	int64_t now_s = attempt_now_s(a);

	a->state = s;
	if (s)
		s->pass = pass_new(CREDENTIAL_SECURITY_TOKEN);
	if (!s || !s->pass) {
		attempt_fail_memory(a);
		return;
	}
	if (!find_wanted(a, &s->w, true) || !fill_session(a))
		return;
	if (s->pass->expires_s <= now_s)
		attempt_fail(a, -EKEYEXPIRED,
		             "The session token has expired. %s.", LOGIN_AGAIN);
	else if (s->pass->renew_s > now_s &&
	         (!a->old || !span_eq(buf_span(&a->old->key_id),
	                              buf_span(&s->pass->key_id))))
		take_pass(a); /* the first, or somebody else has renewed it */
	else if (has_region(a))
		refresh(a);
}

const struct attempt_method userkey_session = { .begin = begin_session,
	                                        .end = end_session };

/* --- delegation token ------------------------------------------------------
 */

static bool delegate(struct attempt *a, struct pass *pass, struct span file)
{
	struct claims claims;

	if (!attempt_read_named(a, "the delegation token", true, file,
	                        &pass->delegate))
		return false;
	/* It need not be readable for us; if it is, its end is ours. */
	if (!claims_read(buf_span(&pass->delegate), &claims) ||
	    !claims.expires_s)
		return true;
	if (claims.expires_s <= attempt_now_s(a)) {
		attempt_fail(a, -EKEYEXPIRED,
		             "The delegation token in %.*s has expired.",
		             (int)MIN(file.len, 500), file.at);
		return false;
	}
	pass->expires_s = MIN(pass->expires_s, claims.expires_s);
	pass->renew_s = MIN(pass->renew_s, claims.expires_s - 1);
	return true;
}

bool userkey_delegate(struct attempt *a, struct pass *pass)
{
	struct wanted w = { 0 };
	struct span file;
	bool good = find_wanted(a, &w, false);

	file = w.values[PROFILE_DELEGATION_TOKEN_FILE];
	if (good && file.len == 0) {
		attempt_fail(a, -EINVAL,
		             "There is no delegation token: set "
		             "OCI_CLI_DELEGATION_TOKEN_FILE, or write "
		             "delegation_token_file into the profile.");
		good = false;
	}
	good = good && delegate(a, pass, file);
	profile_fini(&w.profile);
	return good;
}

/* --- for a sandbox ---------------------------------------------------------
 */

struct teller {
	void (*fn)(void *owner, const char *path);
	void *owner;
};

static void tell_file(void *owner, struct span named)
{
	const struct teller *t = owner;
	char path[PROFILE_PATH_MAX];

	if (profile_path(named, environment_home(), path) && *path == '/')
		environment_directory(span_str(path), t->fn, t->owner);
}

void userkey_paths(struct span config_file,
                   void (*fn)(void *owner, const char *path), void *owner)
{
	const struct credential settings = { .config_file = config_file };
	const struct attempt a = { .settings = &settings };
	struct buf text = { .max = PROFILE_FILE_MAX };
	struct teller t = { fn, owner };
	char path[PROFILE_PATH_MAX];

	if (!attempt_config_path(&a, path))
		return;
	tell_file(&t, span_str(path));
	if (file_read(path, &text) == 0)
		profile_files(buf_span(&text), tell_file, &t);
	pass_wipe(&text);
}

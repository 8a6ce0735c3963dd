#include "oci/attempt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/url.h"
#include "oci/environment.h"

#define TRUST_MAX    (4 << 20) /* bytes of certificates */
#define REGIONS_FILE "~/.oci/regions-config.json"

/* --- beginning and end -----------------------------------------------------
 */

void attempt_start(struct attempt *a, const struct errand_host *host,
                   const struct credential *settings, const struct pass *old,
                   void (*on_done)(struct attempt *a), void *owner)
{
	attempt_start_with(a, settings->method, host, settings, old, on_done,
	                   owner);
}

/* The configuration may change while the attempt goes on. */
static void copy_trust(struct attempt *a)
{
	buf_free(&a->trust);
	a->trust.max = TRUST_MAX;
	buf_add_span(&a->trust, a->host.ca_pem);
	a->host.ca_pem = buf_span(&a->trust);
}

void attempt_start_with(struct attempt *a, enum credential_method method,
                        const struct errand_host *host,
                        const struct credential *settings,
                        const struct pass *old,
                        void (*on_done)(struct attempt *a), void *owner)
{
	assert(!a->running);
	a->host = *host;
	a->settings = settings;
	a->old = old;
	a->on_done = on_done;
	a->owner = owner;
	a->running = true;
	a->finished = false;
	a->err = 0;
	*a->sentence = '\0';
	copy_trust(a);
	attempt_become(a, method);
}

static void end_method(struct attempt *a)
{
	if (a->state && attempt_methods[a->method]->end)
		attempt_methods[a->method]->end(a);
	a->state = NULL;
}

void attempt_become(struct attempt *a, enum credential_method method)
{
	end_method(a);
	a->method = method;
	attempt_methods[method]->begin(a);
}

void attempt_stop(struct attempt *a)
{
	if (!a->running)
		return;
	end_method(a);
	errand_stop(&a->errand);
	loop_timer_stop(a->host.loop, &a->timer);
	pass_free(a->pass);
	a->pass = NULL;
	buf_free(&a->trust);
	a->running = false;
}

static void on_finish(struct timer *t)
{
	struct attempt *a = CONTAINER_OF(t, struct attempt, timer);

	a->on_done(a);
}

/* Told from the loop, so that a method's frames are gone by then. */
static void finish(struct attempt *a)
{
	assert(a->running && !a->finished);
	a->finished = true;
	loop_timer(a->host.loop, &a->timer, 0, on_finish);
}

void attempt_fail(struct attempt *a, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(a->sentence, sizeof(a->sentence), format, args);
	va_end(args);
	a->err = err;
	finish(a);
}

void attempt_fail_memory(struct attempt *a)
{
	attempt_fail(a, -EIO, "Out of memory.");
}

void attempt_succeed(struct attempt *a, struct pass *pass)
{
	if (buf_err(&pass->key_id) || buf_err(&pass->delegate)) {
		pass_free(pass);
		attempt_fail(a, -EINVAL, "The token is longer than %d bytes.",
		             PASS_TOKEN_MAX);
		return;
	}
	a->pass = pass;
	finish(a);
}

int64_t attempt_now_s(const struct attempt *a)
{
	int64_t now_s = a->host.utc_s ? a->host.utc_s() : clock_utc_ms() / 1000;

	return now_s + a->errand.skew_s;
}

void attempt_learn(struct attempt *a, const struct claims *claims)
{
	int64_t seems_s = attempt_now_s(a);

	if (claims->issued_s && claims->expires_s <= seems_s &&
	    claims->issued_s < claims->expires_s)
		a->errand.skew_s += claims->issued_s - seems_s;
}

/* --- files and keys --------------------------------------------------------
 */

static void warn_if_exposed(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)))
		log_warning("a file with a secret can be read or written by "
		            "others; use chmod 600",
		            LOG_STR("file", path));
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(struct buf *b, size_t from)
{
	size_t lead = from;

	while (b->len > from && is_white(b->bytes[b->len - 1]))
		b->len--;
	while (lead < b->len && is_white(b->bytes[lead]))
		lead++;
	if (lead > from) {
		memmove(b->bytes + from, b->bytes + lead, b->len - lead);
		b->len -= lead - from;
	}
}

bool attempt_read(struct attempt *a, const char *what, bool secret,
                  const char *path, struct buf *into)
{
	size_t from = into->len;
	int err;

	if (!into->max)
		into->max = ATTEMPT_FILE_MAX;
	err = file_read(path, into);
	if (err < 0) {
		attempt_fail(a, -EINVAL, "The file with %s, %.500s: %s.%s",
		             what, path, log_errno(err),
		             err == -EACCES ? " If this user may read it, "
		                              "restart: the sandbox opens only "
		                              "directories named at the start."
		                            : "");
		return false;
	}
	trim(into, from);
	if (into->len == from) {
		attempt_fail(a, -EINVAL, "The file with %s, %.500s, is empty.",
		             what, path);
		return false;
	}
	if (secret)
		warn_if_exposed(path);
	return true;
}

bool attempt_read_named(struct attempt *a, const char *what, bool secret,
                        struct span path, struct buf *into)
{
	char whole[PROFILE_PATH_MAX];

	if (!profile_path(path, environment_home(), whole)) {
		attempt_fail(a, -EINVAL,
		             "The path of the file with %s, %.*s, cannot be "
		             "used; write the whole path, from '/' on.",
		             what, (int)MIN(path.len, 300), path.at);
		return false;
	}
	return attempt_read(a, what, secret, whole, into);
}

struct key *attempt_key(struct attempt *a, struct span pem,
                        struct span passphrase, const char *where)
{
	struct key *key = NULL;
	const char *why = "";
	int err = key_private_from_pem(pem, passphrase, &key, &why);

	if (err == -ENOMEM) {
		attempt_fail_memory(a);
		return NULL;
	}
	if (err < 0) {
		attempt_fail(a, -EINVAL, "%.500s %s.%s", where, why,
		             strstr(why, "passphrase")
		                     ? " It is pass_phrase in the profile, or "
		                       "the variable OCI_CLI_PASSPHRASE."
		                     : "");
		return NULL;
	}
	if (key_type(key) == KEY_RSA)
		return key;
	attempt_fail(a, -EINVAL,
	             "%.500s holds a key of type %s; Oracle Cloud needs RSA.",
	             where, key_type_name(key_type(key)));
	key_free(key);
	return NULL;
}

struct key *attempt_session_key(struct attempt *a)
{
	struct key *key = NULL;

	if (key_generate(KEY_RS256, &key) == 0)
		return key;
	attempt_fail_memory(a);
	return NULL;
}

/* --- errands ---------------------------------------------------------------
 */

static const char *const trust_variables[] = { "OCI_CLI_CERT_BUNDLE",
	                                       "OCI_DEFAULT_CERTS_PATH", NULL };

/* A bundle that cannot be read is no reason to trust others. */
static bool read_trust(struct attempt *a)
{
	struct span path = environment_first(trust_variables);

	if (buf_err(&a->trust)) {
		attempt_fail_memory(a);
		return false;
	}
	if (path.len == 0 || a->trust.len)
		return true;
	return attempt_read_named(a, "the certificates to trust", false, path,
	                          &a->trust);
}

void attempt_ask(struct attempt *a, const struct errand_request *request,
                 void (*on_done)(struct errand *errand))
{
	struct errand_request r = *request;

	if (!r.ca_pem.len) {
		if (!read_trust(a))
			return;
		r.ca_pem = buf_span(&a->trust);
	}
	errand_start(&a->errand, &a->host, &r, on_done, a);
}

void attempt_fail_errand(struct attempt *a, const char *what,
                         const char *advice)
{
	char host[URL_HOST_MAX + 16] = "";
	struct url url;

	if (url_parse(a->errand.request.url, &url) == URL_OK)
		snprintf(host, sizeof(host), "%.*s",
		         (int)MIN(url.authority.len, URL_HOST_MAX),
		         url.authority.at);
	attempt_fail(a, -EIO, "%s: %s: %s.%s%s", what, host, a->errand.sentence,
	             *advice ? " " : "", advice);
}

bool attempt_answer_text(const struct attempt *a, const char *key,
                         struct buf *into)
{
	struct json *doc = NULL;
	struct json_error why;
	struct span text;

	if (json_parse(buf_span(&a->errand.answer), 0, &doc, &why) < 0)
		return false;
	text = json_text(json_get(json_root(doc), key));
	if (!into->max)
		into->max = PASS_TOKEN_MAX;
	buf_add_span(into, text);

	bool good = text.len > 0 && buf_err(into) == 0;
	json_free(doc);
	return good;
}

/* --- profile and place -----------------------------------------------------
 */

bool attempt_is_explicit(const struct attempt *a)
{
	return a->settings->config_file.len || a->settings->profile.len;
}

static const char *const file_variables[] = { "OCI_CONFIG_FILE",
	                                      "OCI_CLI_CONFIG_FILE", NULL };
static const char *const profile_variables[] = { "OCI_PROFILE",
	                                         "OCI_CLI_PROFILE", NULL };
static const char *const region_variables[] = { "OCI_REGION", "OCI_CLI_REGION",
	                                        NULL };

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool attempt_config_path(const struct attempt *a, char path[PROFILE_PATH_MAX])
{
	struct span named = a->settings->config_file;

	if (!named.len)
		named = environment_first(file_variables);
	if (named.len)
		return profile_path(named, environment_home(), path);
	if (profile_path(SPAN("~/.oraclebmc/config"), environment_home(),
	                 path) &&
	    exists(path)) {
		char usual[PROFILE_PATH_MAX];

		if (profile_path(SPAN("~/.oci/config"), environment_home(),
		                 usual) &&
		    !exists(usual))
			return true;
	}
	return profile_path(SPAN("~/.oci/config"), environment_home(), path);
}

enum profile_result attempt_profile(const struct attempt *a,
                                    struct profile *out, bool *there,
                                    char why[PROFILE_WHY_MAX])
{
	char path[PROFILE_PATH_MAX] = "";
	struct buf text = { .max = PROFILE_FILE_MAX };
	struct span name = a->settings->profile;
	enum profile_result result;

	*there = false;
	memset(out, 0, sizeof(*out));
	if (!name.len)
		name = environment_first(profile_variables);
	if (!name.len)
		name = SPAN("DEFAULT");
	if (!attempt_config_path(a, path)) {
		snprintf(why, PROFILE_WHY_MAX,
		         "There is no configuration file: HOME is not set, or "
		         "the path is not good.");
		return PROFILE_UNKNOWN;
	}
	int err = file_read(path, &text);
	if (err < 0) {
		*there = err != -ENOENT && err != -ENOTDIR;
		snprintf(why, PROFILE_WHY_MAX,
		         "The configuration file %.500s: %s.", path,
		         log_errno(err));
		buf_free(&text);
		return PROFILE_UNKNOWN;
	}
	*there = true;
	result = profile_parse(buf_span(&text), path, name, out, why);
	pass_wipe(&text);
	return result;
}

static void read_regions_file(struct buf *into)
{
	char path[PROFILE_PATH_MAX];

	into->max = PROFILE_FILE_MAX;
	if (profile_path(SPAN(REGIONS_FILE), environment_home(), path) &&
	    file_read(path, into) < 0)
		buf_reset(into); /* there is none, as a rule */
}

bool attempt_region(struct attempt *a, struct span name,
                    struct region_resolved *out)
{
	struct buf file = { 0 }, why = { .max = ATTEMPT_SENTENCE_MAX / 2 };
	enum region_error error;

	read_regions_file(&file);
	error = region_resolve(
		name,
		&(struct region_sources){
			.config = buf_span(&file),
			.metadata = environment_get("OCI_REGION_METADATA"),
			.realm = environment_get("OCI_DEFAULT_REALM") },
		out);
	buf_free(&file);
	if (error == REGION_OK)
		return true;
	region_explain(error, name, &why);
	attempt_fail(a, -EINVAL, "The region cannot be used: %.*s",
	             (int)why.len, why.bytes ? why.bytes : "");
	buf_free(&why);
	return false;
}

bool attempt_place(struct attempt *a, struct pass *pass, struct span found)
{
	static const char *const tenancy_variables[] = { "OCI_TENANCY_OCID",
		                                         "OCI_CLI_TENANCY",
		                                         NULL };
	struct span name = a->settings->region;
	struct span tenancy = a->settings->tenancy;
	struct region_resolved region;

	if (!attempt_is_explicit(a)) {
		if (!name.len)
			name = environment_first(region_variables);
		if (!tenancy.len)
			tenancy = environment_first(tenancy_variables);
	}
	if (!name.len)
		name = found;
	if (!name.len) /* last of all, even with an explicit profile */
		name = environment_first(region_variables);
	if (tenancy.len && !profile_is_ocid(tenancy)) {
		attempt_fail(a, -EINVAL,
		             "The configured tenancy (OCI_TENANCY_OCID) is "
		             "not an OCID: %.*s.",
		             (int)MIN(tenancy.len, 100), tenancy.at);
		return false;
	}
	if (tenancy.len)
		pass_set_word(pass->tenancy, sizeof(pass->tenancy), tenancy);
	if (!name.len)
		return true;
	if (!attempt_region(a, name, &region))
		return false;
	pass_set_word(pass->region, sizeof(pass->region),
	              span_str(region.identifier));
	pass_set_word(pass->domain, sizeof(pass->domain),
	              span_str(region.domain));
	return true;
}

/* Scheme and authority of a URL; the whole of it when it has a path. */
static bool at_endpoint(struct span endpoint, const char *path,
                        char out[ATTEMPT_URL_MAX])
{
	struct url url;
	int n;

	if (url_parse(endpoint, &url) != URL_OK)
		return false;
	n = snprintf(out, ATTEMPT_URL_MAX, "%s://%.*s%s",
	             url.tls ? "https" : "http", SPAN_ARG(url.authority), path);
	return n > 0 && n < ATTEMPT_URL_MAX;
}

bool attempt_auth_url(struct attempt *a, const struct region_resolved *region,
                      const char *path, char out[ATTEMPT_URL_MAX])
{
	static const char *const variables[] = {
		"OCI_CLI_FEDERATION_ENDPOINT", "OCI_SDK_AUTH_CLIENT_REGION_URL",
		"OCI_CLI_ENDPOINT", NULL
	};
	struct span endpoint = environment_first(variables);

	if (!endpoint.len)
		endpoint = a->settings->endpoint;
	if (endpoint.len) {
		if (at_endpoint(endpoint, path, out))
			return true;
		attempt_fail(a, -EINVAL,
		             "The endpoint for tokens is not a URL: %.*s "
		             "(OCI_CLI_FEDERATION_ENDPOINT, OCI_CLI_ENDPOINT "
		             "or the credential's endpoint).",
		             (int)MIN(endpoint.len, 300), endpoint.at);
		return false;
	}
	int n = snprintf(out, ATTEMPT_URL_MAX, "https://auth.%s%s%s%s",
	                 region->identifier, *region->domain ? "." : "",
	                 region->domain, path);
	if (n > 0 && n < ATTEMPT_URL_MAX)
		return true;
	attempt_fail(a, -EINVAL, "The region's name is too long.");
	return false;
}

#include "oci/resource.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base64.h"
#include "lib/url.h"
#include "oci/environment.h"

#define HEAD         "OCI_RESOURCE_PRINCIPAL_"
#define SESSION_PATH "/v1/resourcePrincipalSessionToken"
#define PARENT_FIELD "opc-parent-rpt-url"

struct version;

struct resource {
	const struct version *version;
	struct attempt *attempt; /* whose state this is */
	struct timer again;      /* to read token and key once more */
	unsigned reads;
	struct attempt child; /* the principal that asks, if we need one */
	struct pass *asker;   /* signs our questions */
	struct key *session;  /* of the token to come */
	bool own_key;         /* that of the asker stays the session's */
	struct buf rpt, spst; /* the two halves of a resource's token */
	struct buf token, body, fields;
	char url[ATTEMPT_URL_MAX];         /* of the resource's token */
	char session_url[ATTEMPT_URL_MAX]; /* of the session's */
	char parent_url[ATTEMPT_URL_MAX];  /* that the answer named, or "" */
	unsigned level;
};

struct version {
	const char *word;
	void (*begin)(struct attempt *a, struct resource *r);
	const char *key_id;     /* resource/v2.1...: format */
	bool with_tenancy;      /* in the key id */
	const char *usual_path; /* of the resource's token */
};

static void ask_resource(struct attempt *a);

static struct span get(const struct attempt *a, const char *rest)
{
	return environment_resource(rest, a->leaf);
}

static const char *tail(const struct attempt *a)
{
	return a->leaf ? "_FOR_LEAF_RESOURCE" : "";
}

bool resource_is_here(void)
{
	return environment_is_set(HEAD "VERSION");
}

bool resource_has_token(void)
{
	return environment_is_set(HEAD "RPST");
}

/* What a variable says, or the file that it names. False: the attempt has
 * failed. An unset one is an error if it is needed. */
static bool read_either(struct attempt *a, const char *rest, bool needed,
                        struct buf *into)
{
	struct span value = get(a, rest);
	bool secret = strcmp(rest, "RPST") != 0;

	into->max = ATTEMPT_FILE_MAX;
	if (value.len == 0) {
		if (!needed)
			return true;
		attempt_fail(a, -EINVAL,
		             "The resource principal needs the variable " HEAD
		             "%s%s, which is not set.",
		             rest, tail(a));
		return false;
	}
	if (value.at[0] == '/')
		return attempt_read(a,
		                    secret ? "the resource principal's key"
		                           : "the resource principal's token",
		                    false, value.at, into);
	while (value.len && (value.at[value.len - 1] == '\n' ||
	                     value.at[value.len - 1] == '\r'))
		value.len--;
	buf_add_span(into, value);
	return true;
}

static struct key *read_key(struct attempt *a, struct buf *pem)
{
	struct buf passphrase = { 0 };
	struct key *key = NULL;

	if (read_either(a, "PRIVATE_PEM", true, pem) &&
	    read_either(a, "PRIVATE_PEM_PASSPHRASE", false, &passphrase))
		key = attempt_key(a, buf_span(pem), buf_span(&passphrase),
		                  "The variable " HEAD "PRIVATE_PEM");
	pass_wipe(&passphrase);
	return key;
}

/* --- 2.2: token and key are there ------------------------------------------
 */

enum read_result { READ_GOOD, READ_CHANGING, READ_FAILED };

/* Key, token, key again: the platform may be replacing them. */
static enum read_result read_pair(struct attempt *a, struct pass *pass,
                                  struct claims *claims)
{
	struct buf pem = { 0 }, again = { 0 }, token = { 0 };
	enum read_result result = READ_FAILED;

	pass->key = read_key(a, &pem);
	if (pass->key && read_either(a, "RPST", true, &token) &&
	    read_either(a, "PRIVATE_PEM", true, &again)) {
		if (!claims_read(buf_span(&token), claims))
			attempt_fail(a, -EINVAL,
			             "The resource principal's token (" HEAD
			             "RPST%s) is not a JSON Web Token.",
			             tail(a));
		else if (span_eq(buf_span(&pem), buf_span(&again)) &&
		         claims_match(claims, pass->key))
			result = READ_GOOD;
		else
			result = READ_CHANGING;
	}
	pass_set_token(pass, buf_span(&token));
	pass_wipe(&pem);
	pass_wipe(&again);
	pass_wipe(&token);
	return result;
}

static bool use_pair(struct attempt *a, struct pass *pass,
                     const struct claims *claims)
{
	int64_t now_s = attempt_now_s(a);

	pass_set_claims(pass, claims, now_s);
	if (claims->expires_s && claims->expires_s <= now_s) {
		attempt_fail(a, -EKEYEXPIRED,
		             "The resource principal's token has expired; "
		             "%s.",
		             get(a, "RPST").at[0] == '/'
		                     ? "the platform should have replaced its "
		                       "file"
		                     : "it was given as a value and cannot be "
		                       "had anew: start the program again");
		return false;
	}
	/* A value does not change: nothing to renew. A file is looked at again
	   soon if the next token is not there yet. */
	if (get(a, "RPST").at[0] != '/')
		pass->renew_s = pass->expires_s;
	else if (pass->renew_s && pass->renew_s <= now_s)
		pass->renew_s = MIN(now_s + 10, pass->expires_s);
	return attempt_place(a, pass, get(a, "REGION"));
}

static void read_again(struct timer *t);

static void fail_changing(struct attempt *a)
{
	attempt_fail(a, -EINVAL,
	             "The resource principal's key is not the one its token "
	             "names (" HEAD "PRIVATE_PEM%s, RPST%s).",
	             tail(a), tail(a));
}

static void read_in_place(struct attempt *a, struct resource *r)
{
	struct pass *pass = pass_new(CREDENTIAL_RESOURCE_PRINCIPAL);
	enum read_result result;
	struct claims claims;

	if (!pass) {
		attempt_fail_memory(a);
		return;
	}
	result = read_pair(a, pass, &claims);
	if (result == READ_GOOD && use_pair(a, pass, &claims)) {
		attempt_succeed(a, pass);
		return;
	}
	pass_free(pass);
	if (result != READ_CHANGING)
		return;
	if (++r->reads == RESOURCE_READS_MAX || get(a, "RPST").at[0] != '/')
		fail_changing(a);
	else
		loop_timer(a->host.loop, &r->again,
		           a->host.pause_ms ? a->host.pause_ms
		                            : RESOURCE_PAUSE_MS,
		           read_again);
}

static void read_again(struct timer *t)
{
	struct resource *r = CONTAINER_OF(t, struct resource, again);

	read_in_place(r->attempt, r);
}

/* --- the session's token ---------------------------------------------------
 */

static struct pass *make_pass(struct attempt *a, const struct claims *claims)
{
	struct resource *r = a->state;
	struct pass *pass = pass_new(CREDENTIAL_RESOURCE_PRINCIPAL);

	if (!pass) {
		attempt_fail_memory(a);
		return NULL;
	}
	pass->key = r->session;
	r->session = NULL;
	pass_set_token(pass, buf_span(&r->token));
	pass_set_word(pass->tenancy, sizeof(pass->tenancy),
	              span_str(r->asker->tenancy));
	pass_set_claims(pass, claims, attempt_now_s(a));
	if (attempt_place(a, pass, span_str(r->asker->region)))
		return pass;
	pass_free(pass);
	return NULL;
}

/* The parent's token is signed for by its child's; then it goes up. */
static void climb(struct attempt *a, struct pass *pass)
{
	struct resource *r = a->state;

	if (++r->level > RESOURCE_LEVELS_MAX) {
		pass_free(pass);
		attempt_fail(a, -EIO,
		             "The resource principal has more than %d parents.",
		             RESOURCE_LEVELS_MAX);
		return;
	}
	pass_free(r->asker);
	r->asker = pass;
	snprintf(r->url, sizeof(r->url), "%s", r->parent_url);
	ask_resource(a);
}

static void on_session(struct errand *e)
{
	struct attempt *a = e->owner;
	struct resource *r = a->state;
	struct claims claims;
	struct pass *pass;

	if (!errand_is_good(e)) {
		attempt_fail_errand(a, "No session for the resource principal",
		                    "");
		return;
	}
	pass_wipe(&r->token);
	if (!attempt_answer_text(a, "token", &r->token) ||
	    !claims_read(buf_span(&r->token), &claims) || !claims.expires_s ||
	    !claims_match(&claims, r->session)) {
		attempt_fail(a, -EIO,
		             "The answer to the question for a session of the "
		             "resource principal has no token for our key.");
		return;
	}
	attempt_learn(a, &claims);
	pass = make_pass(a, &claims);
	if (!pass)
		return;
	if (*r->parent_url && strcmp(r->parent_url, r->url) != 0)
		climb(a, pass);
	else
		attempt_succeed(a, pass);
}

/* The resource's own key stays; else each session has a new one. */
static bool find_session_key(struct attempt *a)
{
	struct resource *r = a->state;
	struct buf pem = { 0 };

	key_free(r->session);
	r->session = r->own_key ? read_key(a, &pem) : attempt_session_key(a);
	pass_wipe(&pem);
	return r->session;
}

static void ask_session(struct attempt *a)
{
	struct resource *r = a->state;
	struct buf der = { .max = KEY_DER_MAX };
	char text[BASE64_LEN(KEY_DER_MAX)];

	if (!find_session_key(a))
		return;
	pass_wipe(&r->body);
	r->body.max = ATTEMPT_BODY_MAX;
	buf_puts(&r->body, "{\"resourcePrincipalToken\":");
	buf_add_json(&r->body, buf_span(&r->rpt));
	buf_puts(&r->body, ",\"servicePrincipalSessionToken\":");
	buf_add_json(&r->body, buf_span(&r->spst));
	buf_puts(&r->body, ",\"sessionPublicKey\":\"");
	if (key_to_der(r->session, &der) == 0)
		buf_add(&r->body, text, base64_encode(buf_span(&der), text));
	buf_free(&der);
	buf_puts(&r->body, "\"}");
	attempt_ask(a,
	            &(struct errand_request){
			    .method = SPAN("POST"),
			    .url = span_str(r->session_url),
			    .body = buf_span(&r->body),
			    .key = r->asker->key,
			    .key_id = buf_span(&r->asker->key_id) },
	            on_session);
}

/* --- the resource's token --------------------------------------------------
 */

/* Signed requests go where the variable leads, or stay with the platform. */
static bool may_climb_to(const struct resource *r, struct span parent)
{
	struct url here, there;

	return url_parse(parent, &there) == URL_OK &&
	       url_parse(span_str(r->url), &here) == URL_OK &&
	       (span_eq_nocase(here.authority, there.authority) ||
	        (there.tls && region_owns_host(there.host)));
}

static void on_resource(struct errand *e)
{
	struct attempt *a = e->owner;
	struct resource *r = a->state;
	struct span parent = buf_span(&e->field);

	if (!errand_is_good(e)) {
		attempt_fail_errand(a, "No token of the resource", "");
		return;
	}
	pass_wipe(&r->rpt);
	pass_wipe(&r->spst);
	if (!attempt_answer_text(a, "resourcePrincipalToken", &r->rpt) ||
	    !attempt_answer_text(a, "servicePrincipalSessionToken", &r->spst)) {
		attempt_fail(a, -EIO,
		             "The answer to the question for a token of the "
		             "resource has none that can be read.");
		return;
	}
	*r->parent_url = '\0';
	if (parent.len) {
		if (!may_climb_to(r, parent)) {
			attempt_fail(a, -EACCES,
			             "The resource's parent is at a host that "
			             "does not belong to Oracle Cloud.");
			return;
		}
		snprintf(r->parent_url, sizeof(r->parent_url), "%.*s",
		         SPAN_ARG(parent));
	}
	ask_session(a);
}

static void ask_resource(struct attempt *a)
{
	struct resource *r = a->state;
	struct span context = get(a, "SECURITY_CONTEXT");

	buf_free(&r->fields);
	r->fields.max = ERRAND_FIELDS_MAX / 2;
	if (r->version->usual_path && context.len &&
	    strcmp(r->version->word, "2.1.2") == 0) {
		buf_puts(&r->fields, "security-context: ");
		buf_add_span(&r->fields, context);
		buf_puts(&r->fields, "\r\n");
	}
	attempt_ask(a,
	            &(struct errand_request){
			    .method = SPAN("GET"),
			    .url = span_str(r->url),
			    .fields = buf_span(&r->fields),
			    .key = r->asker->key,
			    .key_id = buf_span(&r->asker->key_id),
			    .want = span_str(r->version->usual_path
	                                             ? ""
	                                             : PARENT_FIELD) },
	            on_resource);
}

/* --- who asks, and where ---------------------------------------------------
 */

/* The path with the id in the place of "{id}" or "{}", or behind it. */
static bool fill_url(struct attempt *a, struct span endpoint, struct span path,
                     struct span id)
{
	struct resource *r = a->state;
	size_t open = span_find(path, '{');
	struct span rest = span_from(path, open);
	size_t close = span_find(rest, '}');
	int n;

	while (endpoint.len && endpoint.at[endpoint.len - 1] == '/')
		endpoint.len--;
	n = snprintf(r->url, sizeof(r->url), "%.*s%.*s%s%.*s%.*s",
	             (int)MIN(endpoint.len, 1024), endpoint.at,
	             (int)MIN(open, 512), path.at,
	             open == path.len && open && path.at[open - 1] != '/' ? "/"
	                                                                  : "",
	             (int)MIN(id.len, 256), id.at,
	             (int)span_from(rest, close + 1).len,
	             span_from(rest, close + 1).at);
	if (n > 0 && (size_t)n < sizeof(r->url))
		return true;
	attempt_fail(a, -EINVAL, "The variable " HEAD "RPT_PATH is too long.");
	return false;
}

static bool needs(struct attempt *a, const char *rest, struct span *out)
{
	*out = get(a, rest);
	if (out->len)
		return true;
	attempt_fail(
		a, -EINVAL,
		"A resource principal of this version needs the variable " HEAD
		"%s%s, which is not set.",
		rest, tail(a));
	return false;
}

/* Where sessions come from: a variable, else the region of who asks. */
static bool find_session_url(struct attempt *a, struct span endpoint)
{
	struct resource *r = a->state;
	struct region_resolved region;
	int n;

	if (!endpoint.len)
		return attempt_region(a, span_str(r->asker->region), &region) &&
		       attempt_auth_url(a, &region, SESSION_PATH,
		                        r->session_url);
	while (endpoint.len && endpoint.at[endpoint.len - 1] == '/')
		endpoint.len--;
	n = snprintf(r->session_url, sizeof(r->session_url), "%.*s%s",
	             (int)MIN(endpoint.len, 1024), endpoint.at, SESSION_PATH);
	assert(n > 0 && (size_t)n < sizeof(r->session_url));
	return true;
}

/* 1.1: the instance has become one that can ask. */
static void on_instance(struct attempt *child)
{
	struct attempt *a = child->owner;
	struct resource *r = a->state;
	struct span endpoint, id = get(a, "RPT_ID");
	struct span path = get(a, "RPT_PATH");

	if (!child->pass) {
		attempt_fail(a, child->err,
		             "The resource principal needs the instance's: %s",
		             child->sentence);
		return;
	}
	r->asker = child->pass;
	child->pass = NULL;
	a->errand.skew_s = child->errand.skew_s;
	attempt_stop(child);
	if (!id.len)
		id = span_str(r->asker->subject);
	if (!path.len)
		path = span_str(r->version->usual_path);
	if (needs(a, "RPT_ENDPOINT", &endpoint) &&
	    fill_url(a, endpoint, path, id) &&
	    find_session_url(a, get(a, "RPST_ENDPOINT")))
		ask_resource(a);
}

static void begin_by_instance(struct attempt *a, struct resource *r)
{
	struct span endpoint;

	if (!needs(a, "RPT_ENDPOINT", &endpoint))
		return;
	r->child.errand.skew_s = a->errand.skew_s;
	attempt_start_with(&r->child, CREDENTIAL_INSTANCE_PRINCIPAL, &a->host,
	                   a->settings, NULL, on_instance, a);
}

static bool write_key_id(struct attempt *a, struct pass *pass, struct span id)
{
	struct resource *r = a->state;
	struct span tenancy = { 0 };

	buf_puts(&pass->key_id, r->version->key_id);
	if (r->version->with_tenancy) {
		if (!needs(a, "TENANCY_ID", &tenancy))
			return false;
		buf_add_span(&pass->key_id, tenancy);
		buf_putc(&pass->key_id, '/');
	}
	buf_add_span(&pass->key_id, id);
	pass_set_word(pass->tenancy, sizeof(pass->tenancy), tenancy);
	pass_set_word(pass->subject, sizeof(pass->subject), id);
	return true;
}

/* Versions 2.1*: the resource asks for itself. */
static void begin_by_key(struct attempt *a, struct resource *r)
{
	struct span endpoint, id, path = { 0 };
	struct buf pem = { 0 };

	r->own_key = true;
	r->asker = pass_new(CREDENTIAL_RESOURCE_PRINCIPAL);
	if (!r->asker) {
		attempt_fail_memory(a);
		return;
	}
	if (!needs(a, "RPT_ENDPOINT", &endpoint) ||
	    !needs(a, "RESOURCE_ID", &id) || !write_key_id(a, r->asker, id))
		return;
	if (strcmp(r->version->word, "2.1.2") == 0)
		path = get(a, "RPT_PATH");
	if (!path.len)
		path = span_str(r->version->usual_path);
	r->asker->key = read_key(a, &pem);
	pass_wipe(&pem);
	if (r->asker->key && attempt_place(a, r->asker, get(a, "REGION")) &&
	    fill_url(a, endpoint, path, id) &&
	    find_session_url(a, get(a, "RPST_ENDPOINT")))
		ask_resource(a);
}

/* 3.0: the leaf has become one that can ask. */
static void on_leaf(struct attempt *child)
{
	struct attempt *a = child->owner;
	struct resource *r = a->state;
	struct span url = environment_get(HEAD "RPT_URL_FOR_PARENT_RESOURCE");

	if (!child->pass) {
		attempt_fail(a, child->err, "The leaf resource: %s",
		             child->sentence);
		return;
	}
	r->asker = child->pass;
	child->pass = NULL;
	a->errand.skew_s = child->errand.skew_s;
	attempt_stop(child);
	if (url.len == 0 || url.len >= sizeof(r->url)) {
		attempt_fail(a, -EINVAL,
		             "A resource principal of version 3.0 needs the "
		             "variable " HEAD "RPT_URL_FOR_PARENT_RESOURCE.");
		return;
	}
	snprintf(r->url, sizeof(r->url), "%.*s", SPAN_ARG(url));
	if (find_session_url(
		    a,
		    environment_get(HEAD "RPST_ENDPOINT_FOR_PARENT_RESOURCE")))
		ask_resource(a);
}

static void begin_by_leaf(struct attempt *a, struct resource *r)
{
	if (a->leaf) {
		attempt_fail(a, -EINVAL,
		             "A leaf resource cannot be of version 3.0.");
		return;
	}
	r->child.leaf = true;
	r->child.errand.skew_s = a->errand.skew_s;
	attempt_start_with(&r->child, CREDENTIAL_RESOURCE_PRINCIPAL, &a->host,
	                   a->settings, NULL, on_leaf, a);
}

/* --- versions --------------------------------------------------------------
 */

static const struct version versions[] = {
	{ .word = "2.2", .begin = read_in_place },
	{ .word = "1.1",
	  .begin = begin_by_instance,
	  .usual_path = "/20180711/resourcePrincipalToken/{id}" },
	{ .word = "2.1",
	  .begin = begin_by_key,
	  .key_id = "resource/v2.1/",
	  .usual_path = "/20180711/resourcePrincipalTokenV2/{id}" },
	{ .word = "2.1.1",
	  .begin = begin_by_key,
	  .key_id = "resource/v2.1.1/",
	  .with_tenancy = true,
	  .usual_path = "/20180711/resourcePrincipalTokenV2/{id}" },
	{ .word = "2.1.2",
	  .begin = begin_by_key,
	  .key_id = "resource/v2.1.2/",
	  .with_tenancy = true,
	  .usual_path = "/20180711/resourcePrincipalTokenV212/{id}" },
	{ .word = "3.0", .begin = begin_by_leaf },
};

static void begin(struct attempt *a)
{
	struct span word = get(a, "VERSION");
	struct resource *r = calloc(1, sizeof(*r));

	a->state = r;
	if (!r) {
		attempt_fail_memory(a);
		return;
	}
	r->attempt = a;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (span_is(word, versions[i].word)) {
			r->version = &versions[i];
			versions[i].begin(a, r);
			return;
		}
	if (word.len)
		attempt_fail(a, -EINVAL,
		             "The variable " HEAD "VERSION%s is \"%.*s\"; it "
		             "must be 2.2, 1.1, 2.1, 2.1.1, 2.1.2 or 3.0.",
		             tail(a), (int)MIN(word.len, 20), word.at);
	else
		attempt_fail(
			a, -ENOENT,
			"There is no resource principal: the variable " HEAD
			"VERSION%s is not set.",
			tail(a));
}

static void end(struct attempt *a)
{
	struct resource *r = a->state;

	attempt_stop(&r->child);
	loop_timer_stop(a->host.loop, &r->again);
	pass_free(r->asker);
	key_free(r->session);
	pass_wipe(&r->rpt);
	pass_wipe(&r->spst);
	pass_wipe(&r->token);
	pass_wipe(&r->body);
	pass_wipe(&r->fields);
	free(r);
}

const struct attempt_method resource_principal = { begin, end };

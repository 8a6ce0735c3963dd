#include "oci/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base64.h"
#include "lib/crypto.h"
#include "oci/environment.h"

#define MOUNT      "/var/run/secrets/kubernetes.io/serviceaccount/"
#define TOKEN_PATH "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH"
#define TOKEN_TEXT "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_STRING"
#define CERT_PATH  "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH"

struct workload {
	struct buf account; /* the service account's token */
	struct buf ca;
	struct key *session;
	struct buf fields, body, token;
	char url[ATTEMPT_URL_MAX];
};

static struct span or_default(const char *name, struct span usual)
{
	struct span value = environment_get(name);

	return value.len ? value : usual;
}

static struct span token_path(void)
{
	return or_default(TOKEN_PATH, SPAN(MOUNT "token"));
}

bool workload_is_here(void)
{
	struct stat st;

	return environment_is_set("KUBERNETES_SERVICE_HOST") &&
	       (environment_is_set(TOKEN_TEXT) ||
	        stat(token_path().at, &st) == 0);
}

/* --- the answer ------------------------------------------------------------
 */

/* Base64 of JSON, with quotes around it as a rule. The bytes stay in the
 * errand's answer, which is wiped. */
static bool decode(struct attempt *a)
{
	struct buf *answer = &a->errand.answer;
	size_t n = 0;

	for (size_t i = 0; i < answer->len; i++) {
		char c = answer->bytes[i];

		if (c != '"' && c != ' ' && c != '\r' && c != '\n')
			answer->bytes[n++] = c;
	}
	answer->len = n;
	return base64_decode(buf_span(answer), answer->bytes, &answer->len);
}

static bool set_times(struct attempt *a, struct pass *pass,
                      const struct claims *claims)
{
	int64_t now_s = attempt_now_s(a);
	int64_t begun_s = claims->issued_s ? claims->issued_s : now_s;

	pass_set_claims(pass, claims, now_s);
	pass->renew_s = begun_s + (claims->expires_s - begun_s) / 2;
	if (claims->expires_s > now_s)
		return true;
	attempt_fail(a, -EIO,
	             "The token for this workload has already "
	             "expired; is the clock right?");
	return false;
}

static void finish(struct attempt *a, const struct claims *claims)
{
	struct workload *w = a->state;
	struct pass *pass = pass_new(CREDENTIAL_WORKLOAD);

	if (!pass) {
		attempt_fail_memory(a);
		return;
	}
	pass->key = w->session;
	w->session = NULL;
	pass_set_token(pass, buf_span(&w->token));
	if (set_times(a, pass, claims) &&
	    attempt_place(a, pass, environment_resource("REGION", false)))
		attempt_succeed(a, pass);
	else
		pass_free(pass);
}

static void on_token(struct errand *e)
{
	struct attempt *a = e->owner;
	struct workload *w = a->state;
	struct claims claims;

	if (!errand_is_good(e)) {
		attempt_fail_errand(
			a, "No token for this workload",
			e->err == 0 && e->status == 403
				? "Workload identity needs an enhanced "
				  "cluster."
				: "");
		return;
	}
	if (!decode(a) || !attempt_answer_text(a, "token", &w->token) ||
	    !claims_read(buf_span(&w->token), &claims) || !claims.expires_s) {
		attempt_fail(a, -EIO,
		             "The cluster's answer has no token that can be "
		             "read.");
		return;
	}
	if (!claims_match(&claims, w->session)) {
		attempt_fail(a, -EIO,
		             "The token for this workload is for "
		             "another key than ours.");
		return;
	}
	attempt_learn(a, &claims);
	finish(a, &claims);
}

/* --- the question ----------------------------------------------------------
 */

static bool read_account(struct attempt *a)
{
	struct workload *w = a->state;
	struct span text = environment_get(TOKEN_TEXT);
	struct claims claims;

	w->account.max = ATTEMPT_FILE_MAX;
	if (text.len)
		buf_add_span(&w->account, text);
	else if (!attempt_read_named(a, "the service account's token", false,
	                             token_path(), &w->account))
		return false;
	if (!claims_read(buf_span(&w->account), &claims)) {
		attempt_fail(a, -EINVAL,
		             "The service account's token is not a JSON Web "
		             "Token.");
		return false;
	}
	if (!claims.expires_s || claims.expires_s > attempt_now_s(a))
		return true;
	attempt_fail(a, -EKEYEXPIRED,
	             "The service account's token has expired; the cluster "
	             "should have replaced it.");
	return false;
}

/* Three numbers, as Oracle's SDKs send them; they are for its log only. */
static void add_request_id(struct buf *into)
{
	uint8_t id[16];
	char hex[32];

	buf_puts(into, "opc-request-id: ");
	for (int i = 0; i < 3; i++) {
		crypto_random(id, sizeof(id));
		crypto_hex_encode(span_of(id, sizeof(id)), hex);
		buf_puts(into, i ? "/" : "");
		buf_add(into, hex, sizeof(hex));
	}
	buf_puts(into, "\r\n");
}

static bool compose(struct workload *w)
{
	struct buf der = { .max = KEY_DER_MAX };
	char text[BASE64_LEN(KEY_DER_MAX)];

	w->fields.max = w->body.max = ATTEMPT_BODY_MAX;
	buf_puts(&w->fields, "authorization: Bearer ");
	buf_add_span(&w->fields, buf_span(&w->account));
	buf_puts(&w->fields, "\r\n");
	add_request_id(&w->fields);
	if (key_to_der(w->session, &der) == 0) {
		buf_puts(&w->body, "{\"podKey\":\"");
		buf_add(&w->body, text, base64_encode(buf_span(&der), text));
		buf_puts(&w->body, "\"}");
	}
	buf_free(&der);
	return buf_err(&w->fields) == 0 && buf_err(&w->body) == 0 &&
	       w->body.len;
}

static bool find_url(struct attempt *a)
{
	struct workload *w = a->state;
	struct span host = environment_get("KUBERNETES_SERVICE_HOST");
	uint64_t port = WORKLOAD_PORT;
	bool ipv6 = span_find(host, ':') < host.len && host.len &&
	            host.at[0] != '[';
	int n;

	if (!host.len) {
		attempt_fail(a, -ENOENT,
		             "There is no workload identity: "
		             "KUBERNETES_SERVICE_HOST is not set, so this is "
		             "not a pod.");
		return false;
	}
	(void)!span_u64(environment_get("KUBERNETES_SERVICE_PORT_PROXYMUX"),
	                UINT16_MAX, &port);
	n = snprintf(w->url, sizeof(w->url),
	             "https://%s%.*s%s:%u/resourcePrincipalSessionTokens",
	             ipv6 ? "[" : "", (int)MIN(host.len, 256), host.at,
	             ipv6 ? "]" : "", (unsigned)port);
	assert(n > 0 && (size_t)n < sizeof(w->url));
	return true;
}

static void begin(struct attempt *a)
{
	struct workload *w = calloc(1, sizeof(*w));

	a->state = w;
	if (!w) {
		attempt_fail_memory(a);
		return;
	}
	if (!find_url(a) || !read_account(a) ||
	    !attempt_read_named(a, "the cluster's certificate authority", false,
	                        or_default(CERT_PATH, SPAN(MOUNT "ca.crt")),
	                        &w->ca))
		return;
	w->session = attempt_session_key(a);
	if (!w->session)
		return;
	if (!compose(w)) {
		attempt_fail(a, -EINVAL,
		             "The service account's token is too long.");
		return;
	}
	attempt_ask(a,
	            &(struct errand_request){ .method = SPAN("POST"),
	                                      .url = span_str(w->url),
	                                      .fields = buf_span(&w->fields),
	                                      .body = buf_span(&w->body),
	                                      .ca_pem = buf_span(&w->ca) },
	            on_token);
}

static void end(struct attempt *a)
{
	struct workload *w = a->state;

	pass_wipe(&w->account);
	pass_wipe(&w->fields);
	pass_wipe(&w->token);
	buf_free(&w->body);
	buf_free(&w->ca);
	key_free(w->session);
	free(w);
}

const struct attempt_method workload_identity = { begin, end };

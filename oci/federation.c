#include "oci/federation.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base64.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "oci/environment.h"
#include "oci/userkey.h"

#define METADATA_BASE  "http://169.254.169.254/opc/v2"
#define METADATA_TRIES 4
#define LATER                                             \
	"This instance's metadata service gives it; see " \
	"whether it can be reached, or choose another credential."

enum piece { LEAF, KEY, INTERMEDIATE, REGION_INFO, PIECES };

static const struct {
	const char *path;
	const char *what; /* begins a sentence */
} pieces[PIECES] = {
	[LEAF] = { "/identity/cert.pem",
	           "The certificate of this instance cannot be had" },
	[KEY] = { "/identity/key.pem",
	          "The key of this instance cannot be had" },
	[INTERMEDIATE] = { "/identity/intermediate.pem",
	                   "The intermediate certificate of this instance "
	                   "cannot be had" },
	[REGION_INFO] = { "/instance/regionInfo",
	                  "The region of this instance cannot be had" },
};

struct federation {
	struct buf pieces[PIECES];
	enum piece at;
	unsigned reads; /* of certificate and key */
	bool by_name;   /* the region is asked for by its short path */
	struct key *leaf_key;
	struct key_certificate leaf;
	char tenancy[PASS_OCID_MAX];
	char subject[PASS_OCID_MAX];
	char key_id[PASS_OCID_MAX + 128];
	struct region_resolved region;
	struct key *session;
	struct buf body, token;
	char url[ATTEMPT_URL_MAX];
};

const struct span federation_metadata_field = {
	"authorization: Bearer Oracle\r\n", 30
};

static void ask_piece(struct attempt *a);

bool federation_metadata_url(struct attempt *a, const char *path,
                             char out[ATTEMPT_URL_MAX])
{
	struct span base = environment_get("OCI_METADATA_BASE_URL");
	int n;

	if (!base.len)
		base = SPAN(METADATA_BASE);
	while (base.len && base.at[base.len - 1] == '/')
		base.len--;
	n = snprintf(out, ATTEMPT_URL_MAX, "%.*s%s", (int)MIN(base.len, 4096),
	             base.at, path);
	if (n > 0 && n < ATTEMPT_URL_MAX)
		return true;
	attempt_fail(a, -EINVAL, "OCI_METADATA_BASE_URL is too long.");
	return false;
}

/* --- the question for a token ----------------------------------------------
 */

#define CERT_BEGIN SPAN("-----BEGIN CERTIFICATE-----")
#define CERT_END   "-----END CERTIFICATE-----"

/* The next certificate of a PEM text as base64 without line breaks, quoted.
 * False when there is none. */
static bool add_certificate(struct span *pem, struct buf *into)
{
	const char *begin = pem->len ? memmem(pem->at, pem->len, CERT_BEGIN.at,
	                                      CERT_BEGIN.len)
	                             : NULL;
	if (!begin)
		return false;

	struct span rest =
		span_from(*pem, (size_t)(begin - pem->at) + CERT_BEGIN.len);
	const char *end = memmem(rest.at, rest.len, CERT_END, strlen(CERT_END));
	if (!end)
		return false;

	buf_putc(into, '"');
	for (const char *p = rest.at; p < end; p++)
		if ((*p >= '0' && *p <= '9') ||
		    ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || *p == '+' ||
		    *p == '/' || *p == '=')
			buf_putc(into, *p);
	buf_putc(into, '"');
	*pem = span_from(rest, (size_t)(end - rest.at));
	return true;
}

static bool add_public_key(const struct key *key, struct buf *into)
{
	struct buf der = { .max = KEY_DER_MAX };
	char text[BASE64_LEN(KEY_DER_MAX)];
	bool good = key_to_der(key, &der) == 0;

	if (good)
		buf_add(into, text, base64_encode(buf_span(&der), text));
	buf_free(&der);
	return good;
}

static bool compose(struct federation *f)
{
	struct span leaf = buf_span(&f->pieces[LEAF]);
	struct span more = buf_span(&f->pieces[INTERMEDIATE]);
	struct buf *b = &f->body;
	bool good;

	buf_free(b);
	b->max = ATTEMPT_BODY_MAX;
	buf_puts(b, "{\"certificate\":");
	good = add_certificate(&leaf, b);
	buf_puts(b, ",\"publicKey\":\"");
	good = good && add_public_key(f->session, b);
	buf_puts(b, "\",\"intermediateCertificates\":[");
	for (int i = 0; i < FEDERATION_CERTS_MAX; i++) {
		struct span left = more;
		struct buf one = { .max = ATTEMPT_FILE_MAX };

		if (add_certificate(&left, &one)) {
			buf_puts(b, i ? "," : "");
			buf_add_span(b, buf_span(&one));
		}
		buf_free(&one);
		more = left;
	}
	buf_puts(b, "],\"purpose\":\"DEFAULT\","
	            "\"fingerprintAlgorithm\":\"SHA256\"}");
	return good && buf_err(b) == 0;
}

/* tenancy/fed-x509-sha256/AB:CD:... of the leaf certificate. */
static void write_key_id(struct federation *f)
{
	char hex[2 * KEY_SHA256_LEN];
	int n = snprintf(f->key_id, sizeof(f->key_id), "%s/fed-x509-sha256/",
	                 f->tenancy);
	char *to = f->key_id + n;

	crypto_hex_encode(span_of(f->leaf.sha256, sizeof(f->leaf.sha256)), hex);
	for (size_t i = 0; i < KEY_SHA256_LEN; i++) {
		if (i)
			*to++ = ':';
		*to++ = hex[2 * i];
		*to++ = hex[2 * i + 1];
	}
	*to = '\0';
}

static void finish(struct attempt *a, const struct claims *claims)
{
	struct federation *f = a->state;
	struct pass *pass = pass_new(a->method);

	if (!pass) {
		attempt_fail_memory(a);
		return;
	}
	pass->key = f->session;
	f->session = NULL;
	pass_set_token(pass, buf_span(&f->token));
	pass_set_claims(pass, claims, attempt_now_s(a));
	pass_set_word(pass->tenancy, sizeof(pass->tenancy),
	              span_str(f->tenancy));
	if (*f->subject)
		pass_set_word(pass->subject, sizeof(pass->subject),
		              span_str(f->subject));
	if (attempt_place(a, pass, span_str(f->region.identifier)) &&
	    (a->method != CREDENTIAL_INSTANCE_OBO_USER ||
	     userkey_delegate(a, pass))) {
		/* The metadata may know a realm that we do not. */
		if (strcmp(pass->region, f->region.identifier) == 0)
			pass_set_word(pass->domain, sizeof(pass->domain),
			              span_str(f->region.domain));
		attempt_succeed(a, pass);
	} else {
		pass_free(pass);
	}
}

static void on_token(struct errand *e)
{
	struct attempt *a = e->owner;
	struct federation *f = a->state;
	struct claims claims;

	if (!errand_is_good(e)) {
		attempt_fail_errand(
			a, "No token for this instance",
			e->status == 401
				? "It was refused (401): is the clock right, "
				  "and the certificate valid?"
				: "");
		return;
	}
	if (!attempt_answer_text(a, "token", &f->token) ||
	    !claims_read(buf_span(&f->token), &claims) || !claims.expires_s) {
		attempt_fail(a, -EIO,
		             "The answer to the question for a token of this "
		             "instance has no token that can be read.");
		return;
	}
	if (!claims_match(&claims, f->session)) {
		attempt_fail(a, -EIO,
		             "The token for this instance is for another key "
		             "than ours.");
		return;
	}
	attempt_learn(a, &claims);
	finish(a, &claims);
}

static void ask_token(struct attempt *a)
{
	struct federation *f = a->state;

	key_free(f->session);
	f->session = attempt_session_key(a);
	if (!f->session || !attempt_auth_url(a, &f->region, "/v1/x509", f->url))
		return;
	write_key_id(f);
	if (!compose(f)) {
		attempt_fail(a, -EIO,
		             "The certificates of this instance cannot be "
		             "sent: too long, or not PEM.");
		return;
	}
	attempt_ask(a,
	            &(struct errand_request){ .method = SPAN("POST"),
	                                      .url = span_str(f->url),
	                                      .body = buf_span(&f->body),
	                                      .key = f->leaf_key,
	                                      .key_id = span_str(f->key_id),
	                                      .no_host = true },
	            on_token);
}

/* --- the pieces ------------------------------------------------------------
 */

static bool read_unit(const struct federation *f, const char *head,
                      struct key_certificate *cert)
{
	const char *why;

	return key_certificate_read(buf_span(&f->pieces[LEAF]), span_str(head),
	                            cert, &why) == 0 &&
	       *cert->unit;
}

static bool read_leaf(struct attempt *a)
{
	struct federation *f = a->state;
	struct key_certificate other;
	const char *tenancy = f->leaf.unit;

	if (!read_unit(f, "opc-tenant:", &f->leaf)) {
		/* Certificates of services name it otherwise. */
		if (!read_unit(f, "opc-identity:", &f->leaf)) {
			attempt_fail(a, -EIO,
			             "The certificate of this instance cannot "
			             "be read, or names no tenancy.");
			return false;
		}
	}
	pass_set_word(f->tenancy, sizeof(f->tenancy), span_str(tenancy));
	if (read_unit(f, "opc-instance:", &other))
		pass_set_word(f->subject, sizeof(f->subject),
		              span_str(other.unit));
	if (a->old && *a->old->tenancy && a->old->method == a->method &&
	    !a->settings->tenancy.len &&
	    !environment_is_set("OCI_TENANCY_OCID") &&
	    !environment_is_set("OCI_CLI_TENANCY") &&
	    strcmp(a->old->tenancy, f->tenancy) != 0) {
		attempt_fail(a, -EIO,
		             "The certificate of this instance names another "
		             "tenancy (%s) than before (%s); start the "
		             "program anew if that is right.",
		             f->tenancy, a->old->tenancy);
		return false;
	}
	return true;
}

static bool is_pair(const struct federation *f)
{
	struct buf a = { .max = KEY_DER_MAX }, b = { .max = KEY_DER_MAX };
	struct key *public = NULL;
	const char *why;
	bool same =
		key_from_pem(buf_span(&f->pieces[LEAF]), &public, &why) == 0 &&
		key_to_der(public, &a) == 0 &&
		key_to_der(f->leaf_key, &b) == 0 &&
		span_eq(buf_span(&a), buf_span(&b));

	key_free(public);
	buf_free(&a);
	buf_free(&b);
	return same;
}

static void use_certificate(struct attempt *a)
{
	struct federation *f = a->state;

	key_free(f->leaf_key);
	f->leaf_key =
		attempt_key(a, buf_span(&f->pieces[KEY]), (struct span){ 0 },
	                    "The metadata service's key.pem");
	if (!f->leaf_key)
		return;
	if (is_pair(f)) {
		if (read_leaf(a))
			ask_token(a);
		return;
	}
	if (++f->reads < FEDERATION_READS_MAX) {
		f->at = LEAF; /* they were being replaced */
		ask_piece(a);
		return;
	}
	attempt_fail(a, -EIO,
	             "The key of this instance is not that of its "
	             "certificate.");
}

/* regionInfo names the realm too; older instances have only the name. */
static bool use_region(struct attempt *a)
{
	struct federation *f = a->state;
	struct json *doc = NULL;
	struct json_error why;
	struct span text = buf_span(&f->pieces[REGION_INFO]);

	while (text.len && (unsigned char)text.at[text.len - 1] <= ' ')
		text.len--;
	if (f->by_name)
		return attempt_region(a, text, &f->region);
	bool good = json_parse(text, 0, &doc, &why) == 0 &&
	            region_of_json(json_root(doc), &f->region);
	json_free(doc);
	if (!good)
		attempt_fail(a, -EIO,
		             "The metadata service's answer on the region "
		             "cannot be understood.");
	return good;
}

static void on_piece(struct errand *e)
{
	struct attempt *a = e->owner;
	struct federation *f = a->state;
	struct buf *piece = &f->pieces[f->at];

	if (f->at == REGION_INFO && e->err == 0 && e->status == 404 &&
	    !f->by_name) {
		f->by_name = true;
		ask_piece(a);
		return;
	}
	if (!errand_is_good(e)) {
		attempt_fail_errand(a, pieces[f->at].what, LATER);
		return;
	}
	pass_wipe(piece);
	piece->max = ATTEMPT_FILE_MAX;
	buf_add_span(piece, buf_span(&e->answer));
	if (buf_err(piece)) {
		attempt_fail(a, -EIO, "%s: it is too long.",
		             pieces[f->at].what);
		return;
	}
	if (f->at == REGION_INFO) {
		if (use_region(a))
			use_certificate(a);
		return;
	}
	f->at++;
	if (f->at == REGION_INFO && *f->region.identifier)
		use_certificate(a);
	else
		ask_piece(a);
}

static void ask_piece(struct attempt *a)
{
	struct federation *f = a->state;
	const char *path = f->by_name && f->at == REGION_INFO
	                           ? "/instance/region"
	                           : pieces[f->at].path;

	if (!federation_metadata_url(a, path, f->url))
		return;
	attempt_ask(
		a,
		&(struct errand_request){ .method = SPAN("GET"),
	                                  .url = span_str(f->url),
	                                  .fields = federation_metadata_field,
	                                  .missing_ok = f->at != REGION_INFO,
	                                  .tries = METADATA_TRIES },
		on_piece);
}

static void begin(struct attempt *a)
{
	a->state = calloc(1, sizeof(struct federation));
	if (a->state)
		ask_piece(a);
	else
		attempt_fail_memory(a);
}

static void end(struct attempt *a)
{
	struct federation *f = a->state;

	for (size_t i = 0; i < PIECES; i++)
		pass_wipe(&f->pieces[i]);
	pass_wipe(&f->token);
	buf_free(&f->body);
	key_free(f->leaf_key);
	key_free(f->session);
	free(f);
}

const struct attempt_method federation_instance = { begin, end };
const struct attempt_method federation_obo = { begin, end };

#include "lib/keys.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base64.h"

/* The library refuses longer exponents for long moduli; we do for all. */
#define RSA_EXPONENT_MAX_BITS 64
#define RSA_NEW_BITS          2048

struct key {
	EVP_PKEY *pkey;
	enum key_type type;
	bool is_private;
	size_t signature_len; /* bytes */
};

/* clang-format off */
static const struct type_row {
	const char *name;
	const char *group;    /* as the library calls the curve */
	const char *crv;      /* as RFC 7518 calls it */
	size_t coordinate_len; /* bytes of one number of a point */
	enum key_alg alg;     /* when nobody says */
} types[] = {
	[KEY_RSA]     = { "RSA",      NULL,         "",        0,  KEY_RS256 },
	[KEY_P256]    = { "EC P-256", "prime256v1", "P-256",   32, KEY_ES256 },
	[KEY_P384]    = { "EC P-384", "secp384r1",  "P-384",   48, KEY_ES384 },
	[KEY_ED25519] = { "Ed25519",  NULL,         "Ed25519", 32, KEY_EDDSA },
};

static const struct alg_row {
	const char *name;
	const char *digest; /* NULL: the algorithm does its own */
	enum key_type type;
	bool pss;
} algs[KEY_ALG_COUNT] = {
	[KEY_RS256] = { "RS256", "SHA256", KEY_RSA,     false },
	[KEY_RS384] = { "RS384", "SHA384", KEY_RSA,     false },
	[KEY_RS512] = { "RS512", "SHA512", KEY_RSA,     false },
	[KEY_PS256] = { "PS256", "SHA256", KEY_RSA,     true  },
	[KEY_ES256] = { "ES256", "SHA256", KEY_P256,    false },
	[KEY_ES384] = { "ES384", "SHA384", KEY_P384,    false },
	[KEY_EDDSA] = { "EdDSA", NULL,     KEY_ED25519, false },
};

static const char NOT_PEM[] = "holds no PEM block of a public key";
static const char IS_PRIVATE[] =
	"is a private key; give the public one "
	"(openssl pkey -in private.pem -pubout)";
static const char BROKEN[] = "holds a key that cannot be decoded";
static const char BAD_TYPE[] =
	"holds a key of an unsupported type "
	"(RSA, EC P-256, EC P-384 and Ed25519 are supported)";
static const char BAD_CURVE[] =
	"holds an EC key on a curve other than P-256 and P-384";
static const char BAD_SIZE[] =
	"holds an RSA key of less than 2048 or more than 8192 bits";
static const char BAD_EXPONENT[] =
	"holds an RSA key whose public exponent is not sensible";
static const char BAD_NUMBERS[] =
	"holds a key whose numbers do not make a valid key";
static const char NOT_PRIVATE[] = "holds no PEM block of a private key";
static const char IS_PUBLIC[] =
	"is a public key; give the private one that belongs to it";
static const char IS_CERTIFICATE[] =
	"is a certificate; give the private key that belongs to it";
static const char NEEDS_PASSPHRASE[] =
	"holds an encrypted private key, and no passphrase is given";
static const char WRONG_PASSPHRASE[] =
	"holds an encrypted private key that this passphrase does not open";
static const char CUT_OFF[] =
	"holds a private key in a PEM block that is cut off or damaged";
static const char NO_MEMORY[] = "does not fit into memory";
static const char NOT_CERTIFICATE[] = "holds no PEM block of a certificate";
/* clang-format on */

const char *key_alg_name(enum key_alg alg)
{
	return algs[alg].name;
}

bool key_alg_of(struct span name, enum key_alg *out)
{
	for (size_t i = 0; i < KEY_ALG_COUNT; i++) {
		if (span_is(name, algs[i].name)) {
			*out = (enum key_alg)i;
			return true;
		}
	}
	return false;
}

const char *key_type_name(enum key_type type)
{
	return types[type].name;
}

/*
 * The library queues reasons per thread. What is left there would be taken by
 * a TLS connection for its own.
 */
static int refuse(const char **why, const char *sentence)
{
	ERR_clear_error();
	*why = sentence;
	return -EINVAL;
}

static const char *check_rsa(EVP_PKEY *pkey)
{
	BIGNUM *e = NULL;
	int bits = EVP_PKEY_get_bits(pkey);

	if (bits < KEY_RSA_MIN_BITS || bits > KEY_RSA_MAX_BITS)
		return BAD_SIZE;
	if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e))
		return BROKEN;
	bool sensible = BN_is_odd(e) && !BN_is_one(e) &&
	                BN_num_bits(e) <= RSA_EXPONENT_MAX_BITS;
	BN_free(e);
	return sensible ? NULL : BAD_EXPONENT;
}

static const char *check_curve(EVP_PKEY *pkey, enum key_type *type)
{
	char group[32];

	/* A curve spelled out as parameters has no name: refused here. */
	if (!EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL))
		return BAD_CURVE;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].group && strcmp(group, types[i].group) == 0) {
			*type = (enum key_type)i;
			return NULL;
		}
	}
	return BAD_CURVE;
}

/* NULL and the type when the key is one of those we trust, or the reason. */
static const char *check(EVP_PKEY *pkey, enum key_type *type)
{
	if (EVP_PKEY_is_a(pkey, "RSA")) {
		*type = KEY_RSA;
		return check_rsa(pkey);
	}
	if (EVP_PKEY_is_a(pkey, "EC"))
		return check_curve(pkey, type);
	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		*type = KEY_ED25519;
		return NULL;
	}
	return BAD_TYPE;
}

/* Is the point on its curve, is the modulus no prime, and the like. */
static bool is_consistent(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool good = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static size_t signature_len_of(EVP_PKEY *pkey, enum key_type type)
{
	if (type == KEY_RSA)
		return ((size_t)EVP_PKEY_get_bits(pkey) + 7) / 8;
	return 2 * types[type].coordinate_len;
}

/* Takes pkey in every case; NULL stands for one that could not be decoded. */
static int adopt(EVP_PKEY *pkey, bool is_private, struct key **out,
                 const char **why)
{
	enum key_type type = KEY_RSA;
	const char *wrong = pkey ? check(pkey, &type) : BROKEN;

	if (!wrong && !is_consistent(pkey))
		wrong = BAD_NUMBERS;
	if (wrong) {
		EVP_PKEY_free(pkey);
		return refuse(why, wrong);
	}

	struct key *key = malloc(sizeof(*key));
	if (!key) {
		EVP_PKEY_free(pkey);
		*why = NO_MEMORY;
		return -ENOMEM;
	}
	*key = (struct key){ .pkey = pkey,
		             .type = type,
		             .is_private = is_private,
		             .signature_len = signature_len_of(pkey, type) };
	ERR_clear_error();
	*out = key;
	return 0;
}

static EVP_PKEY *decode_spki(const unsigned char *der, long len)
{
	const unsigned char *p = der;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, len);

	if (pkey && p != der + len) { /* something follows */
		EVP_PKEY_free(pkey);
		return NULL;
	}
	return pkey;
}

static EVP_PKEY *decode_pkcs1(const unsigned char *der, long len)
{
	const unsigned char *p = der;

	return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);
}

static EVP_PKEY *decode_certificate(const unsigned char *der, long len)
{
	const unsigned char *p = der;
	X509 *cert = d2i_X509(NULL, &p, len);
	EVP_PKEY *pkey = cert ? X509_get_pubkey(cert) : NULL;

	X509_free(cert);
	return pkey;
}

static const struct {
	const char *name; /* of the PEM block */
	EVP_PKEY *(*decode)(const unsigned char *der, long len);
} blocks[] = {
	{ PEM_STRING_PUBLIC, decode_spki },
	{ PEM_STRING_RSA_PUBLIC, decode_pkcs1 },
	{ PEM_STRING_X509, decode_certificate },
	{ PEM_STRING_X509_OLD, decode_certificate },
};

static int adopt_block(const char *name, const unsigned char *der, long len,
                       struct key **out, const char **why)
{
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		if (strcmp(name, blocks[i].name) == 0)
			return adopt(blocks[i].decode(der, len), false, out,
			             why);
	return refuse(why, strstr(name, "PRIVATE KEY") ? IS_PRIVATE : NOT_PEM);
}

/* A reader over the caller's bytes, or NULL. */
static BIO *reader_of(struct span pem)
{
	if (pem.len == 0 || pem.len > KEY_PEM_MAX)
		return NULL;
	return BIO_new_mem_buf(pem.at, (int)pem.len);
}

int key_from_pem(struct span pem, struct key **out, const char **why)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long len = 0;
	int err;

	BIO *bio = reader_of(pem);
	if (!bio || !PEM_read_bio(bio, &name, &header, &der, &len))
		err = refuse(why, NOT_PEM);
	else
		err = adopt_block(name, der, len, out, why);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	return err;
}

int key_from_der(struct span der, struct key **out, const char **why)
{
	if (der.len == 0 || der.len > KEY_DER_MAX)
		return refuse(why, BROKEN);
	return adopt(decode_spki((const unsigned char *)der.at, (long)der.len),
	             false, out, why);
}

/* Takes build; the key of a type made of its parameters, or NULL. */
static EVP_PKEY *from_parameters(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

static BIGNUM *number_of(struct span s)
{
	return BN_bin2bn((const unsigned char *)s.at, (int)s.len, NULL);
}

int key_from_rsa(struct span n, struct span e, struct key **out,
                 const char **why)
{
	EVP_PKEY *pkey = NULL;

	/* One byte more: some issuers write a zero in front. */
	if (n.len > KEY_RSA_MAX_BITS / 8 + 1 || n.len == 0)
		return refuse(why, BAD_SIZE);
	if (e.len > RSA_EXPONENT_MAX_BITS / 8 + 1 || e.len == 0)
		return refuse(why, BAD_EXPONENT);

	BIGNUM *modulus = number_of(n), *exponent = number_of(e);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (modulus && exponent && build &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
		pkey = from_parameters("RSA", build);
	else
		OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	return adopt(pkey, false, out, why);
}

static EVP_PKEY *point_key(const struct type_row *row, struct span x,
                           struct span y)
{
	unsigned char point[1 + 2 * 48] = { POINT_CONVERSION_UNCOMPRESSED };

	memcpy(point + 1, x.at, x.len);
	memcpy(point + 1 + x.len, y.at, y.len);

	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
	                                    row->group, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY,
	                                     point, 1 + x.len + y.len))
		return from_parameters("EC", build);
	OSSL_PARAM_BLD_free(build);
	return NULL;
}

int key_from_curve(struct span crv, struct span x, struct span y,
                   struct key **out, const char **why)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct type_row *row = &types[i];

		if (row->coordinate_len == 0 || !span_is(crv, row->crv))
			continue;
		/* Leading zeros may not be left out: RFC 7518, 6.2.1.2. */
		if (x.len != row->coordinate_len ||
		    y.len != (row->group ? row->coordinate_len : 0))
			return refuse(why, BAD_NUMBERS);
		if (row->group)
			return adopt(point_key(row, x, y), false, out, why);
		return adopt(EVP_PKEY_new_raw_public_key(
				     EVP_PKEY_ED25519, NULL,
				     (const unsigned char *)x.at, x.len),
		             false, out, why);
	}
	return refuse(why, BAD_CURVE);
}

/* A passphrase, and whether the library wanted one. */
struct opener {
	struct span passphrase;
	bool asked;
};

/* Without this the library would ask on the terminal. */
static int give_passphrase(char *into, int cap, int writing, void *arg)
{
	struct opener *opener = arg;

	(void)writing;
	opener->asked = true;
	if (opener->passphrase.len == 0 || opener->passphrase.len > (size_t)cap)
		return -1;
	memcpy(into, opener->passphrase.at, opener->passphrase.len);
	return (int)opener->passphrase.len;
}

/* In the order in which they are looked for. */
static const struct {
	const char *text;
	const char *because;
} strangers[] = {
	{ "PRIVATE KEY-----", CUT_OFF },
	{ "-----BEGIN PUBLIC KEY", IS_PUBLIC },
	{ "-----BEGIN RSA PUBLIC KEY", IS_PUBLIC },
	{ "ssh-rsa ", IS_PUBLIC },
	{ "-----BEGIN CERTIFICATE", IS_CERTIFICATE },
};

/* Why no private key came out of this. */
static const char *blame(struct span pem, const struct opener *opener)
{
	if (opener->asked)
		return opener->passphrase.len ? WRONG_PASSPHRASE
		                              : NEEDS_PASSPHRASE;
	for (size_t i = 0; pem.len && i < ARRAY_LEN(strangers); i++)
		if (memmem(pem.at, pem.len, strangers[i].text,
		           strlen(strangers[i].text)))
			return strangers[i].because;
	return NOT_PRIVATE;
}

/* The library wants the dashes at the beginning of a line. */
static struct span skip_space(struct span text)
{
	while (text.len && strchr(" \t\r\n", *text.at) && *text.at)
		text = span_from(text, 1);
	return text;
}

int key_private_from_pem(struct span pem, struct span passphrase,
                         struct key **out, const char **why)
{
	struct opener opener = { .passphrase = passphrase };
	EVP_PKEY *pkey = NULL;

	pem = skip_space(pem);
	BIO *bio = reader_of(pem);
	if (bio)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
		                               &opener);
	BIO_free(bio);
	if (pkey)
		return adopt(pkey, true, out, why);
	return refuse(why, blame(pem, &opener));
}

int key_generate(enum key_alg alg, struct key **out)
{
	const char *why;
	EVP_PKEY *pkey = NULL;

	switch (algs[alg].type) {
	case KEY_RSA:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
		                         (size_t)RSA_NEW_BITS);
		break;
	case KEY_P256:
	case KEY_P384:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
		                         types[algs[alg].type].group);
		break;
	case KEY_ED25519:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	}
	return adopt(pkey, true, out, &why) < 0 ? -ENOMEM : 0;
}

void key_free(struct key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum key_type key_type(const struct key *key)
{
	return key->type;
}

bool key_is_private(const struct key *key)
{
	return key->is_private;
}

size_t key_rsa_bytes(const struct key *key)
{
	return key->type == KEY_RSA ? key->signature_len : 0;
}

bool key_allows(const struct key *key, enum key_alg alg)
{
	return algs[alg].type == key->type;
}

enum key_alg key_default_alg(const struct key *key)
{
	return types[key->type].alg;
}

int key_to_der(const struct key *key, struct buf *into)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key->pkey, &der);

	assert(n > 0 && n <= KEY_DER_MAX);
	buf_add(into, der, (size_t)n);
	OPENSSL_free(der);
	return buf_err(into);
}

/* Append what write puts into a memory file; it is wiped after. */
static int append_pem(const struct key *key, struct buf *into, bool secret)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;
	int ok;

	if (!bio)
		return -ENOMEM;
	if (secret)
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL,
		                                   0, NULL, NULL);
	else
		ok = PEM_write_bio_PUBKEY(bio, key->pkey);
	assert(ok == 1);
	long n = BIO_get_mem_data(bio, &text);
	buf_add(into, text, (size_t)n);
	BIO_free(bio);
	return buf_err(into);
}

int key_to_pem(const struct key *key, struct buf *into)
{
	return append_pem(key, into, false);
}

int key_private_to_pem(const struct key *key, struct buf *into)
{
	assert(key->is_private);
	return append_pem(key, into, true);
}

/* Salt as long as the hash: RFC 7518, section 3.5. */
static bool set_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) >
	               0;
}

/* r || s as the DER that the library reads; *der is for OPENSSL_free(). */
static int point_to_der(struct span raw, unsigned char **der)
{
	size_t half = raw.len / 2;
	BIGNUM *r = number_of(span_first(raw, half));
	BIGNUM *s = number_of(span_from(raw, half));
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int n = -1;

	if (r && s && sig && ECDSA_SIG_set0(sig, r, s)) {
		r = s = NULL; /* sig's now */
		n = i2d_ECDSA_SIG(sig, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n;
}

static bool verify(const struct key *key, const struct alg_row *row,
                   struct span bytes, const unsigned char *signature,
                   size_t len)
{
	EVP_PKEY_CTX *detail; /* the context's own */
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx &&
	            EVP_DigestVerifyInit_ex(ctx, &detail, row->digest, NULL,
	                                    NULL, key->pkey, NULL) == 1 &&
	            (!row->pss || set_pss(detail)) &&
	            EVP_DigestVerify(ctx, signature, len,
	                             (const unsigned char *)bytes.at,
	                             bytes.len) == 1;

	EVP_MD_CTX_free(ctx);
	if (!good)
		ERR_clear_error();
	return good;
}

bool key_verify(const struct key *key, enum key_alg alg, struct span bytes,
                struct span signature)
{
	unsigned char *der = NULL;

	if (!key_allows(key, alg) || signature.len != key->signature_len)
		return false;
	if (!types[key->type].group)
		return verify(key, &algs[alg], bytes,
		              (const unsigned char *)signature.at,
		              signature.len);

	int n = point_to_der(signature, &der);
	bool good = n > 0 && verify(key, &algs[alg], bytes, der, (size_t)n);
	OPENSSL_free(der);
	return good;
}

/* The library's DER as r || s of the curve's length. */
static bool der_to_point(const unsigned char *der, size_t n, size_t half,
                         uint8_t *raw)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	bool good =
		sig &&
		BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half) > 0 &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half) > 0;

	ECDSA_SIG_free(sig);
	return good;
}

static int sign(const struct key *key, const struct alg_row *row,
                struct span bytes, uint8_t *out, size_t *len)
{
	EVP_PKEY_CTX *detail; /* the context's own */
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good =
		ctx &&
		EVP_DigestSignInit_ex(ctx, &detail, row->digest, NULL, NULL,
	                              key->pkey, NULL) == 1 &&
		(!row->pss || set_pss(detail)) &&
		EVP_DigestSign(ctx, out, len, (const unsigned char *)bytes.at,
	                       bytes.len) == 1;

	EVP_MD_CTX_free(ctx);
	if (!good)
		ERR_clear_error();
	return good ? 0 : -EIO;
}

int key_sign(const struct key *key, enum key_alg alg, struct span bytes,
             uint8_t signature[KEY_SIGNATURE_MAX], size_t *len)
{
	uint8_t der[KEY_SIGNATURE_MAX];
	size_t n = sizeof(der);

	if (!key->is_private || !key_allows(key, alg))
		return -EINVAL;
	int err = sign(key, &algs[alg], bytes, der, &n);
	if (err < 0)
		return err;
	*len = key->signature_len;
	if (types[key->type].group) {
		if (!der_to_point(der, n, *len / 2, signature))
			return -EIO;
	} else {
		assert(n == *len);
		memcpy(signature, der, n);
	}
	return 0;
}

int key_fingerprint_md5(const struct key *key, uint8_t out[KEY_MD5_LEN])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key->pkey, &der);
	bool good = n > 0 &&
	            EVP_Q_digest(NULL, "MD5", NULL, der, (size_t)n, out, NULL);

	OPENSSL_free(der);
	if (!good)
		ERR_clear_error();
	return good ? 0 : -EIO;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static void find_unit(X509 *cert, struct span head, char out[KEY_UNIT_MAX])
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = -1;

	out[0] = '\0';
	while ((at = X509_NAME_get_index_by_NID(
			subject, NID_organizationalUnitName, at)) >= 0) {
		ASN1_STRING *text = X509_NAME_ENTRY_get_data(
			X509_NAME_get_entry(subject, at));
		struct span unit = span_of(ASN1_STRING_get0_data(text),
		                           (size_t)ASN1_STRING_length(text));

		if (!span_starts(unit, head))
			continue;
		unit = span_from(unit, head.len);
		if (unit.len >= KEY_UNIT_MAX || memchr(unit.at, 0, unit.len))
			return;
		memcpy(out, unit.at, unit.len);
		out[unit.len] = '\0';
		return;
	}
}

/* The first certificate, for X509_free(); NULL when there is none. */
static X509 *read_certificate(struct span pem)
{
	struct opener nobody = { 0 };
	BIO *bio = reader_of(pem);
	X509 *cert =
		bio ? PEM_read_bio_X509(bio, NULL, give_passphrase, &nobody)
		    : NULL;

	BIO_free(bio);
	return cert;
}

int key_certificate_read(struct span pem, struct span unit_head,
                         struct key_certificate *out, const char **why)
{
	X509 *cert = read_certificate(pem);

	if (!cert)
		return refuse(why, NOT_CERTIFICATE);
	int ok = X509_digest(cert, EVP_sha1(), out->sha1, NULL) &&
	         X509_digest(cert, EVP_sha256(), out->sha256, NULL);
	out->starts_s = seconds_of(X509_get0_notBefore(cert));
	out->expires_s = seconds_of(X509_get0_notAfter(cert));
	find_unit(cert, unit_head, out->unit);
	X509_free(cert);
	return ok ? 0 : refuse(why, NOT_CERTIFICATE);
}

int key_certificate_der(struct span pem, struct buf *into, const char **why)
{
	X509 *cert = read_certificate(pem);
	unsigned char *der = NULL;
	int n = cert ? i2d_X509(cert, &der) : 0;

	X509_free(cert);
	if (n <= 0)
		return refuse(why, NOT_CERTIFICATE);
	buf_add(into, der, (size_t)n);
	OPENSSL_free(der);
	if (buf_err(into) < 0)
		*why = NO_MEMORY;
	return buf_err(into);
}

int key_certificate_body(struct span pem, struct buf *into, const char **why)
{
	struct buf der = { .max = KEY_PEM_MAX };
	int err = key_certificate_der(pem, &der, why);

	if (err == 0) {
		char *to = buf_reserve(into, BASE64_LEN(der.len));

		if (to)
			buf_commit(into, base64_encode(buf_span(&der), to));
		else
			*why = NO_MEMORY;
		err = buf_err(into);
	}
	buf_free(&der);
	return err;
}

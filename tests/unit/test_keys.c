#include "lib/keys.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

/* Keys are slow to make: one of each in a test. */
static struct key *make(enum key_alg alg)
{
	struct key *key;

	cr_assert_eq(key_generate(alg, &key), 0);
	return key;
}

Test(keys, names_of_algorithms)
{
	static const char *const strangers[] = { "",       "none",  "HS256",
		                                 "rs256",  "RS1",   "PS512",
		                                 "RS256 ", "ES256K" };
	enum key_alg alg;

	for (int i = 0; i < KEY_ALG_COUNT; i++) {
		cr_assert(key_alg_of(span_str(key_alg_name((enum key_alg)i)),
		                     &alg));
		cr_assert_eq((int)alg, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
		cr_assert_not(key_alg_of(span_str(strangers[i]), &alg), "%s",
		              strangers[i]);
}

/* Every algorithm with every key: only those of the key's type work. */
Test(keys, sign_and_verify)
{
	struct key *keys[KEY_ALG_COUNT];
	struct span text = SPAN("what is signed");
	uint8_t sig[KEY_SIGNATURE_MAX];
	size_t len;

	for (int i = 0; i < KEY_ALG_COUNT; i++)
		keys[i] = make((enum key_alg)i);
	for (int a = 0; a < KEY_ALG_COUNT; a++) {
		enum key_alg alg = (enum key_alg)a;

		cr_assert_eq(key_sign(keys[a], alg, text, sig, &len), 0);
		for (int k = 0; k < KEY_ALG_COUNT; k++)
			for (int v = 0; v < KEY_ALG_COUNT; v++)
				cr_assert_eq(key_verify(keys[k],
				                        (enum key_alg)v, text,
				                        span_of(sig, len)),
				             k == a && v == a, "%s: %d %d",
				             key_alg_name(alg), k, v);
		cr_assert_not(key_verify(keys[a], alg, SPAN("something else"),
		                         span_of(sig, len)));
	}
	for (int i = 0; i < KEY_ALG_COUNT; i++)
		key_free(keys[i]);
}

Test(keys, signing_refuses_what_does_not_fit)
{
	struct key *ed = make(KEY_EDDSA);
	struct key *public;
	struct buf der = { .max = KEY_DER_MAX };
	const char *why;
	uint8_t sig[KEY_SIGNATURE_MAX];
	size_t len;

	cr_assert_eq(key_sign(ed, KEY_RS256, SPAN("x"), sig, &len), -EINVAL);
	cr_assert_eq(key_to_der(ed, &der), 0);
	cr_assert_eq(key_from_der(buf_span(&der), &public, &why), 0);
	cr_assert_eq(key_sign(public, KEY_EDDSA, SPAN("x"), sig, &len),
	             -EINVAL);
	key_free(public);
	key_free(ed);
	key_free(NULL);
	buf_free(&der);
}

Test(keys, no_bit_of_a_signature_may_change)
{
	static const enum key_alg some[] = { KEY_RS256, KEY_PS256, KEY_ES256,
		                             KEY_ES384, KEY_EDDSA };

	for (size_t a = 0; a < ARRAY_LEN(some); a++) {
		struct key *key = make(some[a]);
		uint8_t sig[KEY_SIGNATURE_MAX + 1] = { 0 };
		size_t len;

		cr_assert_eq(key_sign(key, some[a], SPAN("text"), sig, &len),
		             0);
		for (size_t i = 0; i < len; i++) {
			sig[i] ^= 1;
			cr_assert_not(key_verify(key, some[a], SPAN("text"),
			                         span_of(sig, len)));
			sig[i] ^= 1;
		}
		for (size_t cut = 0; cut <= len + 1; cut++)
			cr_assert_eq(key_verify(key, some[a], SPAN("text"),
			                        span_of(sig, cut)),
			             cut == len);
		key_free(key);
	}
}

/* r = s = 0, and r or s of the group's order and above. */
Test(keys, degenerate_ecdsa_signatures)
{
	struct key *key = make(KEY_ES256);
	uint8_t sig[64];

	memset(sig, 0, sizeof(sig));
	cr_assert_not(key_verify(key, KEY_ES256, SPAN("x"),
	                         span_of(sig, sizeof(sig))));
	memset(sig, 0xff, sizeof(sig));
	cr_assert_not(key_verify(key, KEY_ES256, SPAN("x"),
	                         span_of(sig, sizeof(sig))));
	key_free(key);
}

Test(keys, lengths_of_signatures)
{
	static const struct {
		enum key_alg alg;
		size_t len;
	} rows[] = {
		{ KEY_RS256, 256 },
		{ KEY_ES256, 64 },
		{ KEY_ES384, 96 },
		{ KEY_EDDSA, 64 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct key *key = make(rows[i].alg);
		uint8_t sig[KEY_SIGNATURE_MAX];
		size_t len;

		/* Small numbers must be padded: many tries meet some. */
		for (int n = 0; n < (i ? 300 : 1); n++) {
			cr_assert_eq(key_sign(key, rows[i].alg,
			                      span_of(&n, sizeof(n)), sig,
			                      &len),
			             0);
			cr_assert_eq(len, rows[i].len);
			cr_assert(key_verify(key, rows[i].alg,
			                     span_of(&n, sizeof(n)),
			                     span_of(sig, len)));
		}
		cr_assert_eq(key_rsa_bytes(key), i == 0 ? 256 : 0);
		cr_assert_eq(key_default_alg(key), rows[i].alg);
		key_free(key);
	}
}

/* Through DER and both PEM forms, a key stays the same key. */
Test(keys, forms)
{
	for (int i = 0; i < KEY_ALG_COUNT; i++) {
		enum key_alg alg = (enum key_alg)i;
		struct key *key = make(alg), *der_key, *pem_key, *private;
		struct buf der = { .max = KEY_DER_MAX };
		struct buf pem = { .max = KEY_PEM_MAX };
		struct buf secret = { .max = KEY_PEM_MAX };
		uint8_t sig[KEY_SIGNATURE_MAX];
		const char *why = "";
		size_t len;

		cr_assert_eq(key_to_der(key, &der), 0);
		cr_assert_eq(key_to_pem(key, &pem), 0);
		cr_assert_eq(key_private_to_pem(key, &secret), 0);
		cr_assert_eq(key_from_der(buf_span(&der), &der_key, &why), 0);
		cr_assert_eq(key_from_pem(buf_span(&pem), &pem_key, &why), 0);
		cr_assert_eq(key_private_from_pem(buf_span(&secret),
		                                  (struct span){ 0 }, &private,
		                                  &why),
		             0);
		cr_assert(key_is_private(key) && key_is_private(private));
		cr_assert_not(key_is_private(der_key));
		cr_assert_eq(key_type(der_key), key_type(key));

		cr_assert_eq(key_sign(private, alg, SPAN("x"), sig, &len), 0);
		cr_assert(
			key_verify(der_key, alg, SPAN("x"), span_of(sig, len)));
		cr_assert(
			key_verify(pem_key, alg, SPAN("x"), span_of(sig, len)));

		cr_assert_eq(key_from_pem(buf_span(&secret), &pem_key, &why),
		             -EINVAL);
		cr_assert(strstr(why, "private key"), "%s", why);
		for (size_t cut = 0; cut < der.len; cut++)
			cr_assert_eq(
				key_from_der(span_first(buf_span(&der), cut),
			                     &der_key, &why),
				-EINVAL);
		buf_putc(&der, 'x');
		struct key *none;
		cr_assert_eq(key_from_der(buf_span(&der), &none, &why),
		             -EINVAL);

		key_free(der_key);
		key_free(pem_key);
		key_free(private);
		key_free(key);
		buf_free(&der);
		buf_free(&pem);
		buf_free(&secret);
	}
}

/* PEM of a key that the library makes and we may not want. */
static struct buf pem_of(EVP_PKEY *pkey, bool pkcs1)
{
	struct buf b = { .max = KEY_PEM_MAX };
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	cr_assert_not_null(pkey);
	if (pkcs1)
		cr_assert(PEM_ASN1_write_bio((i2d_of_void *)i2d_PublicKey,
		                             PEM_STRING_RSA_PUBLIC, bio, pkey,
		                             NULL, NULL, 0, NULL, NULL));
	else
		cr_assert(PEM_write_bio_PUBKEY(bio, pkey));
	long n = BIO_get_mem_data(bio, &text);
	buf_add(&b, text, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return b;
}

static void refused(struct buf pem, const char *because)
{
	struct key *key;
	const char *why = "";

	cr_assert_eq(key_from_pem(buf_span(&pem), &key, &why), -EINVAL);
	cr_assert(strstr(why, because), "%s", why);
	buf_free(&pem);
}

Test(keys, weak_and_strange_keys_are_refused_in_words)
{
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
	               false),
	        "less than 2048");
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), false),
	        "curve");
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"), false),
	        "curve");
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), false),
	        "unsupported type");
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), false),
	        "unsupported type");
}

static const struct {
	const char *pem, *because;
} broken[] = {
	{ "", "no PEM" },
	{ "not a key", "no PEM" },
	{ "-----BEGIN PUBLIC KEY-----\n", "no PEM" },
	{ "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	  "cannot be decoded" },
	{ "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n"
	  "-----END RSA PUBLIC KEY-----\n",
	  "cannot be decoded" },
	{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	  "cannot be decoded" },
	{ "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
	  "no PEM" },
};

Test(keys, broken_pem)
{
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct buf b = { .max = KEY_PEM_MAX };

		buf_puts(&b, broken[i].pem);
		refused(b, broken[i].because);
	}
}

Test(keys, pkcs1)
{
	struct buf pem = pem_of(
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), true);
	struct key *key;
	const char *why;

	cr_assert(memmem(pem.bytes, pem.len, "BEGIN RSA PUBLIC KEY", 20));
	cr_assert_eq(key_from_pem(buf_span(&pem), &key, &why), 0);
	cr_assert_eq(key_type(key), KEY_RSA);
	key_free(key);
	buf_free(&pem);
}

static void add_unit(X509_NAME *name, const char *text)
{
	cr_assert(X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC,
	                                     (const unsigned char *)text, -1,
	                                     -1, 0));
}

/* A certificate of its own, valid for an hour from 1790000000. */
static struct buf make_certificate(EVP_PKEY *pkey)
{
	struct buf b = { .max = KEY_PEM_MAX };
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	ASN1_TIME_set(X509_getm_notBefore(cert), 1790000000);
	ASN1_TIME_set(X509_getm_notAfter(cert), 1790003600);
	add_unit(X509_get_subject_name(cert), "opc-certtype:instance");
	add_unit(X509_get_subject_name(cert), "opc-tenant:ocid1.tenancy.x");
	cr_assert(X509_set_pubkey(cert, pkey));
	cr_assert(X509_sign(cert, pkey, EVP_sha256()));
	cr_assert(PEM_write_bio_X509(bio, cert));
	long n = BIO_get_mem_data(bio, &text);
	buf_add(&b, text, (size_t)n);
	BIO_free(bio);
	X509_free(cert);
	return b;
}

Test(keys, certificate)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	struct buf pem = make_certificate(pkey);
	struct key_certificate cert;
	struct key *key;
	const char *why;

	cr_assert_eq(key_from_pem(buf_span(&pem), &key, &why), 0);
	cr_assert_eq(key_type(key), KEY_P256);

	cr_assert_eq(key_certificate_read(buf_span(&pem), SPAN("opc-tenant:"),
	                                  &cert, &why),
	             0);
	cr_assert_str_eq(cert.unit, "ocid1.tenancy.x");
	cr_assert_eq(cert.starts_s, 1790000000);
	cr_assert_eq(cert.expires_s, 1790003600);
	cr_assert_eq(key_certificate_read(buf_span(&pem), SPAN("none:"), &cert,
	                                  &why),
	             0);
	cr_assert_str_empty(cert.unit);
	cr_assert_eq(key_certificate_read(SPAN("x"), SPAN("x"), &cert, &why),
	             -EINVAL);
	key_free(key);
	EVP_PKEY_free(pkey);
	buf_free(&pem);
}

/* --- private keys in files ------------------------------------------------ */

#define PASSPHRASE "open sesame"

/* How a private key is written. */
enum form { PKCS8, PKCS1, PKCS8_ENCRYPTED, PKCS1_ENCRYPTED, FORMS };

static bool is_encrypted(enum form form)
{
	return form == PKCS8_ENCRYPTED || form == PKCS1_ENCRYPTED;
}

static struct buf private_pem(EVP_PKEY *pkey, enum form form)
{
	const EVP_CIPHER *cipher =
		is_encrypted(form) ? EVP_aes_256_cbc() : NULL;
	int n = cipher ? (int)strlen(PASSPHRASE) : 0;
	struct buf b = { .max = KEY_PEM_MAX };
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	if (form == PKCS8 || form == PKCS8_ENCRYPTED)
		cr_assert(PEM_write_bio_PKCS8PrivateKey(
			bio, pkey, cipher, PASSPHRASE, n, NULL, NULL));
	else
		cr_assert(PEM_write_bio_PrivateKey_traditional(
			bio, pkey, cipher, (const unsigned char *)PASSPHRASE, n,
			NULL, NULL));
	long len = BIO_get_mem_data(bio, &text);
	buf_add(&b, text, (size_t)len);
	BIO_free(bio);
	return b;
}

/* What key_private_from_pem() says of a text: NULL when it is good. */
static const char *verdict(struct span pem, const char *passphrase)
{
	struct key *key = NULL;
	const char *why = NULL;
	int err = key_private_from_pem(pem, span_str(passphrase), &key, &why);

	if (err == 0) {
		cr_assert(key_is_private(key));
		key_free(key);
		return NULL;
	}
	cr_assert_eq(err, -EINVAL);
	return why;
}

static void says(struct span pem, const char *passphrase, const char *words)
{
	const char *why = verdict(pem, passphrase);

	cr_assert(why && strstr(why, words), "\"%s\" without \"%s\"",
	          why ? why : "no error", words);
}

/* White space around a block and text after it, as people leave them. */
static const struct {
	const char *before, *after;
} around[] = {
	{ "", "" },
	{ " \t\r\n\n", "\n\n  " },
	{ "", "OCI_API_KEY\n" },
	{ "", "\nOCI_API_KEY" },
	{ "# my key\n", "-----BEGIN NONSENSE" },
};

Test(keys, private_keys_in_every_form)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);

	for (int f = 0; f < FORMS; f++) {
		struct buf pem = private_pem(pkey, (enum form)f);
		struct buf text = { .max = KEY_PEM_MAX };

		for (size_t i = 0; i < ARRAY_LEN(around); i++) {
			buf_reset(&text);
			buf_puts(&text, around[i].before);
			buf_add_span(&text, buf_span(&pem));
			buf_puts(&text, around[i].after);
			/* Those that are not encrypted need none. */
			cr_assert_null(verdict(buf_span(&text), PASSPHRASE),
			               "form %d, row %zu", f, i);
			if (!is_encrypted((enum form)f)) {
				cr_assert_null(verdict(buf_span(&text), ""));
				continue;
			}
			says(buf_span(&text), "", "no passphrase is given");
			says(buf_span(&text), "wrong",
			     "this passphrase does not open");
		}
		says(span_first(buf_span(&pem), pem.len / 2), PASSPHRASE,
		     "cut off");
		buf_free(&text);
		buf_free(&pem);
	}
	EVP_PKEY_free(pkey);
}

static const struct {
	const char *text, *words;
} no_private_keys[] = {
	{ "", "no PEM" },
	{ "x", "no PEM" },
	{ " \n", "no PEM" },
	{ "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	  "is a public key" },
	{ "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n"
	  "-----END RSA PUBLIC KEY-----\n",
	  "is a public key" },
	{ "ssh-rsa AAAAB3NzaC1yc2E me@here\n", "is a public key" },
	{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	  "is a certificate" },
	{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	  "cut off or damaged" },
	{ "-----BEGIN RSA PRIVATE KEY-----\n", "cut off or damaged" },
};

Test(keys, what_is_no_private_key_is_called_by_its_name)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	struct buf public = pem_of(pkey, false);

	says(buf_span(&public), "", "is a public key");
	for (size_t i = 0; i < ARRAY_LEN(no_private_keys); i++)
		says(span_str(no_private_keys[i].text), PASSPHRASE,
		     no_private_keys[i].words);
	buf_free(&public);
}

/* The library's own idea of the same certificate. */
Test(keys, certificate_as_bytes_and_as_text)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	struct buf pem = make_certificate(pkey);
	struct buf der = { .max = KEY_PEM_MAX }, body = { .max = KEY_PEM_MAX };
	struct buf lines = { .max = KEY_PEM_MAX }, small = { .max = 10 };
	uint8_t sha1[KEY_SHA1_LEN], sha256[KEY_SHA256_LEN];
	struct key_certificate cert;
	const char *why;

	buf_puts(&pem, "-----BEGIN CERTIFICATE-----\nAAAA\n");
	cr_assert_eq(key_certificate_der(buf_span(&pem), &der, &why), 0);
	cr_assert_eq(key_certificate_body(buf_span(&pem), &body, &why), 0);
	cr_assert_eq(
		key_certificate_read(buf_span(&pem), SPAN(""), &cert, &why), 0);
	cr_assert(EVP_Q_digest(NULL, "SHA1", NULL, der.bytes, der.len, sha1,
	                       NULL));
	cr_assert(EVP_Q_digest(NULL, "SHA256", NULL, der.bytes, der.len, sha256,
	                       NULL));
	cr_assert_arr_eq(sha1, cert.sha1, sizeof(sha1));
	cr_assert_arr_eq(sha256, cert.sha256, sizeof(sha256));

	/* Between BEGIN and END, without line ends. */
	const char *from = strchr(pem.bytes, '\n');
	const char *to = strstr(from, "-----END");
	for (; from < to; from++)
		if (*from != '\n')
			buf_putc(&lines, *from);
	cr_assert(span_eq(buf_span(&lines), buf_span(&body)));

	cr_assert_eq(key_certificate_der(buf_span(&pem), &small, &why),
	             -ENOBUFS);
	buf_reset(&small);
	cr_assert_eq(key_certificate_body(buf_span(&pem), &small, &why),
	             -ENOBUFS);
	cr_assert_eq(key_certificate_der(SPAN("x"), &der, &why), -EINVAL);
	cr_assert_eq(key_certificate_body(SPAN("x"), &der, &why), -EINVAL);
	cr_assert(strstr(why, "certificate"), "%s", why);
	EVP_PKEY_free(pkey);
	buf_free(&pem);
	buf_free(&der);
	buf_free(&body);
	buf_free(&lines);
}

/* Numbers of a key as JSON Web Keys carry them. */
static struct span number(EVP_PKEY *pkey, const char *name, size_t len,
                          uint8_t *out)
{
	BIGNUM *n = NULL;

	cr_assert(EVP_PKEY_get_bn_param(pkey, name, &n));
	if (len == 0)
		len = (size_t)BN_num_bytes(n);
	cr_assert_geq(BN_bn2binpad(n, out, (int)len), 0);
	BN_free(n);
	return span_of(out, len);
}

static void same_key(EVP_PKEY *pkey, struct key *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	struct buf b = { .max = KEY_DER_MAX };

	cr_assert_eq(key_to_der(key, &b), 0);
	cr_assert(span_eq(buf_span(&b), span_of(der, (size_t)n)));
	OPENSSL_free(der);
	buf_free(&b);
	key_free(key);
}

Test(keys, rsa_from_numbers)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	uint8_t n_bytes[512], e_bytes[8];
	struct span n = number(pkey, "n", 0, n_bytes);
	struct span e = number(pkey, "e", 0, e_bytes);
	struct key *key;
	const char *why;

	cr_assert_eq(key_from_rsa(n, e, &key, &why), 0, "%s", why);
	same_key(pkey, key);
	EVP_PKEY_free(pkey);

	cr_assert_eq(key_from_rsa(n, SPAN("\1"), &key, &why), -EINVAL);
	cr_assert_eq(key_from_rsa(n, SPAN("\2"), &key, &why), -EINVAL);
	cr_assert_eq(key_from_rsa(n, SPAN(""), &key, &why), -EINVAL);
	cr_assert_eq(key_from_rsa(n, SPAN("0123456789"), &key, &why), -EINVAL);
	cr_assert_eq(key_from_rsa(span_first(n, 128), e, &key, &why), -EINVAL);
	cr_assert_eq(key_from_rsa(SPAN(""), e, &key, &why), -EINVAL);
	n_bytes[n.len - 1] ^= 1; /* even */
	cr_assert_eq(key_from_rsa(n, e, &key, &why), -EINVAL);
}

Test(keys, curves_from_numbers)
{
	static const struct {
		const char *group;
		size_t len;
	} curves[] = { { "P-256", 32 }, { "P-384", 48 } };

	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		EVP_PKEY *pkey =
			EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i].group);
		uint8_t x_bytes[48], y_bytes[48];
		struct span x = number(pkey, "qx", curves[i].len, x_bytes);
		struct span y = number(pkey, "qy", curves[i].len, y_bytes);
		struct span crv = span_str(curves[i].group);
		struct key *key;
		const char *why;

		cr_assert_eq(key_from_curve(crv, x, y, &key, &why), 0);
		same_key(pkey, key);
		EVP_PKEY_free(pkey);

		cr_assert_eq(
			key_from_curve(crv, x, span_from(y, 1), &key, &why),
			-EINVAL);
		cr_assert_eq(key_from_curve(SPAN("P-521"), x, y, &key, &why),
		             -EINVAL);
		cr_assert_eq(key_from_curve(SPAN(""), x, y, &key, &why),
		             -EINVAL);
		y_bytes[5] ^= 1; /* off the curve: invalid curve attack */
		cr_assert_eq(key_from_curve(crv, x, y, &key, &why), -EINVAL);
	}
}

/* RFC 8037, appendix A.4. */
Test(keys, ed25519_of_the_standard)
{
	static const uint8_t x[32] = {
		0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
		0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
		0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
		0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
	};
	static const uint8_t sig[64] = {
		0x86, 0x0c, 0x98, 0xd2, 0x29, 0x7f, 0x30, 0x60, 0xa3, 0x3f,
		0x42, 0x73, 0x96, 0x72, 0xd6, 0x1b, 0x53, 0xcf, 0x3a, 0xde,
		0xfe, 0xd3, 0xd3, 0xc6, 0x72, 0xf3, 0x20, 0xdc, 0x02, 0x1b,
		0x41, 0x1e, 0x9d, 0x59, 0xb8, 0x62, 0x8d, 0xc3, 0x51, 0xe2,
		0x48, 0xb8, 0x8b, 0x29, 0x46, 0x8e, 0x0e, 0x41, 0x85, 0x5b,
		0x0f, 0xb7, 0xd8, 0x3b, 0xb1, 0x5b, 0xe9, 0x02, 0xbf, 0xcc,
		0xb8, 0xcd, 0x0a, 0x02,
	};
	struct key *key;
	const char *why;

	cr_assert_eq(key_from_curve(SPAN("Ed25519"), span_of(x, sizeof(x)),
	                            (struct span){ 0 }, &key, &why),
	             0);
	cr_assert(key_verify(key, KEY_EDDSA,
	                     SPAN("eyJhbGciOiJFZERTQSJ9."
	                          "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
	                     span_of(sig, sizeof(sig))));
	key_free(key);
	cr_assert_eq(key_from_curve(SPAN("Ed25519"), span_of(x, sizeof(x)),
	                            SPAN("y"), &key, &why),
	             -EINVAL);
}

/* The fingerprint is MD5 of the DER: two keys, two names, each stable. */
Test(keys, fingerprint)
{
	struct key *a = make(KEY_ES256), *b = make(KEY_ES256);
	uint8_t one[KEY_MD5_LEN], two[KEY_MD5_LEN];

	cr_assert_eq(key_fingerprint_md5(a, one), 0);
	cr_assert_eq(key_fingerprint_md5(a, two), 0);
	cr_assert_eq(memcmp(one, two, sizeof(one)), 0);
	cr_assert_eq(key_fingerprint_md5(b, two), 0);
	cr_assert_neq(memcmp(one, two, sizeof(one)), 0);
	key_free(a);
	key_free(b);
}

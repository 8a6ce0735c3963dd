#include "oci/credential.h"

#include "lib/crypto.h"

static const char *const words[CREDENTIAL_METHODS] = {
	[CREDENTIAL_AUTO] = "auto",
	[CREDENTIAL_API_KEY] = "config_file",
	[CREDENTIAL_SECURITY_TOKEN] = "security_token",
	[CREDENTIAL_INSTANCE_PRINCIPAL] = "instance_principal",
	[CREDENTIAL_RESOURCE_PRINCIPAL] = "resource_principal",
	[CREDENTIAL_WORKLOAD] = "oke_workload_identity",
	[CREDENTIAL_INSTANCE_OBO_USER] = "instance_obo_user",
};

/* Words of other programs that mean the same. */
static const struct {
	const char *word;
	enum credential_method method;
} others[] = {
	{ "api_key", CREDENTIAL_API_KEY },
	{ "resource_principals", CREDENTIAL_RESOURCE_PRINCIPAL },
	{ "resource", CREDENTIAL_RESOURCE_PRINCIPAL },
};

const char credential_method_words[] =
	"auto, api_key, security_token, instance_principal, "
	"resource_principal, oke_workload_identity, instance_obo_user";

bool credential_method_of(struct span word, enum credential_method *out)
{
	for (unsigned i = 0; i < CREDENTIAL_METHODS; i++)
		if (span_eq_nocase(word, span_str(words[i]))) {
			*out = (enum credential_method)i;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (span_eq_nocase(word, span_str(others[i].word))) {
			*out = others[i].method;
			return true;
		}
	return false;
}

const char *credential_method_word(enum credential_method method)
{
	return words[method];
}

/* A hash of hashes: no text can pass for the end of the one before. */
uint64_t credential_id(const struct credential *settings)
{
	const struct span texts[] = {
		span_str(words[settings->method]),
		settings->config_file,
		settings->profile,
		settings->region,
		settings->tenancy,
		settings->endpoint,
	};
	uint8_t each[ARRAY_LEN(texts)][CRYPTO_HASH_LEN];
	uint8_t all[CRYPTO_HASH_LEN];
	uint64_t id = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		crypto_sha256(texts[i], each[i]);
	crypto_sha256(span_of(each, sizeof(each)), all);
	for (size_t i = 0; i < sizeof(id); i++)
		id = id << 8 | all[i];
	return id ? id : 1;
}

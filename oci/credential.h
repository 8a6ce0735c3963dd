/*
 * credential - which identity a backend or a tool pack uses, as configured.
 *
 * All of it is optional: an empty credential means "find one" and takes what
 * the environment variables and ~/.oci/config say. Settings go before
 * environment variables, and these before the profile's values. Nothing here
 * is a secret.
 */
#ifndef OCI_CREDENTIAL_H
#define OCI_CREDENTIAL_H

#include "lib/base.h"
#include "lib/span.h"

enum credential_method {
	CREDENTIAL_AUTO,
	CREDENTIAL_API_KEY,
	CREDENTIAL_SECURITY_TOKEN,
	CREDENTIAL_INSTANCE_PRINCIPAL,
	CREDENTIAL_RESOURCE_PRINCIPAL,
	CREDENTIAL_WORKLOAD,          /* OKE workload identity */
	CREDENTIAL_INSTANCE_OBO_USER, /* with a delegation token */
	CREDENTIAL_METHODS,
};

struct credential {
	enum credential_method method;
	struct span config_file; /* path; empty: OCI_CONFIG_FILE and others */
	struct span profile;     /* empty: OCI_PROFILE, ..., DEFAULT */
	struct span region;      /* identifier, short code or domain */
	struct span tenancy;     /* OCID: what to report, not what signs */
	struct span endpoint;    /* URL of one endpoint for all services */
};

/*
 * The words of the configuration and of OCI_CLI_AUTH and OCI_AUTH_METHOD:
 * auto, api_key, config_file, security_token, instance_principal,
 * resource_principal (also resource_principals, resource),
 * oke_workload_identity, instance_obo_user; case does not matter. False for any
 * other.
 */
bool credential_method_of(struct span word, enum credential_method *out);

/* The word that is reported for a method: "config_file" for API keys. */
const char *credential_method_word(enum credential_method method);

/* All words of the configuration, for sentences: "auto, api_key, ...". */
extern const char credential_method_words[];

/*
 * A number that stands for these settings: the same in every process and at
 * every start, never 0.
 */
uint64_t credential_id(const struct credential *settings);

#endif

#include "oci/detect.h"

#include <stdlib.h>

#include "oci/environment.h"
#include "oci/federation.h"
#include "oci/resource.h"
#include "oci/userkey.h"
#include "oci/workload.h"

static const char *const method_variables[] = { "OCI_CLI_AUTH",
	                                        "OCI_AUTH_METHOD", NULL };

static void on_probe(struct errand *e)
{
	struct attempt *a = e->owner;
	char why[PROFILE_WHY_MAX];
	struct profile profile;
	bool there;

	if (errand_is_good(e)) {
		attempt_become(a, CREDENTIAL_INSTANCE_PRINCIPAL);
		return;
	}
	enum profile_result result = attempt_profile(a, &profile, &there, why);
	profile_fini(&profile);
	(void)result;
	if (*why && why[strlen(why) - 1] == '.')
		why[strlen(why) - 1] = '\0';
	attempt_fail(
		a, -ENOENT,
		"No credential for Oracle Cloud was found. Tried: the "
		"variables OCI_CLI_AUTH and OCI_AUTH_METHOD (not set); a "
		"resource principal (OCI_RESOURCE_PRINCIPAL_VERSION is not "
		"set); a profile (%s); the metadata service of an "
		"instance (%s). Three ways to have one: write an API key's "
		"profile to ~/.oci/config (oci setup config); run on an "
		"instance, in a pod or in a function that has a principal, "
		"and a policy for it; or begin a session with: oci session "
		"authenticate",
		why, e->sentence);
}

/* By the text of the probe's answer nothing is decided: it need only be there.
 */
static void probe(struct attempt *a)
{
	char url[ATTEMPT_URL_MAX];

	if (!federation_metadata_url(a, "/instance/region", url))
		return;
	a->state = strdup(url);
	if (!a->state) {
		attempt_fail_memory(a);
		return;
	}
	attempt_ask(
		a,
		&(struct errand_request){ .method = SPAN("GET"),
	                                  .url = span_str(a->state),
	                                  .fields = federation_metadata_field,
	                                  .limit_ms = FEDERATION_PROBE_MS,
	                                  .tries = 1 },
		on_probe);
}

/* --- from a profile --------------------------------------------------------
 */

static enum credential_method method_of_profile(const struct profile *p)
{
	struct span type = p->values[PROFILE_AUTHENTICATION_TYPE];

	if (p->values[PROFILE_SECURITY_TOKEN_FILE].len)
		return CREDENTIAL_SECURITY_TOKEN;
	if (!span_eq_nocase(type, SPAN("instance_principal")))
		return CREDENTIAL_API_KEY;
	return p->values[PROFILE_DELEGATION_TOKEN_FILE].len
	               ? CREDENTIAL_INSTANCE_OBO_USER
	               : CREDENTIAL_INSTANCE_PRINCIPAL;
}

/* False: there is no file, and the variables do not do without. */
static bool try_profile(struct attempt *a)
{
	char why[PROFILE_WHY_MAX];
	struct profile profile;
	bool there;
	enum profile_result result = attempt_profile(a, &profile, &there, why);
	enum credential_method method = CREDENTIAL_API_KEY;

	if (result == PROFILE_OK)
		method = method_of_profile(&profile);
	profile_fini(&profile);
	if (result == PROFILE_OK || there || attempt_is_explicit(a) ||
	    userkey_is_in_variables()) {
		attempt_become(a, method); /* it says what is wrong, too */
		return true;
	}
	return false;
}

/* --- the order -------------------------------------------------------------
 */

static bool try_named(struct attempt *a)
{
	struct span word = environment_first(method_variables);
	enum credential_method method;

	if (!word.len)
		return false;
	if (!credential_method_of(word, &method)) {
		attempt_fail(a, -EINVAL,
		             "The variable OCI_CLI_AUTH or OCI_AUTH_METHOD is "
		             "\"%.*s\"; it must be one of: %s.",
		             (int)MIN(word.len, 40), word.at,
		             credential_method_words);
		return true;
	}
	if (method == CREDENTIAL_AUTO)
		return false;
	attempt_become(a, method);
	return true;
}

static bool try_platform(struct attempt *a)
{
	if (!resource_is_here())
		return false;
	attempt_become(a, workload_is_here() && !resource_has_token()
	                          ? CREDENTIAL_WORKLOAD
	                          : CREDENTIAL_RESOURCE_PRINCIPAL);
	return true;
}

/* What has been found, and is valid, is not looked for again. */
static bool try_old(struct attempt *a)
{
	const struct pass *old = a->old;

	if (!old || (old->expires_s && old->expires_s <= attempt_now_s(a)))
		return false;
	attempt_become(a, old->method);
	return true;
}

static void begin(struct attempt *a)
{
	if (try_old(a))
		return;
	if (!attempt_is_explicit(a) && (try_named(a) || try_platform(a)))
		return;
	if (!try_profile(a))
		probe(a);
}

/* The state is the URL of the probe. */
static void end(struct attempt *a)
{
	free(a->state);
}

const struct attempt_method detect_auto = { begin, end };

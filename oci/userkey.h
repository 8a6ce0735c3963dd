/*
 * userkey - the credentials of a person: the API key of a profile, and the
 * session (token and key) of `oci session authenticate`.
 *
 * The file may be absent when the variables OCI_CLI_USER, OCI_CLI_TENANCY,
 * OCI_CLI_FINGERPRINT and OCI_CLI_KEY_FILE or OCI_CLI_KEY_CONTENT say it all;
 * they go before a profile that was only found, and not before one that the
 * configuration names. A session that is near its end is renewed with the
 * service that gave it out, and written back if that may be done.
 *
 * A profile without a user and with a session is one even if an API key was
 * asked for.
 *
 * Two ways of oci/attempt; also the delegation token that a profile names.
 */
#ifndef OCI_USERKEY_H
#define OCI_USERKEY_H

#include "oci/attempt.h"

extern const struct attempt_method userkey_api;
extern const struct attempt_method userkey_session;

/*
 * The directories of a configuration file and of all keys and tokens that its
 * profiles name, for a sandbox; an empty path stands for the file that is used
 * when none is named. A file that cannot be read adds nothing more.
 */
void userkey_paths(struct span config_file,
                   void (*fn)(void *owner, const char *path), void *owner);

/* Do the variables say all that an API key needs, without a file? */
bool userkey_is_in_variables(void);

/*
 * Read the delegation token into pass (OCI_CLI_DELEGATION_TOKEN_FILE, or the
 * profile's delegation_token_file) and let the pass end when it does. False:
 * the attempt has failed.
 */
MUST_CHECK bool userkey_delegate(struct attempt *a, struct pass *pass);

#endif

/*
 * principal - somebody who may sign: finds the key or token of one configured
 * credential, keeps it, and gets a new one in time.
 *
 * What is needed to sign is a pass (oci/pass). There are six ways to get one,
 * each a row of a table:
 *
 *	api_key (config_file)	the key of a profile in ~/.oci/config
 *	security_token		the session of a profile: token and key
 *	instance_principal	the certificate of the machine we run on
 *	instance_obo_user	the same, with a user's delegation token
 *	resource_principal	what the platform put into our environment
 *	oke_workload_identity	the service account of our pod
 *
 * and auto, which takes the first that can be there. Passes that expire are
 * renewed before they do; the old one serves while it is valid. After a failure
 * nothing is tried for a while, longer each time, and the error is kept. At any
 * time at most one attempt runs.
 */
#ifndef OCI_PRINCIPAL_H
#define OCI_PRINCIPAL_H

#include "lib/base.h"
#include "oci/credential.h"
#include "oci/errand.h"
#include "oci/pass.h"

#define PRINCIPAL_SENTENCE_MAX 2048 /* bytes of an error, with NUL */
#define PRINCIPAL_REFUSAL_MS                             \
	5000 /* from one renewal after a 401 to the next \
	      */
#define PRINCIPAL_FIRST_WAIT_MS 1000  /* after a first failure */
#define PRINCIPAL_LAST_WAIT_MS  60000 /* after many */

struct principal;

/*
 * One principal; settings are copied, host must outlive it. Nothing happens
 * until it is asked for. on_news tells that something has changed: a pass came,
 * or an attempt failed. It is called from the loop, never from inside one of
 * the functions below, and may not free the principal. NULL without memory.
 */
struct principal *
principal_new(const struct errand_host *host, const struct credential *settings,
              void (*on_news)(void *owner, struct principal *principal),
              void *owner);

/* Wipe its keys and end; on_news is not called any more. NULL is fine. */
void principal_free(struct principal *principal);

enum principal_state {
	PRINCIPAL_READY,  /* there is a valid pass */
	PRINCIPAL_COMING, /* on_news will tell */
	PRINCIPAL_FAILED, /* there is none; see principal_error() */
};

/*
 * Ask for a pass. Starts to look for one when there is none and no pause after
 * a failure is on; starts a renewal when the pass has the refused generation
 * (0: none was refused) and the last such renewal is not just over.
 */
enum principal_state principal_ask(struct principal *principal,
                                   uint64_t refused_generation);

/* The pass, after PRINCIPAL_READY; else NULL. Lives until the loop turns. */
const struct pass *principal_pass(const struct principal *principal);

/* Why there is no pass: the number, as signature_answer's err, and a sentence
 * for people. 0 and "" when nothing has failed. */
int principal_error(const struct principal *principal, const char **sentence);

const struct credential *principal_settings(const struct principal *principal);

#endif

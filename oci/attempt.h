/*
 * attempt - one try to get a pass: what the ways of oci/principal have in
 * common.
 *
 * A way is a method: begin() reads files, or starts errands and goes on in
 * their on_done; in the end it calls attempt_succeed() or attempt_fail() once,
 * and returns. end() frees what the method keeps in state. The owner is told
 * from the loop.
 */
#ifndef OCI_ATTEMPT_H
#define OCI_ATTEMPT_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "oci/credential.h"
#include "oci/errand.h"
#include "oci/pass.h"
#include "oci/profile.h"
#include "oci/region.h"

#define ATTEMPT_SENTENCE_MAX 2048  /* bytes, NUL included */
#define ATTEMPT_FILE_MAX     65536 /* bytes of a key, token or certificate */
#define ATTEMPT_URL_MAX      2048  /* bytes, NUL included */
#define ATTEMPT_BODY_MAX     65536 /* bytes of a question's body */

struct attempt;

struct attempt_method {
	void (*begin)(struct attempt *a);
	void (*end)(struct attempt *a); /* NULL: keeps nothing */
};

/* The ways, by enum credential_method; in oci/principal.c. */
extern const struct attempt_method *const attempt_methods[CREDENTIAL_METHODS];

/* Zeroed before the first use. */
struct attempt {
	/* What it works with; set by attempt_start(). */
	struct errand_host host;
	const struct credential *settings;
	const struct pass *old; /* what is to be renewed; or NULL */
	bool leaf; /* resource principal: variables of the leaf resource */

	/* The outcome, in on_done. */
	struct pass *pass; /* the owner's from then on; NULL: failed */
	int err;
	char sentence[ATTEMPT_SENTENCE_MAX];

	/* private */
	enum credential_method method; /* the way that is being tried */
	void *state;                   /* the method's own */
	struct errand errand;
	bool running, finished;
	struct buf trust; /* PEM of certificates to trust; empty: system's */
	struct timer timer;
	void (*on_done)(struct attempt *a);
	void *owner;
};

/* Begin. settings, old and what owner is outlive the attempt. on_done is called
 * once, from the loop, and may call attempt_stop(). */
void attempt_start(struct attempt *a, const struct errand_host *host,
                   const struct credential *settings, const struct pass *old,
                   void (*on_done)(struct attempt *a), void *owner);

/* The same by a way that is given, whatever the settings say; for a way that
 * needs another principal first. */
void attempt_start_with(struct attempt *a, enum credential_method method,
                        const struct errand_host *host,
                        const struct credential *settings,
                        const struct pass *old,
                        void (*on_done)(struct attempt *a), void *owner);

/* End it, wipe and free; a pass nobody took too. Zeroed: fine. */
void attempt_stop(struct attempt *a);

/* --- for methods -----------------------------------------------------------
 */

/* It ends with a pass, which the attempt takes. A pass that is too long for its
 * buffers is a failure. */
void attempt_succeed(struct attempt *a, struct pass *pass);

/* It ends with an error of struct signature_answer and whole sentences. */
PRINTF(3, 4)
void attempt_fail(struct attempt *a, int err, const char *format, ...);

/* The same for out of memory. */
void attempt_fail_memory(struct attempt *a);

/* Go on in another way. */
void attempt_become(struct attempt *a, enum credential_method method);

/* The time as servers have it, seconds since 1970, UTC. */
int64_t attempt_now_s(const struct attempt *a);

/* A token that was given out just now is valid. If it seems to be over, our
 * clock is wrong, and goes by the token's from then on. */
void attempt_learn(struct attempt *a, const struct claims *claims);

/* Append a file of at most ATTEMPT_FILE_MAX bytes to into, white space at its
 * ends off. Warns when it is secret and others may read it. False: the attempt
 * has failed; what is what the file is for ("the private key"). */
MUST_CHECK bool attempt_read(struct attempt *a, const char *what, bool secret,
                             const char *path, struct buf *into);

/* The same for a path as people write it, with "~". */
MUST_CHECK bool attempt_read_named(struct attempt *a, const char *what,
                                   bool secret, struct span path,
                                   struct buf *into);

/* A private RSA key from PEM; where is what to call it, at the beginning of a
 * sentence. NULL: the attempt has failed. */
struct key *attempt_key(struct attempt *a, struct span pem,
                        struct span passphrase, const char *where);

/* A new RSA key for a session. NULL: the attempt has failed. */
struct key *attempt_session_key(struct attempt *a);

/* Send; fills in what all errands have in common. */
void attempt_ask(struct attempt *a, const struct errand_request *request,
                 void (*on_done)(struct errand *errand));

/* Fail with what the errand came to; what begins the sentence: "The
 * certificate of this instance cannot be read". */
void attempt_fail_errand(struct attempt *a, const char *what,
                         const char *advice);

/* The text under a key of the answer, a JSON object: appended to into. False
 * when there is none. */
MUST_CHECK bool attempt_answer_text(const struct attempt *a, const char *key,
                                    struct buf *into);

/* Is the profile that the settings choose named there, and not just found? Then
 * variables do not change what it says. */
bool attempt_is_explicit(const struct attempt *a);

/* The configuration file: the one that is named, else the first of the usual
 * ones that is there, else ~/.oci/config. False: its path cannot be used. */
MUST_CHECK bool attempt_config_path(const struct attempt *a,
                                    char path[PROFILE_PATH_MAX]);

/*
 * The profile that the settings and variables choose. PROFILE_UNKNOWN with
 * *there false means that there is no file at all; then why has its name. *out
 * is for profile_fini() whatever the result.
 */
MUST_CHECK enum profile_result attempt_profile(const struct attempt *a,
                                               struct profile *out, bool *there,
                                               char why[PROFILE_WHY_MAX]);

/* Resolve a region as the SDKs do; false: the attempt has failed. */
MUST_CHECK bool attempt_region(struct attempt *a, struct span name,
                               struct region_resolved *out);

/*
 * Where requests of this pass go: the region that is configured, else that of a
 * variable, else found; and the tenancy to report, if one is configured. False:
 * the attempt has failed.
 */
MUST_CHECK bool attempt_place(struct attempt *a, struct pass *pass,
                              struct span found);

/* The URL of a path of the service that gives out tokens: at a configured
 * endpoint, else in this region. False: the attempt has failed. */
MUST_CHECK bool attempt_auth_url(struct attempt *a,
                                 const struct region_resolved *region,
                                 const char *path, char out[ATTEMPT_URL_MAX]);

#endif

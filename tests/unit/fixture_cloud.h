/*
 * fixture_cloud - a small server that answers by a table, and what principals
 * need around it: an environment, tokens, keys, certificates, one attempt.
 *
 * One server per test process; it runs in a thread of its own.
 */
#ifndef TESTS_FIXTURE_CLOUD_H
#define TESTS_FIXTURE_CLOUD_H

#include "lib/fetch.h"
#include "lib/keys.h"
#include "lib/loop.h"
#include "oci/attempt.h"

/* Start it, with a loop and a fetcher; url is where it is. */
struct fixture_cloud {
	char url[200];
	char host[64];
	struct loop *loop;
	struct fetcher *fetcher;
	struct errand_host errands; /* pauses are short */
	char directory[64];         /* a fresh one, for files */
};
extern struct fixture_cloud fixture_cloud;

/* Also clears the environment of all that starts with OCI_ and of HOME, which
 * becomes the directory. */
void fixture_cloud_start(void);
void fixture_cloud_stop(void);

/* What requests to this path (without query) get, from now on; several rows for
 * one path are used up one after the other, the last stays. fields may be "".
 * Without a row: 404. status 0 hangs up. */
void fixture_cloud_answer(const char *path, int status, const char *fields,
                          const char *body);

/* How often a path was asked for, and the last whole request to it. */
unsigned fixture_cloud_asked(const char *path);
const char *fixture_cloud_request(const char *path);

/* Take the environment as it is now, secrets too. */
void fixture_cloud_environment(void);

/* A token with these claims (JSON); static, one of eight. */
const char *fixture_token(const char *claims);

/* The same, for an hour from now, with more claims: ",\"a\":1" or "". */
const char *fixture_token_hour(const char *more);

/* {"token":"..."}; static, one of eight. */
const char *fixture_token_answer(const char *token);

/* Private RSA keys as PEM; there are three, made when first asked for. */
const char *fixture_key_pem(int n);

/* The public half of the n-th key as a JSON Web Key; static. */
const char *fixture_jwk(int n);

/* A certificate of the n-th key for an instance of this tenancy. */
const char *fixture_certificate(int n, const char *tenancy);

/* Write a file in the directory; returns its path, static, one of eight. */
const char *fixture_file(const char *name, const char *text, int mode);

/* Run one attempt to its end. The caller stops it. */
void fixture_attempt(struct attempt *a, enum credential_method method,
                     const struct credential *settings, const struct pass *old);

/* Turn the loop until *done. Fails the test after some seconds. */
void fixture_turn_until(const bool *done);

#endif

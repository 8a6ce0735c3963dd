/*
 * environment - what the environment variables of Oracle Cloud's tools and of
 * this program's predecessor say, and how the secrets among them are kept from
 * the processes that talk to clients.
 *
 * The master takes them once, before it forks. Values that are no secret are
 * copied. Secrets (keys, pass phrases, tokens, connection strings with
 * passwords) go into a sealed memory file; their bytes in the environment are
 * overwritten in place, so that neither /proc/PID/environ nor the memory of a
 * forked process has them, and the variables are unset. The keeper maps the
 * file; a worker closes it.
 *
 * Variables that may hold a secret or the absolute path of a file with it are
 * secrets unless they begin with '/'.
 *
 * One set per process, as there is one environment. Values are limited to
 * ENVIRONMENT_VALUE_MAX bytes.
 */
#ifndef OCI_ENVIRONMENT_H
#define OCI_ENVIRONMENT_H

#include "lib/base.h"
#include "lib/span.h"

#define ENVIRONMENT_VALUE_MAX 65536 /* bytes of one value */

/*
 * Take all known variables from the environment and scrub the secret ones.
 * Call it once, in a process that has one thread, before the first fork.
 * Returns 0, or
 *	-E2BIG   a value is longer than ENVIRONMENT_VALUE_MAX; *name is which
 *	-ENOMEM
 *	-errno   of memfd_create(2), write(2) or fcntl(2)
 * After a failure no secret is left in the environment all the same.
 */
MUST_CHECK int environment_take(const char **name);

/* In the keeper, before a sandbox: make secrets readable. Returns 0 or -errno
 * of mmap(2). Without a secret, or a second time, it does nothing. */
MUST_CHECK int environment_open_secrets(void);

/* In every other process: give up the way to the secrets. */
void environment_forget(void);

/*
 * The value of a variable that is in the table of this module (assert()ed);
 * empty, at NULL, when it is unset, and when it is a secret that this process
 * has not opened. An empty value counts as unset. It is followed by a NUL that
 * is not counted, and lives as long as the process.
 */
struct span environment_get(const char *name);

/* Is it set, even if this process may not read it? */
bool environment_is_set(const char *name);

/* environment_get() of the first of these names that is set; names ends with
 * NULL. */
struct span environment_first(const char *const names[]);

/* The same for an OCI_RESOURCE_PRINCIPAL_* variable by the rest of its name,
 * e.g. "RPST"; with leaf, of its form that ends in _FOR_LEAF_RESOURCE. */
struct span environment_resource(const char *rest, bool leaf);

/*
 * The directory that "~/" stands for: $HOME. Empty when it is not set.
 */
struct span environment_home(void);

/*
 * All files and directories that the credentials may be read from, for a
 * sandbox: those the variables name, and those that are there by convention.
 * A path may not exist. fn is called once for each, with a C string.
 */
void environment_paths(void (*fn)(void *owner, const char *path), void *owner);

/*
 * The same for one file: fn gets its directory, where the file that replaces it
 * will be too, or, when that is '/', the file alone. path is absolute, with a
 * NUL behind it.
 */
void environment_directory(struct span path,
                           void (*fn)(void *owner, const char *path),
                           void *owner);

/* Forget everything, for tests that take the environment again. */
void environment_reset(void);

#endif

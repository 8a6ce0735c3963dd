/*
 * privilege - giving up what a process does not need.
 *
 * The children run as an ordinary user and can never become another one. The
 * master keeps its identity: on SIGHUP it must again read files that belong to
 * root, bind to a low port, and signal its children.
 */
#ifndef MASTER_PRIVILEGE_H
#define MASTER_PRIVILEGE_H

#include <sys/types.h>

#include "lib/base.h"
#include "lib/sandbox.h"

#define PRIVILEGE_WHY_MAX 256

/* Whom the children become. */
struct privilege {
	bool change;  /* started as root, and a user is configured */
	bool sandbox; /* the children enter one */
	uid_t uid;
	gid_t gid;
	char name[64];
};

/*
 * Look up a user by name; NULL: nobody in particular. Without the rights to
 * change users there is nothing to do, and that is no error.
 * Returns 0, or -EINVAL with a sentence in why.
 */
MUST_CHECK int privilege_find(const char *user, struct privilege *out,
                              char why[PRIVILEGE_WHY_MAX]);

/*
 * Become that user, for good: groups, group, user, no new privileges, no core
 * dump, not traceable. Returns 0, or -errno with the step that failed in
 * *step: the process must end then.
 */
MUST_CHECK int privilege_drop(const struct privilege *to, const char **step);

/*
 * The master's own share, before the first fork: what libraries would load when
 * they need it is loaded, and it enters SANDBOX_PARENT, which its children
 * inherit. Sets p->sandbox. A kernel or a container that knows no filters is
 * said once, as a warning, and then nobody has one; so is wanted == false.
 */
void privilege_confine_master(struct privilege *p, bool wanted);

/*
 * Enter the sandbox of a child, unless there is none: the last step, after
 * privilege_drop(). Returns 0, or -errno with the step that failed in *step:
 * the process must end then.
 */
MUST_CHECK int privilege_confine(const struct privilege *p,
                                 enum sandbox_kind kind, const char **step);

/* As many open files as the system lets this process have. Returns them. */
uint64_t privilege_raise_files(void);

#endif

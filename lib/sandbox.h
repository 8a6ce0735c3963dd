/*
 * sandbox - what a process may ask of the kernel, once it is set up.
 *
 * Two locks, both for good and both inherited: a seccomp filter says which
 * system calls exist, a Landlock ruleset which files may be opened. A process
 * that was taken over through the bytes of a stranger can then use what it
 * already holds, and nothing else.
 *
 *	SANDBOX_PARENT	forks, opens, binds. Everything but the calls that
 *			only an intruder needs. No Landlock.
 *	SANDBOX_SERVER	talks on sockets, and reads the certificates of known
 *			authorities. No file is written, no process, thread or
 *			program is started, no memory made executable.
 *	SANDBOX_CLIENT	the same, and threads, name resolution, sealed memory.
 *
 * What happens to a call that is not allowed was chosen by what it tells:
 *
 * - What none of our libraries ever does (start a program, trace a process,
 *   load a module, mount, become another user, run what was written to
 *   memory) is an attack: SIGSYS ends the process, and its last words have the
 *   number of the call.
 * - A file to be written or to be run as code, a kind of socket we have no use
 *   for: -EACCES, -EAFNOSUPPORT or -ENOSYS, which libraries survive.
 * - Every other call does not exist (-ENOSYS). The next C library may try a
 *   call that is newer than this table; for that answer it has a way back, as
 *   it runs on older kernels too. Dying would have every worker die in a loop,
 *   and -EPERM makes it give up: it tries clone(2) only when clone3(2) does
 *   not exist.
 *
 * The filter costs the calls of the data path nothing that can be measured:
 * they are allowed whatever their arguments, which the kernel (5.11) looks up
 * in a bitmap; the others are found in a binary tree.
 *
 * With AddressSanitizer nothing is locked: it needs calls of its own.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include "lib/base.h"

enum sandbox_kind { SANDBOX_PARENT, SANDBOX_SERVER, SANDBOX_CLIENT };

/* Does this build have a sandbox? False with AddressSanitizer. */
bool sandbox_is_built(void);

/*
 * The version of the kernel's Landlock interface (landlock_create_ruleset(2)),
 * 1 or more; 0 when there is none, or it is not enabled.
 */
int sandbox_landlock(void);

/*
 * Load now what the C library would otherwise load later, when code may not be
 * loaded any more: the modules of nsswitch.conf(5) that look up host names.
 * Before SANDBOX_CLIENT; a module that cannot be loaded is not needed.
 */
void sandbox_load_resolver(void);

#define SANDBOX_PATHS_MAX 64

/*
 * SANDBOX_CLIENT shall be able to read this file, or everything in this
 * directory, too. A file is allowed with its directory, since files are not
 * changed but replaced. Before sandbox_enter(). Returns 0; -E2BIG beyond
 * SANDBOX_PATHS_MAX; -ENAMETOOLONG; -EINVAL for a path that is not absolute or
 * is the root directory.
 */
MUST_CHECK int sandbox_also_read(const char *path);

/*
 * Enter, for good. The calling process has one thread. Afterwards it has
 * no_new_privs; a second time can only forbid more.
 *
 * Returns 0; without Landlock in the kernel the filter alone is success.
 * Otherwise -errno with the step that failed in *step:
 *	-EPERM, -EACCES, -ENOSYS, -EINVAL
 *		this kernel has no seccomp filters, or a container forbids to
 *		set one
 *	-ENOMEM, -E2BIG
 *		out of memory, or too many filters
 * Files may be locked already then. A build without a sandbox returns 0.
 */
MUST_CHECK int sandbox_enter(enum sandbox_kind kind, const char **step);

#endif

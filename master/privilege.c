#include "master/privilege.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/tls.h"

int privilege_find(const char *user, struct privilege *out,
                   char why[PRIVILEGE_WHY_MAX])
{
	*out = (struct privilege){ .change = false };
	if (!user || geteuid() != 0)
		return 0;

	errno = 0;
	const struct passwd *entry = getpwnam(user);
	if (!entry) {
		snprintf(why, PRIVILEGE_WHY_MAX,
		         "user: there is no user \"%.64s\" on this machine",
		         user);
		return -EINVAL;
	}
	out->change = true;
	out->uid = entry->pw_uid;
	out->gid = entry->pw_gid;
	snprintf(out->name, sizeof(out->name), "%s", user);
	return 0;
}

/* In this order: without the user one may not change the groups any more. */
static int become(const struct privilege *to, const char **step)
{
	*step = "setgroups";
	if (setgroups(0, NULL) < 0)
		return os_error();
	*step = "setgid";
	if (setresgid(to->gid, to->gid, to->gid) < 0)
		return os_error();
	*step = "setuid";
	if (setresuid(to->uid, to->uid, to->uid) < 0)
		return os_error();
	/* A way back would make all of it worthless. */
	*step = "giving up root";
	if (to->uid != 0 && setuid(0) == 0)
		return -EPERM;
	return 0;
}

int privilege_drop(const struct privilege *to, const char **step)
{
	const struct rlimit none = { 0, 0 };

	if (to->change) {
		int err = become(to, step);

		if (err < 0)
			return err;
	}
	*step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return os_error();
	*step = "no core dumps";
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return os_error();
	/* Nobody of the same user may read the memory, which has secrets. */
	*step = "not dumpable";
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return os_error();
	return 0;
}

/*
 * OpenSSL reads its configuration, and loads the modules named there (FIPS), at
 * its first use; a context without a certificate is one, and nothing else.
 */
static void load_openssl(void)
{
	char why[TLS_WHY_MAX];
	struct tls_context *none = NULL;

	int err = tls_context_from_memory(SPAN(""), SPAN(""), &none, why);
	assert(err < 0);
	(void)err;
}

void privilege_confine_master(struct privilege *p, bool wanted)
{
	const char *step = "";

	p->sandbox = false;
	if (!wanted) {
		log_info("no sandbox: the configuration says so");
		return;
	}
	if (!sandbox_is_built()) {
		log_debug("no sandbox in a build with sanitizers");
		return;
	}
	load_openssl();
	int err = sandbox_enter(SANDBOX_PARENT, &step);
	if (err < 0) {
		log_warning("no sandbox: the system does not allow it",
		            LOG_STR("step", step), LOG_ERR(err));
		return;
	}
	p->sandbox = true;
	if (sandbox_landlock() == 0)
		log_info("no Landlock: files are protected by their "
		         "permissions alone");
}

int privilege_confine(const struct privilege *p, enum sandbox_kind kind,
                      const char **step)
{
	if (!p->sandbox)
		return 0;
	if (kind == SANDBOX_CLIENT)
		sandbox_load_resolver();
	return sandbox_enter(kind, step);
}

uint64_t privilege_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	return files.rlim_cur;
}

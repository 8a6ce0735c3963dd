#include "lib/sandbox.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/file.h"

/* --- system calls --------------------------------------------------------- */

#define ALLOW       SCMP_ACT_ALLOW
#define TRAP        SCMP_ACT_TRAP
#define REFUSE(err) SCMP_ACT_ERRNO((uint32_t)(err))
#define SERVER      (1u << SANDBOX_SERVER)
#define CLIENT      (1u << SANDBOX_CLIENT)
#define BOTH        (SERVER | CLIENT)

/* A name of libseccomp's; one that this machine lacks is negative there. */
#define CALL(name) SCMP_SYS(name)

/* clang-format off */

/* Allowed with any arguments: they concern the process and what it holds. */
static const int allowed[] = {
	/* the loop and the data path */
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
	CALL(epoll_ctl), CALL(epoll_create1), CALL(accept4), CALL(recvfrom),
	CALL(recvmsg), CALL(sendto), CALL(sendmsg), CALL(read), CALL(readv),
	CALL(write), CALL(writev), CALL(close), CALL(connect), CALL(shutdown),
	CALL(getsockopt), CALL(setsockopt), CALL(getsockname),
	CALL(getpeername), CALL(poll), CALL(ppoll), CALL(select),
	CALL(pselect6), CALL(eventfd2), CALL(pipe2), CALL(dup),
	/* files that are open, and what there is to know of others */
	CALL(fstat), CALL(newfstatat), CALL(stat), CALL(lstat), CALL(statx),
	CALL(fstatat64), CALL(lseek), CALL(pread64), CALL(getdents64),
	CALL(readlink), CALL(readlinkat), CALL(access), CALL(faccessat),
	CALL(faccessat2),
	/* memory */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise),
	/* time, chance, and what a library asks about its process */
	CALL(clock_gettime), CALL(clock_getres), CALL(clock_nanosleep),
	CALL(nanosleep), CALL(gettimeofday), CALL(time), CALL(getrandom),
	CALL(getpid), CALL(gettid), CALL(getppid), CALL(getuid), CALL(geteuid),
	CALL(getgid), CALL(getegid), CALL(getrusage), CALL(getcpu),
	CALL(sched_getaffinity), CALL(sched_yield), CALL(sysinfo), CALL(uname),
	/* signals, locks and the end */
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
	CALL(sigaltstack), CALL(restart_syscall), CALL(futex),
	CALL(futex_waitv), CALL(rseq), CALL(set_robust_list), CALL(exit),
	CALL(exit_group),
};

/* Besides, for threads, getaddrinfo(3) and snapshots. */
static const int allowed_client[] = {
	CALL(bind), /* netlink; Landlock keeps it from listening on TCP */
	CALL(sendmmsg), CALL(recvmmsg), CALL(memfd_create), CALL(ftruncate),
	CALL(set_tid_address), CALL(sched_setaffinity),
};

/* An attack, whoever makes it. */
static const int forbidden[] = {
	CALL(execve), CALL(execveat), CALL(ptrace), CALL(process_vm_readv),
	CALL(process_vm_writev), CALL(process_madvise), CALL(pidfd_getfd),
	CALL(bpf), CALL(perf_event_open), CALL(userfaultfd),
	CALL(io_uring_setup), CALL(io_uring_enter), CALL(io_uring_register),
	CALL(keyctl), CALL(add_key), CALL(request_key), CALL(init_module),
	CALL(finit_module), CALL(delete_module), CALL(kexec_load),
	CALL(kexec_file_load), CALL(reboot), CALL(mount), CALL(umount2),
	CALL(pivot_root), CALL(chroot), CALL(move_mount), CALL(open_tree),
	CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(fspick),
	CALL(mount_setattr), CALL(setns), CALL(unshare), CALL(swapon),
	CALL(swapoff), CALL(sethostname), CALL(setdomainname), CALL(acct),
	CALL(quotactl), CALL(settimeofday), CALL(clock_settime), CALL(adjtimex),
	CALL(clock_adjtime), CALL(syslog), CALL(iopl), CALL(ioperm),
	CALL(modify_ldt), CALL(personality), CALL(vhangup),
	CALL(open_by_handle_at), CALL(fanotify_init),
};

/* An attack when it does not come from the parent. */
static const int forbidden_child[] = {
	CALL(fork), CALL(vfork), CALL(kill), CALL(tkill),
	CALL(pidfd_send_signal), CALL(rt_sigqueueinfo), CALL(rt_tgsigqueueinfo),
	CALL(setuid), CALL(setgid), CALL(setreuid), CALL(setregid),
	CALL(setresuid), CALL(setresgid), CALL(setfsuid), CALL(setfsgid),
	CALL(setgroups), CALL(capset),
};

/*
 * What depends on arguments: of each listed argument the bits in the mask have
 * the value. Most masks are of 32 bits because an int leaves the upper half of
 * a register to chance. Rows of one call exclude each other.
 */
#define ARGUMENTS_MAX 3

static const struct check {
	unsigned kinds;
	uint32_t action;
	int call;
	struct {
		unsigned index;
		uint64_t mask, value;
	} arguments[ARGUMENTS_MAX]; /* up to the first without a mask */
} checks[] = {
#define ANY     0xffffffffu
#define TYPE    0xfu /* of a socket, without SOCK_CLOEXEC and SOCK_NONBLOCK */
#define CODE    PROT_EXEC, PROT_EXEC
#define NO_CODE PROT_EXEC, 0
#define READING O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY
#define SPACES  (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define THREAD  CLONE_THREAD | SPACES, CLONE_THREAD

	/* A module to load fails to be; code written to memory is an attack. */
	{ BOTH, ALLOW, CALL(mmap), { { 2, NO_CODE } } },
	{ BOTH, TRAP, CALL(mmap),
	  { { 2, CODE }, { 3, MAP_ANONYMOUS, MAP_ANONYMOUS } } },
	{ BOTH, REFUSE(EACCES), CALL(mmap),
	  { { 2, CODE }, { 3, MAP_ANONYMOUS, 0 } } },
	{ BOTH, ALLOW, CALL(mprotect), { { 2, NO_CODE } } },
	{ BOTH, TRAP, CALL(mprotect), { { 2, CODE } } },

	{ BOTH, ALLOW, CALL(openat), { { 2, READING } } },
	{ BOTH, REFUSE(EACCES), CALL(openat), { { 2, O_ACCMODE, O_WRONLY } } },
	{ BOTH, REFUSE(EACCES), CALL(openat), { { 2, O_ACCMODE, O_RDWR } } },
	{ BOTH, ALLOW, CALL(open), { { 1, READING } } },

	{ BOTH, ALLOW, CALL(socket),
	  { { 0, ANY, AF_INET }, { 1, TYPE, SOCK_STREAM } } },
	{ BOTH, ALLOW, CALL(socket),
	  { { 0, ANY, AF_INET6 }, { 1, TYPE, SOCK_STREAM } } },
	{ CLIENT, ALLOW, CALL(socket),
	  { { 0, ANY, AF_INET }, { 1, TYPE, SOCK_DGRAM } } },
	{ CLIENT, ALLOW, CALL(socket),
	  { { 0, ANY, AF_INET6 }, { 1, TYPE, SOCK_DGRAM } } },
	{ CLIENT, ALLOW, CALL(socket), { { 0, ANY, AF_UNIX } } },
	{ CLIENT, ALLOW, CALL(socket),
	  { { 0, ANY, AF_NETLINK }, { 2, ANY, 0 } } }, /* NETLINK_ROUTE */
	{ BOTH, ALLOW, CALL(socketpair), { { 0, ANY, AF_UNIX } } },

	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_DUPFD_CLOEXEC } } },
	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_GETFD } } },
	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_SETFD } } },
	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_GETFL } } },
	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_SETFL } } },
	{ BOTH, ALLOW, CALL(fcntl), { { 1, ANY, F_GET_SEALS } } },
	{ CLIENT, ALLOW, CALL(fcntl), { { 1, ANY, F_ADD_SEALS } } },
	{ BOTH, ALLOW, CALL(ioctl), { { 1, ANY, FIONBIO } } },
	{ BOTH, ALLOW, CALL(ioctl), { { 1, ANY, FIONREAD } } },
	/* It may look at its own limits. */
	{ BOTH, ALLOW, CALL(prlimit64),
	  { { 0, ANY, 0 }, { 2, UINT64_MAX, 0 } } },

	/* A thread that a server tries to start is a library's idea. */
	{ CLIENT, ALLOW, CALL(clone), { { 0, THREAD } } },
	{ SERVER, REFUSE(EPERM), CALL(clone), { { 0, THREAD } } },
	{ BOTH, TRAP, CALL(clone), { { 0, CLONE_THREAD, 0 } } },
};
/* clang-format on */

static bool is_absent(int call)
{
	return call < 0;
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const int calls[],
                   size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++)
		if (!is_absent(calls[i]))
			err = seccomp_rule_add(filter, action, calls[i], 0);
	return err;
}

static int add_check(scmp_filter_ctx filter, const struct check *c)
{
	struct scmp_arg_cmp args[ARGUMENTS_MAX];
	unsigned n = 0;

	while (n < ARGUMENTS_MAX && c->arguments[n].mask) {
		args[n] =
			SCMP_CMP64(c->arguments[n].index, SCMP_CMP_MASKED_EQ,
		                   c->arguments[n].mask, c->arguments[n].value);
		n++;
	}
	return is_absent(c->call) ? 0
	                          : seccomp_rule_add_array(filter, c->action,
	                                                   c->call, n, args);
}

/* abort(3) and raise(3) signal their own process, and it may do only that. */
static int add_raise(scmp_filter_ctx filter)
{
	return seccomp_rule_add(
		filter, ALLOW, CALL(tgkill), 1,
		SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, ANY, (uint64_t)getpid()));
}

static int add_rules(scmp_filter_ctx filter, enum sandbox_kind kind)
{
#define ADD(action, calls) add_all(filter, action, calls, ARRAY_LEN(calls))
	int err = ADD(TRAP, forbidden);

	if (err < 0 || kind == SANDBOX_PARENT)
		return err;
	err = ADD(TRAP, forbidden_child);
	if (err == 0)
		err = ADD(ALLOW, allowed);
	if (err == 0 && kind == SANDBOX_CLIENT)
		err = ADD(ALLOW, allowed_client);
	if (err == 0)
		err = add_raise(filter);
	for (size_t i = 0; i < ARRAY_LEN(checks) && err == 0; i++)
		if (checks[i].kinds & 1u << kind)
			err = add_check(filter, &checks[i]);
	return err;
}

static const struct {
	enum scmp_filter_attr name;
	uint32_t value;
} attributes[] = {
	/* Calls of another architecture, and of x32, get around the rules. */
	{ SCMP_FLTATR_ACT_BADARCH, TRAP },
	{ SCMP_FLTATR_CTL_OPTIMIZE, 2 }, /* a binary tree */
	{ SCMP_FLTATR_API_SYSRAWRC, 1 }, /* the errno of the kernel */
	/*
	 * Kernels before 5.16 slow a process with a filter down so that code
	 * of strangers in it cannot read its memory through speculation. We
	 * run no such code.
	 */
	{ SCMP_FLTATR_CTL_SSB, 1 },
};

static int lock_calls(enum sandbox_kind kind)
{
	scmp_filter_ctx filter =
		seccomp_init(kind == SANDBOX_PARENT ? ALLOW : REFUSE(ENOSYS));

	if (!filter)
		return -ENOMEM;
	/* An old library or kernel lacks some; none is needed for safety but
	   the first, which all have. */
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		(void)seccomp_attr_set(filter, attributes[i].name,
		                       attributes[i].value);
	int err = add_rules(filter, kind);
	if (err == 0)
		err = seccomp_load(filter);
	seccomp_release(filter);
	/* When neither seccomp(2) nor prctl(2) takes a filter. */
	return err == -EFAULT || err == -ECANCELED ? -EPERM : err;
}

/* --- files ---------------------------------------------------------------- */

/*
 * The interface of landlock(7), of which the kernel headers of many machines
 * know an older version than their kernel.
 */
#define CREATE_RULESET 444 /* the same on every architecture we build for */
#define ADD_RULE       445
#define RESTRICT_SELF  446
#define GET_VERSION    1u
#define PATH_BENEATH   1

#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR  (UINT64_C(1) << 3)

/* Everything that a version knows and a ruleset may forbid. */
static const struct {
	int version;
	uint64_t fs, net, scoped;
} rights[] = {
	{ 1, 0x1fff, 0, 0 },
	{ 2, 0x2000, 0, 0 }, /* moving to another directory */
	{ 3, 0x4000, 0, 0 }, /* truncating */
	{ 4, 0, 0x1, 0 },    /* listening on TCP; connecting stays free */
	{ 5, 0x8000, 0, 0 }, /* ioctl(2) on devices */
	{ 6, 0, 0, 0x3 },    /* abstract sockets and signals of others */
};

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* What may be read; a directory stands for everything in it. */
static const struct {
	unsigned kinds;
	const char *path;
} readable[] = {
	/* certificates of authorities: Debian, Fedora and Oracle Linux, SUSE,
	   Arch, Alpine */
	{ BOTH, "/etc/ssl/certs" },
	{ BOTH, "/etc/ssl/cert.pem" },
	{ BOTH, "/etc/ssl/ca-bundle.pem" },
	{ BOTH, "/etc/pki/tls/certs" },
	{ BOTH, "/etc/pki/ca-trust" },
	{ BOTH, "/etc/ca-certificates" },
	{ BOTH, "/usr/share/ca-certificates" },
	{ BOTH, "/usr/local/share/ca-certificates" },
	{ BOTH, "/usr/share/pki" },
	{ BOTH, "/var/lib/ca-certificates" },
	/* what OpenSSL is configured with */
	{ BOTH, "/etc/ssl/openssl.cnf" },
	{ BOTH, "/etc/pki/tls/openssl.cnf" },
	{ BOTH, "/etc/crypto-policies" },
	{ BOTH, "/usr/share/crypto-policies" },
	/* what libraries ask the system */
	{ BOTH, "/dev/null" },
	{ BOTH, "/dev/random" },
	{ BOTH, "/dev/urandom" },
	{ BOTH, "/proc/sys/crypto" },
	{ BOTH, "/proc/sys/vm/overcommit_memory" },
	{ BOTH, "/sys/devices/system/cpu" },
	/* Name resolution: all of /etc, because the files are not changed but
	   replaced, and a rule is about the file that there is now. */
	{ CLIENT, "/etc" },
	{ CLIENT, "/run/systemd/resolve" },
	{ CLIENT, "/run/resolvconf" },
	{ CLIENT, "/run/NetworkManager" },
	{ CLIENT, "/run/connman" },
	{ CLIENT, "/run/nscd" },
};

/* Added by sandbox_also_read(). */
static char also[SANDBOX_PATHS_MAX][PATH_MAX];
static size_t n_also;

int sandbox_also_read(const char *path)
{
	size_t n = strlen(path);
	struct stat st;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (path[0] != '/' || n == 1)
		return -EINVAL;
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	if (n_also == SANDBOX_PATHS_MAX)
		return -E2BIG;
	memcpy(also[n_also], path, n);
	also[n_also][n] = '\0';
	if (stat(also[n_also], &st) == 0 && !S_ISDIR(st.st_mode)) {
		char *slash = strrchr(also[n_also], '/');

		if (slash > also[n_also])
			*slash = '\0';
	}
	n_also++;
	return 0;
}

/* Where the environment says that OpenSSL finds certificates. */
static const char *const variables[] = { "SSL_CERT_FILE", "SSL_CERT_DIR" };

int sandbox_landlock(void)
{
	long version = syscall(CREATE_RULESET, NULL, (size_t)0, GET_VERSION);

	return version > 0 ? (int)version : 0;
}

/* A path that does not exist, or that is not for us, needs no rule. */
static int allow_reading(int ruleset, const char *path)
{
	struct stat st;
	struct path_beneath rule = { .allowed = FS_READ_FILE };
	int fd = open(path, O_PATH | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		rule.allowed |= FS_READ_DIR;
	rule.fd = fd;
	if (syscall(ADD_RULE, ruleset, PATH_BENEATH, &rule, 0) < 0)
		err = os_error();
	close(fd);
	return err;
}

static int allow_all_reading(int ruleset, enum sandbox_kind kind)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(readable) && err == 0; i++)
		if (readable[i].kinds & 1u << kind)
			err = allow_reading(ruleset, readable[i].path);
	for (size_t i = 0; i < n_also && err == 0; i++)
		if (kind == SANDBOX_CLIENT)
			err = allow_reading(ruleset, also[i]);
	for (size_t i = 0; i < ARRAY_LEN(variables) && err == 0; i++)
		if (getenv(variables[i]))
			err = allow_reading(ruleset, getenv(variables[i]));
	return err;
}

static int lock_files(enum sandbox_kind kind)
{
	struct ruleset all = { 0 };
	int version = sandbox_landlock();

	if (version == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
		if (rights[i].version <= version) {
			all.fs |= rights[i].fs;
			all.net |= rights[i].net;
			all.scoped |= rights[i].scoped;
		}
	}

	/* A kernel that knows less takes the rest when it is zero. */
	int ruleset = (int)syscall(CREATE_RULESET, &all, sizeof(all), 0);
	if (ruleset < 0)
		return os_error();
	int err = allow_all_reading(ruleset, kind);
	if (err == 0 && syscall(RESTRICT_SELF, ruleset, 0) < 0)
		err = os_error();
	close(ruleset);
	return err;
}

/* --- modules of the C library --------------------------------------------- */

#define SWITCH_FILE "/etc/nsswitch.conf"
#define SWITCH_MAX  65536
#define MODULE_MAX  64 /* bytes of a name */

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static void load_module(struct span name)
{
	char file[MODULE_MAX];
	int n = snprintf(file, sizeof(file), "libnss_%.*s.so.2",
	                 SPAN_ARG(name));

	/* Never closed: what getaddrinfo(3) asks for is then there. */
	if (n > 0 && (size_t)n < sizeof(file))
		(void)dlopen(file, RTLD_NOW);
}

/* "files resolve [!UNAVAIL=return] dns": what is in brackets is no module. */
static void load_modules(struct span services)
{
	while (services.len) {
		size_t n = 0;

		if (*services.at == '[') {
			n = span_find(services, ']') + 1;
		} else if (is_name(*services.at)) {
			while (n < services.len && is_name(services.at[n]))
				n++;
			load_module(span_first(services, n));
		}
		services = span_from(services, MAX(n, 1u));
	}
}

void sandbox_load_resolver(void)
{
	struct buf text = { .max = SWITCH_MAX };

	if (file_read(SWITCH_FILE, &text) == 0) {
		struct span rest = buf_span(&text);

		while (rest.len) {
			struct span line =
				span_first(rest, span_find(rest, '\n'));

			rest = span_from(rest, line.len + 1);
			line = span_trim(
				span_first(line, span_find(line, '#')));
			if (span_starts(line, SPAN("hosts:")))
				load_modules(span_from(line, 6));
		}
	}
	buf_free(&text);
}

/* --- both ----------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define BUILT false
#elif defined(__has_feature)
#define BUILT (!__has_feature(address_sanitizer))
#else
#define BUILT true
#endif

bool sandbox_is_built(void)
{
	return BUILT;
}

int sandbox_enter(enum sandbox_kind kind, const char **step)
{
	int err = 0;

	if (!sandbox_is_built())
		return 0;
	*step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return os_error();
	*step = "Landlock";
	if (kind != SANDBOX_PARENT)
		err = lock_files(kind);
	if (err < 0)
		return err;
	*step = "seccomp";
	return lock_calls(kind);
}

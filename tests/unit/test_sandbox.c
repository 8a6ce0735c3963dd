#include "lib/sandbox.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"

#define KILLED     1000 /* by SIGSYS */
#define ABORTED    1001 /* by SIGABRT */
#define NOT_INSIDE 200  /* the sandbox could not be entered */
#define OLD_CLONE3 435  /* its number, for older headers */
#define PAGE       4096

/* errno of a call that returns -1, or 0. */
#define ERRNO(call) ((long)(call) == -1 ? errno : 0)

/* Made before the sandbox. */
static int prepared; /* a listening socket */
static int module;   /* a file with code in it */

static uint16_t listen_on_loopback(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);

	prepared = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(prepared >= 0);
	cr_assert_eq(bind(prepared, (void *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(prepared, 8), 0);
	cr_assert_eq(getsockname(prepared, (void *)&at, &len), 0);
	return ntohs(at.sin_port);
}

static uint16_t port;

/* --- what is tried; the answer is an errno or 0 --------------------------- */

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int read_authorities(void)
{
	return try_open("/etc/ssl/certs", O_RDONLY | O_DIRECTORY);
}

static int read_shadow(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}

static int read_hosts(void)
{
	return try_open("/etc/hosts", O_RDONLY);
}

static int read_program(void)
{
	return try_open("/bin/sh", O_RDONLY);
}

static int write_null(void)
{
	return try_open("/dev/null", O_WRONLY);
}

static int update_null(void)
{
	return try_open("/dev/null", O_RDWR);
}

static int make_file(void)
{
	return try_open("/tmp", O_WRONLY | O_TMPFILE);
}

static int truncate_file(void)
{
	return try_open("/etc/ssl/openssl.cnf", O_RDONLY | O_TRUNC);
}

static int remove_file(void)
{
	return ERRNO(unlink("/tmp/there-is-no-such-file"));
}

static int execute(void)
{
	char *const args[] = { (char[]){ "true" }, NULL };

	return ERRNO(execv("/bin/true", args));
}

static int execute_at(void)
{
	return ERRNO(syscall(SYS_execveat, -1, "", NULL, NULL, 0));
}

static int fork_again(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int fork_by_name(void)
{
#ifdef SYS_fork
	return ERRNO(syscall(SYS_fork));
#else
	return fork_again();
#endif
}

static int new_user_space(void)
{
	return ERRNO(unshare(CLONE_NEWUSER));
}

static void *do_nothing(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, do_nothing, NULL);

	if (err == 0)
		pthread_join(thread, NULL);
	return err;
}

static int clone_newly(void)
{
	return ERRNO(syscall(OLD_CLONE3, NULL, 0));
}

static int trace(void)
{
	return ERRNO(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int become_root(void)
{
	return ERRNO(setresuid(0, 0, 0));
}

static int signal_parent(void)
{
	return ERRNO(kill(getppid(), 0));
}

static int signal_parent_thread(void)
{
	return ERRNO(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int abort_now(void)
{
	abort();
}

static int call_bpf(void)
{
	return ERRNO(syscall(SYS_bpf, 0, NULL, 0));
}

static int call_io_uring(void)
{
	return ERRNO(syscall(425, 1, NULL));
}

static int call_unknown(void)
{
	return ERRNO(syscall(1023));
}

/* As i386: another table of numbers, which the rules are not about. */
static int call_another_architecture(void)
{
#ifdef __x86_64__
	long number = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(number) : : "memory");
	return 0;
#else
	return ERRNO(kill(getppid(), 0));
#endif
}

/* As x32: the same table, with a bit set that the rules do not have. */
static int call_x32(void)
{
#ifdef __x86_64__
	return ERRNO(syscall(0x40000000 + SYS_getpid));
#else
	return ERRNO(kill(getppid(), 0));
#endif
}

static int try_map(int prot, int flags, int fd)
{
	void *at = mmap(NULL, PAGE, prot, flags, fd, 0);

	return at == MAP_FAILED ? errno : 0;
}

static int map_memory(void)
{
	return try_map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int map_code(void)
{
	return try_map(PROT_READ | PROT_WRITE | PROT_EXEC,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int map_module(void)
{
	return try_map(PROT_READ | PROT_EXEC, MAP_PRIVATE, module);
}

static int protect(int prot)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ERRNO(mprotect(at, PAGE, prot));
}

static int protect_memory(void)
{
	return protect(PROT_READ);
}

static int make_code(void)
{
	return protect(PROT_READ | PROT_EXEC);
}

static int try_socket(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int make_stream(void)
{
	return try_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                  0);
}

static int make_datagram(void)
{
	return try_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int make_unix(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_netlink(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int make_audit(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW, 9);
}

static int make_raw(void)
{
	return try_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int make_packet(void)
{
	return try_socket(AF_PACKET, SOCK_RAW, 0);
}

static int bind_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return ERRNO(bind(fd, (void *)&at, sizeof(at)));
}

static int connect_and_talk(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct pollfd p = { .events = POLLIN };
	char byte = 1;
	int one = 1;

	at.sin_port = htons(port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(ours, (void *)&at, sizeof(at)) < 0)
		return errno;
	int theirs = accept4(prepared, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(ours, IPPROTO_TCP, 1, &one, sizeof(one));
	p.fd = theirs;
	if (send(ours, &byte, 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, 5000) != 1 ||
	    recv(theirs, &byte, 1, 0) != 1)
		return errno;
	return ERRNO(shutdown(ours, SHUT_RDWR)) | ERRNO(close(theirs));
}

static int run_loop(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int fd = eventfd(1, EFD_CLOEXEC);

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		return errno;
	return epoll_wait(ep, &ev, 1, 1000) == 1 && clock_mono_ms() ? 0 : errno;
}

static int seal_memory(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, PAGE) < 0)
		return errno;
	return ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

static int steal_signals(void)
{
	return ERRNO(fcntl(prepared, F_SETOWN, getppid()));
}

static int read_limit(void)
{
	struct rlimit limit;

	return ERRNO(getrlimit(RLIMIT_NOFILE, &limit));
}

static int set_limit(void)
{
	struct rlimit limit = { 10, 10 };

	return ERRNO(setrlimit(RLIMIT_NOFILE, &limit));
}

static int push_input(void)
{
	return ERRNO(syscall(SYS_ioctl, 0, 0x5412, "x")); /* TIOCSTI */
}

static int resolve(void)
{
	struct addrinfo *all = NULL;
	int rc = getaddrinfo("localhost", "80", NULL, &all);

	if (rc == 0)
		freeaddrinfo(all);
	return rc ? EHOSTUNREACH : 0;
}

/* --- trying it ------------------------------------------------------------ */

static int outcome(enum sandbox_kind kind, int (*attempt)(void))
{
	const char *step;
	int status;
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		/* Criterion's own handlers are not what is tested. */
		signal(SIGABRT, SIG_DFL);
		signal(SIGSYS, SIG_DFL);
		if (kind == SANDBOX_CLIENT)
			sandbox_load_resolver();
		if (sandbox_enter(kind, &step) < 0)
			_exit(NOT_INSIDE);
		_exit(attempt());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS    ? KILLED
		       : WTERMSIG(status) == SIGABRT ? ABORTED
		                                     : 2000;
	return WEXITSTATUS(status);
}

#define SAME(value)                 \
	{                           \
		value, value, value \
	}

/* clang-format off */
static const struct attempt {
	const char *name;
	int (*attempt)(void);
	int expected[3]; /* of parent, server and client */
	bool landlock;   /* without it in the kernel only the first holds */
} attempts[] = {
	{ "run the loop", run_loop, SAME(0), false },
	{ "talk", connect_and_talk, SAME(0), false },
	{ "read authorities", read_authorities, SAME(0), false },
	{ "map memory", map_memory, SAME(0), false },
	{ "protect memory", protect_memory, SAME(0), false },
	{ "read a limit", read_limit, SAME(0), false },
	{ "make a stream", make_stream, SAME(0), false },
	{ "abort", abort_now, SAME(ABORTED), false },
	{ "an unknown call", call_unknown, SAME(ENOSYS), false },

	{ "execve", execute, SAME(KILLED), false },
	{ "execveat", execute_at, SAME(KILLED), false },
	{ "ptrace", trace, SAME(KILLED), false },
	{ "bpf", call_bpf, SAME(KILLED), false },
	{ "io_uring", call_io_uring, SAME(KILLED), false },
	{ "another user name space", new_user_space, SAME(KILLED), false },
	{ "another architecture", call_another_architecture, SAME(KILLED),
	  false },
	{ "x32", call_x32, SAME(KILLED), false },

	{ "fork", fork_again, { 0, KILLED, KILLED }, false },
	{ "fork by name", fork_by_name, { 0, KILLED, KILLED }, false },
	{ "signal the parent", signal_parent, { 0, KILLED, KILLED }, false },
	{ "signal its thread", signal_parent_thread, { 0, ENOSYS, ENOSYS },
	  false },
	{ "code in memory", map_code, { 0, KILLED, KILLED }, false },
	{ "memory to code", make_code, { 0, KILLED, KILLED }, false },
	{ "code of a file", map_module, { 0, EACCES, EACCES }, false },
	{ "write a file", write_null, { 0, EACCES, EACCES }, false },
	{ "update a file", update_null, { 0, EACCES, EACCES }, false },
	{ "make a file", make_file, { 0, EACCES, EACCES }, false },
	{ "set a limit", set_limit, { 0, ENOSYS, ENOSYS }, false },
	{ "steal signals", steal_signals, { 0, ENOSYS, ENOSYS }, false },
	{ "remove a file", remove_file, { ENOENT, ENOSYS, ENOSYS }, false },

	{ "thread", start_thread, { 0, EPERM, 0 }, false },
	{ "datagrams", make_datagram, { 0, ENOSYS, 0 }, false },
	{ "local socket", make_unix, { 0, ENOSYS, 0 }, false },
	{ "netlink", make_netlink, { 0, ENOSYS, 0 }, false },
	{ "sealed memory", seal_memory, { 0, ENOSYS, 0 }, false },
	{ "look up a name", resolve, { 0, EHOSTUNREACH, 0 }, false },
	{ "listen", bind_port, { 0, ENOSYS, EACCES }, true },
	{ "read /etc/hosts", read_hosts, { 0, EACCES, 0 }, true },
	{ "read a program", read_program, { 0, EACCES, EACCES }, true },
};

/* What depends on who runs the tests, and so is not tried as the parent. */
static const struct attempt children_only[] = {
	{ "become root", become_root, SAME(KILLED), false },
	{ "truncate", truncate_file, SAME(ENOSYS), false },
	{ "raw socket", make_raw, SAME(ENOSYS), false },
	{ "packet socket", make_packet, SAME(ENOSYS), false },
	{ "audit socket", make_audit, SAME(ENOSYS), false },
	{ "push input", push_input, SAME(ENOSYS), false },
	{ "clone3", clone_newly, SAME(ENOSYS), false },
};
/* clang-format on */

static void try_one(const struct attempt *a, enum sandbox_kind kind)
{
	bool old = a->landlock && sandbox_landlock() < 4;
	int got = outcome(kind, a->attempt);

	if (old && kind != SANDBOX_PARENT)
		return;
	cr_expect_eq(got, a->expected[kind], "%s, kind %d: %d, expected %d",
	             a->name, kind, got, a->expected[kind]);
}

static void begin(void)
{
	const char *step;
	pid_t pid;
	int status;

	if (!sandbox_is_built())
		cr_skip_test("there is no sandbox in this build");
	pid = fork();
	if (pid == 0)
		_exit(sandbox_enter(SANDBOX_SERVER, &step) < 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (status)
		cr_skip_test("this system lets nobody enter a sandbox");
	port = listen_on_loopback();
	module = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cr_assert(module >= 0);
}

Test(sandbox, calls, .init = begin)
{
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		for (int kind = SANDBOX_PARENT; kind <= SANDBOX_CLIENT; kind++)
			try_one(&attempts[i], (enum sandbox_kind)kind);
	for (size_t i = 0; i < ARRAY_LEN(children_only); i++)
		for (int kind = SANDBOX_SERVER; kind <= SANDBOX_CLIENT; kind++)
			try_one(&children_only[i], (enum sandbox_kind)kind);
}

Test(sandbox, root_reads_no_secret, .init = begin)
{
	if (geteuid() != 0 || sandbox_landlock() == 0)
		cr_skip_test("needs root, and Landlock");
	cr_expect_eq(outcome(SANDBOX_PARENT, read_shadow), 0);
	cr_expect_eq(outcome(SANDBOX_SERVER, read_shadow), EACCES);
}

/* What a child enters comes on top of what its parent did. */
static int child_of_parent(void)
{
	return outcome(SANDBOX_SERVER, execute) == KILLED &&
	                       outcome(SANDBOX_CLIENT, start_thread) == 0 &&
	                       outcome(SANDBOX_SERVER, make_unix) == ENOSYS
	               ? 0
	               : 1;
}

Test(sandbox, inside_another, .init = begin)
{
	cr_expect_eq(outcome(SANDBOX_PARENT, child_of_parent), 0);
}

static int no_new_privileges(void)
{
	char text[4096] = "";
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	return n > 0 && strstr(text, "NoNewPrivs:\t1") &&
	                       strstr(text, "Seccomp:\t2")
	               ? 0
	               : 1;
}

Test(sandbox, for_good, .init = begin)
{
	cr_expect_eq(outcome(SANDBOX_PARENT, no_new_privileges), 0);
}

/* Where certificates are is also what the environment says. */
static int read_named_authorities(void)
{
	return try_open(getenv("SSL_CERT_FILE"), O_RDONLY);
}

Test(sandbox, environment, .init = begin)
{
	char path[] = "/tmp/test_sandboxXXXXXX";
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	setenv("SSL_CERT_FILE", path, 1);
	cr_expect_eq(outcome(SANDBOX_SERVER, read_named_authorities), 0);
	unlink(path);
	close(fd);
}

#include "master/stdio.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "master/bridge.h"
#include "master/listener.h"
#include "oci/environment.h"

#define TOKEN_BYTES 32
#define LISTEN_FD   3 /* where sd_listen_fds(3) has the first socket */

struct place {
	int listen_fd;
	struct options_private private;
	char token[CRYPTO_BASE64URL_LEN(TOKEN_BYTES) + 1];
	char dir[256]; /* "": none was made */
};

bool stdio_is_wanted(const struct options *opt, int in)
{
	const char *said =
		opt->transport ? opt->transport : getenv("OCI_MCP_TRANSPORT");
	struct stat st;

	if (!opt->program->is_server)
		return false;
	if (said && *said)
		return strcmp(said, OPTIONS_STDIO) == 0;
	return fstat(in, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/*
 * The socket that connections wait in until the server accepts them. It is
 * made before anything else is opened, so that its place is free.
 */
static int open_socket(struct place *p)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return os_error();
	p->listen_fd = fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, LISTENER_BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return os_error();
	p->private.port = ntohs(at.sin_port);
	if (fd == LISTEN_FD)
		return 0;
	if (dup3(fd, LISTEN_FD, O_CLOEXEC) < 0)
		return os_error();
	close(fd);
	p->listen_fd = LISTEN_FD;
	return 0;
}

static int make_dir(struct place *p)
{
	const char *in = getenv("XDG_RUNTIME_DIR");
	int n = snprintf(p->dir, sizeof(p->dir), "%s/oci-mcp-server.XXXXXX",
	                 in && *in == '/' ? in : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(p->dir) || !mkdtemp(p->dir)) {
		int err = n < 0 || (size_t)n >= sizeof(p->dir) ? -ENAMETOOLONG
		                                               : os_error();

		p->dir[0] = '\0';
		return err;
	}
	p->private.runtime_dir = p->dir;
	return 0;
}

static int make_token(struct place *p)
{
	uint8_t bytes[TOKEN_BYTES];
	int err = crypto_init();

	if (err < 0)
		return err;
	crypto_random(bytes, sizeof(bytes));
	p->token[crypto_base64url_encode(span_of(bytes, sizeof(bytes)),
	                                 p->token)] = '\0';
	crypto_wipe(bytes, sizeof(bytes));
	p->private.token = p->token;
	return 0;
}

static void clear(struct place *p)
{
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	p->listen_fd = -1;
	/* The server takes its socket out of it. */
	if (p->dir[0] && rmdir(p->dir) < 0 && errno != ENOENT)
		log_warning("a directory is left", LOG_STR("path", p->dir),
		            LOG_ERR(os_error()));
	crypto_wipe(p->token, sizeof(p->token));
}

/* Standard input and output are the bridge's. */
static bool leave_stdio(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool done = null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	            dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;

	if (null > STDERR_FILENO)
		close(null);
	return done;
}

/* As the service manager would hand it over (lib/notify). */
static bool announce_socket(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return unsetenv("NOTIFY_SOCKET") == 0 &&
	       setenv("LISTEN_PID", pid, 1) == 0 &&
	       setenv("LISTEN_FDS", "1", 1) == 0 &&
	       setenv("LISTEN_FDNAMES", "listen-0", 1) == 0;
}

/* In the child. Its session is its own: a Ctrl-C is for the bridge, which then
 * lets requests finish. */
static int be_server(const struct options *opt, struct place *p,
                     int (*serve)(const struct options *), pid_t bridge)
{
	struct options own = *opt;

	own.private = &p->private;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != bridge)
		return EXIT_FAILURE;
	setsid();
	if (!leave_stdio() || !announce_socket()) {
		log_error("cannot start", LOG_ERR(os_error()));
		return EXIT_FAILURE;
	}

	int status = serve(&own);
	p->listen_fd = -1; /* was taken over */
	clear(p);
	return status;
}

/* No credential of the cloud stays here, and nothing can be started. */
static void confine(void)
{
	const char *name = "", *step = "";
	int err = environment_take(&name);

	(void)err; /* the server says so */
	environment_forget();
	prctl(PR_SET_DUMPABLE, 0);
	err = sandbox_enter(SANDBOX_PARENT, &step);
	if (err < 0)
		log_warning("the bridge has no sandbox", LOG_STR("step", step),
		            LOG_ERR(err));
}

static int be_bridge(struct place *p, pid_t server)
{
	const struct bridge_options options = {
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.port = p->private.port,
		.token = p->token,
		.server = server,
	};

	log_process("bridge", -1);
	close(p->listen_fd);
	p->listen_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	confine();

	int err = bridge_run(&options);
	clear(p);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int prepare(struct place *p)
{
	int err = open_socket(p);

	if (err == 0)
		err = make_token(p);
	if (err == 0)
		err = make_dir(p);
	return err;
}

int stdio_run(const struct options *opt, int (*serve)(const struct options *))
{
	struct place p = { .listen_fd = -1 };
	pid_t bridge = getpid(), server = -1;
	sigset_t set;
	int err = prepare(&p);

	bridge_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (err == 0) {
		server = fork();
		err = server < 0 ? os_error() : 0;
	}
	if (err < 0) {
		log_error("cannot start", LOG_ERR(err));
		clear(&p);
		return EXIT_FAILURE;
	}
	return server == 0 ? be_server(opt, &p, serve, bridge)
	                   : be_bridge(&p, server);
}

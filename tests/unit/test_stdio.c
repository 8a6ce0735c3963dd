#include "master/stdio.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

Test(stdio, is_wanted)
{
	static const struct {
		const char *flag, *variable;
		bool on_pipe, on_null;
	} rows[] = {
		{ NULL, NULL, true, false },
		{ NULL, "", true, false },
		{ NULL, "stdio", true, true },
		{ NULL, "streamable_http", false, false },
		{ NULL, "nonsense", false, false },
		{ "stdio", "streamable_http", true, true },
		{ "streamable_http", "stdio", false, false },
	};
	struct options opt;
	int null = open("/dev/null", O_RDONLY), pipes[2], sockets[2];

	cr_assert(null >= 0 && pipe(pipes) == 0);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		options_init(&opt, &program_server);
		opt.transport = rows[i].flag;
		unsetenv("OCI_MCP_TRANSPORT");
		if (rows[i].variable)
			setenv("OCI_MCP_TRANSPORT", rows[i].variable, 1);
		cr_expect(stdio_is_wanted(&opt, pipes[0]) == rows[i].on_pipe);
		cr_expect(stdio_is_wanted(&opt, sockets[0]) == rows[i].on_pipe);
		cr_expect(stdio_is_wanted(&opt, null) == rows[i].on_null);
		options_init(&opt, &program_gateway);
		cr_expect(!stdio_is_wanted(&opt, pipes[0]));
	}
}

#include "oci/environment.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"

#define TOKEN "a-token-nobody-may-see"
#define PEM   "-----BEGIN a-key-nobody-may-see"

static void take(void)
{
	const char *name = "";

	cr_assert_eq(environment_take(&name), 0, "%s", name);
}

/* Does the environment of this process, as others see it, have text? */
static bool proc_has(const char *text)
{
	static char bytes[1 << 20];
	int fd = open("/proc/self/environ", O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	close(fd);
	cr_assert(n > 0);
	return memmem(bytes, (size_t)n, text, strlen(text));
}

Test(environment, plain_values_are_copied_and_stay, .fini = environment_reset)
{
	setenv("OCI_REGION", "eu-frankfurt-1", 1);
	setenv("OCI_CLI_PROFILE", "", 1);
	unsetenv("OCI_PROFILE");
	take();
	setenv("OCI_REGION", "changed", 1);
	cr_assert(span_is(environment_get("OCI_REGION"), "eu-frankfurt-1"));
	cr_assert(environment_is_set("OCI_REGION"));
	cr_assert_not(environment_is_set("OCI_PROFILE"));
	cr_assert_not(environment_is_set("OCI_CLI_PROFILE"));
	cr_assert_null(environment_get("OCI_CLI_PROFILE").at);
	cr_assert_str_eq(getenv("OCI_REGION"), "changed");
}

Test(environment, the_first_that_is_set, .fini = environment_reset)
{
	static const char *const names[] = { "OCI_PROFILE", "OCI_CLI_PROFILE",
		                             NULL };

	unsetenv("OCI_PROFILE");
	setenv("OCI_CLI_PROFILE", "b", 1);
	take();
	cr_assert(span_is(environment_first(names), "b"));
	environment_reset();
	setenv("OCI_PROFILE", "a", 1);
	take();
	cr_assert(span_is(environment_first(names), "a"));
	environment_reset();
	take(); /* a process may begin anew in tests */
	cr_assert(span_is(environment_first(names), "a"));
}

Test(environment, secrets_need_to_be_opened, .fini = environment_reset)
{
	setenv("OCI_CLI_PASSPHRASE", TOKEN, 1);
	setenv("OCI_RESOURCE_PRINCIPAL_RPST", TOKEN, 1);
	setenv("OCI_RESOURCE_PRINCIPAL_RPST_FOR_LEAF_RESOURCE", "/run/rpst", 1);
	setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", PEM, 1);
	take();
	cr_assert(environment_is_set("OCI_CLI_PASSPHRASE"));
	cr_assert_null(environment_get("OCI_CLI_PASSPHRASE").at);
	cr_assert(span_is(environment_resource("RPST", true), "/run/rpst"));
	cr_assert_null(environment_resource("RPST", false).at);

	cr_assert_eq(environment_open_secrets(), 0);
	cr_assert_eq(environment_open_secrets(), 0);
	cr_assert(span_is(environment_get("OCI_CLI_PASSPHRASE"), TOKEN));
	cr_assert_str_eq(environment_get("OCI_CLI_PASSPHRASE").at, TOKEN);
	cr_assert(span_is(environment_resource("PRIVATE_PEM", false), PEM));

	environment_forget();
	cr_assert_null(environment_get("OCI_CLI_PASSPHRASE").at);
	cr_assert_eq(environment_open_secrets(), 0);
	cr_assert_null(environment_get("OCI_CLI_PASSPHRASE").at);
	cr_assert(environment_is_set("OCI_CLI_PASSPHRASE"));
}

/* The bytes that the kernel shows are those a process was started with: so
 * another process is started, which takes them and looks. */
Test(environment, secrets_are_overwritten_where_they_stood)
{
	static char name[] = "OCI_CLI_PASSPHRASE=" TOKEN;
	static char path[] = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=/run/key";
	static char twice[] = "OCI_CLI_PASSPHRASE=second-" TOKEN;
	char *fresh[] = { name, path, twice, NULL };
	char **before = environ;

	environ = fresh;
	take();
	environ = before;
	cr_assert_null(memmem(name, sizeof(name), TOKEN, strlen(TOKEN)));
	cr_assert_null(memmem(twice, sizeof(twice), TOKEN, strlen(TOKEN)));
	cr_assert(strstr(path, "/run/key"));
	cr_assert_eq(environment_open_secrets(), 0);
	cr_assert(span_is(environment_get("OCI_CLI_PASSPHRASE"), TOKEN));
	cr_assert_not(proc_has(TOKEN));
	environment_reset();
}

Test(environment, a_secret_is_unset)
{
	setenv("ATP_PASSWORD", TOKEN, 1);
	take();
	cr_assert_null(getenv("ATP_PASSWORD"));
	environment_reset();
}

Test(environment, too_long_is_an_error_and_no_secret_stays,
     .fini = environment_reset)
{
	char *value = malloc(ENVIRONMENT_VALUE_MAX + 2);
	const char *name = "";

	memset(value, 'x', ENVIRONMENT_VALUE_MAX + 1);
	value[ENVIRONMENT_VALUE_MAX + 1] = '\0';
	setenv("OCI_CLI_KEY_CONTENT", value, 1);
	setenv("OCI_CLI_PASSPHRASE", TOKEN, 1);
	cr_assert_eq(environment_take(&name), -E2BIG);
	cr_assert_str_eq(name, "OCI_CLI_KEY_CONTENT");
	cr_assert_null(getenv("OCI_CLI_KEY_CONTENT"));
	cr_assert_null(getenv("OCI_CLI_PASSPHRASE"));
	free(value);
}

/* The successor of a keeper is a child of the same master. */
Test(environment, a_child_can_open_what_its_parent_cannot_read)
{
	int status;

	setenv("OCI_CLI_PASSPHRASE", TOKEN, 1);
	take();
	pid_t pid = fork();
	if (pid == 0)
		_exit(environment_open_secrets() == 0 &&
		                      span_is(environment_get(
						      "OCI_CLI_PASSPHRASE"),
		                              TOKEN)
		              ? 0
		              : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	environment_reset();
}

static void gather(void *owner, const char *path)
{
	struct buf *all = owner;

	buf_puts(all, path);
	buf_putc(all, '\n');
}

Test(environment, paths_for_a_sandbox, .fini = environment_reset)
{
	struct buf all = { .max = 4096 };

	setenv("HOME", "/srv/u", 1);
	setenv("OCI_CLI_KEY_FILE", "/etc/keys/a.pem", 1);
	setenv("OCI_CONFIG_FILE", "/config", 1);
	setenv("OCI_RESOURCE_PRINCIPAL_RPST", "/opt/rp//token", 1);
	setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", PEM, 1);
	take();
	environment_paths(gather, &all);
	buf_putc(&all, '\0');
	cr_assert(strstr(all.bytes, "/etc/keys\n"), "%s", all.bytes);
	cr_assert(strstr(all.bytes, "/opt/rp\n"), "%s", all.bytes);
	cr_assert(strstr(all.bytes, "/config\n"), "%s", all.bytes);
	cr_assert(strstr(all.bytes, "/srv/u/.oci\n"), "%s", all.bytes);
	cr_assert(strstr(all.bytes, "/var/run/secrets/kubernetes.io"));
	cr_assert_not(strstr(all.bytes, "BEGIN"));
	buf_free(&all);
}

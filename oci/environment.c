#include "oci/environment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crypto.h"

enum kind {
	PLAIN,
	PATH,           /* of a file that we may read */
	SECRET,         /* always */
	SECRET_OR_PATH, /* a path exactly when it begins with '/' */
};

struct row {
	const char *name;
	enum kind kind;
};

#define RESOURCE_HEAD "OCI_RESOURCE_PRINCIPAL_"
#define LEAF_TAIL     "_FOR_LEAF_RESOURCE"
#define RESOURCE(rest, kind)                       \
	{ RESOURCE_HEAD rest, kind },              \
	{                                          \
		RESOURCE_HEAD rest LEAF_TAIL, kind \
	}

static const struct row rows[] = {
	/* Who we are. */
	{ "OCI_AUTH_METHOD", PLAIN },
	{ "OCI_CLI_AUTH", PLAIN },
	{ "OCI_CONFIG_FILE", PATH },
	{ "OCI_CLI_CONFIG_FILE", PATH },
	{ "OCI_CLI_RC_FILE", PLAIN },
	{ "OCI_PROFILE", PLAIN },
	{ "OCI_CLI_PROFILE", PLAIN },
	{ "OCI_CLI_USER", PLAIN },
	{ "OCI_CLI_TENANCY", PLAIN },
	{ "OCI_TENANCY_OCID", PLAIN },
	{ "TENANCY_OCID", PLAIN },
	{ "OCI_CLI_FINGERPRINT", PLAIN },
	{ "OCI_CLI_KEY_FILE", PATH },
	{ "OCI_CLI_KEY_CONTENT", SECRET },
	{ "OCI_CLI_PASSPHRASE", SECRET },
	{ "OCI_CLI_SECURITY_TOKEN_FILE", PATH },
	{ "OCI_CLI_DELEGATION_TOKEN_FILE", PATH },

	/* Where we are, and where servers are. */
	{ "OCI_REGION", PLAIN },
	{ "OCI_CLI_REGION", PLAIN },
	{ "OCI_REGION_METADATA", PLAIN },
	{ "OCI_DEFAULT_REALM", PLAIN },
	{ "OCI_CLI_ENDPOINT", PLAIN },
	{ "OCI_CLI_FEDERATION_ENDPOINT", PLAIN },
	{ "OCI_SDK_AUTH_CLIENT_REGION_URL", PLAIN },
	{ "OCI_METADATA_BASE_URL", PLAIN },
	{ "OCI_CLI_CERT_BUNDLE", PATH },
	{ "OCI_DEFAULT_CERTS_PATH", PATH },
	{ "OCI_CLI_USE_INSTANCE_METADATA_SERVICE", PLAIN },
	{ "OCI_REALM_SPECIFIC_SERVICE_ENDPOINT_TEMPLATE_ENABLED", PLAIN },
	{ "OCI_DUAL_STACK_ENDPOINT_ENABLED", PLAIN },

	/* Resource principals. */
	RESOURCE("VERSION", PLAIN),
	RESOURCE("RPST", SECRET_OR_PATH),
	RESOURCE("PRIVATE_PEM", SECRET_OR_PATH),
	RESOURCE("PRIVATE_PEM_PASSPHRASE", SECRET_OR_PATH),
	RESOURCE("REGION", PLAIN),
	RESOURCE("RPT_ENDPOINT", PLAIN),
	RESOURCE("RPST_ENDPOINT", PLAIN),
	RESOURCE("RPT_PATH", PLAIN),
	RESOURCE("RPT_ID", PLAIN),
	RESOURCE("RESOURCE_ID", PLAIN),
	RESOURCE("TENANCY_ID", PLAIN),
	RESOURCE("SECURITY_CONTEXT", SECRET),
	{ RESOURCE_HEAD "RPT_URL_FOR_PARENT_RESOURCE", PLAIN },
	{ RESOURCE_HEAD "RPST_ENDPOINT_FOR_PARENT_RESOURCE", PLAIN },

	/* Pods. */
	{ "KUBERNETES_SERVICE_HOST", PLAIN },
	{ "KUBERNETES_SERVICE_PORT_PROXYMUX", PLAIN },
	{ "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", PATH },
	{ "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_STRING", SECRET },
	{ "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", PATH },

	/* What the SDKs can be told about requests. */
	{ "OCI_ENABLE_RETRIES", PLAIN },
	{ "OCI_SDK_DEFAULT_RETRY_ENABLED", PLAIN },
	{ "OCI_REQUEST_TIMEOUT", PLAIN },
	{ "OCI_SDK_APPEND_USER_AGENT", PLAIN },

	/* The predecessor's own. */
	{ "OCI_MCP_NAME", PLAIN },
	{ "OCI_MCP_TRANSPORT", PLAIN },
	{ "OCI_MCP_PORT", PLAIN },
	{ "OCI_MCP_LOG_LEVEL", PLAIN },
	{ "ALLOW_MUTATIONS", PLAIN },
	{ "COMPARTMENT_OCID", PLAIN },
	{ "LA_NAMESPACE", PLAIN },
	{ "MCP_CACHE_BACKEND", PLAIN },
	{ "MCP_REDIS_URL", SECRET },
	{ "REDIS_URL", SECRET },
	{ "MCP_CACHE_TTL", PLAIN },
	{ "MCP_CACHE_TTL_STATIC", PLAIN },
	{ "MCP_CACHE_TTL_CONFIG", PLAIN },
	{ "MCP_CACHE_TTL_OPERATIONAL", PLAIN },
	{ "MCP_CACHE_TTL_METRICS", PLAIN },
	{ "MCP_CACHE_TTL_REALTIME", PLAIN },
	{ "MCP_CACHE_TTL_COMPUTE", PLAIN },
	{ "MCP_CACHE_TTL_NETWORKING", PLAIN },
	{ "ATP_CONNECTION_STRING", SECRET },
	{ "ATP_USER", PLAIN },
	{ "ATP_PASSWORD", SECRET },
	{ "ATP_WALLET_LOCATION", PLAIN },
	{ "ATP_WALLET_DIR", PLAIN },
	{ "ATP_WALLET_PASSWORD", SECRET },
	{ "AGENT_ID", PLAIN },
	{ "OCI_APM_ENDPOINT", PLAIN },
	{ "OCI_APM_PRIVATE_DATA_KEY", SECRET },
	{ "OCI_APM_DOMAIN_ID", PLAIN },
	{ "OTEL_SDK_DISABLED", PLAIN },
	{ "ENVIRONMENT", PLAIN },
	{ "OCI_LOGGING_ENABLED", PLAIN },
	{ "OCI_LOGGING_LOG_ID", PLAIN },
	{ "OCI_LOGGING_COMPARTMENT_ID", PLAIN },
	{ "OCI_LOGAN_NAMESPACE", PLAIN },
	{ "OCI_LOGAN_LOG_GROUP_ID", PLAIN },
	{ "OCI_LOGAN_SOURCE_NAME", PLAIN },
	{ "OCI_LOGAN_ENTITY_ID", PLAIN },
	{ "HOME", PLAIN },
};

/* Where credentials are by convention; "~/" is the home directory. */
static const char *const conventional[] = {
	"~/.oci",
	"~/.oraclebmc",
	"/var/run/secrets/kubernetes.io/serviceaccount",
	"/run/secrets/kubernetes.io/serviceaccount",
	"/var/oci",
};

/* A value in memory, or the place of a secret in the file. */
struct value {
	char *text; /* ours; NULL: unset, or a secret */
	size_t at, len;
	bool secret;
	bool set;
};

static struct {
	struct value values[ARRAY_LEN(rows)];
	int fd;    /* of the secrets; 0: none, since 0 is never ours */
	char *map; /* of the file, once opened */
	size_t size;
} the;

/* --- taking ----------------------------------------------------------------
 */

/* The value if entry is "NAME=value", else NULL. */
static char *value_in(char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=' ? entry + n + 1
	                                                       : NULL;
}

static int write_all(int fd, const char *at, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0)
			return os_error();
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

/* With its NUL, so that who reads it has a C string. */
static int put_secret(struct value *v, const char *text, size_t len)
{
	int err;

	if (the.fd == 0) {
		int fd = memfd_create("secrets",
		                      MFD_CLOEXEC | MFD_ALLOW_SEALING);

		if (fd < 0)
			return os_error();
		the.fd = fd;
	}
	err = write_all(the.fd, text, len + 1);
	if (err < 0)
		return err;
	v->at = the.size;
	v->len = len;
	the.size += len + 1;
	return 0;
}

static int put(struct value *v, const char *text, size_t len)
{
	if (len > ENVIRONMENT_VALUE_MAX)
		return -E2BIG;
	v->set = len > 0;
	if (!v->set)
		return 0;
	if (v->secret)
		return put_secret(v, text, len);
	v->text = strdup(text);
	v->len = len;
	return v->text ? 0 : -ENOMEM;
}

/*
 * A name may stand in the environment more than once: the first counts, as with
 * getenv(3), and no secret stays.
 */
static int take(const struct row *row, struct value *v)
{
	bool taken = false, scrub = false;
	int err = 0;

	for (char **entry = environ; entry && *entry; entry++) {
		char *text = value_in(*entry, row->name);

		if (!text)
			continue;
		size_t len = strlen(text);
		bool secret = row->kind == SECRET ||
		              (row->kind == SECRET_OR_PATH && *text != '/');
		if (!taken) {
			v->secret = secret;
			err = put(v, text, len);
			taken = true;
		}
		if (secret) {
			crypto_wipe(text, len);
			scrub = true;
		}
	}
	if (scrub)
		unsetenv(row->name);
	return err;
}

static int seal(void)
{
	if (the.fd == 0)
		return 0;
	if (fcntl(the.fd, F_ADD_SEALS,
	          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return os_error();
	return 0;
}

int environment_take(const char **name)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int failed = take(&rows[i], &the.values[i]);

		if (failed < 0 && err == 0) {
			err = failed;
			*name = rows[i].name;
		}
	}
	return err < 0 ? err : seal();
}

/* --- who may read ----------------------------------------------------------
 */

int environment_open_secrets(void)
{
	void *at;

	if (the.map || the.fd == 0)
		return 0;
	/* Shared, a sealed file could not be mapped before Linux 6.7. */
	at = mmap(NULL, the.size, PROT_READ, MAP_PRIVATE, the.fd, 0);
	if (at == MAP_FAILED)
		return os_error();
	the.map = at;
	/* Best effort: RLIMIT_MEMLOCK may not allow it. */
	int err = crypto_lock_memory(the.map, the.size);
	(void)err;
	return 0;
}

void environment_forget(void)
{
	if (the.map)
		munmap(the.map, the.size);
	if (the.fd > 0)
		close(the.fd);
	the.map = NULL;
	the.fd = 0;
}

void environment_reset(void)
{
	environment_forget();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		free(the.values[i].text);
	memset(&the, 0, sizeof(the));
}

/* --- asking ----------------------------------------------------------------
 */

static const struct value *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &the.values[i];
	assert(false); /* a variable that is not in the table */
	return NULL;
}

static struct span read_value(const struct value *v)
{
	if (!v->set || (v->secret && !the.map))
		return (struct span){ 0 };
	return span_of(v->secret ? the.map + v->at : v->text, v->len);
}

struct span environment_get(const char *name)
{
	return read_value(find(name));
}

bool environment_is_set(const char *name)
{
	return find(name)->set;
}

struct span environment_first(const char *const names[])
{
	for (size_t i = 0; names[i]; i++)
		if (environment_is_set(names[i]))
			return environment_get(names[i]);
	return (struct span){ 0 };
}

struct span environment_resource(const char *rest, bool leaf)
{
	char name[128];
	int n = snprintf(name, sizeof(name), "%s%s%s", RESOURCE_HEAD, rest,
	                 leaf ? LEAF_TAIL : "");

	assert(n > 0 && (size_t)n < sizeof(name));
	(void)n;
	return environment_get(name);
}

struct span environment_home(void)
{
	return environment_get("HOME");
}

void environment_directory(struct span path,
                           void (*fn)(void *owner, const char *path),
                           void *owner)
{
	char directory[4096];
	size_t n = path.len;

	while (n > 1 && path.at[n - 1] != '/')
		n--;
	while (n > 1 && path.at[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof(directory))
		return;
	memcpy(directory, path.at, n);
	directory[n] = '\0';
	/* The whole tree would be too much: then this one file only. */
	fn(owner, n == 1 ? path.at : directory);
}

static void tell_conventional(void (*fn)(void *, const char *), void *owner,
                              const char *path)
{
	char whole[4096];
	struct span home = environment_home();

	if (*path != '~') {
		fn(owner, path);
		return;
	}
	int n = snprintf(whole, sizeof(whole), "%.*s%s", SPAN_ARG(home),
	                 path + 1);
	if (home.len && n > 0 && (size_t)n < sizeof(whole))
		fn(owner, whole);
}

void environment_paths(void (*fn)(void *owner, const char *path), void *owner)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct value *v = &the.values[i];

		if (v->set && !v->secret && *v->text == '/' &&
		    (rows[i].kind == PATH || rows[i].kind == SECRET_OR_PATH))
			environment_directory(read_value(v), fn, owner);
	}
	for (size_t i = 0; i < ARRAY_LEN(conventional); i++)
		tell_conventional(fn, owner, conventional[i]);
}

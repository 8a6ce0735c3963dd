#include "master/config.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/keys.h"
#include "oci/pack.h"

static struct config_report report;
static struct options opt;

/* Parse a text that must be good. */
static struct config *good(const char *text)
{
	struct config *config;

	if (!opt.program)
		options_init(&opt, &program_gateway);
	cr_assert(config_parse(span_str(text), "t", &opt, &config, &report) ==
	                  0,
	          "%s\n%s", text, config_report_first(&report));
	return config;
}

/* A directory of its own for each test, which criterion runs in a process. */
static const char *directory(void)
{
	static char name[] = "/tmp/test_config.XXXXXX";
	static bool is_made;

	if (!is_made)
		cr_assert(mkdtemp(name) && chdir(name) == 0);
	is_made = true;
	return name;
}

static void put(const char *name, const char *content, mode_t mode)
{
	FILE *file;

	directory();
	file = fopen(name, "w");
	cr_assert(file && fputs(content, file) >= 0 && fclose(file) == 0);
	cr_assert(chmod(name, mode) == 0);
}

static struct config *load(void)
{
	struct config *config = NULL;

	cr_assert(config_load(&opt, &config, &report) == 0, "%s",
	          config_report_first(&report));
	return config;
}

static bool reported(const char *text)
{
	for (size_t i = 0; i < report.len; i++)
		if (strstr(report.problems[i].text, text))
			return true;
	return false;
}

static void setup(void)
{
	clearenv();
	options_init(&opt, &program_gateway);
}

static void clean(void)
{
	static char command[64];

	snprintf(command, sizeof command, "rm -rf %s", directory());
	cr_assert(chdir("/") == 0 && system(command) == 0);
}

TestSuite(config, .init = setup);
TestSuite(config_files, .init = setup, .fini = clean);

Test(config, defaults_of_the_table)
{
	struct config *config = good("{}");

#define SETTING(name, path, type, unit, initial, min, max, reload, help) \
	cr_assert(config->settings.name == (initial), path);             \
	cr_assert((min) <= (initial) && (initial) <= (max), path);
#include "shm/settings.def"
#undef SETTING
	cr_assert_str_eq(config->name, "oci-mcp-gateway");
	cr_assert_str_eq(config->version, "1.0.0");
	cr_assert_str_eq(config->host, "0.0.0.0");
	cr_assert_str_eq(config->path, "/mcp");
	cr_assert(config->log_level == LOG_INFO);
	cr_assert(config->jwt_algorithms == KEY_ALG_BIT(KEY_RS256));
	cr_assert(config->n_backends == 0 && config->public_url == NULL);
	cr_assert(report.errors == 0 && report.warnings == 1);
	cr_assert(reported("neither a key nor a static token"));
	config_free(config);
	config_free(NULL);
}

Test(config, defaults_of_the_server)
{
	struct config *config;

	options_init(&opt, &program_server);
	config = good("{}");
	cr_assert_str_eq(config->name, "oci-mcp");
	cr_assert(config->settings.port == 8000);
	cr_assert(!config->settings.auth_enabled && report.warnings == 0);
	config_free(config);
}

Test(config, values_are_read)
{
	struct config *config = good(
		"{\"port\": 1, \"workers\": 256, \"stateless\": true,\n"
		"\"limits\": {\"header_timeout\": 0.25, \"body_bytes\": "
		"1024},\n"
		"\"shutdown_grace\": 1.0005, \"log_level\": \"warning\",\n"
		"\"log_format\": \"text\", \"tls\": {\"min_version\": "
		"\"1.3\"},\n"
		"\"host\": \"localhost\", \"path\": \"/a/b\", \"name\": "
		"\"x\",\n\"public_url\": null, \"user\": \"nobody\",\n"
		"\"trusted_proxies\": \"10.0.0.0/8\",\n"
		"\"allowed_hosts\": [\"mcp.example.com\", \"[::1]:9000\"],\n"
		"\"auth\": {\"enabled\": false, \"jwt_issuer\": \"i\",\n"
		"\"jwt_audience\": [\"a\", \"b\"], \"jwt_algorithms\":\n"
		"[\"ES256\", \"EdDSA\"], \"required_scopes\": [\"r:t\"],\n"
		"\"cors_origins\": [\"*\", \"https://a.example:8443\"],\n"
		"\"authorization_servers\": [\"https://as.example/x\"],\n"
		"\"tool_scopes\": {\"oci_*\": [\"s\", \"t\"], \"x\": "
		"\"u\"}}}");

	cr_assert(config->settings.port == 1);
	cr_assert(config->settings.workers == 256);
	cr_assert(config->settings.stateless == 1);
	cr_assert(config->settings.limits_header_timeout == 250);
	cr_assert(config->settings.limits_body_bytes == 1024);
	cr_assert(config->settings.shutdown_grace == 1001);
	cr_assert(config->log_level == LOG_WARNING);
	cr_assert(config->log_format == LOG_TEXT);
	cr_assert(config->tls_min_version == CONFIG_TLS_1_3);
	cr_assert_str_eq(config->host, "127.0.0.1");
	cr_assert_str_eq(config->path, "/a/b");
	cr_assert(config->trusted_proxies.len == 1);
	cr_assert(config->allowed_hosts.len == 2);
	cr_assert_str_eq(config->allowed_hosts.items[1], "[::1]:9000");
	cr_assert(config->settings.auth_enabled == 0);
	cr_assert_str_eq(config->jwt_issuer, "i");
	cr_assert_str_eq(config->jwt_audience.items[1], "b");
	cr_assert(config->jwt_algorithms ==
	          (KEY_ALG_BIT(KEY_ES256) | KEY_ALG_BIT(KEY_EDDSA)));
	cr_assert(config->n_tool_scopes == 2);
	cr_assert_str_eq(config->tool_scopes[0].tool, "oci_*");
	cr_assert(config->tool_scopes[0].scopes.len == 2);
	cr_assert_str_eq(config->tool_scopes[1].scopes.items[0], "u");
	cr_assert(report.warnings == 0);
	config_free(config);
}

/* Each must be refused with exactly this line as the first error. */
static const struct {
	const char *text, *error;
} wrong[] = {
	{ "", "t:1:1: " },
	{ "[]", "t:1:1: a configuration must be an object, not an array" },
	{ "{\"port\": 1,}", "t:1:12: " },
	{ "{\n \"prot\": 1\n}",
	  "t:2:2: unknown key \"prot\"; did you mean \"port\"?" },
	{ "{\"limits\": {\"head_byte\": 1}}",
	  "t:1:13: unknown key \"head_byte\"; did you mean \"head_bytes\"?" },
	{ "{\"limit\": {}}",
	  "t:1:2: unknown key \"limit\"; did you mean \"limits\"?" },
	{ "{\"head_bytes\": 1}", "t:1:2: unknown key \"head_bytes\"" },
	{ "{\"limits.head_bytes\": 2048}",
	  "t:1:2: unknown key \"limits.head_bytes\"" },
	{ "{\"Port\": 1}",
	  "t:1:2: unknown key \"Port\"; did you mean \"port\"?" },
	{ "{\"zzzzzzz\": 1}", "t:1:2: unknown key \"zzzzzzz\"" },
	{ "{\"a\\nb\": 1}", "t:1:2: unknown key \"a?b\"" },
	{ "{\"port\": 1, \"port\": 2}",
	  "t:1:13: this key stands twice in its object" },
	{ "{\"port\": \"9000\"}", "t:1:10: \"port\" must be a whole number "
	                          "from 1 to 65535, not a string" },
	{ "{\"port\": 0}",
	  "t:1:10: \"port\" must be a whole number from 1 to 65535, not 0" },
	{ "{\"port\": 9000.5}", "t:1:10: \"port\" must be a whole number from "
	                        "1 to 65535, not 9000.5" },
	{ "{\"port\": null}", "t:1:10: \"port\" must be a whole number from 1 "
	                      "to 65535, not null" },
	{ "{\"limits\": {\"head_bytes\": 1}}",
	  "t:1:27: \"limits.head_bytes\" must be a whole number of bytes from "
	  "1024 to 65536, not 1" },
	{ "{\"shutdown_grace\": -1}",
	  "t:1:20: \"shutdown_grace\" must be a number of seconds from 0 to "
	  "3600, not -1" },
	{ "{\"shutdown_grace\": 1e300}", "t:1:20: " },
	{ "{\"limits\": {\"idle_timeout\": 0.0001}}",
	  "t:1:29: \"limits.idle_timeout\" must be a number of seconds from "
	  "0.1 to 3600, not 0.0001" },
	{ "{\"stateless\": 1}",
	  "t:1:15: \"stateless\" must be true or false, not 1" },
	{ "{\"limits\": []}",
	  "t:1:12: \"limits\" must be an object, not an array" },
	{ "{\"name\": 7}", "t:1:10: \"name\" must be a string, not 7" },
	{ "{\"name\": \"\"}", "t:1:10: \"name\": must not be empty" },
	{ "{\"log_level\": \"loud\"}",
	  "t:1:15: \"log_level\" must be one of \"DEBUG\", \"INFO\", "
	  "\"WARNING\", \"ERROR\"" },
	{ "{\"log_level\": {}}",
	  "t:1:15: \"log_level\" must be one of \"DEBUG\", \"INFO\", "
	  "\"WARNING\", \"ERROR\", not an object" },
	{ "{\"path\": \"mcp\"}", "t:1:10: \"path\": must begin with '/'" },
	{ "{\"path\": \"/mcp/\"}", "t:1:10: \"path\": must not end with '/'" },
	{ "{\"path\": \"/m?\"}", "t:1:10: \"path\": must be a plain path" },
	{ "{\"host\": \"example.com\"}",
	  "t:1:10: \"host\": must be an IPv4 or IPv6 address" },
	{ "{\"public_url\": \"ftp://a/\"}",
	  "t:1:16: \"public_url\": a URL begins with http:// or https://" },
	{ "{\"trusted_proxies\": [\"10.0.0.0/8\", \"10.0.0.1/8\"]}",
	  "t:1:36: \"trusted_proxies\": must be an address or a network" },
	{ "{\"trusted_proxies\": [1]}", "t:1:22: \"trusted_proxies\" must be a "
	                                "string or an array of strings, "
	                                "not a number" },
	{ "{\"allowed_hosts\": \"http://x\"}",
	  "t:1:19: \"allowed_hosts\": must be \"*\", a host or host:port" },
	{ "{\"auth\": {\"cors_origins\": [\"https://a/x\"]}}",
	  "t:1:28: \"auth.cors_origins\": must be \"*\" or an origin" },
	{ "{\"auth\": {\"jwt_algorithms\": [\"none\"]}}",
	  "t:1:30: \"auth.jwt_algorithms\": must be RS256, " },
	{ "{\"auth\": {\"jwt_algorithms\": [\"HS256\"]}}", "t:1:30: " },
	{ "{\"auth\": {\"jwt_algorithms\": []}}",
	  "t:1:29: \"auth.jwt_algorithms\" must not be empty" },
	{ "{\"auth\": {\"required_scopes\": [\"a b\"]}}",
	  "t:1:31: \"auth.required_scopes\": must be a scope" },
	{ "{\"auth\": {\"tool_scopes\": {\"a b\": []}}}",
	  "t:1:27: this is not the name of a tool" },
	{ "{\"auth\": {\"tool_scopes\": []}}",
	  "t:1:26: \"auth.tool_scopes\" must be an object, not an array" },
	{ "{\"proxy_protocol\": true}",
	  "t:1:20: \"proxy_protocol\" needs \"trusted_proxies\"" },
	{ "{\"tls\": {\"cert\": \"/c\"}}",
	  "t:1:18: TLS needs both \"tls.cert\" and \"tls.key\"" },
	{ "{\"auth\": {\"static_tokens\": \"x\"}}",
	  "t:1:28: \"auth.static_tokens\" must be an object or an array, not a "
	  "string" },
	{ "{\"auth\": {\"static_tokens\": {\"bad token\": "
	  "{\"client_id\": \"c\"}}}}",
	  "t:1:29: a token is letters, digits and -._~+/=" },
	{ "{\"auth\": {\"static_tokens\": [{\"token\": \"sha256:12\", "
	  "\"client_id\": \"c\"}]}}",
	  "t:1:39: a token is letters, digits and -._~+/=" },
	{ "{\"auth\": {\"static_tokens\": {\"good\": {}}}}",
	  "t:1:37: a static token needs \"client_id\"" },
	{ "{\"auth\": {\"static_tokens\": [{\"client_id\": \"c\"}]}}",
	  "t:1:29: a static token needs \"token\"" },
	{ "{\"auth\": {\"static_tokens\": {\"good\": {\"scope\": []}}}}",
	  "t:1:38: unknown key \"scope\"; did you mean \"scopes\"?" },
	{ "{\"auth\": {\"static_tokens\": {\"good\": {\"token\": \"x\"}}}}",
	  "t:1:38: unknown key \"token\"" },
	{ "{\"auth\": {\"static_tokens\": {\"good\": 1}}}",
	  "t:1:37: a static token must be an object, not a number" },
	{ "{\"auth\": {\"static_tokens\": {\"secret-word\": {}, "
	  "\"secret-word\": {}}}}",
	  "t:1:48: this key stands twice in its object" },
	{ "{\"backends\": {}}",
	  "t:1:14: \"backends\" must be an array, not an object" },
	{ "{\"backends\": [1]}",
	  "t:1:15: a backend must be an object, not a number" },
	{ "{\"backends\": [{}]}", "t:1:15: the transport \"stdio\" comes in a "
	                          "later release" },
	{ "{\"backends\": [{\"enabled\": false}]}",
	  "t:1:15: a backend needs \"name\"" },
	{ "{\"backends\": [{\"name\": \"a b\", \"url\": \"http://h\"}]}",
	  "t:1:24: \"name\": must be 1 to 64 letters" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"/mcp\"}]}",
	  "t:1:36: \"url\": a URL begins with" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": "
	  "\"http://u:secret@h/\"}]}",
	  "t:1:36: \"url\": a URL must not have a user name or password" },
	{ "{\"backends\": [{\"name\": \"a\", \"transport\": \"stdio\", "
	  "\"command\": \"x\"}]}",
	  "t:1:42: the transport \"stdio\" comes in a later release; serve "
	  "this backend over HTTP and give its \"url\", or set \"enabled\" to "
	  "false" },
	{ "{\"backends\": [{\"name\": \"a\", \"transport\": \"in_process\", "
	  "\"auth_method\": \"api_key\"}]}",
	  "t:1:71: the tools of Oracle Cloud sign their requests: " },
	{ "{\"backends\": [{\"name\": \"a\", \"transport\": \"in_process\", "
	  "\"url\": \"http://h\"}]}",
	  "t:1:56: \"url\" is for the transport \"streamable_http\"" },
	{ "{\"oci\": {\"compartment_id\": \"ocid1.vcn.oc1..a\"}}",
	  "t:1:28: \"oci.compartment_id\": must be the OCID of a compartment "
	  "or a tenancy" },
	{ "{\"oci\": {\"endpoint\": \"ftp://x\"}}",
	  "t:1:22: \"oci.endpoint\": a URL begins with" },
	{ "{\"backends\": [{\"name\": \"a\", \"transport\": "
	  "\"streamable_http\"}]}",
	  "t:1:15: the transport \"streamable_http\" needs \"url\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"transport\": \"http\"}]}",
	  "t:1:42: \"transport\" must be one of \"stdio\", "
	  "\"streamable_http\", \"in_process\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"command\": \"c\"}]}",
	  "t:1:48: \"command\" is for the transport \"stdio\", but that of "
	  "this backend is \"streamable_http\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"module\": \"c\"}]}",
	  "t:1:48: \"module\" is for the transport \"in_process\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"auth_method\": \"oci_config\"}]}",
	  "t:1:63: requests to other MCP servers are not signed "
	  "(\"oci_config\"); set" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"auth_method\": \"bearer_token\"}]}",
	  "t:1:63: \"auth_method\" \"bearer_token\" needs \"bearer_token\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"auth_method\": \"none\", \"bearer_token\": \"b\"}]}",
	  "t:1:87: \"bearer_token\" is not used with this \"auth_method\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"auth_method\": \"api_key\"}]}",
	  "t:1:63: \"auth_method\" \"api_key\" needs \"api_key\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"Host\": \"x\"}}]}",
	  "t:1:60: the header field \"Host\" cannot be set: it is made from "
	  "\"url\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"AUTHORIZATION\": \"x\"}}]}",
	  "t:1:60: the header field \"AUTHORIZATION\" cannot be set: use "
	  "\"bearer_token\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"X-A\": \"x\\r\\nB: c\"}}]}",
	  "t:1:67: the secret of \"headers\" has a byte that is not printable "
	  "ASCII" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"X:A\": \"x\"}}]}",
	  "t:1:60: the header field \"X:A\" cannot be set: " },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"X-A\": \"x\", \"x-a\": \"y\"}}]}",
	  "t:1:72: the header field \"x-a\" cannot be set: it stands here "
	  "twice" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"headers\": {\"X-A\": 1}}]}",
	  "t:1:67: \"headers\" must be a string or a reference, not a "
	  "number" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"api_key\": \"k\", \"api_key_header\": \"Cookie \"}]}",
	  "t:1:82: \"api_key_header\": this is not the name" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"bearer_token\": {\"path\": \"/x\"}}]}",
	  "t:1:64: a reference is {\"file\": PATH}, {\"env\": NAME} or "
	  "{\"credential\": NAME}" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"bearer_token\": {\"file\": \"/x\", \"env\": \"y\"}}]}",
	  "t:1:64: a reference is" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"bearer_token\": \"\"}]}",
	  "t:1:64: the secret of \"bearer_token\" is empty" },
	{ "{\"backends\": [{\"name\": \"a-b\", \"url\": \"http://h\"},\n"
	  "{\"name\": \"a.b\", \"url\": \"http://h\"}]}",
	  "t:2:10: the names \"a-b\" and \"a.b\" both become \"a_b\"" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"required_scopes\": [\"\"]}]}",
	  "t:1:68: \"required_scopes\": must not be empty" },
	{ "{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	  "\"conect_timeout\": 1}]}",
	  "t:1:48: unknown key \"conect_timeout\"; did you mean "
	  "\"connect_timeout\"?" },
};

Test(config, refuses_with_the_place)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct config *config;
		const char *first;
		int err = config_parse(span_str(wrong[i].text), "t", &opt,
		                       &config, &report);

		first = config_report_first(&report);
		cr_expect(err == -EINVAL && config == NULL, "%s",
		          wrong[i].text);
		cr_expect(strncmp(first, wrong[i].error,
		                  strlen(wrong[i].error)) == 0,
		          "%s\ngave     %s\nexpected %s", wrong[i].text, first,
		          wrong[i].error);
		cr_expect(!strstr(first, "secret-word") &&
		          !strstr(first, "u:secret"));
	}
}

Test(config, reports_more_than_one)
{
	struct config *config;

	cr_assert(config_parse(SPAN("{\"a\": 1, \"port\": 0,\n\"backends\": "
	                            "[{\"x\": 1}, 2]}"),
	                       "t", &opt, &config, &report) == -EINVAL);
	cr_assert(report.errors == 6, "%zu", report.errors);
	cr_assert(reported("t:1:2: unknown key \"a\""));
	cr_assert(reported("t:1:18: \"port\""));
	cr_assert(reported("t:2:15: unknown key \"x\""));
	cr_assert(reported("t:2:14: a backend needs \"name\""));
	cr_assert(reported("t:2:24: a backend must be an object"));
}

Test(config, too_many_problems_are_counted)
{
	static char text[8192] = "{";
	struct config *config;

	for (int i = 0; i < 100; i++)
		sprintf(text + strlen(text), "%s\"q%d\": 1", i ? "," : "", i);
	strcat(text, "}");
	cr_assert(config_parse(span_str(text), "t", &opt, &config, &report) ==
	          -EINVAL);
	cr_assert(report.errors == 100 && report.len == CONFIG_PROBLEMS);
}

Test(config, a_backend_of_the_contract)
{
	struct config *config = good(
		"{\"backends\": [{\"name\": \"oci.data-science\", "
		"\"description\": \"d\",\n\"transport\": \"streamable_http\","
		"\"url\": \"https://[::1]:8443/mcp?a=b\",\n"
		"\"auth_method\": \"none\", \"tags\": [\"oci\", \"x\"],\n"
		"\"namespace_tools\": false, \"health_check_interval\": 0,\n"
		"\"connect_timeout\": 2.5, \"request_timeout\": 60.0,\n"
		"\"headers\": {\"X-One\": \"1\", \"X-Two\": {\"env\": "
		"\"E\"}},\n\"protocol\": \"legacy\", \"max_connections\": 3,\n"
		"\"required_scopes\": \"a\", \"tls_ca_file\": \"/ca\",\n"
		"\"idle_timeout\": 1, \"stream_idle_timeout\": 2,\n"
		"\"oci_region\": \"r\"}]}");
	const struct config_backend *b = &config->backends[0];

	cr_assert(config->n_backends == 1);
	cr_assert_str_eq(b->name, "oci.data-science");
	cr_assert_str_eq(b->identifier, "oci_data_science");
	cr_assert_str_eq(b->description, "d");
	cr_assert(b->enabled && b->transport == CONFIG_STREAMABLE_HTTP);
	cr_assert_str_eq(b->host, "::1");
	cr_assert_str_eq(b->target, "/mcp?a=b");
	cr_assert(b->https && b->port == 8443);
	cr_assert(!b->namespace_tools && b->health_check_interval_ms == 0);
	cr_assert(b->connect_timeout_ms == 2500);
	cr_assert(b->request_timeout_ms == 60000);
	cr_assert(b->idle_timeout_ms == 1000);
	cr_assert(b->stream_idle_timeout_ms == 2000);
	cr_assert(b->max_connections == 3 && b->protocol == CONFIG_LEGACY);
	cr_assert(b->n_headers == 2);
	cr_assert_str_eq(b->headers[0].name, "X-One");
	cr_assert_str_eq(b->headers[0].value, "1");
	cr_assert(b->tags.len == 2 && b->required_scopes.len == 1);
	cr_assert_str_eq(b->file, "t");
	cr_assert(b->line == 1 && b->column == 15);
	config_free(config);
}

Test(config, defaults_of_a_backend)
{
	struct config *config =
		good("{\"backends\": [{\"name\": \"a\", \"url\": "
	             "\"http://127.0.0.1\"}]}");
	const struct config_backend *b = &config->backends[0];

	cr_assert(b->enabled && b->transport == CONFIG_STREAMABLE_HTTP);
	cr_assert(b->auth_method == CONFIG_AUTH_NONE && b->namespace_tools);
	cr_assert_str_eq(b->target, "/");
	cr_assert_str_eq(b->description, "");
	cr_assert_str_eq(b->api_key_header, "X-API-Key");
	cr_assert(b->port == 80 && !b->https && b->protocol == CONFIG_AUTO);
	cr_assert(b->health_check_interval_ms == 30000);
	cr_assert(b->connect_timeout_ms == 10000);
	cr_assert(b->request_timeout_ms == 60000);
	cr_assert(b->idle_timeout_ms == 60000);
	cr_assert(b->stream_idle_timeout_ms == 300000);
	cr_assert(b->max_connections == 256);
	config_free(config);
}

Test(config, auth_method_follows_the_secret)
{
	struct config *config =
		good("{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
	             "\"bearer_token\": \"t\"}, {\"name\": \"b\", \"url\": "
	             "\"https://h\", \"api_key\": \"k\"}]}");

	cr_assert(config->backends[0].auth_method == CONFIG_AUTH_BEARER_TOKEN);
	cr_assert(config->backends[1].auth_method == CONFIG_AUTH_API_KEY);
	cr_assert(reported("t:1:36: the secret of backend \"a\" is sent "
	                   "without TLS"));
	cr_assert(!reported("backend \"b\""));
	config_free(config);
}

Test(config, what_comes_later_may_wait_disabled)
{
	struct config *config = good(
		"{\"backends\": [\n"
		"{\"name\": \"a\", \"enabled\": false, \"command\": \"x\", "
		"\"args\": [\"y\"], \"env\": {\"K\": \"v\"}, \"cwd\": \"/\"},\n"
		"{\"name\": \"b\", \"enabled\": false, \"transport\": "
		"\"in_process\", \"module\": \"m\", \"server_attr\": \"s\"},\n"
		"{\"name\": \"c\", \"enabled\": false, \"url\": \"https://h\", "
		"\"auth_method\": \"resource_principal\"},\n"
		"{\"name\": \"d\", \"enabled\": false, \"venv\": \"/v\", "
		"\"pythonpath\": [\"p\"], \"pip_packages\": [\"q\"]},\n"
		"{\"name\": \"e\", \"enabled\": false, \"url\": \"https://h\", "
		"\"bearer_token\": {\"file\": \"/does/not/exist\"}}]}");

	cr_assert(config->n_backends == 5);
	cr_assert(config->backends[0].transport == CONFIG_STDIO);
	cr_assert_str_eq(config->backends[0].env[0].value, "v");
	cr_assert(config->backends[2].auth_method ==
	          CONFIG_AUTH_RESOURCE_PRINCIPAL);
	config_free(config);
}

Test(config, empty_keys_of_other_transports_are_nothing)
{
	struct config *config = good(
		"{\"backends\": [{\"name\": \"a\", \"url\": \"http://h\", "
		"\"command\": null, \"args\": [], \"env\": {}, \"module\": "
		"null, \"bearer_token\": null}]}");

	cr_assert(config->backends[0].auth_method == CONFIG_AUTH_NONE);
	cr_assert(config->backends[0].bearer_token == NULL);
	config_free(config);
}

Test(config, warns_of_an_open_door)
{
	config_free(good("{\"auth\": {\"enabled\": false}}"));
	cr_assert(reported("t: authentication is off: everybody who reaches "
	                   "0.0.0.0 may call every tool"));
	config_free(good("{\"auth\": {\"enabled\": false}, \"host\": "
	                 "\"127.0.0.1\"}"));
	cr_assert(report.warnings == 0);
}

Test(config, the_first_backend_of_a_name_wins)
{
	struct config *config = good(
		"{\"backends\": [{\"name\": \"a\", \"url\": \"http://h/1\"},"
		"\n{\"name\": \"a\", \"url\": \"http://h/2\"}]}");

	cr_assert(config->n_backends == 1);
	cr_assert_str_eq(config->backends[0].target, "/1");
	cr_assert(reported("t:2:10: the backend \"a\" is ignored: t defines "
	                   "it first"));
	config_free(config);
}

Test(config, static_tokens_in_both_forms)
{
	static const char hash[] =
		"sha256:"
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
		"ad";
	char text[512];
	struct config *config;
	uint8_t abc[CRYPTO_HASH_LEN];

	crypto_sha256(SPAN("abc"), abc);
	snprintf(text, sizeof text,
	         "{\"auth\": {\"static_tokens\": {\"%s\": {\"client_id\": "
	         "\"c\", \"scopes\": [\"read:tools\"]}}}}",
	         hash);
	config = good(text);
	cr_assert(config->n_tokens == 1 && report.warnings == 0);
	cr_assert(memcmp(config->tokens[0].hash, abc, sizeof abc) == 0);
	cr_assert_str_eq(config->tokens[0].subject, "c");
	cr_assert_str_eq(config->tokens[0].scopes.items[0], "read:tools");
	config_free(config);

	config = good("{\"auth\": {\"static_tokens\": [{\"token\": \"abc\", "
	              "\"client_id\": \"c\", \"subject\": \"s\"}]}}");
	cr_assert(memcmp(config->tokens[0].hash, abc, sizeof abc) == 0);
	cr_assert_str_eq(config->tokens[0].subject, "s");
	cr_assert(reported("t:1:39: this token is shorter than"));
	config_free(config);
}

Test(config, the_server_has_no_backends)
{
	static const char *const keys[] = { "backends", "backends_dir",
		                            "scan_paths", "include_configs" };
	char text[64], line[128];
	struct config *config;

	options_init(&opt, &program_server);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		snprintf(text, sizeof text, "{\"%s\": []}", keys[i]);
		snprintf(line, sizeof line,
		         "t:1:2: \"%s\" is for oci-mcp-gateway", keys[i]);
		cr_assert(config_parse(span_str(text), "t", &opt, &config,
		                       &report) == -EINVAL);
		cr_assert(reported(line));
	}
}

/* The tools of Oracle Cloud, be they a gateway's or the server's. */
Test(config, packs_come_with_the_first_backend_that_needs_them)
{
	struct config *config = good("{}");

	cr_assert(config->packs == NULL);
	config_free(config);
	config = good("{\"backends\": [{\"name\": \"oci\", \"transport\": "
	              "\"in_process\"}]}");
	cr_assert(config->packs && config->packs->n_tools >= 44);
	cr_assert(config->backends[0].auth_method == CONFIG_AUTH_NONE);
	config_free(config);
	options_init(&opt, &program_server);
	config = good("{}");
	cr_assert(config->n_backends == 1 && config->packs);
	cr_assert(config->backends[0].transport == CONFIG_IN_PROCESS);
	cr_assert(!config->backends[0].namespace_tools);
	config_free(config);
}

Test(config, dump_redacts_every_secret)
{
	struct config *config = good(
		"{\"name\": \"visible\", \"auth\": {\"static_tokens\": "
		"{\"s3cret-one-0123456789\": {\"client_id\": \"me\"}}},\n"
		"\"backends\": [{\"name\": \"a\", \"url\": \"https://h\", "
		"\"bearer_token\": \"s3cret-two\", \"headers\": {\"X-K\": "
		"\"s3cret-three\"}}, {\"name\": \"b\", \"url\": "
		"\"https://h/?key=s3cret-six\", "
		"\"api_key\": \"s3cret-four\"}, {\"name\": \"c\", \"enabled\": "
		"false, \"env\": {\"PASSWORD\": \"s3cret-five\"}}]}");
	struct buf dump = { .max = 1 << 20 }, list = { .max = 1 << 20 };
	struct json_error why;
	struct json *doc;
	struct json_value v;

	config_dump(config, &dump);
	cr_assert(buf_err(&dump) == 0);
	cr_assert(!memmem(dump.bytes, dump.len, "s3cret", 6));
	cr_assert(memmem(dump.bytes, dump.len, "visible", 7));
	cr_assert(json_parse(buf_span(&dump), 0, &doc, &why) == 0);
	v = json_get(json_root(doc), "settings");
	cr_assert(json_count(json_get(v, "backends")) == 3);
	v = json_get(json_get(json_root(doc), "sources"), "name");
	cr_assert_str_eq(json_string(v), "file");
	json_free(doc);

	config_dump_backends(config, &list);
	cr_assert(buf_err(&list) == 0);
	cr_assert(!memmem(list.bytes, list.len, "s3cret", 6));
	cr_assert(json_parse(buf_span(&list), 0, &doc, &why) == 0);
	v = json_first(json_get(json_root(doc), "backends"));
	cr_assert(json_exists(json_get(v, "enabled")));
	cr_assert_str_eq(json_string(json_get(v, "transport")),
	                 "streamable_http");
	cr_assert(!json_exists(json_get(v, "connect_timeout")));
	cr_assert(span_is(json_raw(json_get(json_root(doc), "summary")),
	                  "{\"total\":3,\"enabled\":2,\"disabled\":1,"
	                  "\"by_transport\":{\"stdio\":1,\"streamable_http\":2,"
	                  "\"in_process\":0}}"));
	json_free(doc);
	buf_free(&dump);
	buf_free(&list);
	config_free(config);
}

/* What --dump says under "settings" can be read again. */
Test(config, dump_is_a_configuration)
{
	struct config *config =
		good("{\"shutdown_grace\": 0.125, \"auth\": {\"jwt_audience\": "
	             "[\"x\"]}, \"backends\": [{\"name\": \"a\", \"url\": "
	             "\"https://h\"}]}");
	struct buf dump = { .max = 1 << 20 };
	struct json_error why;
	struct config *again;
	struct json *doc;

	config_dump(config, &dump);
	cr_assert(json_parse(buf_span(&dump), 0, &doc, &why) == 0);
	cr_assert(config_parse(json_raw(json_get(json_root(doc), "settings")),
	                       "t", &opt, &again, &report) == 0,
	          "%s", config_report_first(&report));
	cr_assert(memcmp(&again->settings, &config->settings,
	                 sizeof config->settings) == 0);
	cr_assert(again->settings.shutdown_grace == 125);
	cr_assert(again->n_backends == 1);
	json_free(doc);
	buf_free(&dump);
	config_free(config);
	config_free(again);
}

static void collect(void *ctx, const char *key)
{
	strcat(strcat(ctx, key), " ");
}

Test(config, restart_needed)
{
	struct config *old = good("{}");
	struct config *now =
		good("{\"port\": 1, \"host\": \"::1\", \"workers\": 3, "
	             "\"auth\": {\"token_cache\": 64}, \"log_level\": "
	             "\"DEBUG\", \"user\": \"u\"}");
	char names[256] = "";

	cr_assert(config_restart_needed(old, old, NULL, NULL) == 0);
	cr_assert(config_restart_needed(old, now, collect, names) == 4);
	cr_assert_str_eq(names, "host user port auth.token_cache ");
	config_free(old);
	config_free(now);
}

Test(config_files, sources_in_their_order)
{
	struct config *config;

	put("c.json",
	    "{\"name\": \"f\", \"port\": 1, \"path\": \"/f\", "
	    "\"log_level\": \"ERROR\"}",
	    0600);
	opt.config_file = "c.json";
	setenv("FASTMCP_HOST", "127.0.0.1", 1);
	setenv("MCP_GATEWAY_HOST", "127.0.0.2", 1);
	setenv("MCP_GATEWAY_PORT", "2", 1);
	setenv("MCP_GATEWAY_PATH", "/e", 1);
	setenv("MCP_GATEWAY_LOG_LEVEL", "", 1); /* empty is not set */
	setenv("OCI_MCP_PORT", "7", 1);         /* of the other program */
	setenv("FASTMCP_STATELESS_HTTP", "true", 1);
	opt.port = 3;
	config = load();
	cr_assert_str_eq(config->file, "c.json");
	cr_assert_str_eq(config->name, "f");
	cr_assert_str_eq(config->host, "127.0.0.2");
	cr_assert_str_eq(config->path, "/e");
	cr_assert(config->settings.port == 3);
	cr_assert(config->settings.stateless == 1);
	cr_assert(config->log_level == LOG_ERROR);
	config_free(config);

	opt.path = "/c";
	opt.workers = 0;
	opt.no_auth = true;
	opt.log_level = "debug";
	config = load();
	cr_assert_str_eq(config->path, "/c");
	cr_assert(config->log_level == LOG_DEBUG);
	cr_assert(config->settings.auth_enabled == 0);
	config_free(config);
}

Test(config_files, server_reads_its_own_variables)
{
	struct config *config;

	directory();
	options_init(&opt, &program_server);
	setenv("MCP_GATEWAY_PORT", "2", 1);
	setenv("OCI_MCP_PORT", "8080", 1);
	setenv("OCI_MCP_NAME", "n", 1);
	setenv("OCI_MCP_LOG_LEVEL", "WARNING", 1);
	setenv("OCI_MCP_TRANSPORT", "streamable_http", 1);
	config = load();
	cr_assert(config->settings.port == 8080);
	cr_assert_str_eq(config->name, "n");
	cr_assert(config->log_level == LOG_WARNING);
	config_free(config);

	setenv("OCI_MCP_TRANSPORT", "stdio", 1);
	config_free(load());

	setenv("OCI_MCP_TRANSPORT", "sse", 1);
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("OCI_MCP_TRANSPORT: must be \"stdio\" or "
	                   "\"streamable_http\""));
}

Test(config_files, a_private_server_lets_one_in)
{
	static const struct options_private private = {
		.port = 4711,
		.token = "0123456789abcdef0123456789abcdef0123456789a",
		.runtime_dir = "/tmp/private",
	};
	struct config *config;

	directory();
	options_init(&opt, &program_server);
	setenv("OCI_MCP_PORT", "8080", 1);
	setenv("OCI_MCP_HOST", "0.0.0.0", 1);
	setenv("MCP_GATEWAY_STATIC_TOKEN", "somebody-elses-static-token", 1);
	opt.no_auth = true;
	opt.workers = 8;
	opt.private = &private;
	config = load();
	cr_assert_str_eq(config->host, "127.0.0.1");
	cr_assert_str_eq(config->runtime_dir, "/tmp/private");
	cr_assert(config->settings.port == 4711);
	cr_assert(config->settings.workers == 1);
	cr_assert(config->settings.auth_enabled == 1);
	cr_assert(config->n_tokens == 1 && config->n_jwt_keys == 0);
	cr_assert_str_eq(config->tokens[0].client_id, "stdio");
	config_free(config);
}

Test(config_files, bad_variables_and_flags)
{
	static const struct {
		const char *name, *value, *line;
	} rows[] = {
		{ "MCP_GATEWAY_PORT", "65536",
		  "MCP_GATEWAY_PORT: must be a whole number from 1 to 65535" },
		{ "MCP_GATEWAY_AUTH_ENABLED", "no",
		  "MCP_GATEWAY_AUTH_ENABLED: must be true or false" },
		{ "MCP_GATEWAY_LOG_LEVEL", "x",
		  "MCP_GATEWAY_LOG_LEVEL: must be one of" },
		{ "MCP_GATEWAY_PATH", "x",
		  "MCP_GATEWAY_PATH: must begin with '/'" },
		{ "MCP_GATEWAY_STATIC_TOKEN", "s3cret token",
		  "MCP_GATEWAY_STATIC_TOKEN: a token is letters" },
		{ "MCP_GATEWAY_CONFIG", "/does/not/exist",
		  "/does/not/exist: cannot be read: " },
	};
	struct config *config;

	directory();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setenv(rows[i].name, rows[i].value, 1);
		cr_assert(config_load(&opt, &config, &report) == -EINVAL);
		cr_assert(reported(rows[i].line), "%s",
		          config_report_first(&report));
		cr_assert(!reported("s3cret"));
		unsetenv(rows[i].name);
	}
	opt.host = "nowhere";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("--host: must be an IPv4 or IPv6 address"));
}

Test(config_files, static_token_of_the_environment)
{
	struct config *config;
	uint8_t hash[CRYPTO_HASH_LEN];

	put("c.json",
	    "{\"auth\": {\"static_tokens\": {\"abcdefghijklmnopqr\": "
	    "{\"client_id\": \"c\"}}}}",
	    0600);
	setenv("MCP_GATEWAY_STATIC_TOKEN", "ABCDEFGHIJKLMNOPQR", 1);
	config = load();
	cr_assert(config->n_tokens == 1);
	crypto_sha256(SPAN("ABCDEFGHIJKLMNOPQR"), hash);
	cr_assert(memcmp(config->tokens[0].hash, hash, sizeof hash) == 0);
	cr_assert_str_eq(config->tokens[0].client_id, "env-token");
	cr_assert_str_eq(config->tokens[0].subject, "control-plane");
	cr_assert(config->tokens[0].scopes.len == 2);
	config_free(config);
	opt.config_file = "c.json";
	config = load();
	cr_assert(config->n_tokens == 2);
	config_free(config);
}

/* The variables of the JWT work alone. */
Test(config_files, jwt_of_the_environment)
{
	struct config *config;
	struct key *key;
	struct buf pem = { .max = KEY_PEM_MAX };

	cr_assert(key_generate(KEY_ES256, &key) == 0);
	cr_assert(key_to_pem(key, &pem) == 0);
	buf_putc(&pem, 0);
	put("p.pem", pem.bytes, 0644);
	setenv("MCP_GATEWAY_JWT_PUBLIC_KEY", "p.pem", 1);
	setenv("MCP_GATEWAY_JWT_ISSUER", "https://i", 1);
	setenv("MCP_GATEWAY_JWT_AUDIENCE", "a", 1);
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("MCP_GATEWAY_JWT_PUBLIC_KEY: p.pem is a key of type "
	                   "EC P-256, and none of"));

	put("c.json", "{\"auth\": {\"jwt_algorithms\": \"ES256\"}}", 0600);
	opt.config_file = "c.json";
	config = load();
	cr_assert(config->n_jwt_keys == 1);
	cr_assert(span_is(config->jwt_keys[0].pem, pem.bytes) ||
	          config->jwt_keys[0].pem.len == pem.len - 2);
	cr_assert_str_eq(config->jwt_issuer, "https://i");
	cr_assert_str_eq(config->jwt_audience.items[0], "a");
	config_free(config);

	put("p.pem", "hello", 0644);
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("MCP_GATEWAY_JWT_PUBLIC_KEY: p.pem: "));
	unlink("p.pem");
	config = load();
	cr_assert(config->n_jwt_keys == 0);
	cr_assert(reported("there is no p.pem (yet)"));
	config_free(config);
	key_free(key);
	buf_free(&pem);
}

Test(config_files, secrets_by_reference)
{
	struct config *config;

	put("c.json",
	    "{\"auth\": {\"static_tokens\": [{\"token\": {\"file\": \"tok\"}, "
	    "\"client_id\": \"c\"}]},\n\"backends\": [{\"name\": \"a\", "
	    "\"url\": \"https://h\", \"bearer_token\": {\"credential\": "
	    "\"cred\"}, \"headers\": {\"X-A\": {\"env\": \"HEADER\"}}}]}",
	    0600);
	put("tok", "abcdefghijklmnopqrst\n", 0600);
	put("cred", "from-credential", 0400);
	opt.config_file = "c.json";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("c.json:2:79: no systemd credentials here"), "%s",
	          config_report_first(&report));
	cr_assert(reported("the variable HEADER is not set"));

	setenv("CREDENTIALS_DIRECTORY", directory(), 1);
	setenv("HEADER", "from-env", 1);
	config = load();
	cr_assert_str_eq(config->backends[0].bearer_token, "from-credential");
	cr_assert_str_eq(config->backends[0].headers[0].value, "from-env");
	cr_assert(config->n_tokens == 1 && report.warnings == 0);
	config_free(config);

	cr_assert(chmod("tok", 0644) == 0);
	config = load();
	cr_assert(reported("c.json:1:48: every user of this machine may read "
	                   "the secret in tok"),
	          "%s", config_report_first(&report));
	config_free(config);

	unlink("tok");
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("c.json:1:48: cannot read tok: "));
	put("tok", "two\nlines", 0600);
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("has a byte that is not printable ASCII"));
}

Test(config_files, env_file)
{
	struct config *config;

	put("env",
	    "# comment\n\nexport MCP_GATEWAY_PORT=4000\r\n"
	    "MCP_GATEWAY_NAME = \"quoted name\"\nMCP_GATEWAY_PATH='/x'\n",
	    0600);
	put(".env", "MCP_GATEWAY_HOST=127.0.0.9\n", 0600);
	opt.env_file = "env";
	setenv("MCP_GATEWAY_PATH", "/set", 1);
	config = load();
	cr_assert(config->settings.port == 4000);
	cr_assert_str_eq(config->name, "quoted name");
	cr_assert_str_eq(config->path, "/set");
	cr_assert_str_eq(config->host, "0.0.0.0"); /* no .env is read */
	config_free(config);

	put("env", "A=1\nnonsense\n", 0600);
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("env:2:1: this is not NAME=VALUE"));
	opt.env_file = "missing";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("missing: cannot be read"));
}

Test(config_files, backends_from_everywhere)
{
	struct config *config;

	directory();
	cr_assert(mkdir("d", 0700) == 0 && mkdir("s", 0700) == 0 &&
	          mkdir("s/one", 0700) == 0 && mkdir("s/.hidden", 0700) == 0);
	put("c.json",
	    "{\"include_configs\": [\"i.json\"], \"backends_dir\": \"d\", "
	    "\"scan_paths\": [\"s\"], \"backends\": [{\"name\": \"main\", "
	    "\"url\": \"http://h/main\"}]}",
	    0600);
	put("i.json",
	    "{\"port\": 1, \"backends\": [{\"name\": \"inc\", \"url\": "
	    "\"http://h/\"}, {\"name\": \"main\", \"url\": \"http://h/2\"}]}",
	    0600);
	put("d/20.json", "{\"name\": \"dir-b\", \"url\": \"http://h/\"}", 0600);
	put("d/10.json",
	    "[{\"name\": \"dir-a\", \"url\": \"http://h/\"}] // note", 0600);
	put("d/30.json",
	    "{\"backends\": [{\"name\": \"dir-c\", \"url\": "
	    "\"http://h/\"}, {\"name\": \"dir-d\"}]}",
	    0600);
	put("d/.40.json", "nonsense", 0600);
	put("d/notes.txt", "nonsense", 0600);
	put("s/.mcp.json",
	    "{\"mcpServers\": {\".web site\": {\"type\": \"http\", \"url\": "
	    "\"https://x/mcp\", \"headers\": {\"Authorization\": \"Bearer "
	    "tok\", \"X-B\": \"b\"}}, \"local\": {\"command\": \"python\", "
	    "\"args\": [\"-m\", \"s\"], \"env\": {\"OCI_PROFILE\": "
	    "\"P\"}}}}",
	    0600);
	put("s/one/mcp.json",
	    "{\"mcpServers\": {\"deep\": {\"url\": "
	    "\"http://y\"}}}",
	    0600);
	put("s/.hidden/mcp.json",
	    "{\"mcpServers\": {\"no\": {\"url\": "
	    "\"http://y\"}}}",
	    0600);
	opt.config_file = "c.json";
	config = load();

	static const struct {
		const char *name;
		enum config_source source;
		bool enabled;
	} rows[] = {
		{ "main", CONFIG_FROM_FILE, true },
		{ "inc", CONFIG_FROM_INCLUDE, true },
		{ "dir-a", CONFIG_FROM_DIR, true },
		{ "dir-b", CONFIG_FROM_DIR, true },
		{ "web-site", CONFIG_FROM_SCAN, false },
		{ "local", CONFIG_FROM_SCAN, false },
		{ "deep", CONFIG_FROM_SCAN, false },
	};

	cr_assert(config->n_backends == ARRAY_LEN(rows), "%zu",
	          config->n_backends);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert_str_eq(config->backends[i].name, rows[i].name);
		cr_assert(config->backends[i].source == rows[i].source);
		cr_assert(config->backends[i].enabled == rows[i].enabled);
	}
	cr_assert(config->settings.port == 9000);
	cr_assert_str_eq(config->backends[0].target, "/main");
	cr_assert_str_eq(config->backends[4].bearer_token, "tok");
	cr_assert(config->backends[4].n_headers == 1);
	cr_assert_str_eq(config->backends[5].command, "python");
	cr_assert(config->backends[5].auth_method == CONFIG_AUTH_OCI_CONFIG);
	cr_assert_str_eq(config->backends[6].host, "y");
	cr_assert(reported("i.json:1:72: the backend \"main\" is ignored"),
	          "%s", config_report_first(&report));
	cr_assert(reported("d/30.json:1:54: the transport \"stdio\" comes"));
	cr_assert(reported("d/30.json: this file is skipped"));
	config_free(config);

	/* --check does not forgive a bad fragment. */
	opt.action = OPTIONS_CHECK;
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	opt.action = OPTIONS_RUN;

	opt.scan[opt.n_scan++] = "s/one";
	setenv("MCP_GATEWAY_SCAN_PATHS", "s:/nowhere", 1);
	config = load();
	cr_assert(config->n_backends == 5);
	config_free(config);
	opt.n_scan = 0;
	config = load();
	cr_assert(config->n_backends == 7);
	cr_assert(reported("/nowhere: cannot be scanned"));
	config_free(config);
	opt.backends_dir = "missing";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("missing: cannot be read"));
}

Test(config_files, a_bad_file_is_fatal)
{
	struct config *config;

	put("c.json", "{\n", 0600);
	opt.config_file = "c.json";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("c.json:2:1: "));
	opt.config_file = "absent.json";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("absent.json: cannot be read: "));
	opt.config_file = ".";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	opt.config_file = NULL;
	put("i.json", "[]", 0600);
	put("c.json", "{\"include_configs\": \"absent\"}", 0600);
	opt.config_file = "c.json";
	cr_assert(config_load(&opt, &config, &report) == -EINVAL);
	cr_assert(reported("absent: cannot be read"));
}

/* The file we install explains every setting and changes none. */
Test(config, the_shipped_file_is_complete)
{
	struct buf text = { .max = JSON_MAX_BYTES };
	const struct json *all;
	struct json_error why;
	struct config *config, *plain = good("{}");
	struct json *doc;

	cr_assert(file_read("etc/gateway.json", &text) == 0);
	config = NULL;
	cr_assert(config_parse(buf_span(&text), "gateway.json", &opt, &config,
	                       &report) == 0,
	          "%s", config_report_first(&report));
	cr_assert(json_parse(buf_span(&text), JSON_COMMENTS, &doc, &why) == 0);
	all = doc;
#define SETTING(name, path, type, unit, initial, min, max, reload, help)  \
	{                                                                 \
		struct span key = SPAN(path);                             \
		size_t dot = span_find(key, '.');                         \
		struct json_value v =                                     \
			json_find(json_root(all), span_first(key, dot));  \
		if (dot < key.len)                                        \
			v = json_find(v, span_from(key, dot + 1));        \
		cr_expect(json_exists(v), "%s is not in the file", path); \
		cr_expect(config->settings.name == plain->settings.name,  \
		          "%s is not as usual in the file", path);        \
	}
#include "oci/pack.h"
#include "shm/settings.def"
#undef SETTING
	json_free(doc);
	config_free(config);
	config_free(plain);
	buf_free(&text);
}

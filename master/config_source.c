#include "master/config_source.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/url.h"
#include "master/config_backend.h"

static const struct json_place nowhere;

static void include(struct config_reader *r, const char *path)
{
	struct json *doc = config_reader_json(r, path, false);
	struct json_value backends;

	if (!doc)
		return;
	backends = json_get(json_root(doc), "backends");
	if (json_exists(backends))
		config_backend_read_all(r, backends);
	else
		config_reader_note(r, LOG_WARNING, nowhere,
		                   "there is no \"backends\" in this file");
	json_free(doc);
}

/* A fragment is taken whole or not at all. */
static void read_fragment(struct config_reader *r, const char *path)
{
	size_t before = r->config->n_backends;
	struct json_value root, backends;
	struct json *doc;

	r->has_failed = false;
	doc = config_reader_json(r, path, false);
	if (doc) {
		root = json_root(doc);
		backends = json_get(root, "backends");
		if (json_type(root) == JSON_ARRAY)
			config_backend_read_all(r, root);
		else if (json_exists(backends))
			config_backend_read_all(r, backends);
		else
			config_backend_read(r, root);
	}
	json_free(doc);
	if (!r->has_failed)
		return;
	r->config->n_backends = before;
	config_reader_note(r, LOG_WARNING, nowhere, "this file is skipped");
}

static int is_fragment(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return *entry->d_name != '.' && n > 5 &&
	       strcmp(entry->d_name + n - 5, ".json") == 0;
}

static int is_visible(const struct dirent *entry)
{
	return *entry->d_name != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *path_in(struct config_reader *r, const char *dir,
                           const char *name)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *path = config_reader_alloc(r, n, 1);

	if (!path)
		return "";
	snprintf(path, n, "%s/%s", dir, name);
	return path;
}

/* Call visit for each chosen entry of a directory; -errno if it has none. */
static int for_each(struct config_reader *r, const char *dir,
                    int (*choose)(const struct dirent *entry),
                    void (*visit)(struct config_reader *r, const char *path))
{
	struct dirent **entries;
	int n = scandir(dir, &entries, choose, by_name);

	if (n < 0)
		return os_error();
	for (int i = 0; i < n; i++) {
		visit(r, path_in(r, dir, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	return 0;
}

void config_source_packs(struct config_reader *r, const char *dir,
                         void (*load)(struct config_reader *r,
                                      const char *path))
{
	int err = for_each(r, dir, is_fragment, load);

	if (err < 0)
		config_reader_note(r, LOG_WARNING, nowhere,
		                   "\"oci.tools_dir\": cannot list %s: %s", dir,
		                   log_errno(err));
}

/* The name of an entry as a backend's: what clients allow, we may not. */
static const char *clean_name(struct config_reader *r, struct span name)
{
	char out[CONFIG_NAME_MAX + 1];
	size_t n = 0;

	while (name.len && *name.at == '.')
		name = span_from(name, 1);
	for (size_t i = 0; i < name.len && n < CONFIG_NAME_MAX; i++) {
		unsigned char c = (unsigned char)name.at[i];
		unsigned char lower = ascii_lower(c);
		bool is_good = (lower >= 'a' && lower <= 'z') ||
		               (c >= '0' && c <= '9') || c == '_' || c == '.' ||
		               c == '-';

		out[n++] = is_good ? (char)c : '-';
	}
	return n ? config_reader_copy(r, span_of(out, n)) : "unnamed";
}

static const char *copy_text(struct config_reader *r, struct json_value value)
{
	const char *text = json_string(value);

	return text ? config_reader_copy(r, json_text(value)) : NULL;
}

static void import_header(struct config_reader *r, struct json_value value,
                          struct config_backend *backend)
{
	static const struct span scheme = { "bearer ", 7 };
	const char *text = config_reader_secret(r, "headers", value);
	struct span name = json_key(value);

	if (!text)
		return;
	if (span_eq_nocase(name, SPAN("authorization")) &&
	    span_eq_nocase(span_first(span_str(text), scheme.len), scheme)) {
		backend->bearer_token = text + scheme.len;
		backend->auth_method = CONFIG_AUTH_BEARER_TOKEN;
	} else if (!config_backend_header_fault(name)) {
		backend->headers[backend->n_headers++] =
			(struct config_header){ config_reader_copy(r, name),
			                        text };
	}
}

static void import_http(struct config_reader *r, struct json_value entry,
                        struct config_backend *backend)
{
	struct json_value headers = json_get(entry, "headers"), value;

	backend->transport = CONFIG_STREAMABLE_HTTP;
	backend->url = copy_text(r, json_get(entry, "url"));
	backend->headers = config_reader_alloc(r, json_count(headers),
	                                       sizeof *backend->headers);
	if (json_type(headers) != JSON_OBJECT || !backend->headers)
		return;
	for (value = json_first(headers); json_exists(value);
	     value = json_next(value))
		import_header(r, value, backend);
}

/* Variables that show a program of OCI, and what it signs with. */
static void import_variable(struct config_reader *r, struct json_value value,
                            struct config_backend *backend)
{
	struct config_env *env = &backend->env[backend->n_env++];

	env->name = config_reader_copy(r, json_key(value));
	env->value = config_reader_copy(r, json_text(value));
	if (strcmp(env->name, "OCI_CLI_AUTH") == 0)
		backend->auth_method =
			strcmp(env->value, "instance_principal") == 0
				? CONFIG_AUTH_INSTANCE_PRINCIPAL
				: CONFIG_AUTH_RESOURCE_PRINCIPAL;
	else if (strncmp(env->name, "OCI_", 4) == 0 &&
	         backend->auth_method == CONFIG_AUTH_NONE)
		backend->auth_method = CONFIG_AUTH_OCI_CONFIG;
}

static void import_stdio(struct config_reader *r, struct json_value entry,
                         struct config_backend *backend)
{
	struct json_value args = json_get(entry, "args");
	struct json_value env = json_get(entry, "env"), value;

	backend->command = copy_text(r, json_get(entry, "command"));
	backend->cwd = copy_text(r, json_get(entry, "cwd"));
	config_reader_list(r, &backend->args, json_count(args));
	for (value = json_first(args); json_exists(value);
	     value = json_next(value))
		if (json_string(value))
			config_reader_append(r, &backend->args,
			                     json_text(value));
	backend->env =
		config_reader_alloc(r, json_count(env), sizeof *backend->env);
	if (json_type(env) != JSON_OBJECT || !backend->env)
		return;
	for (value = json_first(env); json_exists(value);
	     value = json_next(value))
		if (json_string(value))
			import_variable(r, value, backend);
}

static void import(struct config_reader *r, struct json_value entry)
{
	static const char *tags[] = { "auto-discovered", "mcp-json" };
	struct config_backend backend = { .name = NULL };
	struct span url = json_text(json_get(entry, "url"));
	struct url parts;
	enum url_error error = url.at ? url_parse(url, &parts) : URL_OK;

	config_key_defaults(config_backend_schema(), &backend);
	backend.name = clean_name(r, json_key(entry));
	backend.enabled = false;
	backend.tags = (struct config_list){ tags, ARRAY_LEN(tags) };
	if (error) {
		config_reader_note(r, LOG_WARNING, json_place(entry),
		                   "the backend \"%s\" is ignored: %s",
		                   backend.name, url_error(error));
		return;
	}
	if (url.at)
		import_http(r, entry, &backend);
	else
		import_stdio(r, entry, &backend);
	config_backend_add(r, entry, &backend);
}

/* Returns false when there is no such file. */
static bool import_file(struct config_reader *r, const char *path,
                        bool may_miss)
{
	struct json_value servers, entry;
	struct json *doc;

	r->has_failed = false;
	doc = config_reader_json(r, path, may_miss);
	if (!doc)
		return r->has_failed;
	servers = json_get(json_root(doc), "mcpServers");
	if (json_type(servers) != JSON_OBJECT)
		config_reader_note(r, LOG_WARNING, nowhere,
		                   "there is no object \"mcpServers\" in this "
		                   "file");
	else
		for (entry = json_first(servers); json_exists(entry);
		     entry = json_next(entry))
			import(r, entry);
	json_free(doc);
	return true;
}

static bool scan_directory(struct config_reader *r, const char *dir)
{
	return import_file(r, path_in(r, dir, ".mcp.json"), true) ||
	       import_file(r, path_in(r, dir, "mcp.json"), true);
}

static void scan_below(struct config_reader *r, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		(void)scan_directory(r, path);
}

static void scan(struct config_reader *r, const char *path)
{
	size_t before = r->config->n_backends;
	struct stat st;
	int err = stat(path, &st) < 0 ? os_error() : 0;

	if (err == 0 && S_ISREG(st.st_mode)) {
		(void)import_file(r, path, false);
		return;
	}
	if (err == 0)
		(void)scan_directory(r, path);
	if (err == 0)
		err = for_each(r, path, is_visible, scan_below);
	r->file = path;
	if (err < 0)
		config_reader_complain(r, nowhere, "cannot be scanned: %s",
		                       log_errno(err));
	else if (before == r->config->n_backends)
		config_reader_note(r, LOG_INFO, nowhere,
		                   "no backends here; only .mcp.json and "
		                   "mcp.json are looked for");
}

void config_source_collect(struct config_reader *r)
{
	const struct config *config = r->config;

	r->source = CONFIG_FROM_INCLUDE;
	for (size_t i = 0; i < config->include_configs.len; i++)
		include(r, config->include_configs.items[i]);

	r->is_fragment = true;
	r->source = CONFIG_FROM_DIR;
	if (config->backends_dir) {
		int err = for_each(r, config->backends_dir, is_fragment,
		                   read_fragment);

		r->file = config->backends_dir;
		r->is_fragment = false;
		if (err < 0)
			config_reader_complain(r, nowhere, "cannot be read: %s",
			                       log_errno(err));
	}
	r->is_fragment = true;
	r->source = CONFIG_FROM_SCAN;
	for (size_t i = 0; i < config->scan_paths.len; i++)
		scan(r, config->scan_paths.items[i]);
	r->is_fragment = false;
}

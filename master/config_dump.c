#include "lib/version.h"
#include "master/config_backend.h"
#include "master/config_main.h"

static const char *const source_names[] = {
	[CONFIG_FROM_CLI] = "command line",
	[CONFIG_FROM_ENV] = "environment",
	[CONFIG_FROM_FILE] = "file",
	[CONFIG_FROM_INCLUDE] = "include_configs",
	[CONFIG_FROM_DIR] = "backends_dir",
	[CONFIG_FROM_SCAN] = "scan_paths",
	[CONFIG_FROM_DEFAULT] = "default",
};

static void dump_sources(const struct config *config, struct buf *out)
{
	const struct config_schema *schema = config_main_schema();
	const char *comma = "";

	buf_putc(out, '{');
	for (size_t i = 0; i < schema->len; i++) {
		enum config_source source = config->origins[i].source;

		if (source == CONFIG_FROM_DEFAULT)
			continue;
		buf_puts(out, comma);
		buf_add_json(out, span_str(schema->keys[i].path));
		buf_putc(out, ':');
		buf_add_json(out, span_str(source_names[source]));
		comma = ",";
	}
	buf_putc(out, '}');
}

void config_dump(const struct config *config, struct buf *out)
{
	buf_puts(out, "{\"program\":");
	buf_add_json(out, span_str(config->program->name));
	buf_puts(out, ",\"version\":\"" VERSION "\",\"file\":");
	if (config->file)
		buf_add_json(out, span_str(config->file));
	else
		buf_puts(out, "null");
	buf_puts(out, ",\"settings\":");
	config_key_dump(config_main_schema(), config, NULL, out);
	buf_puts(out, ",\"sources\":");
	dump_sources(config, out);
	buf_puts(out, "}\n");
}

/* What is not as usual, and always the name, the state and the transport. */
static void dump_backend(const struct config_backend *backend, struct buf *out)
{
	struct config_backend usual = { .name = NULL };

	config_key_defaults(config_backend_schema(), &usual);
	usual.enabled = !backend->enabled;
	usual.transport = backend->transport == CONFIG_STDIO
	                          ? CONFIG_STREAMABLE_HTTP
	                          : CONFIG_STDIO;
	config_key_dump(config_backend_schema(), backend, &usual, out);
}

static void dump_summary(const struct config *config, struct buf *out)
{
	size_t enabled = 0, of[3] = { 0 };

	for (size_t i = 0; i < config->n_backends; i++) {
		enabled += config->backends[i].enabled;
		of[config->backends[i].transport]++;
	}
	buf_addf(out,
	         "{\"total\":%zu,\"enabled\":%zu,\"disabled\":%zu,"
	         "\"by_transport\":{\"stdio\":%zu,\"streamable_http\":%zu,"
	         "\"in_process\":%zu}}",
	         config->n_backends, enabled, config->n_backends - enabled,
	         of[CONFIG_STDIO], of[CONFIG_STREAMABLE_HTTP],
	         of[CONFIG_IN_PROCESS]);
}

void config_dump_backends(const struct config *config, struct buf *out)
{
	buf_puts(out, "{\"backends\":[");
	for (size_t i = 0; i < config->n_backends; i++) {
		buf_puts(out, i ? "," : "");
		dump_backend(&config->backends[i], out);
	}
	buf_puts(out, "],\"summary\":");
	dump_summary(config, out);
	buf_puts(out, "}\n");
}

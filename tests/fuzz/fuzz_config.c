/* Any bytes as a configuration file, and what --dump says about it. */
#include <stdint.h>

#include "master/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_report report;
	struct buf dump = { .max = 16 << 20 };
	struct config *config;
	struct options opt;

	options_init(&opt, size & 1 ? &program_gateway : &program_server);
	if (config_parse(span_of(data, size), "fuzz", &opt, &config, &report) <
	    0) {
		assert(report.errors > 0 && *config_report_first(&report));
		return 0;
	}
	config_dump(config, &dump);
	config_dump_backends(config, &dump);
	assert(!buf_err(&dump));
	buf_free(&dump);
	config_free(config);
	return 0;
}

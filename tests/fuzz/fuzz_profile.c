/* A configuration file: what is chosen lies in the copy, has no line break and
 * a line; what is refused has a reason. */
#include "oci/profile.h"

static void on_file(void *owner, struct span path)
{
	assert(path.len && !memchr(path.at, '\n', path.len));
	++*(size_t *)owner;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	char why[PROFILE_WHY_MAX], path[PROFILE_PATH_MAX];
	struct profile p;
	size_t files = 0;
	bool good =
		profile_parse(text, "file", SPAN("A"), &p, why) == PROFILE_OK;

	assert(good == (*why == '\0') && strlen(why) < PROFILE_WHY_MAX);
	for (unsigned i = 0; good && i < PROFILE_KEYS; i++) {
		struct span v = p.values[i];

		assert(!v.len || (p.lines[i] && v.at >= p.text.bytes &&
		                  v.at + v.len <= p.text.bytes + p.text.len));
		if (profile_path(v, SPAN("/srv/u"), path))
			assert(strlen(path) < PROFILE_PATH_MAX);
	}
	profile_files(text, on_file, &files);
	profile_fini(&p);
	return 0;
}

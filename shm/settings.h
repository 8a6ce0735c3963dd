/*
 * settings - every number an administrator can set, in one flat structure.
 *
 * The rows are in shm/settings.def. The structure holds numbers only, so it is
 * copied into the shared snapshot as it is. Times are in milliseconds, sizes
 * in bytes, booleans 0 or 1.
 */
#ifndef SHM_SETTINGS_H
#define SHM_SETTINGS_H

#include <stdint.h>

struct settings {
#define SETTING(name, path, type, unit, initial, min, max, reload, help) \
	int64_t name;
#include "shm/settings.def"
#undef SETTING
};

#endif

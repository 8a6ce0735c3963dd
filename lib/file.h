/*
 * file - whole files into memory, with a limit.
 *
 * For the administrator's files: read once, when a configuration is loaded.
 */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include "lib/base.h"
#include "lib/buf.h"

/* What file_read_secret() returns when other users could read it too. */
#define FILE_EXPOSED 1

/*
 * Append the content of a regular file; into->max is the limit.
 * Returns 0, or
 *	-EINVAL  not a regular file (a directory, a device, a pipe)
 *	-EFBIG   larger than what into->max leaves
 *	-ENOMEM
 *	-errno   from open(2), fstat(2) or read(2)
 * On failure into is as it was, or failed (-EFBIG, -ENOMEM).
 */
MUST_CHECK int file_read(const char *path, struct buf *into);

/*
 * The same for a file that holds one secret: one newline at the end, with its
 * carriage return, is not part of it. Returns as file_read(), or FILE_EXPOSED
 * when it was read and every user of the machine may read it: warn.
 */
MUST_CHECK int file_read_secret(const char *path, struct buf *into);

#endif

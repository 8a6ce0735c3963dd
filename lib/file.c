#include "lib/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AT_ONCE 4096

/* Append what is left of fd. A file may grow while it is read. */
static int drain(int fd, struct buf *into)
{
	for (;;) {
		/* One byte over the limit must be seen, so ask for room last.
		 */
		size_t left = into->max - into->len;
		char spare = 0;
		char *to = left ? buf_reserve(into, MIN(left, READ_AT_ONCE))
		                : &spare;

		if (!to)
			return buf_err(into);
		ssize_t n = read(fd, to, left ? MIN(left, READ_AT_ONCE) : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return os_error();
		if (n == 0)
			return 0;
		if (!left)
			return -EFBIG;
		buf_commit(into, (size_t)n);
	}
}

static int read_regular(int fd, struct buf *into, mode_t *mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return os_error();
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > into->max - into->len)
		return -EFBIG;
	*mode = st.st_mode;
	return drain(fd, into);
}

static int read_path(const char *path, struct buf *into, mode_t *mode)
{
	size_t before = into->len;

	if (buf_err(into))
		return buf_err(into);
	/* O_NONBLOCK: opening a pipe that nobody writes to must not hang. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return os_error();

	int err = read_regular(fd, into, mode);
	close(fd);
	if (err < 0 && !buf_err(into))
		into->len = before;
	return err;
}

int file_read(const char *path, struct buf *into)
{
	mode_t mode;

	return read_path(path, into, &mode);
}

int file_read_secret(const char *path, struct buf *into)
{
	size_t before = into->len;
	mode_t mode = 0;

	int err = read_path(path, into, &mode);
	if (err < 0)
		return err;
	if (into->len > before && into->bytes[into->len - 1] == '\n')
		into->len--;
	if (into->len > before && into->bytes[into->len - 1] == '\r')
		into->len--;
	return mode & S_IROTH ? FILE_EXPOSED : 0;
}

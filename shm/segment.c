#include "shm/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int segment_freeze(const char *name, const void *bytes, size_t size)
{
	int err;
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return os_error();
	if (ftruncate(fd, (off_t)size) < 0)
		goto fail;

	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	memcpy(map, bytes, size);
	/* F_SEAL_WRITE answers EBUSY while a writable mapping exists. */
	munmap(map, size);
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		goto fail;
	return fd;
fail:
	err = os_error();
	close(fd);
	return err;
}

int segment_map(int fd, size_t max, const void **at, size_t *size)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return os_error();
	if ((seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return os_error();
	if (st.st_size <= 0 || (size_t)st.st_size > max)
		return -EMSGSIZE;

	void *map =
		mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return os_error();
	/* It may hold credentials; a core dump must not. */
	madvise(map, (size_t)st.st_size, MADV_DONTDUMP);
	*at = map;
	*size = (size_t)st.st_size;
	return 0;
}

int segment_share(const char *name, size_t size, void **at, int *fd)
{
	int err;
	int memfd = memfd_create(name, MFD_CLOEXEC);

	if (memfd < 0)
		return os_error();
	if (ftruncate(memfd, (off_t)size) < 0)
		goto fail;
	void *map =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (map == MAP_FAILED)
		goto fail;
	madvise(map, size, MADV_DONTDUMP);
	*at = map;
	*fd = memfd;
	return 0;
fail:
	err = os_error();
	close(memfd);
	return err;
}

#include "shm/segment.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char text[] = "frozen bytes";

Test(segment, frozen_bytes_can_be_read_and_not_changed)
{
	const void *at;
	size_t size;
	int fd = segment_freeze("test", text, sizeof(text));

	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(segment_map(fd, 100, &at, &size), 0);
	cr_assert_eq(size, sizeof(text));
	cr_assert_eq(memcmp(at, text, size), 0);

	cr_assert_eq(pwrite(fd, "x", 1, 0), -1);
	cr_assert_eq(ftruncate(fd, 1), -1);
	cr_assert_eq(ftruncate(fd, 4096), -1);
	cr_assert_eq(mmap(NULL, size, PROT_WRITE, MAP_SHARED, fd, 0),
	             MAP_FAILED);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	munmap((void *)(uintptr_t)at, size);
	close(fd);
}

Test(segment, what_is_not_frozen_is_not_mapped)
{
	const void *at;
	size_t size;
	void *shared;
	int fd;

	cr_assert_eq(segment_share("test", 4096, &shared, &fd), 0);
	cr_assert_eq(segment_map(fd, 8192, &at, &size), -EPERM);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), -1,
	             "nobody can seal it later either");
	munmap(shared, 4096);
	close(fd);

	fd = memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
	cr_assert_eq(segment_map(fd, 8192, &at, &size), -EPERM);
	close(fd);

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_assert_lt(segment_map(fd, 8192, &at, &size), 0);
	close(fd);
	cr_assert_eq(segment_map(-1, 8192, &at, &size), -EBADF);
}

Test(segment, sizes_have_limits)
{
	const void *at;
	size_t size;
	int fd = segment_freeze("test", text, sizeof(text));

	cr_assert_eq(segment_map(fd, sizeof(text) - 1, &at, &size), -EMSGSIZE);
	close(fd);
	/* An empty mapping does not exist. */
	cr_assert_lt(segment_freeze("test", text, 0), 0);
}

Test(segment, shared_memory_is_shared_with_children)
{
	void *at;
	int fd, status;

	cr_assert_eq(segment_share("test", 4096, &at, &fd), 0);

	volatile char *bytes = at;
	cr_assert_eq(bytes[4095], 0);
	pid_t pid = fork();
	if (pid == 0) {
		bytes[4095] = 'x';
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(bytes[4095], 'x');

	char one;
	cr_assert_eq(pread(fd, &one, 1, 4095), 1);
	cr_assert_eq(one, 'x');
	munmap(at, 4096);
	close(fd);
}

/*
 * base - the words every file uses.
 *
 * A function that may fail for a reason outside our code returns int: 0 or
 * more, or a negative errno. errno itself is read right after the system call,
 * through os_error(), and never leaves the function.
 */
#ifndef LIB_BASE_H
#define LIB_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN     __attribute__((noreturn))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The structure that holds *ptr as its member. */
#define CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* The reason the last system call failed, negative; never 0. */
static inline int os_error(void)
{
	int err = errno > 0 ? -errno : -EIO;

	assert(err < 0); /* for who reads without knowing errno */
	return err;
}

#endif

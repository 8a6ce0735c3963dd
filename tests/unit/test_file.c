#include "lib/file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test-file-XXXXXX";
static char path[64];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

TestSuite(file, .init = setup, .fini = teardown);

static void put(struct span content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content.at, content.len), (ssize_t)content.len);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

Test(file, content_is_appended)
{
	struct buf b = { .max = 16 };

	put(SPAN("hello\n"), 0600);
	buf_puts(&b, "> ");
	cr_assert_eq(file_read(path, &b), 0);
	cr_assert(span_is(buf_span(&b), "> hello\n"));
	buf_free(&b);
}

Test(file, empty)
{
	struct buf b = { .max = 16 };

	put(SPAN(""), 0600);
	cr_assert_eq(file_read(path, &b), 0);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(file_read_secret(path, &b), 0);
	buf_free(&b);
}

Test(file, the_limit_is_exact)
{
	struct buf exact = { .max = 6 }, small = { .max = 5 };

	put(SPAN("hello\n"), 0600);
	cr_assert_eq(file_read(path, &exact), 0);
	cr_assert_eq(exact.len, 6);
	cr_assert_eq(file_read(path, &small), -EFBIG);
	buf_free(&exact);
	buf_free(&small);
}

Test(file, larger_than_one_read)
{
	static char big[70000];
	struct buf b = { .max = sizeof(big) };

	memset(big, 'x', sizeof(big));
	put(span_of(big, sizeof(big)), 0600);
	cr_assert_eq(file_read(path, &b), 0);
	cr_assert(span_eq(buf_span(&b), span_of(big, sizeof(big))));
	buf_free(&b);
}

/* A file of /proc says it has 0 bytes and has more. */
Test(file, size_is_not_taken_on_trust)
{
	struct buf b = { .max = 4 }, all = { .max = 65536 };

	cr_assert_eq(file_read("/proc/self/status", &b), -EFBIG);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(file_read("/proc/self/status", &all), 0);
	cr_assert_gt(all.len, 4);
	buf_free(&b);
	buf_free(&all);
}

Test(file, only_regular_files)
{
	struct buf b = { .max = 16 };

	cr_assert_eq(file_read(dir, &b), -EINVAL);
	cr_assert_eq(file_read("/dev/zero", &b), -EINVAL);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(file_read(path, &b), -EINVAL);
	cr_assert_eq(file_read("/nowhere/at/all", &b), -ENOENT);
	buf_free(&b);
}

static const struct {
	const char *content, *secret;
	mode_t mode;
	int result;
} secrets[] = {
	{ "s3cret", "s3cret", 0600, 0 },
	{ "s3cret\n", "s3cret", 0640, 0 },
	{ "s3cret\r\n", "s3cret", 0600, 0 },
	{ "s3cret\n\n", "s3cret\n", 0600, 0 },
	{ " s3cret \n", " s3cret ", 0600, 0 },
	{ "\n", "", 0600, 0 },
	{ "s3cret\n", "s3cret", 0644, FILE_EXPOSED },
};

Test(file, secrets_lose_one_newline)
{
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		struct buf b = { .max = 64 };

		put(span_str(secrets[i].content), secrets[i].mode);
		cr_assert_eq(file_read_secret(path, &b), secrets[i].result);
		cr_assert(span_is(buf_span(&b), secrets[i].secret));
		buf_free(&b);
	}
}

/* What was in the buffer before is not the file's newline. */
Test(file, an_empty_secret_takes_nothing_away)
{
	struct buf b = { .max = 64 };

	buf_puts(&b, "before\n");
	put(SPAN(""), 0600);
	cr_assert_eq(file_read_secret(path, &b), 0);
	cr_assert(span_is(buf_span(&b), "before\n"));
	buf_free(&b);
}

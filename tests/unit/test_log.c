#include "lib/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static void begin(void)
{
	snprintf(path, sizeof(path), "/tmp/test_log.%d", (int)getpid());
	unlink(path);
	cr_assert_eq(log_open(path), 0);
	log_process("tester", -1);
}

static void end(void)
{
	unlink(path);
}

TestSuite(log, .init = begin, .fini = end);

static const char *content(void)
{
	static char text[32768];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	cr_assert_geq(n, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static unsigned lines(void)
{
	unsigned n = 0;

	for (const char *at = content(); *at; at++)
		n += *at == '\n';
	return n;
}

static bool has(const char *what)
{
	return strstr(content(), what) != NULL;
}

Test(log, a_line_is_json_with_the_fields_in_order)
{
	log_process("worker", 3);
	log_info("it happened", LOG_STR("who", "a \"friend\""),
	         LOG_INT("times", -2), LOG_SPAN("part", span_of("abc", 2)),
	         LOG_ERR(-ENOENT));
	cr_assert(has("{\"time\":\"2"));
	cr_assert(has("\"level\":\"info\",\"process\":\"worker\",\"slot\":3,"));
	cr_assert(has("\"event\":\"it happened\",\"who\":\"a \\\"friend\\\"\","
	              "\"times\":-2,\"part\":\"ab\","
	              "\"error\":\"No such file or directory\"}\n"));
}

Test(log, a_line_can_be_plain_text)
{
	log_set_format(LOG_TEXT);
	log_warning("it happened", LOG_STR("who", "me"), LOG_INT("n", 1));
	cr_assert(has("Z warning tester: it happened who=\"me\" n=1\n"));
}

Test(log, nobody_can_forge_a_line)
{
	const char evil[] = "x\n{\"level\":\"error\"}\r\x1b[2J\x7f\xff\xfe";

	log_info("event", LOG_SPAN("from", span_of(evil, sizeof(evil) - 1)));
	cr_assert_eq(lines(), 1);
	cr_assert(has("\"from\":\"x\\n{\\\"level\\\":\\\"error\\\"}\\r\\u001b"
	              "[2J\\u007f\xef\xbf\xbd\xef\xbf\xbd\"}"));
	log_set_format(LOG_TEXT);
	log_info("event", LOG_SPAN("from", span_of(evil, sizeof(evil) - 1)));
	cr_assert_eq(lines(), 2);
	cr_assert_null(strchr(content(), '\x1b'));
}

Test(log, a_long_text_is_cut)
{
	char big[4 * LOG_TEXT_MAX];

	memset(big, 'x', sizeof(big));
	log_info("event", LOG_SPAN("big", span_of(big, sizeof(big))),
	         LOG_INT("after", 1));
	cr_assert_lt(strlen(content()), LOG_TEXT_MAX + 200);
	cr_assert(has("xxx\",\"after\":1}\n"));
}

Test(log, levels_below_the_set_one_are_left_out)
{
	log_debug("no");
	cr_assert_eq(lines(), 0);
	log_set_level(LOG_DEBUG);
	log_debug("yes");
	cr_assert_eq(lines(), 1);
	log_set_level(LOG_ERROR);
	log_warning("no");
	log_error("yes");
	cr_assert_eq(lines(), 2);
}

Test(log, levels_have_names)
{
	static const struct {
		const char *word;
		enum log_level level;
		bool ok;
	} words[] = {
		{ "debug", LOG_DEBUG, true },     { "INFO", LOG_INFO, true },
		{ "Warning", LOG_WARNING, true }, { "warn", LOG_WARNING, true },
		{ "error", LOG_ERROR, true },     { "err", LOG_DEBUG, false },
		{ "", LOG_DEBUG, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		enum log_level level = LOG_DEBUG;

		cr_assert_eq(log_level_of(span_str(words[i].word), &level),
		             words[i].ok);
		if (words[i].ok)
			cr_assert_eq(level, words[i].level);
	}
}

Test(log, the_file_is_opened_again_under_its_name)
{
	char old[80];

	snprintf(old, sizeof(old), "%s.1", path);
	log_info("one");
	cr_assert_eq(rename(path, old), 0);
	log_info("two");
	log_reopen();
	log_info("three");
	cr_assert_eq(lines(), 1);
	cr_assert(has("three"));
	unlink(old);
}

Test(log, a_file_that_cannot_be_opened_changes_nothing)
{
	struct stat st;

	cr_assert_eq(log_open("/nonexistent/log"), -ENOENT);
	log_info("still here");
	cr_assert(has("still here"));
	cr_assert_eq(fstat(log_fd(), &st), 0);
	cr_assert_eq(st.st_mode & 07777 & ~0640u, 0);
	cr_assert_eq(log_open(NULL), 0);
	cr_assert_eq(log_fd(), STDERR_FILENO);
}

Test(log, errno_survives)
{
	errno = EXDEV;
	log_info("event");
	cr_assert_eq(errno, EXDEV);
}

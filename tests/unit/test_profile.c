#include "oci/profile.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum profile_result parse(const char *text, const char *name,
                                 struct profile *out, char *why)
{
	return profile_parse(span_str(text), "/etc/config", span_str(name), out,
	                     why);
}

Test(profile, values_are_found_by_any_case_and_inherited)
{
	static const char text[] = "\xef\xbb\xbf# a comment\r\n"
				   "[DEFAULT]\r\n"
				   "  User = ocid1.user.oc1..a  \r\n"
				   "pass_phrase=from = default\r\n"
				   "region: eu-frankfurt-1\r\n"
				   "unknown=1\n"
				   "\n"
				   "[ Prod ] ; a comment\n"
				   "REGION = us-ashburn-1\n"
				   "pass_phrase =\n"
				   "[other]\n"
				   "region = us-phoenix-1\n"
				   "key_content = x";
	struct profile p;
	char why[PROFILE_WHY_MAX];

	cr_assert_eq(parse(text, "Prod", &p, why), PROFILE_OK, "%s", why);
	cr_assert(span_is(p.values[PROFILE_USER], "ocid1.user.oc1..a"));
	cr_assert_eq(p.lines[PROFILE_USER], 3);
	cr_assert(span_is(p.values[PROFILE_REGION], "us-ashburn-1"));
	cr_assert_eq(p.lines[PROFILE_REGION], 9);
	cr_assert_eq(p.values[PROFILE_PASS_PHRASE].len, 0);
	cr_assert_eq(p.lines[PROFILE_PASS_PHRASE], 10);
	cr_assert_eq(p.lines[PROFILE_KEY_FILE], 0);
	profile_fini(&p);

	cr_assert_eq(parse(text, "DEFAULT", &p, why), PROFILE_OK);
	cr_assert(span_is(p.values[PROFILE_PASS_PHRASE], "from = default"));
	cr_assert(span_is(p.values[PROFILE_REGION], "eu-frankfurt-1"));
	profile_fini(&p);
	profile_fini(&p);
}

Test(profile, what_is_wrong_is_said_with_its_line)
{
	static const struct {
		const char *text, *name;
		enum profile_result result;
		const char *why;
	} rows[] = {
		{ "", "DEFAULT", PROFILE_OK, "" },
		{ "\n\n", "DEFAULT", PROFILE_OK, "" },
		{ "", "a", PROFILE_UNKNOWN, "none at all" },
		{ "[a]\n[b]\n", "c", PROFILE_UNKNOWN, "It has: a, b." },
		{ "[a]\n", "A", PROFILE_UNKNOWN, "no profile [A]" },
		{ "user = x\n", "DEFAULT", PROFILE_SYNTAX,
		  "line 1: there is a key before" },
		{ "[a]\nnonsense\n", "a", PROFILE_SYNTAX, "line 2: this is" },
		{ "[a]\n= x\n", "a", PROFILE_SYNTAX, "line 2" },
		{ "[a\n", "a", PROFILE_SYNTAX, "no closing bracket" },
		{ "[a] b\n", "a", PROFILE_SYNTAX, "behind the closing" },
		{ "[]\n", "a", PROFILE_SYNTAX, "1 to 128 bytes" },
		{ "[a]\n[a]\n", "a", PROFILE_SYNTAX, "begins in line 1" },
		{ "[b]\n[b]\n[a]\n", "a", PROFILE_OK, "" },
		{ "[a]\nuser=1\nUSER=2\n", "a", PROFILE_SYNTAX,
		  "the first is in line 2" },
		{ "[a]\nkey_content = secret\n", "a", PROFILE_FORBIDDEN,
		  "line 2: key_content" },
		{ "[DEFAULT]\nKey_Content = secret\n[a]\n", "a",
		  PROFILE_FORBIDDEN, "key_content" },
		{ "[a]\nuser = \x01\n", "a", PROFILE_SYNTAX, "control" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct profile p;
		char why[PROFILE_WHY_MAX];
		enum profile_result result =
			parse(rows[i].text, rows[i].name, &p, why);

		cr_assert_eq(result, rows[i].result, "row %zu: %s", i, why);
		cr_assert(strstr(why, rows[i].why), "row %zu: %s", i, why);
		cr_assert_not(strstr(why, "secret"));
		profile_fini(&p);
	}
}

Test(profile, limits)
{
	static char text[PROFILE_FILE_MAX + 16];
	struct profile p;
	char why[PROFILE_WHY_MAX];
	int n = snprintf(text, sizeof(text), "[a]\nuser = ");

	memset(text + n, 'x', PROFILE_VALUE_MAX);
	cr_assert_eq(parse(text, "a", &p, why), PROFILE_OK);
	cr_assert_eq(p.values[PROFILE_USER].len, PROFILE_VALUE_MAX);
	profile_fini(&p);
	text[n + PROFILE_VALUE_MAX] = 'x';
	cr_assert_eq(parse(text, "a", &p, why), PROFILE_SYNTAX);
	cr_assert(strstr(why, "longer than"));
	profile_fini(&p);

	memset(text, '\n', PROFILE_LINES_MAX + 1);
	cr_assert_eq(parse(text, "a", &p, why), PROFILE_SYNTAX);
	cr_assert(strstr(why, "more than 20000 lines"), "%s", why);
	profile_fini(&p);

	memset(text, '#', PROFILE_FILE_MAX + 1);
	cr_assert_eq(parse(text, "a", &p, why), PROFILE_SYNTAX);
	cr_assert(strstr(why, "larger than"));
	profile_fini(&p);
}

/* Many profiles: the sentence has the first ones. */
Test(profile, a_long_list_is_cut)
{
	char text[4096] = "", why[PROFILE_WHY_MAX];
	struct profile p;

	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "[p%d]\n", i);
	cr_assert_eq(parse(text, "x", &p, why), PROFILE_UNKNOWN);
	cr_assert(strstr(why, "p19, ..."), "%s", why);
	profile_fini(&p);
}

Test(profile, ocids)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "ocid1.user.oc1..aaaa", true },
		{ "ocid1.tenancy.oc1..", false },
		{ "ocid1:tenancy:oc1:phx:123:aa", true },
		{ "ocidv1:tenancy:oc1:phx:1460406592660:aaaa", true },
		{ ".user.oc1..aaaa", false },
		{ "ocid1.user.aaaa", false },
		{ "ocid1.user.oc1..a b", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_eq(profile_is_ocid(span_str(rows[i].text)),
		             rows[i].good, "%s", rows[i].text);
}

Test(profile, fingerprints)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "b8:11:5d:a8:f2:0a:85:c1:f1:a4:25:97:99:58:6f:c5", true },
		{ "B8:11:5d:a8:f2:0a:85:c1:f1:a4:25:97:99:58:6f:c5", false },
		{ "b8:11:5d:a8:f2:0a:85:c1:f1:a4:25:97:99:58:6f:c", false },
		{ "b8-11:5d:a8:f2:0a:85:c1:f1:a4:25:97:99:58:6f:c5", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_eq(profile_is_fingerprint(span_str(rows[i].text)),
		             rows[i].good, "%s", rows[i].text);
}

Test(profile, paths)
{
	static const struct {
		const char *text, *home, *path; /* NULL: refused */
	} rows[] = {
		{ "/a/b", "", "/a/b" },
		{ "a", "", "a" },
		{ "~/k", "/srv/u", "/srv/u/k" },
		{ "~", "/h", "/h" },
		{ "~/k", "", NULL },
		{ "~other/k", "/h", NULL },
		{ "", "/h", NULL },
	};
	static char longest[PROFILE_PATH_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[PROFILE_PATH_MAX];
		bool good = profile_path(span_str(rows[i].text),
		                         span_str(rows[i].home), out);

		cr_assert_eq(good, rows[i].path != NULL, "row %zu", i);
		if (good)
			cr_assert_str_eq(out, rows[i].path);
	}
	char out[PROFILE_PATH_MAX];
	memset(longest, 'a', sizeof(longest) - 1);
	cr_assert_not(profile_path(span_str(longest), span_str(""), out));
	cr_assert_not(profile_path(SPAN("a\0b"), span_str(""), out));
}

Test(profile, every_cut_of_a_file_is_survived)
{
	static const char text[] = "[DEFAULT]\nuser = a\n[x]\nregion = b\n";
	struct profile p;
	char why[PROFILE_WHY_MAX];

	for (size_t n = 0; n < sizeof(text); n++) {
		enum profile_result result = profile_parse(
			span_of(text, n), "f", SPAN("x"), &p, why);

		cr_assert((result == PROFILE_OK) == (*why == '\0'));
		profile_fini(&p);
	}
}

static void gather(void *owner, struct span path)
{
	struct buf *all = owner;

	buf_add_span(all, path);
	buf_putc(all, '\n');
}

Test(profile, files_of_all_sections)
{
	struct buf all = { .max = 1000 };

	profile_files(SPAN("[a]\nkey_file = /k1\r\nKEY_FILE=~/k2\n#key_file=x\n"
	                   "[b]\nsecurity_token_file: /t\nuser=u\n"
	                   "delegation_token_file=/d\nkey_file=\nkey_file"),
	              gather, &all);
	cr_assert(span_is(buf_span(&all), "/k1\n~/k2\n/t\n/d\n"));
	buf_free(&all);
}

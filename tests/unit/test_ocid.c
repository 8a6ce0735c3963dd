#include "oci/ocid.h"

#include <criterion/criterion.h>

static void check_span(struct span got, const char *want)
{
	cr_assert(span_is(got, want), "\"%.*s\" != \"%s\"", SPAN_ARG(got),
	          want);
}

static const struct {
	const char *text, *type, *realm, *region, *future, *unique;
} good[] = {
	{ "ocid1.instance.oc1.iad.anuwcljt", "instance", "oc1", "iad", "",
	  "anuwcljt" },
	{ "ocid1.tenancy.oc1..aaaaaaaa", "tenancy", "oc1", "", "", "aaaaaaaa" },
	{ "ocid1.vcn.oc1.eu-frankfurt-1.abc", "vcn", "oc1", "eu-frankfurt-1",
	  "", "abc" },
	{ "ocid1.key.oc1.iad.b5rg.abuw", "key", "oc1", "iad", "b5rg", "abuw" },
	{ "ocid1.keyversion.oc1.iad.b5rg.d5xp.abuw", "keyversion", "oc1", "iad",
	  "b5rg.d5xp", "abuw" },
	{ "ocid1.dns-zone.oc1..a_b-c", "dns-zone", "oc1", "", "", "a_b-c" },
	{ "ocidv1:tenancy:oc1:phx:1460406592660:aaaa", "tenancy", "oc1", "phx",
	  "1460406592660", "aaaa" },
	{ "ocid1.x.oc1.a..b", "x", "oc1", "a", "", "b" },
};

static const struct {
	const char *text;
	enum ocid_error error;
} bad[] = {
	{ "", OCID_EMPTY },
	{ "x", OCID_NO_PREFIX },
	{ "ocid1", OCID_NO_PREFIX },
	{ "OCID1.instance.oc1.iad.a", OCID_NO_PREFIX },
	{ "ocid2.instance.oc1.iad.a", OCID_NO_PREFIX },
	{ " ocid1.instance.oc1.iad.a", OCID_NO_PREFIX },
	{ "ocid1.instance.oc1.iad.a ", OCID_BAD_BYTE },
	{ "ocid1.instance.oc1.iad.a/b", OCID_BAD_BYTE },
	{ "ocid1.instance.oc1.iad.a\n", OCID_BAD_BYTE },
	{ "ocid1.instance.oc1.iad.\xc3\xa9", OCID_BAD_BYTE },
	{ "ocid1.instance:oc1.iad.a", OCID_BAD_BYTE },
	{ "ocidv1:instance.oc1:iad:a:b", OCID_BAD_BYTE },
	{ "ocid1.", OCID_PARTS },
	{ "ocid1.instance", OCID_PARTS },
	{ "ocid1.instance.oc1.iad", OCID_PARTS },
	{ "ocid1.a.b.c.d.e.f.g.h", OCID_PARTS },
	{ "ocid1..oc1.iad.a", OCID_BAD_TYPE },
	{ "ocid1."
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aa.oc1.iad.a",
	  OCID_BAD_TYPE },
	{ "ocid1.instance..iad.a", OCID_BAD_REALM },
	{ "ocid1.instance.oc1.iad.", OCID_NO_UNIQUE },
	{ "ocid1.instance.oc1.iad.a.", OCID_NO_UNIQUE },
};

Test(ocid, good_ones)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ocid o;

		cr_assert_eq(ocid_parse(span_str(good[i].text), &o), OCID_OK,
		             "%s", good[i].text);
		check_span(o.type, good[i].type);
		check_span(o.realm, good[i].realm);
		check_span(o.region, good[i].region);
		check_span(o.future, good[i].future);
		check_span(o.unique, good[i].unique);
	}
}

Test(ocid, bad_ones)
{
	char text[OCID_MAX + 1] = "ocid1.instance.oc1.iad.";
	struct ocid o;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(ocid_parse(span_str(bad[i].text), &o),
		             bad[i].error, "%s", bad[i].text);
		cr_assert_null(o.type.at);
	}
	memset(text + 23, 'a', sizeof(text) - 23);
	cr_assert_eq(ocid_parse(span_of(text, OCID_MAX), &o), OCID_OK);
	cr_assert_eq(ocid_parse(span_of(text, OCID_MAX + 1), &o),
	             OCID_TOO_LONG);
	for (int i = 0; i < OCID_ERRORS_MAX; i++)
		cr_assert_not_null(ocid_error((enum ocid_error)i));
}

#define INSTANCE "ocid1.instance.oc1.iad.a"
#define TENANCY  "ocid1.tenancy.oc1..a"

static const struct {
	const char *text, *type;
	const char *sentence; /* NULL: it is one */
} types[] = {
	{ INSTANCE, "instance", NULL },
	{ INSTANCE, "INSTANCE", NULL },
	{ INSTANCE, "", NULL },
	{ TENANCY, "tenancy", NULL },
	{ TENANCY, "compartment", NULL },
	{ "ocid1.compartment.oc1..a", "compartment", NULL },
	{ "ocid1.compartment.oc1..a", "tenancy",
	  "this is the OCID of a compartment; the OCID of a tenancy is "
	  "needed" },
	{ "ocid1.vcn.oc1.iad.a", "instance",
	  "this is the OCID of a vcn; the OCID of an instance is needed" },
	{ INSTANCE, "vcn",
	  "this is the OCID of an instance; the OCID of a vcn is needed" },
	{ "my-instance", "instance",
	  "this is not an OCID, which begins with \"ocid1.\"; the OCID of an "
	  "instance is needed" },
	{ "", "", "an OCID is needed, and this is empty" },
	{ "", "user",
	  "an OCID is needed, and this is empty; the OCID of a user is "
	  "needed" },
};

Test(ocid, types_and_sentences)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct span text = span_str(types[i].text);
		struct span type = span_str(types[i].type);
		struct buf b = { .max = 1024 };

		cr_assert_eq(ocid_is(text, type), types[i].sentence == NULL,
		             "%s %s", types[i].text, types[i].type);
		ocid_explain(text, type, &b);
		check_span(buf_span(&b),
		           types[i].sentence ? types[i].sentence : "");
		buf_free(&b);
	}
}

static const struct {
	const char *text, *found;
} texts[] = {
	{ "", "" },
	{ "no such thing, ocid", "" },
	{ INSTANCE, INSTANCE },
	{ "see " INSTANCE ".", INSTANCE },
	{ "{\"id\":\"" INSTANCE "\"}", INSTANCE },
	{ "\\n" INSTANCE "\\n", INSTANCE },
	{ "x" INSTANCE "__", INSTANCE },
	{ "ocid ocid1 ocid1. ocid1.instance. " INSTANCE, INSTANCE },
	{ "ocid1..ocid1.x..ocid1.y.z.u.v", "ocid1.y.z.u.v" },
	{ "prefix ocid1.instance.oc1.iad", "" },
	{ "ocidv1:tenancy:oc1:phx:1:a: b", "ocidv1:tenancy:oc1:phx:1:a" },
	{ "ocid1.a.b.c.d.e.f.g.h.i.j", "ocid1.a.b.c.d.e.f.g.h.i.j" },
};

Test(ocid, the_first_in_a_text)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ocid o;

		check_span(ocid_next(span_str(texts[i].text), &o),
		           texts[i].found);
	}
}

#define AAAA                                                        \
	"ocid1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaa"

/* A megabyte of beginnings takes no longer than a megabyte of anything. */
Test(ocid, hostile_texts_take_linear_time, .timeout = 20)
{
	static const char *const pieces[] = {
		"ocid1.", "ocid1..", "ocid", "ocid1.a.", "ocid1.a..", AAAA,
	};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct buf b = { .max = 1 << 20 };
		struct span rest;
		struct ocid o;

		while (b.len + 128 < b.max)
			buf_puts(&b, pieces[i]);
		rest = buf_span(&b);
		for (;;) {
			struct span found = ocid_next(rest, &o);

			if (found.len == 0)
				break;
			rest = span_from(
				rest, (size_t)(found.at + found.len - rest.at));
		}
		buf_free(&b);
	}
}

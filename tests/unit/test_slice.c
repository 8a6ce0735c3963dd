#include "oci/slice.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/buf.h"
#include "tests/unit/fixture_tool.h"

TestSuite(slice, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define LIST "core/VirtualNetwork/ListVcns"

/* Members of a list of n, as a tool with limit and offset shows it. */
static void show(size_t n, const char *arguments)
{
	struct buf b = { .max = 1 << 20 };

	buf_putc(&b, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s{\"id\":\"v%zu\"}", i ? "," : "", i);
	buf_puts(&b, "]");
	buf_putc(&b, '\0');
	fixture_tool_answer(LIST, b.bytes);
	fixture_tool_answer("core/VirtualNetwork/ListSubnets", "[]");
	fixture_tool_stock("oci_network_list_vcns", arguments);
	buf_free(&b);
}

Test(slice, an_exact_page_is_the_last)
{
	show(5, "{\"limit\":5}");
	fixture_tool_is("total", "5");
	fixture_tool_is("count", "5");
	fixture_tool_is("has_more", "false");
	fixture_tool_is("next_offset", "null");
}

Test(slice, what_was_not_read_has_no_total)
{
	show(50, "{\"limit\":5,\"offset\":10}");
	fixture_tool_is("total", "null");
	fixture_tool_is("offset", "10");
	fixture_tool_is("vcns[0].id", "\"v10\"");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("next_offset", "15");
}

Test(slice, behind_the_end)
{
	show(5, "{\"offset\":20}");
	fixture_tool_is("total", "5");
	fixture_tool_is("count", "0");
	fixture_tool_is("vcns", "[]");
	fixture_tool_is("has_more", "false");
}

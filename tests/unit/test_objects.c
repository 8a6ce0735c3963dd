#include "oci/objects.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

TestSuite(objects, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define LIST "object_storage/ObjectStorage/ListObjects"
#define CALL "{\"bucket_name\":\"b\",\"object_name\":\"logs/a\"}"

Test(objects, one_object)
{
	fixture_tool_answer("object_storage/ObjectStorage/GetNamespace",
	                    "\"space\"");
	fixture_tool_answer(LIST, "{\"objects\":[{\"name\":\"logs/a\","
	                          "\"size\":7,\"md5\":\"x\"}]}");
	cr_assert_not(fixture_tool_stock("oci_objectstorage_head_object", CALL)
	                      ->is_error);
	fixture_tool_is("namespace", "\"space\"");
	fixture_tool_is("size", "7");
	fixture_tool_is("object_name", "\"logs/a\"");
	cr_assert(strstr(fixture_tool_asked(1), "/n/space/b/b/o?"));
}

Test(objects, one_that_is_not_there)
{
	fixture_tool_answer("object_storage/ObjectStorage/GetNamespace",
	                    "\"space\"");
	fixture_tool_answer(LIST, "{\"objects\":[{\"name\":\"logs/ab\"}]}");
	cr_assert_str_eq(
		fixture_tool_stock("oci_objectstorage_head_object", CALL)
			->category,
		"not_found");
}

#include "oci/backups.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

#define AUTONOMOUS "database/Database/ListAutonomousDatabaseBackups"
#define SYSTEM     "database/Database/ListBackups"
#define MYSQL      "mysql/DbBackups/ListBackups"

TestSuite(backups, .init = fixture_tool_begin, .fini = fixture_tool_end);

static void script(void)
{
	fixture_tool_answer(
		AUTONOMOUS,
		"[{\"id\":\"a1\",\"timeStarted\":\"2026-01-02T00:00:00Z\","
		"\"sizeInTBs\":0.5},{\"id\":\"a2\","
		"\"timeStarted\":\"2026-01-04T00:00:00Z\","
		"\"databaseSizeInTBs\":2}]");
	fixture_tool_answer(
		SYSTEM,
		"[{\"id\":\"s1\",\"timeStarted\":\"2026-01-03T00:00:00Z\","
		"\"databaseSizeInGBs\":7.5}]");
}

Test(backups, all_kinds_newest_first)
{
	script();
	fixture_tool_answer(MYSQL,
	                    "[{\"id\":\"m1\",\"backupType\":\"FULL\","
	                    "\"timeCreated\":\"2026-01-05T00:00:00Z\"}]");
	fixture_tool_stock("oci_database_list_backups",
	                   "{\"database_type\":\"all\",\"limit\":3}");
	fixture_tool_is("total", "4");
	fixture_tool_is("count", "3");
	fixture_tool_is("next_offset", "3");
	fixture_tool_is("items[0].id", "\"m1\"");
	fixture_tool_is("items[0].type", "\"FULL\"");
	fixture_tool_is("items[0].database_size_in_gbs", "null");
	fixture_tool_is("items[1].id", "\"a2\"");
	fixture_tool_is("items[1].database_size_in_gbs", "2048");
	fixture_tool_is("items[2].database_size_in_gbs", "7.5");
	fixture_tool_stock(
		"oci_database_list_backups",
		"{\"database_type\":\"all\",\"limit\":3,\"offset\":3}");
	fixture_tool_is("items[0].id", "\"a1\"");
	fixture_tool_is("items[0].database_type", "\"autonomous\"");
	fixture_tool_is("has_more", "false");
}

Test(backups, one_kind_that_fails)
{
	script();
	fixture_tool_stock("oci_database_list_backups",
	                   "{\"database_type\":\"all\"}");
	fixture_tool_is("count", "3");
	fixture_tool_is("total", "null");
	cr_assert(strstr(fixture_tool_stock("oci_database_list_backups",
	                                    "{\"database_type\":\"all\"}")
	                         ->structured.at,
	                 "\"errors\":[\""));
	cr_assert_str_eq(fixture_tool_stock("oci_database_list_backups",
	                                    "{\"database_type\":\"mysql\"}")
	                         ->category,
	                 "not_found");
}

Test(backups, of_the_databases_of_a_system)
{
	script();
	fixture_tool_answer("database/Database/GetDbSystem",
	                    "{\"id\":\"ocid1.dbsystem.oc1.iad.x\","
	                    "\"compartmentId\":\"c\"}");
	fixture_tool_answer("database/Database/ListDatabases",
	                    "[{\"id\":\"d1\"},{\"id\":\"d2\"}]");
	fixture_tool_stock("oci_database_list_backups",
	                   "{\"database_id\":\"ocid1.dbsystem.oc1.iad.x\"}");
	fixture_tool_is("total", "2");
	cr_assert(strstr(fixture_tool_asked(2), "databaseId=d1"));
	cr_assert(strstr(fixture_tool_asked(3), "databaseId=d2"));
}

Test(backups, of_a_mysql_system)
{
	fixture_tool_answer("mysql/DbSystem/GetDbSystem",
	                    "{\"id\":\"ocid1.mysqldbsystem.oc1.iad.x\","
	                    "\"compartmentId\":\"c\"}");
	fixture_tool_answer(MYSQL, "[]");
	fixture_tool_stock(
		"oci_database_list_backups",
		"{\"database_id\":\"ocid1.mysqldbsystem.oc1.iad.x\"}");
	fixture_tool_is("total", "0");
	cr_assert(strstr(fixture_tool_asked(1), "compartmentId=c"));
}

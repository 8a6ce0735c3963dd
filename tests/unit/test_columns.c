#include "master/columns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *print(struct columns *c)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	columns_print(c, out);
	fclose(out);
	return text;
}

Test(columns, cells_are_padded_to_the_widest)
{
	struct columns c;

	columns_init(&c, "NAME|>N|WORDS");
	columns_add(&c, "a long name");
	columns_add(&c, "%d", 7);
	columns_add(&c, "none");
	columns_add(&c, "b\xc3\xa9");
	columns_add(&c, "%d", 12345);
	columns_add(&c, "%s", "");

	char *text = print(&c);
	cr_assert_str_eq(text, "  NAME             N  WORDS\n"
	                       "  a long name      7  none\n"
	                       "  b\xc3\xa9           12345  \n");
	free(text);
}

Test(columns, nothing_reaches_a_terminal_that_it_acts_on)
{
	struct columns c;

	columns_init(&c, "A");
	columns_add(&c, "x\x1b[2J\r\n\x7f\xc2\x9b\xff.\xc2\xa0");

	char *text = print(&c);
	cr_assert_str_eq(text, "  A\n  x?[2J?????.\xc2\xa0\n");
	free(text);
}

Test(columns, a_cell_has_a_limit)
{
	struct columns c;
	char big[2 * COLUMNS_CELL];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	columns_init(&c, "A");
	columns_add(&c, "%s", big);

	char *text = print(&c);
	cr_assert_leq(strlen(text), 4 + 2 + COLUMNS_CELL);
	free(text);
}

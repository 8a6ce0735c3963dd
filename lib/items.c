#include "lib/items.h"

struct span items_next(struct span *list, char separator)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < list->len; i++) {
		if (quoted && list->at[i] == '\\')
			i++;
		else if (list->at[i] == '"')
			quoted = !quoted;
		else if (!quoted && list->at[i] == separator)
			break;
	}
	struct span item = span_first(*list, i);
	*list = span_from(*list, i + 1);
	return span_trim(item);
}

bool items_have(struct span list, struct span token)
{
	while (list.len)
		if (span_eq_nocase(items_next(&list, ','), token))
			return true;
	return false;
}

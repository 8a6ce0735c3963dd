/*
 * tables - reading the packed catalogue that is linked in (blob.S): for
 * oci/operation and oci/model, and nobody else.
 */
#ifndef OCI_CATALOGUE_TABLES_H
#define OCI_CATALOGUE_TABLES_H

#include <stdio.h>

#include "lib/base.h"
#include "lib/span.h"
#include "oci/catalogue/packed.h"

extern const char catalogue_bytes[];

static inline const struct packed_head *tables_head(void)
{
	return (const struct packed_head *)(const void *)catalogue_bytes;
}

/* The first record of a table. */
static inline const void *tables_first(enum packed_table table)
{
	return catalogue_bytes + tables_head()->tables[table].at;
}

/* How many records it has. */
static inline size_t tables_count(enum packed_table table)
{
	return tables_head()->tables[table].count;
}

static inline struct span tables_text(uint32_t text)
{
	const char *at = (const char *)tables_first(PACKED_TEXT) + text;
	uint16_t len;

	memcpy(&len, at, sizeof(len));
	return span_of(at + sizeof(len), len);
}

/* The values of a choice: as many as the number in front of them. */
static inline const uint32_t *tables_choice(uint32_t choice)
{
	return (const uint32_t *)tables_first(PACKED_CHOICES) + choice;
}

/* Write texts with commas between them, as many as fit, and a NUL; next(i)
 * gives the i-th of count. Returns the bytes before the NUL. */
static inline size_t tables_list(char *out, size_t cap,
                                 struct span (*next)(const void *of, size_t i),
                                 const void *of, size_t count)
{
	static const char more[] = ", ...";
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		struct span text = next(of, i);

		if (len + 2 + text.len + sizeof(more) > cap) {
			memcpy(out + len, more, sizeof(more) - 1);
			len += sizeof(more) - 1;
			break;
		}
		if (i) {
			memcpy(out + len, ", ", 2);
			len += 2;
		}
		memcpy(out + len, text.at, text.len);
		len += text.len;
	}
	out[len] = '\0';
	return len;
}

#endif

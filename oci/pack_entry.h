/*
 * pack_entry - what the parts that check a pack share: reports of defects and
 * the members that an object may have.
 *
 * Only oci/pack*.c use this.
 */
#ifndef OCI_PACK_ENTRY_H
#define OCI_PACK_ENTRY_H

#include "lib/buf.h"
#include "lib/json.h"
#include "oci/pack.h"

/* One file while it is being loaded. */
struct pack_reader {
	struct packs *packs;
	const struct pack_rules *rules;
	const char *file;
	const char *pack; /* its name */
	const char *tool; /* name of the tool in hand, "" outside of one */
	unsigned line;    /* lines in front of the text that is parsed */
	int defects;
	bool failed;    /* since somebody last set it to false */
	bool no_memory; /* loading ends */
};

/* Report a defect at the place of a value. */
void pack_entry_complain(struct pack_reader *r, struct json_value at,
                         const char *fmt, ...) PRINTF(3, 4);

/* The same at the name of a member. */
void pack_entry_complain_key(struct pack_reader *r, struct json_value member,
                             const char *fmt, ...) PRINTF(3, 4);

/* A member that an object may have, or must. */
struct pack_member {
	const char *name;
	uint32_t types; /* PACK_IS() of those it may have, joined; 0: any */
	bool required;
};

#define PACK_IS(type) (1u << (type))

/*
 * Complain of members that are missing, of the wrong type or not in the table,
 * with the nearest that is. what is the object in sentences, "a request". True
 * when there is nothing to complain about.
 */
bool pack_entry_members(struct pack_reader *r, struct json_value object,
                        const char *what, const struct pack_member *members,
                        size_t n);

/* Is this a name: a-z, 0-9 and underscore, at most PACK_NAME_MAX? Complains if
 * not; what is it in sentences, "the name of a tool". */
bool pack_entry_name(struct pack_reader *r, struct json_value at,
                     struct span name, const char *what);

/* Append JSON without the white space between its words. */
void pack_entry_compact(struct buf *out, struct span raw);

/* Append "name": with a comma in front when something precedes it. */
void pack_entry_member(struct buf *out, const char *name);

#endif

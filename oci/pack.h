/*
 * pack - the tools that files describe (oci-mcp-tools(5)).
 *
 * A pack is one JSON object with the tools of one domain. It is checked word
 * by word when it is loaded, so that whoever carries a tool out can rely on it:
 * operations and their parameters exist in the catalogue, arguments and earlier
 * answers that are referred to exist, annotations are honest. A tool with a
 * defect is left out and the rest of the file is loaded; a file that is no pack
 * is left out and other files are loaded. Every defect is reported with file,
 * line, column and a reason.
 *
 * What comes out of an entry:
 *
 *	definition  the item of tools/list: inputSchema with the shared
 *	            parameters merged in, outputSchema from "answer" when the
 *	            entry has none. What is ours alone ("ocid") is said in JSON
 *	            Schema 2020-12 ("pattern").
 *	recipe      for oci/arguments, step functions and the tools about
 *	            tools: the entry without white space, with these members
 *	            in front: "pack" (its name), "parameters" with the shared
 *	            ones merged in and without descriptions, "required";
 *	            and "inputSchema", as in the definition, at the end.
 *
 * An alias is a tool with a definition of its own (title and " (Alias)") and
 * the recipe of the tool it stands for.
 */
#ifndef OCI_PACK_H
#define OCI_PACK_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/span.h"

#define PACK_NAME_MAX     64   /* bytes of a name: a-z, 0-9, underscore */
#define PACK_TOOLS_MAX    4096 /* tools and aliases of all packs */
#define PACK_DOMAINS_MAX  256
#define PACK_REASON_MAX   512 /* bytes of a reason, with its NUL */
#define PACK_REQUESTS_MAX 32  /* requests of a tool */
#define PACK_DEPTH_MAX    16  /* of shapes, bodies and schemas */
#define PACK_TIER_MAX     4

/* Flags of a tool. */
#define PACK_READ_ONLY   1U /* readOnlyHint */
#define PACK_DESTRUCTIVE 2U /* destructiveHint */
#define PACK_WRITE       4U /* not shown unless mutations are allowed */
#define PACK_ALIAS       8U

struct pack_tool {
	const char *name; /* C strings live as long as the packs */
	const char *title;
	const char *pack;        /* the pack's name, which is the domain */
	const char *function;    /* NULL: oci/mapping carries it out */
	const char *original;    /* of an alias: the tool's name; else NULL */
	struct span description; /* plain text */
	struct span recipe;      /* JSON object */
	struct span definition;  /* JSON object */
	uint32_t flags;          /* PACK_* */
	unsigned tier;           /* 1 to PACK_TIER_MAX */
	const char *file;        /* where it stands */
	struct json_place place;
};

/* A pack that has been loaded; several files may be of one domain. */
struct pack_domain {
	const char *name;
	const char *title;
	const char *description;
	size_t n_tools; /* without aliases */
};

struct pack_block; /* memory, freed at once */

/* All packs. Zeroed before its first use; pack_fini() at the end. */
struct packs {
	struct pack_tool *tools; /* in the order of their names' bytes */
	size_t n_tools;
	struct pack_domain *domains; /* in the order they were loaded */
	size_t n_domains;

	/* private */
	size_t tools_cap, domains_cap;
	struct pack_block *blocks;
};

/* A defect. line 0: of the file as a whole. Everything is gone after the call.
 */
struct pack_defect {
	const char *file;
	struct json_place place;
	const char *tool;   /* the name of the tool, "" when not known */
	const char *reason; /* a sentence without a full stop */
};

/* What loading needs from elsewhere. */
struct pack_rules {
	/* Is there a C function that packs may name? NULL: there is none. */
	bool (*has_function)(struct span name);
	/* Called for every defect; may be NULL. */
	void (*report)(void *owner, const struct pack_defect *defect);
	void *owner;
};

/*
 * Load the text of one file; file is its name in reports and is copied. Names
 * and aliases that exist already stay what they are: a tool of such a name is
 * left out, an alias of such a name too (the tool stays), with both places in
 * the report. Returns the number of defects, or -ENOMEM: packs is then fit for
 * pack_fini() only.
 */
MUST_CHECK int pack_load(struct packs *packs, struct span text,
                         const char *file, const struct pack_rules *rules);

/*
 * The same for several packs, one behind the other in one text, as the stock
 * packs are built in: files are named after their "pack" ("compute.json"), with
 * their own lines.
 */
MUST_CHECK int pack_load_all(struct packs *packs, struct span text,
                             const struct pack_rules *rules);

/* The tool or alias of that name; NULL when there is none. */
const struct pack_tool *pack_find(const struct packs *packs, struct span name);

/*
 * Append the definitions of all tools, each with a comma behind it, in the
 * order of their names; write tools only when mutations are allowed. Failure
 * is that of the buffer.
 */
void pack_definitions(const struct packs *packs, bool allow_mutations,
                      struct buf *out);

void pack_fini(struct packs *packs);

#endif

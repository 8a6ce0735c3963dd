/*
 * profile - one profile of a ~/.oci/config file.
 *
 * An INI file of at most PROFILE_FILE_MAX bytes: sections in brackets,
 * "key = value" lines, comments from '#' or ';' at the beginning of a line.
 * Keys are known by their name in any case; keys we do not know are left alone,
 * since the file belongs to other programs too. A key that the profile does not
 * have is taken from the section DEFAULT. Nothing is interpolated.
 *
 * What is wrong with the file is said in a sentence that has the file's name
 * and the line, and never a value that may be secret.
 */
#ifndef OCI_PROFILE_H
#define OCI_PROFILE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define PROFILE_FILE_MAX    (1 << 20) /* bytes of a file */
#define PROFILE_LINES_MAX   20000
#define PROFILE_NAME_MAX    128  /* bytes of a section's name */
#define PROFILE_VALUE_MAX   4096 /* bytes of a value */
#define PROFILE_PATH_MAX    4096 /* bytes of a path, NUL included */
#define PROFILE_OCID_MAX    255  /* bytes of an OCID */
#define PROFILE_FINGERPRINT 47   /* bytes: 16 pairs with colons */
#define PROFILE_WHY_MAX     1024 /* bytes of a sentence, NUL included */

enum profile_key {
	PROFILE_USER,
	PROFILE_FINGERPRINT_KEY,
	PROFILE_TENANCY,
	PROFILE_REGION,
	PROFILE_KEY_FILE,
	PROFILE_PASS_PHRASE,
	PROFILE_SECURITY_TOKEN_FILE,
	PROFILE_DELEGATION_TOKEN_FILE,
	PROFILE_AUTHENTICATION_TYPE,
	PROFILE_KEYS,
};

/* A chosen profile. The text is a copy, with the secrets in it. */
struct profile {
	struct span values[PROFILE_KEYS]; /* empty, at NULL: not there */
	unsigned lines[PROFILE_KEYS];     /* from 1; 0: not there */
	struct buf text;
};

/* The verdict on a file and a choice; a reason goes with all but PROFILE_OK. */
enum profile_result {
	PROFILE_OK,
	PROFILE_SYNTAX,    /* the file is not of this form, or too large */
	PROFILE_UNKNOWN,   /* it has no such profile */
	PROFILE_FORBIDDEN, /* it has a key that may not be in a file */
	PROFILE_NO_MEMORY,
};

/*
 * Choose a profile of a file's text; file is what to call it in sentences.
 * DEFAULT is there even if the file has no such section. *out is for
 * profile_fini() whatever the result.
 */
MUST_CHECK enum profile_result profile_parse(struct span text, const char *file,
                                             struct span name,
                                             struct profile *out,
                                             char why[PROFILE_WHY_MAX]);

/*
 * Call fn with each path that any section of a file's text names for a key or a
 * token, as it is written there. Says nothing about what is wrong.
 */
void profile_files(struct span text, void (*fn)(void *owner, struct span path),
                   void *owner);

/* Wipe and free. A profile of zero bytes is fine. */
void profile_fini(struct profile *p);

/* The key's name in the file. */
const char *profile_key_name(enum profile_key key);

/* Is this an OCID, as Oracle's own tools check it? */
bool profile_is_ocid(struct span text);

/* Is this an MD5 fingerprint: 16 pairs of lower-case hexadecimal digits with
 * colons between? */
bool profile_is_fingerprint(struct span text);

/*
 * The path that text stands for: "~" and "~/..." begin with home. False when
 * it does not fit, has a NUL in it, is empty, or begins with '~' and home is
 * empty or it names another user.
 */
MUST_CHECK bool profile_path(struct span text, struct span home,
                             char out[PROFILE_PATH_MAX]);

#endif

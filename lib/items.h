/*
 * items - lists in the values of header fields (RFC 9110, section 5.6.1):
 * "a, b;q=1, c".
 */
#ifndef LIB_ITEMS_H
#define LIB_ITEMS_H

#include "lib/span.h"

/*
 * Take the next item off the front of a list, without white space at its ends,
 * and the separator behind it; the item may be empty. A separator within a
 * quoted string is not one (section 5.6.4).
 */
struct span items_next(struct span *list, char separator);

/* Does this list of comma-separated tokens have token (any case)? */
bool items_have(struct span list, struct span token);

#endif

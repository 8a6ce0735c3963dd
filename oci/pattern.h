/*
 * pattern - does a text match a pattern? Regular expressions of the kind that
 * names need, in a time that grows with the text and nothing else.
 *
 * A pattern means to JSON Schema (ECMA-262) what it means here:
 *
 *	^ ... $     it is anchored at both ends, always
 *	a  \.       a character of ASCII; punctuation behind a backslash
 *	[a-z_.-]    one of these; \d is a digit, \w a letter, digit or _
 *	* + ?       behind one of those: any number, at least one, at most one
 *
 * There are no groups, alternatives, counts, dots or negations.
 */
#ifndef OCI_PATTERN_H
#define OCI_PATTERN_H

#include "lib/base.h"
#include "lib/span.h"

#define PATTERN_ITEMS_MAX 63 /* characters and classes; one with + is two */

/* Is this a pattern that pattern_matches() understands? */
bool pattern_valid(struct span pattern);

/* Does the whole text match? Never, when the pattern is not valid. */
bool pattern_matches(struct span pattern, struct span text);

#endif

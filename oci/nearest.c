#include "oci/nearest.h"

#define WORDS_ALIKE 3 /* bytes of a word that may be all of a part */

static unsigned char folded(char c)
{
	return c == '-' ? '_' : ascii_lower((unsigned char)c);
}

static bool equal(struct span a, struct span b)
{
	for (size_t i = 0; i < a.len; i++)
		if (folded(a.at[i]) != folded(b.at[i]))
			return false;
	return a.len == b.len;
}

/* Does the longer one begin or end with the other, as "name" and
 * "display_name"? */
static bool is_part(struct span a, struct span b)
{
	struct span part = a.len < b.len ? a : b;
	struct span whole = a.len < b.len ? b : a;

	return part.len >= WORDS_ALIKE &&
	       (equal(part, span_first(whole, part.len)) ||
	        equal(part, span_from(whole, whole.len - part.len)));
}

/* The optimal string alignment distance; both words are short. */
static unsigned distance(struct span a, struct span b)
{
	unsigned rows[3][NEAREST_WORD_MAX + 1];

	for (unsigned j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			unsigned char x = folded(a.at[i - 1]);
			unsigned char y = folded(b.at[j - 1]);
			unsigned steps = before[j - 1] + (x != y);

			steps = MIN(steps, before[j] + 1);
			steps = MIN(steps, now[j - 1] + 1);
			if (i > 1 && j > 1 && x == folded(b.at[j - 2]) &&
			    y == folded(a.at[i - 2]))
				steps = MIN(steps,
				            rows[(i + 1) % 3][j - 2] + 1);
			now[j] = steps;
		}
	}
	return rows[a.len % 3][b.len];
}

void nearest_look(struct nearest *n, struct span known)
{
	if (n->word.len == 0 || n->word.len > NEAREST_WORD_MAX ||
	    known.len == 0 || known.len > NEAREST_WORD_MAX)
		return;
	unsigned steps = distance(n->word, known);

	if (steps > MAX(n->word.len, known.len) / 3) {
		if (!is_part(n->word, known))
			return;
	}
	if (n->best.len == 0 || steps < n->steps) {
		n->best = known;
		n->steps = steps;
	}
}

#include "oci/census.h"

static struct census_word *look(const struct census *t, struct span word)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_eq(t->words[i].word, word))
			return (struct census_word *)&t->words[i];
	return NULL;
}

void census_add(struct census *t, struct span word)
{
	struct census_word *w;

	if (!word.len)
		word = SPAN("unknown");
	t->total++;
	w = look(t, word);
	if (!w && t->n == CENSUS_WORDS_MAX) {
		t->other++;
		return;
	}
	if (!w) {
		w = &t->words[t->n++];
		w->word = word;
	}
	w->count++;
}

size_t census_count(const struct census *t, const char *word)
{
	const struct census_word *w = look(t, span_str(word));

	return w ? w->count : 0;
}

void census_write(const struct census *t, struct output *o, const char *key)
{
	output_object(o, key);
	for (size_t i = 0; i < t->n; i++) {
		output_name(o, t->words[i].word);
		output_integer(o, NULL, (int64_t)t->words[i].count);
	}
	if (t->other)
		output_integer(o, "other", (int64_t)t->other);
	output_end(o);
}

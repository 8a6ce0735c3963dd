/*
 * words - how names and questions fall into words, for the search: the same
 * way when the catalogue is packed and when it is asked.
 */
#ifndef OCI_CATALOGUE_WORDS_H
#define OCI_CATALOGUE_WORDS_H

#include "lib/base.h"
#include "lib/span.h"

#define WORDS_BYTES 32 /* of one word; what is longer is cut */

/* One word, in lower case. */
struct word {
	char bytes[WORDS_BYTES];
	size_t len;
};

static inline bool words_is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static inline bool words_is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* How many bytes of s, which begins with a letter or digit, are one word:
 * "Launch" of LaunchInstance, "AI" of AIService, "VCNs", "list" of list_all. */
static inline size_t words_length(struct span s)
{
	size_t n = 1;

	while (n < s.len && words_is_upper(s.at[0]) && words_is_upper(s.at[n]))
		n++;
	if (n > 1 && n < s.len && words_is_lower(s.at[n])) {
		bool plural = s.at[n] == 's' &&
		              (n + 1 == s.len || !words_is_lower(s.at[n + 1]));

		return plural ? n + 1 : n - 1;
	}
	while (n < s.len && words_is_lower(s.at[n]))
		n++;
	return n;
}

/* Take the next word off the front of text; false when there is none. */
static inline bool words_next(struct span *text, struct word *out)
{
	struct span word;

	while (text->len && !words_is_upper(*text->at) &&
	       !words_is_lower(*text->at))
		*text = span_from(*text, 1);
	if (text->len == 0)
		return false;
	word = span_first(*text, words_length(*text));
	*text = span_from(*text, word.len);
	out->len = MIN(word.len, sizeof(out->bytes));
	for (size_t i = 0; i < out->len; i++)
		out->bytes[i] = (char)ascii_lower((unsigned char)word.at[i]);
	return true;
}

/* Both words as one: "ipsec" of IpSec; cut where it gets too long. */
static inline struct word words_join(const struct word *a, const struct word *b)
{
	struct word out = *a;
	size_t n = MIN(b->len, sizeof(out.bytes) - a->len);

	memcpy(out.bytes + a->len, b->bytes, n);
	out.len += n;
	return out;
}

static inline bool words_ends(const struct word *word, const char *tail)
{
	size_t n = strlen(tail);

	return word->len >= n &&
	       memcmp(word->bytes + word->len - n, tail, n) == 0;
}

/* A plural becomes its singular, near enough for a search. */
static inline void words_stem(struct word *word)
{
	static const struct {
		const char *tail; /* the first that fits */
		size_t off;       /* bytes off the end */
		const char *on;   /* and these on */
	} rules[] = {
		{ "ies", 3, "y" },  { "yses", 2, "is" }, { "sses", 2, "" },
		{ "tuses", 2, "" }, { "xes", 2, "" },    { "ches", 2, "" },
		{ "shes", 2, "" },  { "ss", 0, "" },     { "us", 0, "" },
		{ "is", 0, "" },    { "s", 1, "" },
	};

	if (word->len < 4)
		return;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		size_t on = strlen(rules[i].on);

		if (!words_ends(word, rules[i].tail))
			continue;
		word->len -= rules[i].off;
		memcpy(word->bytes + word->len, rules[i].on, on);
		word->len += on;
		return;
	}
}

#endif

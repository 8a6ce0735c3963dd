#include "oci/ranking.h"

#include "oci/catalogue/packed.h"
#include "oci/catalogue/tables.h"
#include "oci/catalogue/words.h"
#include "oci/nearest.h"

#define PREFIX_BYTES_MIN 3  /* of a word that may stand for longer ones */
#define PREFIX_WORDS_MAX 24 /* longer ones that are looked at */
#define FUZZY_BYTES_MIN  5  /* of a word that may be mistyped */
#define FUZZY_WORDS_MAX  4  /* of a question; they take long to look up */
#define FUZZY_BYTES_TWO  8  /* of a word that may be mistyped twice */
#define GOOD             32 /* how well a word fits that is the one asked for */

/* What a word is worth, by where it is. */
enum {
	IN_NAME = 100,
	IN_JOINED = 95,
	IN_WHOLE = 100,
	IN_OWNER = 70,
	IN_PATH = 30,
	IN_BOTH = 4, /* more, for the owner when the name has it too */
};

/* Words that say nothing. */
static const char *const fillers[] = {
	"a",   "all",   "an",   "and",  "by",     "can",  "cloud",  "do",
	"for", "from",  "how",  "i",    "in",     "is",   "me",     "my",
	"oci", "of",    "on",   "or",   "oracle", "our",  "please", "the",
	"to",  "using", "want", "what", "which",  "with", "you",
};

/* Words of one meaning: any of others may stand for word. */
static const struct {
	const char *word, *others;
} synonyms[] = {
	{ "add", "create attach" },
	{ "alert", "alarm" },
	{ "bill", "usage summarized invoice" },
	{ "billing", "usage summarized invoice" },
	{ "change", "update" },
	{ "cost", "usage summarized" },
	{ "create", "launch add" },
	{ "db", "database" },
	{ "dbs", "database" },
	{ "delete", "terminate remove" },
	{ "describe", "get" },
	{ "destroy", "delete terminate" },
	{ "disk", "volume" },
	{ "display", "get list" },
	{ "download", "get" },
	{ "drop", "delete" },
	{ "edit", "update" },
	{ "enumerate", "list" },
	{ "fetch", "get" },
	{ "find", "search list get" },
	{ "iam", "identity" },
	{ "kubernete", "cluster" },
	{ "launch", "create" },
	{ "look", "get search" },
	{ "machine", "instance" },
	{ "make", "create" },
	{ "modify", "update" },
	{ "network", "vcn" },
	{ "new", "create" },
	{ "notification", "topic" },
	{ "permission", "policy" },
	{ "provision", "create launch" },
	{ "query", "search summarize" },
	{ "read", "get" },
	{ "reboot", "restart softreset action" },
	{ "remove", "delete detach" },
	{ "restart", "reboot softreset action" },
	{ "retrieve", "get" },
	{ "run", "launch start" },
	{ "search", "query" },
	{ "server", "instance" },
	{ "set", "update" },
	{ "show", "get list" },
	{ "spend", "usage summarized" },
	{ "spending", "usage summarized" },
	{ "start", "action" },
	{ "stop", "action" },
	{ "summarize", "summarized" },
	{ "terminate", "delete" },
	{ "terraform", "stack" },
	{ "upload", "put" },
	{ "view", "get list" },
	{ "vm", "instance" },
	{ "vms", "instance" },
};

/* Abbreviations: all of the words are meant. */
static const struct {
	const char *word, *words;
} abbreviations[] = {
	{ "ad", "availability domain" },
	{ "adb", "autonomous database" },
	{ "adw", "autonomous database" },
	{ "atp", "autonomous database" },
	{ "cdb", "container database" },
	{ "igw", "internet gateway" },
	{ "k8s", "container engine cluster" },
	{ "kms", "key management" },
	{ "lb", "load balancer" },
	{ "nlb", "network load balancer" },
	{ "nsg", "network security group" },
	{ "oac", "analytics instance" },
	{ "oic", "integration instance" },
	{ "oke", "container engine" },
	{ "par", "preauthenticated request" },
	{ "pdb", "pluggable database" },
};

/* What an operation has of the words so far. */
struct tally {
	uint32_t score[PACKED_OPERATIONS_MAX];
	uint16_t places[PACKED_OPERATIONS_MAX];  /* of the name, a bit each */
	uint16_t covered[PACKED_OPERATIONS_MAX]; /* the weight of these */
	uint8_t best[PACKED_OPERATIONS_MAX];     /* for the word at hand */
	uint8_t word[PACKED_OPERATIONS_MAX];     /* which best is for, from 1 */
};

/* The words of a question. */
struct question {
	struct word words[OPERATION_WORDS_MAX];
	size_t count;
};

/* A word of the catalogue that may be what a word of the question means. */
struct meaning {
	const struct packed_word *word;
	unsigned fit; /* at most GOOD */
};

struct meanings {
	struct meaning list[PREFIX_WORDS_MAX];
	size_t count;
};

static struct span word_span(const struct word *word)
{
	return span_of(word->bytes, word->len);
}

static const struct packed_word *nth_word(size_t i)
{
	return (const struct packed_word *)tables_first(PACKED_WORDS) + i;
}

/* The first word of the catalogue that is not before text. */
static size_t lower_bound(struct span text)
{
	size_t low = 0, high = tables_count(PACKED_WORDS);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (span_cmp(tables_text(nth_word(middle)->text), text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct packed_word *find_word(struct span text)
{
	size_t i = lower_bound(text);

	if (i == tables_count(PACKED_WORDS) ||
	    !span_eq(tables_text(nth_word(i)->text), text))
		return NULL;
	return nth_word(i);
}

static void add_meaning(struct meanings *meanings,
                        const struct packed_word *word, unsigned fit)
{
	if (word && meanings->count < ARRAY_LEN(meanings->list))
		meanings->list[meanings->count++] =
			(struct meaning){ word, fit };
}

static void add_synonyms(struct meanings *meanings, struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(synonyms); i++) {
		struct span others = span_str(synonyms[i].others);
		struct word other;

		if (!span_is(word, synonyms[i].word))
			continue;
		while (words_next(&others, &other))
			add_meaning(meanings, find_word(word_span(&other)),
			            GOOD * 7 / 8);
	}
}

static void add_longer(struct meanings *meanings, struct span word)
{
	size_t i = lower_bound(word);

	if (word.len < PREFIX_BYTES_MIN)
		return;
	for (; i < tables_count(PACKED_WORDS) &&
	       span_starts(tables_text(nth_word(i)->text), word);
	     i++)
		add_meaning(meanings, nth_word(i), GOOD * 5 / 8);
}

/* A bit for each letter that a word has. */
static uint32_t letters(struct span word)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < word.len; i++)
		bits |= UINT32_C(1) << (word.at[i] & 31);
	return bits;
}

/* Can b be a with so many slips? Each changes two letters at most. */
static bool may_be(struct span a, uint32_t a_letters, struct span b,
                   unsigned slips)
{
	return a.len + slips >= b.len && b.len + slips >= a.len &&
	       (unsigned)__builtin_popcount(a_letters ^ letters(b)) <=
	               2 * slips;
}

/* The nearest word that begins with the same letter. */
static void add_alike(struct meanings *meanings, struct span word)
{
	struct nearest nearest = { .word = word };
	unsigned slips = word.len < FUZZY_BYTES_TWO ? 1 : 2;
	uint32_t has = letters(word);
	size_t i = lower_bound(span_first(word, 1));

	if (word.len < FUZZY_BYTES_MIN)
		return;
	for (; i < tables_count(PACKED_WORDS); i++) {
		struct span known = tables_text(nth_word(i)->text);

		if (known.at[0] != word.at[0])
			break;
		if (may_be(word, has, known, slips))
			nearest_look(&nearest, known);
	}
	if (nearest.best.len && nearest.steps <= slips)
		add_meaning(meanings, find_word(nearest.best), GOOD / 2);
}

/* What a word of a question may mean: itself; if nobody says that, words it
 * begins; if there are none, the word that is most like it. */
static void find_meanings(struct span word, unsigned *mistyped,
                          struct meanings *out)
{
	out->count = 0;
	add_meaning(out, find_word(word), GOOD);
	add_synonyms(out, word);
	if (out->count == 0)
		add_longer(out, word);
	if (out->count == 0 && (*mistyped)++ < FUZZY_WORDS_MAX)
		add_alike(out, word);
}

static unsigned worth(unsigned place)
{
	if (place < PACKED_PLACE_NAMES)
		return IN_NAME;
	if (place < PACKED_PLACE_WHOLE)
		return IN_JOINED;
	if (place == PACKED_PLACE_WHOLE)
		return IN_WHOLE;
	return place == PACKED_PLACE_PATH ? IN_PATH : IN_OWNER;
}

/* The words of the name at this place, a bit each. */
static uint16_t place_bits(unsigned place)
{
	if (place < PACKED_PLACE_NAMES)
		return (uint16_t)(1u << place);
	if (place < PACKED_PLACE_JOINED + PACKED_PLACE_NAMES)
		return (uint16_t)(3u << (place - PACKED_PLACE_JOINED));
	return 0;
}

/* An operation has a word with this meaning. weight is that of the word of the
 * question, which is its number-th. */
static void count_place(struct tally *tally, uint32_t entry,
                        const struct meaning *meaning, uint32_t weight,
                        size_t number)
{
	size_t op = entry >> 8;
	unsigned place = entry & 0xff;
	uint16_t bits = place_bits(place);
	unsigned value = worth(place) * meaning->fit / GOOD;

	if (bits & ~tally->places[op]) {
		tally->places[op] |= bits;
		tally->covered[op] =
			(uint16_t)(tally->covered[op] + meaning->word->weight);
	}
	if (tally->word[op] != number) {
		tally->word[op] = (uint8_t)number;
		tally->best[op] = 0;
	}
	if (value > tally->best[op]) {
		tally->score[op] += (value - tally->best[op]) * weight;
		tally->best[op] = (uint8_t)value;
	} else if (place == PACKED_PLACE_SERVICE || place == PACKED_PLACE_WHOLE)
		tally->score[op] += IN_BOTH * weight;
}

static void count_word(struct tally *tally, struct span word,
                       unsigned *mistyped, size_t number)
{
	const uint32_t *places = tables_first(PACKED_PLACES);
	struct meanings meanings;
	uint32_t weight = UINT32_MAX;

	find_meanings(word, mistyped, &meanings);
	for (size_t i = 0; i < meanings.count; i++)
		weight = MIN(weight, meanings.list[i].word->weight);
	if (meanings.count && meanings.list[0].fit == GOOD)
		weight = meanings.list[0].word->weight;
	for (size_t i = 0; i < meanings.count; i++) {
		const struct packed_word *found = meanings.list[i].word;

		for (uint32_t k = 0; k < found->count; k++)
			count_place(tally, places[found->first + k],
			            &meanings.list[i], weight, number);
	}
}

static void add_word(struct question *question, const struct word *word)
{
	if (question->count == OPERATION_WORDS_MAX)
		return;
	for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
		if (span_is(word_span(word), fillers[i]))
			return;
	for (size_t i = 0; i < question->count; i++)
		if (span_eq(word_span(word), word_span(&question->words[i])))
			return;
	question->words[question->count++] = *word;
}

static void read_question(struct span text, struct question *out)
{
	struct word word;

	out->count = 0;
	text = span_first(text, OPERATION_QUERY_MAX);
	while (words_next(&text, &word)) {
		struct span words = { 0 };
		struct word one;

		words_stem(&word);
		for (size_t i = 0; i < ARRAY_LEN(abbreviations); i++)
			if (span_is(word_span(&word), abbreviations[i].word))
				words = span_str(abbreviations[i].words);
		while (words_next(&words, &one))
			add_word(out, &one);
		if (words.at == NULL || find_word(word_span(&word)))
			add_word(out, &word);
	}
}

/* How well known its service is: the less, the better. */
static uint32_t fame(const struct operation *op)
{
	const struct packed_client *clients = tables_first(PACKED_CLIENTS);

	return clients[op->client].rank;
}

/* Verbs that go without saying, nearly: how much of their weight. */
static const struct {
	const char *verb;
	uint32_t weight;
} silent[] = {
	{ "List", 48 },      { "Get", 40 },    { "Request", 60 },
	{ "Summarize", 60 }, { "Search", 60 },
};

/*
 * A name that the question does not say all of is worth less, down to half.
 * Who names a thing only, most often wants to see it: the verb of these
 * operations is nearly said.
 */
static uint32_t settle(const struct tally *tally, size_t i)
{
	const struct operation *op = operation_at(i);
	struct span name = operation_name(op);
	uint32_t covered = tally->covered[i];
	uint64_t score = tally->score[i];

	for (size_t k = 0; k < ARRAY_LEN(silent); k++)
		if (!(tally->places[i] & 1) &&
		    span_starts(name, span_str(silent[k].verb)))
			covered += silent[k].weight;
	covered = MIN(covered, op->weight);
	if (fame(op) != PACKED_NONE)
		score += score / 8;
	return (uint32_t)(score * (op->weight + covered) / (2u * op->weight));
}

static bool passes(const struct operation_filter *filter,
                   const struct operation *op)
{
	if (!filter)
		return true;
	if (filter->service.len &&
	    !span_eq_nocase(filter->service, operation_service(op)))
		return false;
	if (filter->client.len &&
	    !span_eq_nocase(filter->client, operation_client_name(op)))
		return false;
	if (filter->method &&
	    strcmp(filter->method,
	           operation_method_name(operation_method(op))) != 0)
		return false;
	return !filter->read_only || operation_is_read_only(op);
}

/* Does the operation a go before b? */
static bool is_better(const struct tally *tally, const struct operation *a,
                      const struct operation *b)
{
	size_t x = (size_t)(a - operation_at(0));
	size_t y = (size_t)(b - operation_at(0));

	if (tally->score[x] != tally->score[y])
		return tally->score[x] > tally->score[y];
	if (fame(a) != fame(b))
		return fame(a) < fame(b);
	if (a->name_bytes != b->name_bytes)
		return a->name_bytes < b->name_bytes;
	return x < y;
}

/* Put op where it belongs among the best so far; returns how many there are. */
static size_t insert(const struct tally *tally, const struct operation *op,
                     const struct operation *out[], size_t count, size_t limit)
{
	size_t i = count;

	if (count == limit) {
		if (limit == 0 || !is_better(tally, op, out[limit - 1]))
			return count;
		i--;
	}
	while (i > 0 && is_better(tally, op, out[i - 1])) {
		out[i] = out[i - 1];
		i--;
	}
	out[i] = op;
	return MIN(count + 1, limit);
}

size_t ranking_search(struct span query, const struct operation_filter *filter,
                      size_t limit, const struct operation *out[],
                      size_t *total)
{
	struct question question;
	struct tally tally;
	size_t count = 0, all = 0;
	unsigned mistyped = 0;
	uint32_t best = 0;

	assert(limit <= OPERATION_RESULTS_MAX);
	memset(&tally, 0, sizeof(tally));
	read_question(query, &question);
	for (size_t i = 0; i < question.count; i++)
		count_word(&tally, word_span(&question.words[i]), &mistyped,
		           i + 1);
	for (size_t i = 0; i < operation_count(); i++) {
		if (tally.score[i] == 0)
			continue;
		tally.score[i] =
			passes(filter, operation_at(i)) ? settle(&tally, i) : 0;
		best = MAX(best, tally.score[i]);
	}
	for (size_t i = 0; best && i < operation_count(); i++) {
		/* What has far less of the question is no answer. */
		if (5 * (uint64_t)tally.score[i] < 2 * (uint64_t)best)
			continue;
		all++;
		count = insert(&tally, operation_at(i), out, count, limit);
	}
	if (total)
		*total = all;
	return count;
}

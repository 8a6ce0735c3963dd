#include "lib/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include "lib/scan.h"
#include "lib/value.h"

/* One token of jsmn, in the same order; node 0 stands for "none". */
struct node {
	uint32_t at;    /* of the content; a string's without its quote */
	uint32_t len;   /* as written */
	uint32_t plain; /* bytes of a string when unescaped */
	uint32_t key;   /* of an object's member */
	uint32_t first; /* child of an array or object: a value, never a key */
	uint32_t next;  /* sibling */
	uint32_t last;  /* child, while the nodes are linked */
	uint32_t count; /* children */
	uint8_t type;   /* enum json_type */
};

struct json {
	char *text;  /* as given, comments blanked; places come from here */
	char *plain; /* the same with strings unescaped where they stand */
	size_t len;  /* of both, without the newline and NUL at the end */
	struct node *nodes;
	size_t n_nodes;
};

static int refuse(const struct json *doc, size_t at, struct json_error *why,
                  int err, const char *text)
{
	const char *line = doc->text;
	const char *end = doc->text + MIN(at, doc->len);
	const char *newline;

	why->place.line = 1;
	while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
		line = newline + 1;
		why->place.line++;
	}
	why->place.column = (unsigned)(end - line) + 1;
	if (text)
		snprintf(why->text, sizeof why->text, "%s", text);
	return err;
}

static size_t skip_string(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at;
}

/* Bytes of the comment at the front of s: 0 none, SIZE_MAX without end. */
static size_t comment_len(struct span s)
{
	const char *end;

	if (span_starts(s, SPAN("//")))
		return span_find(s, '\n');
	if (!span_starts(s, SPAN("/*")))
		return 0;
	end = memmem(s.at + 2, s.len - 2, "*/", 2);
	return end ? (size_t)(end - s.at) + 2 : SIZE_MAX;
}

/* Spaces instead of comments, so that every offset stays what it was. */
static int blank_comments(struct json *doc, struct json_error *why)
{
	for (size_t at = 0; at < doc->len; at++) {
		size_t n;

		if (doc->text[at] == '"') {
			at = skip_string(doc->text, doc->len, at);
			continue;
		}
		n = comment_len(span_of(doc->text + at, doc->len - at));
		if (n == SIZE_MAX)
			return refuse(doc, at, why, -EBADMSG,
			              "this comment has no end");
		for (size_t end = at + n; n && at < end; at++)
			if (doc->text[at] != '\n')
				doc->text[at] = ' ';
		if (n)
			at--;
	}
	return 0;
}

/* Unescape in place: that is never longer than what is written. */
static int unescape(struct json *doc, struct node *node, struct json_error *why)
{
	struct span raw = span_of(doc->text + node->at - 1, node->len + 2);
	char *out = doc->plain + node->at;
	int n = value_string(raw, out, node->len);

	assert(n >= 0);
	node->plain = (uint32_t)n;
	out[n] = 0;
	if (memchr(out, 0, (size_t)n))
		return refuse(doc, node->at - 1, why, -EBADMSG,
		              "this string has U+0000 in it");
	return 0;
}

static int node_type(const struct json *doc, const jsmntok_t *token)
{
	switch (token->type) {
	case JSMN_OBJECT:
		return JSON_OBJECT;
	case JSMN_ARRAY:
		return JSON_ARRAY;
	case JSMN_STRING:
		return JSON_STRING;
	default:
		break;
	}
	switch (doc->text[token->start]) {
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* Hang a value into the array or object that it belongs to. */
static void link_value(struct json *doc, uint32_t parent, uint32_t i)
{
	struct node *nodes = doc->nodes;

	if (nodes[parent].last)
		nodes[nodes[parent].last].next = i;
	else
		nodes[parent].first = i;
	nodes[parent].last = i;
	nodes[parent].count++;
}

/*
 * Tokens to nodes. The text is valid, so an object's children are strings, each
 * the parent of exactly one value.
 */
static int link_nodes(struct json *doc, const jsmntok_t *tokens,
                      struct json_error *why)
{
	for (uint32_t i = 1; i < doc->n_nodes; i++) {
		const jsmntok_t *token = &tokens[i - 1];
		uint32_t parent = (uint32_t)(token->parent + 1);
		struct node *node = &doc->nodes[i];
		int err;

		node->at = (uint32_t)token->start;
		node->len = (uint32_t)(token->end - token->start);
		node->type = (uint8_t)node_type(doc, token);
		if (node->type == JSON_STRING &&
		    (err = unescape(doc, node, why)) < 0)
			return err;
		if (doc->nodes[parent].type == JSON_OBJECT) {
			assert(node->type == JSON_STRING && token->size == 1);
		} else if (doc->nodes[parent].type == JSON_STRING) {
			node->key = parent;
			link_value(doc, (uint32_t)tokens[parent - 1].parent + 1,
			           i);
		} else if (parent) {
			link_value(doc, parent, i);
		}
	}
	return 0;
}

static struct span plain_text(const struct json *doc, uint32_t node)
{
	return span_of(doc->plain + doc->nodes[node].at,
	               doc->nodes[node].plain);
}

static int compare_keys(const void *a, const void *b, void *arg)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = span_cmp(plain_text(arg, x), plain_text(arg, y));

	return order ? order : x < y ? -1 : x > y;
}

/* The key is not quoted: in a map of tokens it would be a secret. */
static int refuse_duplicate(struct json *doc, uint32_t key,
                            struct json_error *why)
{
	return refuse(doc, doc->nodes[key].at - 1, why, -EBADMSG,
	              "this key stands twice in its object");
}

static int check_keys(struct json *doc, struct json_error *why)
{
	uint32_t *keys;
	int err = 0;

	assert(doc->n_nodes > 0);
	keys = malloc(doc->n_nodes * sizeof *keys);
	if (!keys)
		return -ENOMEM;
	for (size_t i = 1; i < doc->n_nodes && err == 0; i++) {
		size_t n = 0;

		if (doc->nodes[i].type != JSON_OBJECT)
			continue;
		for (uint32_t m = doc->nodes[i].first; m;
		     m = doc->nodes[m].next)
			keys[n++] = doc->nodes[m].key;
		qsort_r(keys, n, sizeof *keys, compare_keys, doc);
		for (size_t k = 1; k < n && err == 0; k++)
			if (span_eq(plain_text(doc, keys[k - 1]),
			            plain_text(doc, keys[k])))
				err = refuse_duplicate(doc, keys[k], why);
	}
	free(keys);
	return err;
}

static int tokenize(struct json *doc, jsmntok_t **out, struct json_error *why)
{
	jsmn_parser parser;
	jsmntok_t *tokens;
	int n;

	jsmn_init(&parser);
	n = jsmn_parse(&parser, doc->text, doc->len + 1, NULL, 0);
	if (n > JSON_MAX_TOKENS)
		return refuse(doc, 0, why, -E2BIG,
		              "the text has too many keys and values");
	assert(n > 0);
	tokens = malloc((size_t)n * sizeof *tokens);
	doc->nodes = calloc((size_t)n + 1, sizeof *doc->nodes);
	doc->n_nodes = (size_t)n + 1;
	*out = tokens;
	if (!tokens || !doc->nodes)
		return -ENOMEM;
	jsmn_init(&parser);
	n = jsmn_parse(&parser, doc->text, doc->len + 1, tokens, (unsigned)n);
	assert((size_t)n + 1 == doc->n_nodes);
	return 0;
}

/* jsmn is lenient even when it is strict; what it gets is valid already. */
static int validate(struct json *doc, struct json_error *why)
{
	struct scan_error error;
	enum scan_result result = scan_document(span_of(doc->text, doc->len),
	                                        NULL, 0, NULL, &error);

	if (result == SCAN_OK)
		return 0;
	return refuse(doc, error.offset, why,
	              result == SCAN_DEPTH ? -E2BIG : -EBADMSG, error.text);
}

static int build(struct json *doc, unsigned flags, struct json_error *why)
{
	jsmntok_t *tokens = NULL;
	int err = 0;

	if (flags & JSON_COMMENTS)
		err = blank_comments(doc, why);
	if (err == 0)
		err = validate(doc, why);
	if (err == 0)
		err = tokenize(doc, &tokens, why);
	if (err == 0) {
		assert(tokens);
		memcpy(doc->plain, doc->text, doc->len + 2);
		err = link_nodes(doc, tokens, why);
	}
	if (err == 0)
		err = check_keys(doc, why);
	free(tokens);
	return err;
}

int json_parse(struct span text, unsigned flags, struct json **out,
               struct json_error *why)
{
	struct json *doc = calloc(1, sizeof *doc);
	int err = -ENOMEM;

	*out = NULL;
	*why = (struct json_error){ .place = { 1, 1 } };
	snprintf(why->text, sizeof why->text, "out of memory");
	if (text.len > JSON_MAX_BYTES) {
		free(doc);
		snprintf(why->text, sizeof why->text,
		         "the text is longer than %d bytes", JSON_MAX_BYTES);
		return -E2BIG;
	}
	if (doc) {
		doc->len = text.len;
		doc->text = malloc(text.len + 2);
		doc->plain = malloc(text.len + 2);
	}
	if (doc && doc->text && doc->plain) {
		if (text.len)
			memcpy(doc->text, text.at, text.len);
		/* jsmn wants something behind a number that stands alone */
		memcpy(doc->text + text.len, "\n", 2);
		err = build(doc, flags, why);
	}
	if (err < 0)
		json_free(doc);
	else
		*out = doc;
	return err;
}

static void wipe(char *at, size_t n)
{
	if (at)
		explicit_bzero(at, n);
	free(at);
}

void json_free(struct json *doc)
{
	if (!doc)
		return;
	wipe(doc->text, doc->len);
	wipe(doc->plain, doc->len);
	free(doc->nodes);
	free(doc);
}

struct json_value json_root(const struct json *doc)
{
	return (struct json_value){ doc, 1 };
}

static const struct node *node_of(struct json_value v)
{
	static const struct node none;

	return v.node ? &v.doc->nodes[v.node] : &none;
}

enum json_type json_type(struct json_value v)
{
	return (enum json_type)node_of(v)->type;
}

const char *json_type_name(enum json_type type)
{
	static const char *const names[] = {
		[JSON_NONE] = "nothing",     [JSON_NULL] = "null",
		[JSON_BOOL] = "a boolean",   [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string",  [JSON_ARRAY] = "an array",
		[JSON_OBJECT] = "an object",
	};

	assert((size_t)type < ARRAY_LEN(names));
	return names[type];
}

struct json_value json_first(struct json_value v)
{
	return (struct json_value){ v.doc, node_of(v)->first };
}

struct json_value json_next(struct json_value v)
{
	return (struct json_value){ v.doc, node_of(v)->next };
}

size_t json_count(struct json_value v)
{
	return node_of(v)->count;
}

struct json_value json_find(struct json_value v, struct span key)
{
	struct json_value m = { v.doc, 0 };

	if (json_type(v) == JSON_OBJECT)
		for (m = json_first(v); json_exists(m); m = json_next(m))
			if (span_eq(json_key(m), key))
				break;
	return m;
}

struct json_value json_get(struct json_value v, const char *key)
{
	return json_find(v, span_str(key));
}

struct span json_key(struct json_value v)
{
	uint32_t key = node_of(v)->key;

	return key ? plain_text(v.doc, key) : (struct span){ NULL, 0 };
}

struct span json_text(struct json_value v)
{
	if (json_type(v) != JSON_STRING)
		return (struct span){ NULL, 0 };
	return plain_text(v.doc, v.node);
}

const char *json_string(struct json_value v)
{
	return json_text(v).at;
}

struct span json_raw(struct json_value v)
{
	const struct node *node = node_of(v);
	size_t quote = node->type == JSON_STRING;

	if (!v.node)
		return (struct span){ NULL, 0 };
	return span_of(v.doc->text + node->at - quote, node->len + 2 * quote);
}

bool json_bool(struct json_value v, bool *out)
{
	if (json_type(v) != JSON_BOOL)
		return false;
	*out = span_starts(json_raw(v), SPAN("t"));
	return true;
}

bool json_int64(struct json_value v, int64_t *out)
{
	struct span s = json_raw(v);
	bool minus = s.len && *s.at == '-';
	uint64_t n;

	if (json_type(v) != JSON_NUMBER ||
	    !span_u64(span_from(s, minus), (uint64_t)INT64_MAX + minus, &n))
		return false;
	*out = minus ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

bool json_double(struct json_value v, double *out)
{
	struct span raw = json_raw(v);
	double d;

	if (json_type(v) != JSON_NUMBER)
		return false;
	assert(raw.at);
	d = strtod(raw.at, NULL);
	if (!isfinite(d))
		return false;
	*out = d;
	return true;
}

static struct json_place place(const struct json *doc, const struct node *node)
{
	struct json_error where;

	refuse(doc, node->at - (node->type == JSON_STRING), &where, 0, NULL);
	return where.place;
}

struct json_place json_place(struct json_value v)
{
	if (!v.node)
		return (struct json_place){ 0, 0 };
	return place(v.doc, node_of(v));
}

struct json_place json_key_place(struct json_value v)
{
	uint32_t key = node_of(v)->key;

	return key ? place(v.doc, &v.doc->nodes[key]) : json_place(v);
}

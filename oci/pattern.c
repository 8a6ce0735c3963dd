#include "oci/pattern.h"

/* One place of a pattern: the characters that may stand there. */
struct item {
	uint64_t set[2]; /* of ASCII */
	bool optional, repeated;
};

struct program {
	struct item items[PATTERN_ITEMS_MAX];
	size_t n;
};

static void set_range(struct item *item, unsigned low, unsigned high)
{
	for (unsigned c = low; c <= high; c++)
		item->set[c / 64] |= UINT64_C(1) << (c % 64);
}

static bool is_punctuation(unsigned char c)
{
	unsigned char lower = ascii_lower(c);

	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
	       !(lower >= 'a' && lower <= 'z');
}

/* What stands behind a backslash. *single is it as one character, or 0. */
static bool take_escape(struct span *p, struct item *item,
                        unsigned char *single)
{
	unsigned char c;

	if (p->len == 0)
		return false;
	c = (unsigned char)p->at[0];
	*p = span_from(*p, 1);
	*single = 0;
	if (c == 'd' || c == 'w')
		set_range(item, '0', '9');
	if (c == 'w') {
		set_range(item, 'A', 'Z');
		set_range(item, 'a', 'z');
		set_range(item, '_', '_');
	}
	if (c == 'd' || c == 'w')
		return true;
	*single = c;
	set_range(item, c, c);
	return is_punctuation(c);
}

/* One character, escaped or not, of a class. */
static bool take_member(struct span *p, struct item *item,
                        unsigned char *single)
{
	unsigned char c = (unsigned char)p->at[0];

	*p = span_from(*p, 1);
	if (c == '\\')
		return take_escape(p, item, single);
	*single = c;
	if (c < ' ' || c >= 0x7f || c == '[' || c == '^')
		return false;
	set_range(item, c, c);
	return true;
}

static bool take_class(struct span *p, struct item *item)
{
	unsigned char low, high;

	if (p->len && p->at[0] == ']')
		return false;
	while (p->len && p->at[0] != ']') {
		if (!take_member(p, item, &low))
			return false;
		if (p->len < 2 || p->at[0] != '-' || p->at[1] == ']')
			continue;
		*p = span_from(*p, 1);
		if (!low || !take_member(p, item, &high) || high < low)
			return false;
		set_range(item, low, high);
	}
	if (p->len == 0)
		return false;
	*p = span_from(*p, 1);
	return true;
}

static bool take_item(struct span *p, struct item *item)
{
	unsigned char c = (unsigned char)p->at[0], single;

	*item = (struct item){ 0 };
	*p = span_from(*p, 1);
	if (c == '[')
		return take_class(p, item);
	if (c == '\\')
		return take_escape(p, item, &single);
	if (c < ' ' || c >= 0x7f || strchr("^$.|()*+?{}]", c))
		return false;
	set_range(item, c, c);
	return true;
}

static bool add_item(struct program *program, struct item item)
{
	if (program->n == PATTERN_ITEMS_MAX)
		return false;
	program->items[program->n++] = item;
	return true;
}

/* "x+" is "xx*". */
static bool add_repeated(struct program *program, struct span *p,
                         struct item item)
{
	char c = p->len ? p->at[0] : '\0';

	if (c != '*' && c != '+' && c != '?')
		return add_item(program, item);
	*p = span_from(*p, 1);
	if (c == '+' && !add_item(program, item))
		return false;
	item.optional = true;
	item.repeated = c != '?';
	return add_item(program, item);
}

static bool compile(struct span p, struct program *program)
{
	struct item item;

	program->n = 0;
	if (p.len < 2 || p.at[0] != '^' || p.at[p.len - 1] != '$')
		return false;
	p = span_of(p.at + 1, p.len - 2);
	while (p.len)
		if (!take_item(&p, &item) || !add_repeated(program, &p, item))
			return false;
	return true;
}

/* Places that can be reached without a character. */
static uint64_t close_over(const struct program *program, uint64_t states)
{
	for (size_t i = 0; i < program->n; i++)
		if (states >> i & 1 && program->items[i].optional)
			states |= UINT64_C(1) << (i + 1);
	return states;
}

static uint64_t advance(const struct program *program, uint64_t states,
                        unsigned char c)
{
	uint64_t next = 0;

	for (size_t i = 0; i < program->n && c < 0x80; i++) {
		const struct item *item = &program->items[i];

		if (!(states >> i & 1) || !(item->set[c / 64] >> (c % 64) & 1))
			continue;
		next |= UINT64_C(1) << (i + !item->repeated);
	}
	return close_over(program, next);
}

bool pattern_valid(struct span pattern)
{
	struct program program;

	return compile(pattern, &program);
}

bool pattern_matches(struct span pattern, struct span text)
{
	struct program program;
	uint64_t states;

	if (!compile(pattern, &program))
		return false;
	states = close_over(&program, 1);
	for (size_t i = 0; i < text.len && states; i++)
		states = advance(&program, states, (unsigned char)text.at[i]);
	return states >> program.n & 1;
}

/*
 * packer - makes the packed catalogue (packed.h) of operations.txt and
 * models.txt. Runs when the program is built; the same texts give the same
 * bytes. What it does not understand ends it with the line's number.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base.h"
#include "lib/span.h"
#include "oci/catalogue/packed.h"
#include "oci/catalogue/words.h"
#include "oci/operation.h"

static const char *file_name = "";
static unsigned line_number;

NORETURN PRINTF(1, 2) static void fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%u: ", file_name, line_number);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* --- tables --------------------------------------------------------------- */

/* Bytes that grow. */
struct table {
	char *bytes;
	size_t len, cap;
};

static void *add(struct table *table, const void *bytes, size_t len)
{
	if (table->cap - table->len < len) {
		table->cap = 2 * table->cap + len + 4096;
		table->bytes = realloc(table->bytes, table->cap);
		if (!table->bytes)
			fail("no memory");
	}
	assert(table->bytes); /* len is not 0 */
	table->len += len;
	return memcpy(table->bytes + table->len - len, bytes, len);
}

/* A table in which what is the same stands once. */
struct pool {
	struct table table;
	struct {
		uint32_t at, len;
	} * slots; /* by hash; len 0: free */
	size_t slot_count, used;
};

static uint32_t hash(const char *bytes, size_t len)
{
	uint32_t h = 2166136261; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 16777619;
	return h;
}

/* Where in slots these bytes are, or would be. */
static size_t find_slot(const struct pool *pool, const char *bytes, size_t len)
{
	size_t i = hash(bytes, len) % pool->slot_count;

	while (pool->slots[i].len &&
	       (pool->slots[i].len != len ||
	        memcmp(pool->table.bytes + pool->slots[i].at, bytes, len) != 0))
		i = (i + 1) % pool->slot_count;
	return i;
}

static void grow(struct pool *pool)
{
	struct pool old = *pool;

	pool->slot_count = old.slot_count ? 2 * old.slot_count : 1024;
	pool->slots = calloc(pool->slot_count, sizeof(*pool->slots));
	if (!pool->slots)
		fail("no memory");
	for (size_t i = 0; i < old.slot_count; i++)
		if (old.slots[i].len)
			pool->slots[find_slot(pool,
			                      old.table.bytes + old.slots[i].at,
			                      old.slots[i].len)] = old.slots[i];
	free(old.slots);
}

/* The offset of bytes like these; len is not 0. */
static uint32_t share(struct pool *pool, const void *bytes, size_t len)
{
	size_t i;

	if (2 * pool->used >= pool->slot_count)
		grow(pool);
	i = find_slot(pool, bytes, len);
	if (pool->slots[i].len == 0) {
		pool->slots[i].at = (uint32_t)pool->table.len;
		pool->slots[i].len = (uint32_t)len;
		add(&pool->table, bytes, len);
		pool->used++;
	}
	return pool->slots[i].at;
}

/* --- the catalogue -------------------------------------------------------- */

static struct pool texts, parameters, parameter_lists, fields, field_lists,
	choices;
static struct table clients, realms, operations, models, kinds, names, words,
	places;

static uint32_t text_of(struct span s)
{
	char bytes[UINT16_MAX];
	uint16_t len = (uint16_t)s.len;

	if (s.len > sizeof(bytes) - sizeof(len))
		fail("too long");
	if (s.len == 0)
		return 0;
	memcpy(bytes, &len, sizeof(len));
	memcpy(bytes + sizeof(len), s.at, s.len);
	return share(&texts, bytes, sizeof(len) + s.len);
}

static struct span span_at(uint32_t text)
{
	const char *at = texts.table.bytes + text;
	uint16_t len;

	memcpy(&len, at, sizeof(len));
	return span_of(at + sizeof(len), len);
}

/* --- lines ---------------------------------------------------------------- */

static struct span take_word(struct span *line)
{
	struct span word = span_first(*line, span_find(*line, ' '));

	*line = span_from(*line, word.len + 1);
	return word;
}

/* Take this word off the front of line, if it is there. */
static bool take(struct span *line, const char *word)
{
	struct span rest = *line;

	if (!span_is(take_word(&rest), word))
		return false;
	*line = rest;
	return true;
}

/* Take a mark off the end of word, if it is there. */
static bool take_mark(struct span *word, char mark)
{
	if (word->len == 0 || word->at[word->len - 1] != mark)
		return false;
	word->len--;
	return true;
}

static bool take_front(struct span *word, char mark)
{
	if (word->len == 0 || word->at[0] != mark)
		return false;
	*word = span_from(*word, 1);
	return true;
}

static struct table read_file(const char *path)
{
	struct table all = { 0 };
	char part[65536];
	size_t n;
	FILE *file = fopen(path, "rb");

	file_name = path;
	line_number = 0;
	if (!file)
		fail("cannot be read");
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		add(&all, part, n);
	if (ferror(file) || all.len == 0)
		fail("cannot be read");
	fclose(file);
	return all;
}

/* Give each line of a file to read(). */
static void read_lines(const char *path, void (*read)(struct span line))
{
	struct table all = read_file(path);
	struct span rest = span_of(all.bytes, all.len);

	while (rest.len) {
		struct span line = span_first(rest, span_find(rest, '\n'));

		line_number++;
		rest = span_from(rest, line.len + 1);
		if (line.len && line.at[0] != '#')
			read(line);
	}
	free(all.bytes);
}

/* --- what both files have ------------------------------------------------- */

/* By the offset of the name's text: the type that goes without saying. */
static uint32_t *usual_types;
static size_t usual_count;

/* The sets of values of the service. */
static struct {
	uint32_t name, choice;
} sets[1024];
static size_t set_count;
static uint32_t service;

/* Put text behind what is in out; returns its new length. */
static size_t put(char out[512], size_t len, struct span text)
{
	if (text.len > 512 - len)
		fail("too long");
	memcpy(out + len, text.at, text.len);
	return len + text.len;
}

/* [X] as list[X], {X} as dict(str, X). */
static uint32_t long_type(struct span text)
{
	struct span start = text;
	char bytes[512];
	size_t len = 0, open = 0;

	for (; text.len && (text.at[0] == '[' || text.at[0] == '{'); open++) {
		len = put(bytes, len,
		          text.at[0] == '[' ? SPAN("list[")
		                            : SPAN("dict(str, "));
		text = span_from(text, 1);
	}
	if (text.len <= open)
		fail("a type that does not end");
	len = put(bytes, len, span_first(text, text.len - open));
	while (open-- > 0)
		len = put(bytes, len,
		          start.at[open] == '[' ? SPAN("]") : SPAN(")"));
	return text_of(span_of(bytes, len));
}

static void read_type(struct span line)
{
	uint32_t name = text_of(take_word(&line));

	if (name >= usual_count) {
		size_t count = 2 * name + 1024;

		usual_types =
			realloc(usual_types, count * sizeof(*usual_types));
		if (!usual_types)
			fail("no memory");
		memset(usual_types + usual_count, 0,
		       (count - usual_count) * sizeof(*usual_types));
		usual_count = count;
	}
	usual_types[name] = long_type(line);
}

static void forget_types(void)
{
	free(usual_types);
	usual_types = NULL;
	usual_count = 0;
}

static uint32_t usual_type(uint32_t name)
{
	if (name < usual_count && usual_types[name])
		return usual_types[name];
	return text_of(SPAN("str"));
}

static void read_values(struct span line)
{
	uint32_t values[1024];
	uint32_t count = 0;

	if (set_count == ARRAY_LEN(sets))
		fail("too many sets of values");
	sets[set_count].name = text_of(take_word(&line));
	while (line.len) {
		if (++count == ARRAY_LEN(values))
			fail("too many values");
		values[count] = text_of(take_word(&line));
	}
	values[0] = count;
	sets[set_count++].choice =
		share(&choices, values, (1 + count) * sizeof(*values)) /
		(uint32_t)sizeof(*values);
}

static uint32_t find_set(struct span name)
{
	uint32_t text = text_of(name);

	for (size_t i = 0; i < set_count; i++)
		if (sets[i].name == text)
			return sets[i].choice;
	fail("no values %.*s", SPAN_ARG(name));
}

/* "NAME[!] [TYPE] [,] [=VALUES]" */
static struct packed_member read_member(struct span line)
{
	struct packed_member out = { 0 };
	struct span name = take_word(&line);

	if (take_mark(&name, '!'))
		out.flags |= PACKED_REQUIRED;
	out.name = text_of(name);
	out.type = usual_type(out.name);
	while (line.len) {
		struct span word = take_word(&line);

		if (span_is(word, ","))
			out.flags |= PACKED_JOINED;
		else if (take_front(&word, '='))
			out.choice = find_set(word);
		else
			out.type = long_type(word);
	}
	return out;
}

/* Lines that both files have; false for others. */
static bool read_common(struct span line)
{
	if (take(&line, "type"))
		read_type(line);
	else if (take(&line, "values"))
		read_values(line);
	else if (take(&line, "service")) {
		uint32_t next = text_of(line);

		if (service && span_cmp(span_at(service), line) >= 0)
			fail("services are not in order");
		service = next;
		set_count = 0;
	} else
		return false;
	return true;
}

/* --- models --------------------------------------------------------------- */

/* What a model says of itself, for as long as bases are not known. */
struct draft {
	uint32_t base_name, value; /* texts */
	size_t first, count;       /* in own_fields */
};

static struct table drafts, own_fields; /* uint16_t numbers */

static size_t model_total(void)
{
	return models.len / sizeof(struct model);
}

static struct model *nth_model(size_t i)
{
	return (struct model *)(void *)models.bytes + i;
}

static struct draft *nth_draft(size_t i)
{
	return (struct draft *)(void *)drafts.bytes + i;
}

/* The model of a name, among those of a service from first on. */
static uint32_t look_up(uint32_t owner, uint32_t name)
{
	size_t low = 0, high = model_total();

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct model *model = nth_model(middle);
		int order = span_cmp(span_at(model->service), span_at(owner));

		if (order == 0)
			order = span_cmp(span_at(model->name), span_at(name));
		if (order == 0)
			return (uint32_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return PACKED_NONE;
}

static void read_model(struct span line)
{
	struct model model = { .service = service, .base = PACKED_NONE };
	struct draft draft = {
		.first = own_fields.len / sizeof(uint16_t),
	};
	struct span name = take_word(&line);
	const struct model *last =
		model_total() ? nth_model(model_total() - 1) : NULL;

	if (last && last->service == service &&
	    span_cmp(span_at(last->name), name) >= 0)
		fail("models are not in order");
	model.name = text_of(name);
	take_word(&line); /* what it is used for */
	draft.base_name = text_of(take_word(&line));
	draft.value = text_of(take_word(&line));
	add(&models, &model, sizeof(model));
	add(&drafts, &draft, sizeof(draft));
}

/* The number of a member like this one. */
static uint16_t number_of(struct pool *pool, const struct packed_member *member)
{
	size_t number = share(pool, member, sizeof(*member)) / sizeof(*member);

	if (number > UINT16_MAX)
		fail("too many different members");
	return (uint16_t)number;
}

static void read_models_line(struct span line)
{
	if (take_front(&line, '.')) {
		struct packed_member member = read_member(line);
		uint16_t number = number_of(&fields, &member);

		if (!drafts.len)
			fail("a field of no model");
		add(&own_fields, &number, sizeof(number));
		nth_draft(model_total() - 1)->count++;
	} else if (take(&line, "model"))
		read_model(line);
	else if (take_front(&line, ' ') && take(&line, "kinds-by"))
		nth_model(model_total() - 1)->discriminator = text_of(line);
	else if (!read_common(line))
		fail("not understood");
}

static uint32_t field_name(uint16_t number)
{
	return ((struct packed_member *)(void *)fields.table.bytes)[number]
	        .name;
}

/* Put a field at the place of the one with its name, or behind all. */
static size_t put_field(uint16_t *list, size_t count, uint16_t number)
{
	size_t i = 0;

	while (i < count && field_name(list[i]) != field_name(number))
		i++;
	if (i == 1024)
		fail("too many fields");
	list[i] = number;
	return MAX(count, i + 1);
}

/* The fields of a model behind those of its base; returns how many. */
static size_t gather(uint32_t index, uint16_t list[1024])
{
	const struct draft *draft = nth_draft(index);
	const uint16_t *own =
		(const uint16_t *)(const void *)own_fields.bytes + draft->first;
	size_t count = 0;

	if (nth_model(index)->base != PACKED_NONE)
		count = gather(nth_model(index)->base, list);
	for (size_t i = 0; i < draft->count; i++)
		count = put_field(list, count, own[i]);
	return count;
}

static void find_base(size_t index)
{
	struct model *model = nth_model(index);
	uint32_t name = nth_draft(index)->base_name;

	if (!name)
		return;
	model->base = look_up(model->service, name);
	if (model->base == PACKED_NONE || model->base == index)
		fail("%.*s has no base %.*s", SPAN_ARG(span_at(model->name)),
		     SPAN_ARG(span_at(name)));
}

static int compare_kinds(const void *a, const void *b)
{
	const struct packed_kind *one = a, *other = b;

	return span_cmp(span_at(one->value), span_at(other->value));
}

/* All models that are a kind of this one: they are of the same service. */
static void find_kinds(size_t index)
{
	struct model *model = nth_model(index);
	size_t first = kinds.len / sizeof(struct packed_kind);

	model->first_kind = (uint32_t)first;
	if (!model->discriminator)
		return;
	for (size_t i = 0; i < model_total(); i++)
		if (nth_model(i)->base == index) {
			struct packed_kind kind = { nth_draft(i)->value,
				                    (uint32_t)i };

			add(&kinds, &kind, sizeof(kind));
			model->kind_count++;
		}
	qsort((struct packed_kind *)(void *)kinds.bytes + first,
	      model->kind_count, sizeof(struct packed_kind), compare_kinds);
}

static void finish_models(void)
{
	uint16_t list[1024];

	for (size_t i = 0; i < model_total(); i++)
		find_base(i);
	for (size_t i = 0; i < model_total(); i++) {
		size_t count = gather((uint32_t)i, list);
		struct model *model = nth_model(i);

		find_kinds(i);
		model->field_count = (uint32_t)count;
		if (count)
			model->fields = share(&field_lists, list,
			                      count * sizeof(*list)) /
			                (uint32_t)sizeof(*list);
	}
}

/* --- operations ----------------------------------------------------------- */

static const char *const methods[] = {
	[OPERATION_GET] = "GET",       [OPERATION_HEAD] = "HEAD",
	[OPERATION_POST] = "POST",     [OPERATION_PUT] = "PUT",
	[OPERATION_DELETE] = "DELETE", [OPERATION_PATCH] = "PATCH",
};

static uint32_t docs; /* of the client */
static uint16_t path_members[64], query_members[64], header_members[64];
static size_t path_count, query_count, header_count;
static bool reading; /* more of it may come */

static size_t client_total(void)
{
	return clients.len / sizeof(struct packed_client);
}

static struct packed_client *last_client(void)
{
	if (client_total() == 0)
		fail("no client yet");
	return (struct packed_client *)(void *)clients.bytes + client_total() -
	       1;
}

static size_t operation_total(void)
{
	return operations.len / sizeof(struct operation);
}

static struct operation *nth_operation(size_t i)
{
	return (struct operation *)(void *)operations.bytes + i;
}

/* The last one; its lines are being read. */
static struct operation *current(void)
{
	if (operation_total() == 0)
		fail("no operation yet");
	return nth_operation(operation_total() - 1);
}

static void keep_member(uint16_t members[64], size_t *count,
                        struct packed_member member)
{
	if (*count == 64)
		fail("too many parameters");
	members[(*count)++] = number_of(&parameters, &member);
}

/* The type of a parameter: a list only at the outside. */
static void settle_type(struct packed_member *member)
{
	static const struct {
		const char *word;
		enum operation_type type;
	} types[] = {
		{ "str", OPERATION_STRING },    { "int", OPERATION_INTEGER },
		{ "float", OPERATION_NUMBER },  { "bool", OPERATION_BOOLEAN },
		{ "datetime", OPERATION_TIME },
	};
	struct span text = span_at(member->type);

	if (span_starts(text, SPAN("list["))) {
		member->flags |= PACKED_LIST;
		text = span_from(text, 5);
		text.len--;
	}
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (span_is(text, types[i].word)) {
			member->type = types[i].type;
			return;
		}
	fail("a parameter of type %.*s", SPAN_ARG(text));
}

/* The places of a path; a line of its own may tell the type of one. */
static void read_path(struct span path)
{
	while (path.len) {
		struct packed_member member = { .flags = PACKED_REQUIRED,
			                        .type = OPERATION_STRING,
			                        .place = OPERATION_IN_PATH };

		path = span_from(path, span_find(path, '{') + 1);
		member.name = text_of(span_first(path, span_find(path, '}')));
		if (path.len)
			keep_member(path_members, &path_count, member);
	}
}

static struct packed_member *nth_parameter(uint16_t number)
{
	return (struct packed_member *)(void *)parameters.table.bytes + number;
}

static void read_path_type(struct span line)
{
	uint32_t name = text_of(take_word(&line));
	struct packed_member member = { .flags = PACKED_REQUIRED,
		                        .name = name,
		                        .type = long_type(line),
		                        .place = OPERATION_IN_PATH };

	settle_type(&member);
	for (size_t i = 0; i < path_count; i++)
		if (nth_parameter(path_members[i])->name == name) {
			path_members[i] = number_of(&parameters, &member);
			return;
		}
	fail("not in the path");
}

static void read_query(struct span line)
{
	struct packed_member member = read_member(line);
	struct span name = span_at(member.name);

	if (span_is(name, "page"))
		current()->flags |= PACKED_PAGED;
	if (span_is(name, "limit"))
		current()->flags |= PACKED_LIMIT;
	settle_type(&member);
	member.place = OPERATION_IN_QUERY;
	keep_member(query_members, &query_count, member);
}

static void read_headers(struct span line)
{
	while (line.len) {
		struct packed_member member = { .type = OPERATION_STRING,
			                        .place = OPERATION_IN_HEADER };
		struct span name = take_word(&line);

		if (take_mark(&name, '!'))
			member.flags |= PACKED_REQUIRED;
		if (span_is(name, "opc-retry-token"))
			current()->flags |= PACKED_RETRY_TOKEN;
		if (span_eq_nocase(name, SPAN("if-match")))
			current()->flags |= PACKED_IF_MATCH;
		member.name = text_of(name);
		keep_member(header_members, &header_count, member);
	}
}

/* The lists of the operation before are complete. */
static void close_operation(void)
{
	uint16_t all[3 * 64];
	size_t count = 0;

	if (!reading)
		return;
	reading = false;
	for (size_t i = 0; i < path_count; i++)
		all[count++] = path_members[i];
	for (size_t i = 0; i < query_count; i++)
		all[count++] = query_members[i];
	for (size_t i = 0; i < header_count; i++)
		all[count++] = header_members[i];
	current()->parameter_count = (uint8_t)count;
	if (count)
		current()->parameters =
			share(&parameter_lists, all, count * sizeof(*all)) /
			(uint32_t)sizeof(*all);
	path_count = query_count = header_count = 0;
}

static void read_operation(enum operation_method method, struct span line)
{
	struct packed_client *client = last_client();
	struct operation op = {
		.method = (uint8_t)method,
		.client = (uint16_t)(client_total() - 1),
		.shape = OPERATION_NOTHING,
	};
	struct span name = take_word(&line);
	char id[256];
	int len = snprintf(id, sizeof(id), "%.*s/%.*s/%.*s",
	                   SPAN_ARG(span_at(client->service)),
	                   SPAN_ARG(span_at(client->name)), SPAN_ARG(name));

	if (len < 0 || (size_t)len >= sizeof(id) || name.len > UINT8_MAX)
		fail("too long");
	close_operation();
	if (operation_total() &&
	    span_cmp(span_at(current()->id), span_of(id, (size_t)len)) >= 0)
		fail("operations are not in order");
	op.id = text_of(span_of(id, (size_t)len));
	op.name_bytes = (uint8_t)name.len;
	op.path = text_of(line);
	client->count++;
	read_path(line);
	add(&operations, &op, sizeof(op));
	reading = true;
}

/* The services that most people mean, the most used first: they go before
 * others that fit about as well. */
static const char *const well_known[] = {
	"core",
	"database",
	"object_storage",
	"identity",
	"container_engine",
	"load_balancer",
	"functions",
	"monitoring",
	"logging",
	"loggingsearch",
	"audit",
	"vault",
	"key_management",
	"secrets",
	"dns",
	"mysql",
	"usage_api",
	"budget",
	"limits",
	"resource_search",
	"resource_manager",
	"network_load_balancer",
	"work_requests",
	"events",
	"ons",
	"streaming",
	"file_storage",
	"bastion",
	"cloud_guard",
	"apigateway",
	"container_instances",
	"artifacts",
	"nosql",
	"email",
	"waf",
	"announcements_service",
	"certificates_management",
	"autoscaling",
	"healthchecks",
	"devops",
	"os_management_hub",
	"data_science",
	"data_flow",
	"generative_ai_inference",
};

static uint32_t rank_of(struct span name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(well_known); i++)
		if (span_is(name, well_known[i]))
			return i;
	return PACKED_NONE;
}

static void read_client(struct span line)
{
	struct packed_client client = {
		.service = service,
		.rank = rank_of(span_at(service)),
		.name = text_of(take_word(&line)),
		.endpoint = text_of(take_word(&line)),
		.first = (uint32_t)operation_total(),
		.first_realm =
			(uint32_t)(realms.len / sizeof(struct packed_realm)),
	};

	close_operation();
	docs = 0;
	add(&clients, &client, sizeof(client));
}

/* Members of answers that hold the items, the first that is a list. */
static const char *const item_members[] = { "items", "Resources", "objects",
	                                    "shapes" };

static uint32_t find_items(uint32_t response)
{
	uint32_t index = look_up(service, response);
	const uint16_t *list;

	if (index == PACKED_NONE)
		return 0;
	list = (const uint16_t *)(const void *)field_lists.table.bytes +
	       nth_model(index)->fields;
	for (size_t m = 0; m < ARRAY_LEN(item_members); m++)
		for (size_t i = 0; i < nth_model(index)->field_count; i++) {
			struct packed_member field =
				((struct packed_member *)(void *)
			                 fields.table.bytes)[list[i]];

			if (span_is(span_at(field.name), item_members[m]) &&
			    span_starts(span_at(field.type), SPAN("list[")))
				return field.name;
		}
	return 0;
}

static void read_response(struct span line)
{
	struct operation *op = current();

	op->response = long_type(line);
	op->items = find_items(op->response);
	if (span_starts(line, SPAN("[")))
		op->shape = OPERATION_LIST;
	else if (span_is(line, "stream") || span_is(line, "bytes"))
		op->shape = OPERATION_STREAM;
	else if (span_is(line, "str"))
		op->shape = OPERATION_TEXT;
	else
		op->shape = op->items ? OPERATION_COLLECTION : OPERATION_SINGLE;
}

static void read_body(struct span line)
{
	if (take_mark(&line, '!'))
		current()->flags |= PACKED_BODY_REQUIRED;
	current()->body = long_type(line);
}

static void read_docs(struct span line)
{
	docs = text_of(line);
}

/* The page of an operation, in the folder of the client if it is a word. */
static void read_doc(struct span line)
{
	char bytes[512];
	int len = (int)line.len;

	if (span_find(line, '/') == line.len && docs) {
		len = snprintf(bytes, sizeof(bytes), "%.*s/%.*s",
		               SPAN_ARG(span_at(docs)), SPAN_ARG(line));
		line = span_of(bytes, (size_t)len);
	}
	if (len < 0 || (size_t)len >= sizeof(bytes))
		fail("too long");
	current()->reference = text_of(line);
}

static void read_base(struct span line)
{
	last_client()->base = text_of(line);
}

static void read_key(struct span line)
{
	last_client()->key = text_of(line);
}

static void read_endpoint_name(struct span line)
{
	last_client()->endpoint_name = text_of(line);
}

static void read_own_endpoint(struct span line)
{
	(void)line;
	last_client()->needs_endpoint = 1;
}

static void read_realm(struct span line)
{
	struct packed_realm realm = { .name = text_of(take_word(&line)) };

	realm.endpoint = text_of(line);
	add(&realms, &realm, sizeof(realm));
	last_client()->realm_count++;
}

static void read_accept(struct span line)
{
	current()->accept = text_of(line);
}

/* Facts that nobody asks for. */
static void read_nothing(struct span line)
{
	(void)line;
}

/* Lines of a client or an operation that begin with a space. */
static const struct {
	const char *word;
	void (*read)(struct span line);
} details[] = {
	{ "base", read_base },
	{ "key", read_key },
	{ "name", read_endpoint_name },
	{ "own-endpoint", read_own_endpoint },
	{ "realm", read_realm },
	{ "docs", read_docs },
	{ "doc", read_doc },
	{ "takes", read_body },
	{ "gives", read_response },
	{ "accept", read_accept },
	{ "headers", read_headers },
	{ "answers", read_nothing },
};

static const struct {
	const char *word;
	uint16_t flag;
} flags[] = {
	{ "unsigned", PACKED_UNSIGNED },
	{ "retried", PACKED_RETRIED },
	{ "etag", PACKED_ETAG },
	{ "work-request", PACKED_WORK_REQUEST },
	{ "total", 0 },
};

static void read_flags(struct span line)
{
	while (line.len) {
		size_t i = 0;

		while (i < ARRAY_LEN(flags) && !take(&line, flags[i].word))
			i++;
		if (i == ARRAY_LEN(flags))
			fail("not understood");
		current()->flags |= flags[i].flag;
	}
}

static void read_detail(struct span line)
{
	for (size_t i = 0; i < ARRAY_LEN(details); i++)
		if (take(&line, details[i].word)) {
			details[i].read(line);
			return;
		}
	read_flags(line);
}

static void read_operations_line(struct span line)
{
	if (take_front(&line, '?')) {
		read_query(line);
		return;
	}
	if (take_front(&line, '/')) {
		read_path_type(line);
		return;
	}
	if (take_front(&line, ' ')) {
		read_detail(line);
		return;
	}
	if (take(&line, "client")) {
		read_client(line);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (take(&line, methods[i])) {
			read_operation((enum operation_method)i, line);
			return;
		}
	if (!read_common(line))
		fail("not understood");
}

/* --- search --------------------------------------------------------------- */

/* One word of one operation. */
struct mention {
	uint32_t text;
	uint32_t place; /* operation << 8 | enum packed_place */
};

static struct table mentions;

static void mention(const struct word *word, size_t op, unsigned place)
{
	struct word stem = *word;
	struct mention one = { .place = (uint32_t)op << 8 | place };

	words_stem(&stem);
	one.text = text_of(span_of(stem.bytes, stem.len));
	add(&mentions, &one, sizeof(one));
}

/* The words of a text; of a name each has its place. */
static void mention_words(struct span text, size_t op, unsigned place)
{
	bool name = place < PACKED_PLACE_NAMES;
	struct word word, last;

	for (unsigned n = 0; words_next(&text, &word); n++, last = word) {
		unsigned at = MIN(n, PACKED_PLACE_NAMES - 1);
		struct word both;

		mention(&word, op, name ? at : place);
		if (n == 0 || (name && n >= PACKED_PLACE_NAMES))
			continue;
		both = words_join(&last, &word);
		mention(&both, op, name ? PACKED_PLACE_JOINED + at - 1 : place);
	}
}

/* Of a path, without the places of parameters. */
static void mention_path(struct span path, size_t op)
{
	while (path.len) {
		mention_words(span_first(path, span_find(path, '{')), op,
		              PACKED_PLACE_PATH);
		path = span_from(path, span_find(path, '}') + 1);
	}
}

static int compare_mentions(const void *a, const void *b)
{
	const struct mention *one = a, *other = b;
	int order = one->text == other->text ? 0
	                                     : span_cmp(span_at(one->text),
	                                                span_at(other->text));

	if (order)
		return order;
	return one->place < other->place ? -1 : one->place > other->place;
}

/* 16 times the binary logarithm of x, x > 0, rounded down. */
static uint32_t logarithm(uint64_t x)
{
	uint32_t whole = 63 - (uint32_t)__builtin_clzll(x);
	uint64_t part = (x << 16) >> whole; /* 1 to 2, in 1/65536 */
	uint32_t out = 16 * whole;

	for (uint32_t bit = 8; bit; bit /= 2) {
		part = part * part >> 16;
		if (part >= 2 << 16) {
			part /= 2;
			out += bit;
		}
	}
	return out;
}

/* One word, its mentions from first to end. */
static void pack_word(const struct mention *first, const struct mention *end)
{
	struct packed_word word = {
		.text = first->text,
		.first = (uint32_t)(places.len / sizeof(uint32_t)),
	};
	uint32_t used = 0;

	for (const struct mention *m = first; m < end; m++) {
		bool other = m == first || m[-1].place >> 8 != m->place >> 8;

		if (!other && ((m->place & 0xff) == PACKED_PLACE_PATH ||
		               m[-1].place == m->place))
			continue; /* it has the word in a better place */
		used += other;
		add(&places, &m->place, sizeof(m->place));
		word.count++;
	}
	word.weight = 32 + logarithm(operation_total()) - logarithm(used);
	add(&words, &word, sizeof(word));
	for (const struct mention *m = first; m < end; m++)
		if ((m->place & 0xff) < PACKED_PLACE_NAMES)
			nth_operation(m->place >> 8)->weight +=
				(uint16_t)word.weight;
}

static void pack_words(void)
{
	const struct mention *all, *end;

	for (size_t i = 0; i < operation_total(); i++) {
		const struct operation *op = nth_operation(i);
		struct span id = span_at(op->id);
		struct span owner = span_first(id, span_find(id, '/'));
		struct span name = span_from(id, id.len - op->name_bytes);
		struct span client = span_from(
			span_first(id, id.len - name.len), owner.len + 1);

		mention_words(name, i, 0);
		mention_words(owner, i,
		              span_find(owner, '_') == owner.len
		                      ? PACKED_PLACE_WHOLE
		                      : PACKED_PLACE_SERVICE);
		mention_words(client, i, PACKED_PLACE_CLIENT);
		mention_path(span_at(op->path), i);
	}
	qsort(mentions.bytes, mentions.len / sizeof(struct mention),
	      sizeof(struct mention), compare_mentions);
	all = (const struct mention *)(const void *)mentions.bytes;
	end = all + mentions.len / sizeof(*all);
	for (const struct mention *m = all, *next; m < end; m = next) {
		for (next = m; next < end && next->text == m->text;)
			next++;
		pack_word(m, next);
	}
}

/* By the letters and digits of the name, in any case; then by id. */
static int compare_names(const void *a, const void *b)
{
	uint16_t one = *(const uint16_t *)a, other = *(const uint16_t *)b;
	struct span x = span_at(nth_operation(one)->id);
	struct span y = span_at(nth_operation(other)->id);
	size_t n;

	x = span_from(x, x.len - nth_operation(one)->name_bytes);
	y = span_from(y, y.len - nth_operation(other)->name_bytes);
	n = MIN(x.len, y.len);
	for (size_t i = 0; i < n; i++) {
		int order = ascii_lower((unsigned char)x.at[i]) -
		            ascii_lower((unsigned char)y.at[i]);

		if (order)
			return order;
	}
	if (x.len != y.len)
		return x.len < y.len ? -1 : 1;
	return one < other ? -1 : one > other;
}

static void pack_names(void)
{
	if (operation_total() > PACKED_OPERATIONS_MAX)
		fail("too many operations");
	for (size_t i = 0; i < operation_total(); i++) {
		uint16_t number = (uint16_t)i;

		add(&names, &number, sizeof(number));
	}
	qsort(names.bytes, operation_total(), sizeof(uint16_t), compare_names);
}

/* --- output --------------------------------------------------------------- */

static const struct {
	const struct table *table;
	size_t record;
} outputs[PACKED_TABLES] = {
	[PACKED_TEXT] = { &texts.table, 1 },
	[PACKED_CLIENTS] = { &clients, sizeof(struct packed_client) },
	[PACKED_REALMS] = { &realms, sizeof(struct packed_realm) },
	[PACKED_OPERATIONS] = { &operations, sizeof(struct operation) },
	[PACKED_PARAMETERS] = { &parameters.table,
	                        sizeof(struct packed_member) },
	[PACKED_PARAMETER_LISTS] = { &parameter_lists.table, sizeof(uint16_t) },
	[PACKED_MODELS] = { &models, sizeof(struct model) },
	[PACKED_FIELDS] = { &fields.table, sizeof(struct packed_member) },
	[PACKED_FIELD_LISTS] = { &field_lists.table, sizeof(uint16_t) },
	[PACKED_KINDS] = { &kinds, sizeof(struct packed_kind) },
	[PACKED_CHOICES] = { &choices.table, sizeof(uint32_t) },
	[PACKED_NAMES] = { &names, sizeof(uint16_t) },
	[PACKED_WORDS] = { &words, sizeof(struct packed_word) },
	[PACKED_PLACES] = { &places, sizeof(uint32_t) },
};

static size_t aligned(size_t at)
{
	return (at + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
}

static void write_file(const char *path)
{
	static const char zeros[PACKED_ALIGN];
	struct packed_head head = { .magic = PACKED_MAGIC,
		                    .version = PACKED_VERSION };
	struct table out = { 0 };
	size_t at = aligned(sizeof(head));
	FILE *file;

	for (size_t i = 0; i < PACKED_TABLES; i++) {
		size_t len = outputs[i].table->len;

		head.tables[i].at = (uint32_t)at;
		head.tables[i].count = (uint32_t)(len / outputs[i].record);
		at = aligned(at + len);
	}
	head.bytes = (uint32_t)at;
	add(&out, &head, sizeof(head));
	for (size_t i = 0; i < PACKED_TABLES; i++) {
		add(&out, zeros, aligned(out.len) - out.len);
		if (outputs[i].table->len)
			add(&out, outputs[i].table->bytes,
			    outputs[i].table->len);
	}
	add(&out, zeros, aligned(out.len) - out.len);
	file_name = path;
	line_number = 0;
	file = fopen(path, "wb");
	if (!file || fwrite(out.bytes, 1, out.len, file) != out.len ||
	    fclose(file) != 0)
		fail("cannot be written");
	free(out.bytes);
}

int main(int argc, char **argv)
{
	static const uint32_t none[1];

	if (argc != 4) {
		fputs("usage: packer OPERATIONS MODELS OUTPUT\n", stderr);
		return 2;
	}
	/* Text 0 is empty and choice 0 has no values. */
	share(&texts, "\0", 2);
	share(&choices, none, sizeof(none));
	read_lines(argv[2], read_models_line);
	finish_models();
	forget_types();
	service = 0;
	read_lines(argv[1], read_operations_line);
	close_operation();
	pack_words();
	pack_names();
	write_file(argv[3]);
	return 0;
}

#include "master/config_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/file.h"

#define BLOCK_BYTES  16384
#define ENV_FILE_MAX 65536 /* bytes of --env-file */
#define ENV_VARS_MAX 512   /* variables in it */
/* Stands for a secret that is not looked at. */
#define ISOLATED_SECRET "reference-not-followed"

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct config_memory {
	struct block *blocks; /* the newest first */
	bool failed;
};

struct config_memory *config_memory_new(void)
{
	return calloc(1, sizeof(struct config_memory));
}

static struct block *add_block(struct config_memory *m, size_t n)
{
	size_t size = MAX(n, BLOCK_BYTES);
	struct block *block = calloc(1, sizeof *block + size);

	if (!block) {
		m->failed = true;
		return NULL;
	}
	block->size = size;
	block->next = m->blocks;
	m->blocks = block;
	return block;
}

void *config_memory_alloc(struct config_memory *m, size_t n)
{
	size_t step = _Alignof(max_align_t);
	struct block *block = m->blocks;
	void *at;

	n = (n + step - 1) / step * step;
	if (m->failed)
		return NULL;
	if (!block || block->size - block->used < n)
		block = add_block(m, n);
	if (!block)
		return NULL;
	at = block->bytes + block->used;
	block->used += n;
	return at;
}

const char *config_memory_copy(struct config_memory *m, struct span s)
{
	char *to = config_memory_alloc(m, s.len + 1);

	if (!to)
		return "";
	if (s.len)
		memcpy(to, s.at, s.len);
	return to;
}

void config_memory_spend(struct config_memory *m)
{
	m->failed = true;
}

bool config_memory_failed(const struct config_memory *m)
{
	return m->failed;
}

void config_memory_free(struct config_memory *m)
{
	if (!m)
		return;
	for (struct block *block = m->blocks, *next; block; block = next) {
		next = block->next;
		crypto_wipe(block->bytes, block->used);
		free(block);
	}
	free(m);
}

void *config_reader_alloc(struct config_reader *r, size_t n, size_t size)
{
	return config_memory_alloc(r->config->memory, n * size);
}

const char *config_reader_copy(struct config_reader *r, struct span s)
{
	return config_memory_copy(r->config->memory, s);
}

void config_reader_list(struct config_reader *r, struct config_list *list,
                        size_t n)
{
	list->len = 0;
	list->items = config_reader_alloc(r, n, sizeof *list->items);
}

void config_reader_append(struct config_reader *r, struct config_list *list,
                          struct span item)
{
	if (list->items)
		list->items[list->len++] = config_reader_copy(r, item);
}

static void add_problem(struct config_reader *r, enum log_level level,
                        struct json_place place, const char *fmt, va_list args)
{
	struct config_report *report = r->report;
	char *text;
	int n = 0;

	if (level == LOG_ERROR)
		report->errors++;
	else if (level == LOG_WARNING)
		report->warnings++;
	if (report->len == CONFIG_PROBLEMS)
		return;
	report->problems[report->len].level = level;
	text = report->problems[report->len++].text;
	if (r->file && place.line)
		n = snprintf(text, CONFIG_PROBLEM_MAX, "%s:%u:%u: ", r->file,
		             place.line, place.column);
	else if (r->file)
		n = snprintf(text, CONFIG_PROBLEM_MAX, "%s: ", r->file);
	if (n < CONFIG_PROBLEM_MAX)
		vsnprintf(text + n, (size_t)(CONFIG_PROBLEM_MAX - n), fmt,
		          args);
	for (; *text; text++) /* a key may hold what moves a terminal */
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void config_reader_note(struct config_reader *r, enum log_level level,
                        struct json_place place, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_problem(r, level, place, fmt, args);
	va_end(args);
}

void config_reader_complain(struct config_reader *r, struct json_place place,
                            const char *fmt, ...)
{
	bool is_soft = r->is_fragment && r->opt->action != OPTIONS_CHECK;
	va_list args;

	r->has_failed = true;
	va_start(args, fmt);
	add_problem(r, is_soft ? LOG_WARNING : LOG_ERROR, place, fmt, args);
	va_end(args);
}

const char *config_reader_env(const struct config_reader *r, const char *name)
{
	const char *value = r->is_isolated ? NULL : getenv(name);

	for (size_t i = 0; !value && i < r->n_vars; i++)
		if (strcmp(r->vars[i].name, name) == 0)
			value = r->vars[i].value;
	return value && *value ? value : NULL;
}

static bool is_variable(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = ascii_lower((unsigned char)name.at[i]);

		if (!(c >= 'a' && c <= 'z') && c != '_' &&
		    !(i && c >= '0' && c <= '9'))
			return false;
	}
	return name.len > 0;
}

static struct span unquote(struct span s)
{
	if (s.len >= 2 && (*s.at == '"' || *s.at == '\'') &&
	    s.at[s.len - 1] == *s.at)
		return span_of(s.at + 1, s.len - 2);
	return s;
}

/* NAME=VALUE, with or without "export" before and quotes around the value. */
static void read_variable(struct config_reader *r, struct span line,
                          unsigned number)
{
	struct json_place place = { number, 1 };
	struct span name;
	size_t equals;

	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	line = span_trim(line);
	if (span_starts(line, SPAN("export ")))
		line = span_trim(span_from(line, 7));
	if (line.len == 0 || *line.at == '#')
		return;
	equals = span_find(line, '=');
	name = span_trim(span_first(line, equals));
	if (equals == line.len || !is_variable(name)) {
		config_reader_complain(r, place, "this is not NAME=VALUE");
		return;
	}
	if (r->n_vars == ENV_VARS_MAX) {
		config_reader_complain(r, place, "more than %d variables",
		                       ENV_VARS_MAX);
		return;
	}
	r->vars[r->n_vars++] = (struct config_env){
		config_reader_copy(r, name),
		config_reader_copy(
			r, unquote(span_trim(span_from(line, equals + 1)))),
	};
}

void config_reader_env_file(struct config_reader *r, const char *path)
{
	struct span rest;
	int err = config_reader_file(r, path, &rest);

	r->file = path;
	if (err < 0) {
		config_reader_complain(r, (struct json_place){ 0, 0 },
		                       "cannot be read: %s", log_errno(err));
		return;
	}
	r->vars = config_reader_alloc(r, ENV_VARS_MAX, sizeof *r->vars);
	for (unsigned line = 1; r->vars && rest.len; line++) {
		size_t n = span_find(rest, '\n');

		read_variable(r, span_first(rest, n), line);
		rest = span_from(rest, n + 1);
	}
}

/* All the room at once: growing would leave copies of a secret behind. */
static int read_whole(const char *path, struct buf *bytes)
{
	(void)buf_reserve(bytes, CONFIG_SECRET_MAX);
	return file_read_secret(path, bytes);
}

int config_reader_file(struct config_reader *r, const char *path,
                       struct span *out)
{
	struct buf bytes = { .max = CONFIG_SECRET_MAX };
	int err = read_whole(path, &bytes);

	if (err >= 0)
		*out = span_of(config_reader_copy(r, buf_span(&bytes)),
		               bytes.len);
	if (bytes.len)
		crypto_wipe(bytes.bytes, bytes.len);
	buf_free(&bytes);
	return err;
}

struct json *config_reader_json(struct config_reader *r, const char *path,
                                bool may_miss)
{
	struct buf text = { .max = JSON_MAX_BYTES };
	struct json *doc = NULL;
	struct json_error why = { .place = { 0, 0 } };
	int err = file_read(path, &text);

	r->file = path;
	if (err < 0) {
		if (err != -ENOENT || !may_miss)
			config_reader_complain(r, why.place,
			                       "cannot be read: %s",
			                       log_errno(err));
	} else if (json_parse(buf_span(&text), JSON_COMMENTS, &doc, &why) < 0) {
		config_reader_complain(r, why.place, "%s", why.text);
	}
	if (text.len)
		crypto_wipe(text.bytes, text.len);
	buf_free(&text);
	return doc;
}

/* A secret goes into a header field: no byte of it may end one. */
static const char *checked(struct config_reader *r, const char *what,
                           struct json_place place, struct span secret)
{
	if (secret.len == 0) {
		config_reader_complain(r, place,
		                       "the secret of \"%s\" is empty", what);
		return NULL;
	}
	for (size_t i = 0; i < secret.len; i++) {
		if ((unsigned char)secret.at[i] >= ' ' &&
		    (unsigned char)secret.at[i] < 0x7f)
			continue;
		config_reader_complain(
			r, place,
			"the secret of \"%s\" has a byte that is not printable "
			"ASCII",
			what);
		return NULL;
	}
	return config_reader_copy(r, secret);
}

static const char *read_file(struct config_reader *r, const char *what,
                             struct json_place place, const char *path)
{
	struct buf bytes = { .max = CONFIG_SECRET_MAX };
	const char *secret = NULL;
	int err = read_whole(path, &bytes);

	if (err == FILE_EXPOSED)
		config_reader_note(r, LOG_WARNING, place,
		                   "every user of this machine may read the "
		                   "secret in %s",
		                   path);
	if (err < 0)
		config_reader_complain(r, place, "cannot read %s: %s", path,
		                       log_errno(err));
	else
		secret = checked(r, what, place, buf_span(&bytes));
	if (bytes.len)
		crypto_wipe(bytes.bytes, bytes.len);
	buf_free(&bytes);
	return secret;
}

static const char *read_variable_of(struct config_reader *r, const char *what,
                                    struct json_place place, const char *name)
{
	const char *value = config_reader_env(r, name);

	if (value)
		return checked(r, what, place, span_str(value));
	config_reader_complain(r, place, "the variable %s is not set", name);
	return NULL;
}

/* systemd.exec(5): LoadCredential= puts them into a directory of the unit. */
static const char *read_credential(struct config_reader *r, const char *what,
                                   struct json_place place, const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[4096];

	if (!dir) {
		config_reader_complain(
			r, place,
			"no systemd credentials here: CREDENTIALS_DIRECTORY is "
			"not set");
		return NULL;
	}
	if (strchr(name, '/') || *name == '.') {
		config_reader_complain(r, place,
		                       "a credential is a name, not a path");
		return NULL;
	}
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >=
	    sizeof path) {
		config_reader_complain(r, place, "this name is too long");
		return NULL;
	}
	return read_file(r, what, place, path);
}

static const struct reference {
	const char *key;
	const char *(*read)(struct config_reader *r, const char *what,
	                    struct json_place place, const char *name);
} references[] = {
	{ "file", read_file },
	{ "env", read_variable_of },
	{ "credential", read_credential },
};

static const char *follow(struct config_reader *r, const char *what,
                          struct json_value value)
{
	struct json_value target = json_first(value);

	for (size_t i = 0; i < ARRAY_LEN(references); i++) {
		if (!span_is(json_key(target), references[i].key))
			continue;
		if (json_count(value) != 1 || json_text(target).len == 0)
			break;
		if (r->is_isolated || r->is_disabled)
			return config_reader_copy(r, SPAN(ISOLATED_SECRET));
		return references[i].read(r, what, json_place(target),
		                          json_string(target));
	}
	config_reader_complain(
		r, json_place(value),
		"a reference is {\"file\": PATH}, {\"env\": NAME} "
		"or {\"credential\": NAME}");
	return NULL;
}

const char *config_reader_secret(struct config_reader *r, const char *what,
                                 struct json_value value)
{
	if (json_type(value) == JSON_OBJECT)
		return follow(r, what, value);
	if (json_type(value) == JSON_STRING)
		return checked(r, what, json_place(value), json_text(value));
	config_reader_complain(r, json_place(value),
	                       "\"%s\" must be a string or a reference, not %s",
	                       what, json_type_name(json_type(value)));
	return NULL;
}

#include "worker/record.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

#define LINES_MAX (256u << 10) /* bytes gathered in one turn */

struct lines {
	int fd; /* -1: where the log goes */
	struct buf text;
};

struct record {
	struct lines access, audit;
	int64_t second; /* that time was made for */
	char time[CLOCK_ISO_LEN + 1];
};

struct record *record_new(struct worker *w)
{
	struct record *rec = calloc(1, sizeof(*rec));

	(void)w;
	if (!rec)
		return NULL;
	rec->access = (struct lines){ .fd = -1, .text = { .max = LINES_MAX } };
	rec->audit = rec->access;
	return rec;
}

static void end(struct lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	buf_free(&l->text);
}

void record_free(struct record *rec)
{
	if (!rec)
		return;
	end(&rec->access);
	end(&rec->audit);
	free(rec);
}

static void set_fd(struct lines *l, int fd)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
}

void record_access_fd(struct record *rec, int fd)
{
	set_fd(&rec->access, fd);
}

void record_audit_fd(struct record *rec, int fd)
{
	set_fd(&rec->audit, fd);
}

static void flush(struct lines *l)
{
	if (l->text.len) {
		ssize_t n = write(l->fd >= 0 ? l->fd : log_fd(), l->text.bytes,
		                  l->text.len);
		/* A full disk loses lines; the counters still count. */
		(void)n;
	}
	buf_reset(&l->text);
}

void record_flush(struct record *rec)
{
	flush(&rec->access);
	flush(&rec->audit);
}

/* Append ,"name":"text"; name is a literal that needs no escape. */
static void add(struct buf *b, struct span name, struct span text)
{
	buf_add(b, ",\"", 2);
	buf_add_span(b, name);
	buf_add(b, "\":", 2);
	buf_add_json(b, span_first(text, LOG_TEXT_MAX));
}

static void add_number(struct buf *b, struct span name, uint64_t n)
{
	buf_add(b, ",\"", 2);
	buf_add_span(b, name);
	buf_add(b, "\":", 2);
	buf_add_u64(b, n);
}

static struct span backend_name(const struct request *r)
{
	if (r->backend == UINT32_MAX)
		return r->entry ? SPAN("gateway") : span_of("", 0);
	return snapshot_text(r->snap,
	                     snapshot_backend(r->snap, r->backend)->name);
}

static struct span entry_name(const struct request *r)
{
	return r->entry ? snapshot_text(r->snap, r->entry->name)
	                : span_of("", 0);
}

/* The time of this millisecond; the date is only worked out once a second. */
static void add_time(struct record *rec, struct buf *b)
{
	int64_t now_ms = clock_utc_ms();
	int64_t ms = now_ms % 1000;

	if (now_ms / 1000 != rec->second) {
		rec->second = now_ms / 1000;
		clock_iso(now_ms, rec->time);
	}
	for (int i = CLOCK_ISO_LEN - 2; i > CLOCK_ISO_LEN - 5; i--, ms /= 10)
		rec->time[i] = (char)('0' + ms % 10);
	buf_add(b, "{\"time\":\"", 9);
	buf_add(b, rec->time, CLOCK_ISO_LEN);
}

/* What both kinds of lines say. */
static void common(struct buf *b, struct span event, const struct worker *w,
                   const struct request *r, uint64_t us)
{
	char address[IP_TEXT_MAX];
	bool call = r->method && r->method->id == METHOD_TOOLS_CALL;

	add_time(w->record, b);
	buf_puts(b, "\",\"level\":\"info\",\"process\":\"worker\",\"slot\":");
	buf_add_u64(b, w->index);
	add(b, SPAN("event"), event);
	add(b, SPAN("request_id"), span_of(r->request_id, r->request_id_len));
	add(b, SPAN("client"),
	    span_of(address, ip_format(address, &r->client)));
	if (r->method)
		add(b, SPAN("method"), r->method->name);
	if (r->entry)
		add(b, call ? SPAN("tool") : SPAN("name"), entry_name(r));
	if (r->entry || r->backend != UINT32_MAX)
		add(b, SPAN("backend"), backend_name(r));
	add(b, SPAN("client_id"), principal_client(&r->principal));
	add(b, SPAN("subject"), principal_subject(&r->principal));
	add_number(b, SPAN("status"), (uint64_t)r->status);
	add(b, SPAN("outcome"), span_str(outcome_name(r->reply.outcome)));
	add_number(b, SPAN("bytes_in"), r->bytes_in);
	add_number(b, SPAN("bytes_out"), r->bytes_out);
	add_number(b, SPAN("duration_us"), us);
	if (r->reply.error)
		add(b, SPAN("error"), span_str(r->reply.error));
}

static const char *const verbs[] = {
	[H1_OTHER] = "OTHER",   [H1_GET] = "GET",
	[H1_HEAD] = "HEAD",     [H1_POST] = "POST",
	[H1_DELETE] = "DELETE", [H1_OPTIONS] = "OPTIONS",
	[H1_PUT] = "PUT",       [H1_PATCH] = "PATCH",
	[H1_TRACE] = "TRACE",   [H1_CONNECT] = "CONNECT",
};

static void access_line(struct worker *w, const struct request *r, uint64_t us)
{
	struct buf *b = &w->record->access.text;

	common(b, SPAN("access"), w, r, us);
	add(b, SPAN("http_method"), span_str(verbs[r->verb]));
	add(b, SPAN("path"), span_str(r->path));
	buf_puts(b, "}\n");
}

static void copy(char *to, size_t size, struct span from)
{
	size_t n = MIN(from.len, size - 1);

	if (n)
		memcpy(to, from.at, n);
	to[n] = '\0';
}

static void audit(struct worker *w, const struct request *r, uint64_t us)
{
	struct buf *b = &w->record->audit.text;
	struct audit_row row = {
		.at_ms = clock_utc_ms(),
		.duration_us = us,
		.bytes_in = r->bytes_in,
		.bytes_out = r->bytes_out,
		.outcome = (uint32_t)r->reply.outcome,
		.status = r->status,
		.worker = w->index,
	};

	copy(row.request_id, sizeof(row.request_id),
	     span_of(r->request_id, r->request_id_len));
	copy(row.tool, sizeof(row.tool), entry_name(r));
	copy(row.backend, sizeof(row.backend), backend_name(r));
	copy(row.client_id, sizeof(row.client_id),
	     principal_client(&r->principal));
	copy(row.subject, sizeof(row.subject),
	     principal_subject(&r->principal));
	copy(row.error, sizeof(row.error), span_str(r->reply.error));
	ip_format(row.address, &r->client);
	board_audit(w->board, &row);

	common(b, SPAN("audit"), w, r, us);
	if (r->builtin) {
		add(b, SPAN("operation"), builtin_operation(r->builtin));
		add(b, SPAN("opc_request_id"), builtin_request_id(r->builtin));
	}
	buf_puts(b, "}\n");
}

/* For the backend and the tool that a message went to. */
static void count_target(struct worker *w, const struct request *r, uint64_t us)
{
	unsigned bucket = board_bucket(us);

	if (r->backend != UINT32_MAX) {
		struct backend_row *row =
			&w->board->backends
				 [snapshot_backend(r->snap, r->backend)->slot];

		count_shared(&row->calls[r->reply.outcome], 1);
		count_shared(&row->duration.buckets[bucket], 1);
		count_shared(&row->duration.sum_us, us);
	}
	if (r->entry && r->method && r->method->id == METHOD_TOOLS_CALL) {
		struct tool_row *row = &w->board->tools[r->entry->metric];

		count_shared(&row->calls[r->reply.outcome], 1);
		count_shared(&row->duration_us, us);
	}
}

static void count(struct worker *w, const struct request *r, uint64_t us)
{
	int class = r->status / 100 - 1;
	unsigned bucket = board_bucket(us);

	if (class >= 0 && class < STATUS_CLASSES)
		count_own(&w->me->requests[class], 1);
	count_own(&w->me->received_bytes, r->bytes_in);
	count_own(&w->me->sent_bytes, r->bytes_out);
	if (!r->endpoint)
		return;
	count_own(&w->me->duration.buckets[bucket], 1);
	count_own(&w->me->duration.sum_us, us);
	count_target(w, r, us);
}

static bool audited(const struct request *r)
{
	return r->snap->settings->enable_audit_log && r->method &&
	       r->method->id == METHOD_TOOLS_CALL;
}

void record_element(struct worker *w, const struct request *r)
{
	uint64_t us = clock_mono_us() - r->started_us;

	count_target(w, r, us);
	if (audited(r))
		audit(w, r, us);
}

void record_request(struct worker *w, const struct request *r)
{
	uint64_t us = clock_mono_us() - r->started_us;

	count(w, r, us);
	if (audited(r))
		audit(w, r, us);
	if (r->snap->settings->access_log)
		access_line(w, r, us);
}

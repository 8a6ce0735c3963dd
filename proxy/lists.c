#include "proxy/lists.h"

#include "lib/crypto.h"
#include "lib/value.h"
#include "proxy/downgrade.h"
#include "proxy/tooldef.h"

/* Bytes before base64url: the longest URI of a list, made public. A shorter
 * cursor would not lead behind its own item. */
#define CURSOR_MAX (2 + TOOLDEF_URI_MAX + NAME_TEXT + 2)

static const struct {
	char letter; /* of a cursor */
	struct span member;
} kinds[LIST_KINDS] = {
	[LIST_TOOLS] = { 't', { "tools", 5 } },
	[LIST_PROMPTS] = { 'p', { "prompts", 7 } },
	[LIST_RESOURCES] = { 'r', { "resources", 9 } },
	[LIST_TEMPLATES] = { 'm', { "resourceTemplates", 17 } },
};

static int order(const struct snapshot *snap, const struct entry *e,
                 uint32_t rank, struct span name)
{
	if (e->order != rank)
		return e->order < rank ? -1 : 1;
	return span_cmp(snapshot_text(snap, e->name), name);
}

/* Index of the first entry behind the cursor's. */
static uint32_t after(const struct snapshot *snap, const struct list *list,
                      uint32_t rank, struct span name)
{
	const struct entry *e = snapshot_array(snap, list->entries);
	uint32_t low = 0, high = list->entries.len;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (order(snap, &e[middle], rank, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool read_cursor(const struct snapshot *snap, const struct message *msg,
                        const struct list *list, uint32_t *first)
{
	char bytes[CURSOR_MAX];
	struct span text;
	size_t len;

	*first = 0;
	if (!msg->cursor.at)
		return true;
	if (!value_string_plain(msg->cursor, &text) ||
	    !crypto_base64url_decode(text, bytes, sizeof(bytes), &len) ||
	    len < 2 || bytes[0] != kinds[msg->method->kind].letter ||
	    (bytes[1] != '0' && bytes[1] != '1'))
		return false;
	*first = after(snap, list, (uint32_t)(bytes[1] - '0'),
	               span_of(bytes + 2, len - 2));
	return true;
}

static void add_cursor(const struct snapshot *snap, enum list_kind kind,
                       const struct entry *last, struct buf *out)
{
	char bytes[CURSOR_MAX];
	struct span name = snapshot_text(snap, last->name);

	if (name.len > sizeof(bytes) - 2)
		name.len = sizeof(bytes) - 2;
	bytes[0] = kinds[kind].letter;
	bytes[1] = last->order ? '1' : '0';
	memcpy(bytes + 2, name.at, name.len);
	buf_puts(out, ",\"nextCursor\":\"");
	char *to = buf_reserve(out, CRYPTO_BASE64URL_LEN(name.len + 2));
	if (to)
		buf_commit(out, crypto_base64url_encode(
					span_of(bytes, name.len + 2), to));
	buf_putc(out, '"');
}

void lists_modern_members(const struct snapshot *snap, bool cacheable,
                          struct buf *out)
{
	buf_puts(out, ",\"resultType\":\"complete\"");
	if (cacheable) {
		buf_puts(out, ",\"ttlMs\":");
		buf_add_i64(out, snap->settings->list_ttl);
		buf_puts(out, ",\"cacheScope\":\"private\"");
	}
	buf_puts(out, ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"
	              "{\"name\":");
	buf_add_json(out, snapshot_text(snap, snap->head->name));
	buf_puts(out, ",\"version\":");
	buf_add_json(out, snapshot_text(snap, snap->head->program_version));
	buf_puts(out, "}}");
}

static bool visible(const struct entry *e, const struct scope_set *scopes)
{
	return !scopes || scope_set_covers(scopes, &e->needs);
}

/* Must the items of this list be written anew for the client? */
static bool rewritten(const struct message *msg)
{
	return msg->method->kind == LIST_TOOLS &&
	       !downgrade_structured(msg->revision);
}

/* A page of what this caller may see, item by item. */
static void gather(const struct snapshot *snap, const struct message *msg,
                   const struct list *list, const struct scope_set *scopes,
                   uint32_t *at, struct buf *out)
{
	const struct entry *e = snapshot_array(snap, list->entries);
	uint32_t most = (uint32_t)snap->settings->list_page_size;
	bool anew = rewritten(msg);
	uint32_t taken = 0;

	for (; *at < list->entries.len && taken < most; (*at)++) {
		if (!visible(&e[*at], scopes))
			continue;
		if (taken++)
			buf_putc(out, ',');
		if (anew)
			downgrade_tool(snapshot_text(snap, e[*at].json), out);
		else
			buf_add_span(out, snapshot_text(snap, e[*at].json));
	}
	/* More pages only when something visible is left. */
	while (*at < list->entries.len && !visible(&e[*at], scopes))
		(*at)++;
}

static struct iovec iov_of(struct span s)
{
	return (struct iovec){ (void *)(uintptr_t)s.at, s.len };
}

/* Entries of a list, from first up to last. */
struct page {
	enum list_kind kind;
	const struct list *list;
	uint32_t first, last;
	struct span ready; /* their JSON, where it stands in one piece */
};

/* The answer up to the items; those too unless they are ready. */
static void begin(const struct snapshot *snap, const struct message *msg,
                  const struct scope_set *scopes, struct page *page,
                  struct buf *out)
{
	const struct entry *e = snapshot_array(snap, page->list->entries);
	uint32_t most = (uint32_t)snap->settings->list_page_size;

	buf_reset(out);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, msg->id);
	buf_puts(out, ",\"result\":{\"");
	buf_add_span(out, kinds[page->kind].member);
	buf_puts(out, "\":[");
	page->ready = span_of("", 0);
	page->last = page->first;
	if ((scopes && !page->list->same_needs) || rewritten(msg)) {
		gather(snap, msg, page->list, scopes, &page->last, out);
		return;
	}
	page->last = MIN(page->list->entries.len, page->first + most);
	if (page->last > page->first)
		page->ready = span_of(snap->base + e[page->first].json.off,
		                      e[page->last - 1].json.off +
		                              e[page->last - 1].json.len -
		                              e[page->first].json.off);
}

/* The answer behind the items. */
static void finish(const struct snapshot *snap, const struct message *msg,
                   const struct scope_set *scopes, const struct page *page,
                   struct buf *out)
{
	const struct entry *e = snapshot_array(snap, page->list->entries);

	buf_putc(out, ']');
	if (page->last < page->list->entries.len) {
		uint32_t shown = page->last;

		/* The cursor is the last item that was shown. */
		while (shown > page->first && !visible(&e[shown - 1], scopes))
			shown--;
		if (shown > page->first)
			add_cursor(snap, page->kind, &e[shown - 1], out);
	}
	if (msg->era == VIEW_MODERN)
		lists_modern_members(snap, true, out);
	buf_puts(out, "}}");
}

bool lists_reply(const struct snapshot *snap, const struct message *msg,
                 const struct scope_set *scopes, struct buf *scratch,
                 struct reply *reply, struct problem *why)
{
	struct page page = { .kind = msg->method->kind };

	page.list = &snapshot_view(snap, msg->era)->lists[page.kind];
	if (!read_cursor(snap, msg, page.list, &page.first)) {
		problem_set(
			why, 200, RPC_INVALID_PARAMS,
			"Invalid cursor: use nextCursor of the page before, "
			"or none");
		return false;
	}
	begin(snap, msg, scopes, &page, scratch);

	size_t head = scratch->len;
	finish(snap, msg, scopes, &page, scratch);
	if (buf_err(scratch) < 0) {
		problem_set(why, 200, RPC_INTERNAL,
		            "The list is too large for one page; lower "
		            "list_page_size");
		return false;
	}

	struct iovec body[] = {
		iov_of(span_of(scratch->bytes, head)),
		iov_of(page.ready),
		iov_of(span_of(scratch->bytes + head, scratch->len - head)),
	};
	reply->outcome = OUTCOME_SUCCESS;
	reply->ops->whole(reply, 200, REPLY_JSON, body, ARRAY_LEN(body));
	return true;
}

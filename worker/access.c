#include "worker/access.h"

#include "proxy/catalog.h"
#include "worker/answer.h"

#define CHALLENGE_MAX 2048 /* bytes of a WWW-Authenticate line */

/* The host of an authority, without its port. */
static struct span host_of(struct span authority)
{
	if (authority.len && *authority.at == '[') {
		size_t close = span_find(authority, ']');

		return span_first(authority, close + 1);
	}
	return span_first(authority, span_find(authority, ':'));
}

static bool is_loopback(struct span host)
{
	struct ip ip;
	struct span bare = host;

	if (bare.len > 2 && *bare.at == '[')
		bare = span_of(bare.at + 1, bare.len - 2);
	return span_eq_nocase(host, SPAN("localhost")) ||
	       (ip_parse(bare, &ip) && ip_is_loopback(&ip));
}

static bool listed(const struct snapshot *snap, struct ref list,
                   struct span value, bool *any)
{
	const struct ref *rows = snapshot_array(snap, list);

	*any = false;
	for (uint32_t i = 0; i < list.len; i++) {
		struct span row = snapshot_text(snap, rows[i]);

		if (span_is(row, "*")) {
			*any = true;
			return true;
		}
		if (span_eq_nocase(row, value))
			return true;
	}
	return false;
}

/*
 * Against DNS rebinding: a page of another site whose name was made to point
 * here says its own name in Host (MCP, "Security Warning" of the transport).
 */
static bool host_allowed(const struct worker *w, const struct snapshot *snap,
                         struct span host)
{
	bool any;

	if (snap->head->allowed_hosts.len)
		return listed(snap, snap->head->allowed_hosts, host, &any) ||
		       listed(snap, snap->head->allowed_hosts, host_of(host),
		              &any);
	/* With a token or a certificate in between, such a page gets nothing.
	 */
	return !w->loopback_only || snap->settings->auth_enabled || w->tls ||
	       is_loopback(host_of(host));
}

static bool origin_allowed(const struct worker *w, const struct snapshot *snap,
                           struct span origin, struct span host)
{
	bool any;
	size_t colon = span_find(origin, ':');
	struct span authority = span_from(origin, colon + 3);

	if (listed(snap, snap->head->cors_origins, origin, &any)) {
		/* "*" cannot mean a strange page and an open local port. */
		return !any || snap->settings->auth_enabled ||
		       !w->loopback_only || is_loopback(host_of(authority));
	}
	if (colon + 3 > origin.len || span_is(origin, "null"))
		return false;
	return span_eq_nocase(authority, host) ||
	       (w->loopback_only && is_loopback(host_of(authority)));
}

bool access_source(struct request *r, const struct h1_request *head,
                   struct problem *p)
{
	const struct worker *w = r->conn->w;
	struct span host = h1_value(&head->head, H1_HOST);
	struct span origin = h1_value(&head->head, H1_ORIGIN);

	if (!host_allowed(w, r->snap, host)) {
		problem_set(p, 403, RPC_FORBIDDEN,
		            "This Host is not served here; see allowed_hosts");
		return false;
	}
	if (!h1_has(&head->head, H1_ORIGIN))
		return true;
	if (head->head.seen[H1_ORIGIN] != 1 ||
	    origin.len >= sizeof(r->origin) ||
	    !origin_allowed(w, r->snap, origin, host)) {
		problem_set(p, 403, RPC_FORBIDDEN,
		            "This Origin is not allowed; see cors_origins");
		return false;
	}
	memcpy(r->origin, origin.at, origin.len);
	r->origin[origin.len] = '\0';
	r->allow_origin = true;
	return true;
}

bool access_secure(const struct request *r)
{
	return r->conn->tls || r->proxied_tls;
}

static void add_scopes(const struct snapshot *snap, const struct scope_set *set,
                       struct buf *out)
{
	const struct ref *names = snapshot_array(snap, snap->head->scopes);
	bool first = true;

	for (uint32_t i = 0; i < snap->head->scopes.len; i++) {
		if (!scope_set_has(set, i))
			continue;
		buf_puts(out, first ? "" : " ");
		first = false;
		buf_add_span(out, snapshot_text(snap, names[i]));
	}
}

/* Where the metadata of RFC 9728 is: the path goes behind the well-known. */
static void add_metadata_url(struct request *r, struct span host,
                             struct buf *out)
{
	const struct header *h = r->snap->head;
	struct span url = snapshot_text(r->snap, h->public_url);
	struct span path = snapshot_text(r->snap, h->path);
	size_t scheme = 0;

	if (url.len) {
		scheme = span_find(url, '/') + 2;

		struct span rest = span_from(url, scheme);
		size_t slash = span_find(rest, '/');

		path = span_from(rest, slash);
		buf_add_span(out, span_first(url, scheme + slash));
	} else {
		buf_puts(out, access_secure(r) ? "https://" : "http://");
		buf_add_span(out, host);
	}
	buf_puts(out, "/.well-known/oauth-protected-resource");
	if (!span_is(path, "/"))
		buf_add_span(out, path);
}

/*
 * The challenge of RFC 6750, section 3, with the pointer of RFC 9728, section
 * 5.1. needs: scopes that are asked for.
 */
static void challenge(struct request *r, struct span host, const char *error,
                      const char *description, const struct scope_set *needs,
                      struct buf *out)
{
	bool first = true;

	buf_puts(out, "WWW-Authenticate: Bearer");
	if (error) {
		buf_addf(out, " error=\"%s\", error_description=\"%s\"", error,
		         description);
		first = false;
	}
	if (!scope_set_empty(needs)) {
		buf_puts(out, first ? " scope=\"" : ", scope=\"");
		add_scopes(r->snap, needs, out);
		buf_putc(out, '"');
		first = false;
	}
	if (r->snap->head->authorization_servers.len) {
		buf_puts(out, first ? " resource_metadata=\""
		                    : ", resource_metadata=\"");
		add_metadata_url(r, host, out);
		buf_putc(out, '"');
		first = false;
	}
	if (first)
		buf_puts(out, " realm=\"mcp\"");
	buf_puts(out, "\r\n");
}

static bool deny(struct request *r, struct span host, struct problem *p,
                 const char *error, const char *description,
                 const struct scope_set *needs, struct span id)
{
	struct buf fields = { .max = CHALLENGE_MAX };

	challenge(r, host, error, description, needs, &fields);
	r->reply.outcome = OUTCOME_UNAUTHORIZED;
	r->reply.error =
		p->status == 401 ? "not authenticated" : "a scope is missing";
	answer_problem(
		r, p, id,
		buf_err(&fields) == 0
			? buf_span(&fields)
			: SPAN("WWW-Authenticate: Bearer realm=\"mcp\"\r\n"));
	buf_free(&fields);
	return false;
}

bool access_identify(struct request *r, const struct h1_request *head)
{
	struct worker *w = r->conn->w;
	const struct h1_head *h = &head->head;
	struct span host = h1_value(h, H1_HOST);
	struct span field = h1_value(h, H1_AUTHORIZATION);
	const char *why = "";
	struct problem p;
	enum identity_result result = IDENTITY_INVALID;

	if (h->seen[H1_AUTHORIZATION] > 1)
		why = "More than one Authorization field";
	else
		result = identity_check(w->identity, r->snap, field,
		                        loop_now_ms(w->loop), &r->principal,
		                        &why);
	if (result != IDENTITY_OK)
		r->principal.everything = true; /* shown as anonymous */
	switch (result) {
	case IDENTITY_OK:
		break;
	case IDENTITY_MISSING:
		problem_set(&p, 401, RPC_UNAUTHORIZED,
		            "Authentication required: send Authorization: "
		            "Bearer and a token");
		return deny(r, host, &p, NULL, NULL, &r->snap->head->required,
		            span_of("", 0));
	case IDENTITY_INVALID:
		problem_set(&p, 401, RPC_UNAUTHORIZED, "Invalid token: %s",
		            why);
		return deny(r, host, &p, "invalid_token", why,
		            &r->snap->head->required, span_of("", 0));
	case IDENTITY_BUSY:
		problem_set(&p, 503, RPC_BUSY,
		            "Too many new tokens at once; try again");
		answer_problem(r, &p, span_of("", 0),
		               SPAN("Retry-After: 1\r\n"));
		return false;
	}
	if (r->principal.everything ||
	    scope_set_covers(&r->principal.who.scopes,
	                     &r->snap->head->required))
		return true;
	problem_set(&p, 403, RPC_FORBIDDEN,
	            "The token lacks a scope that every request needs");
	return deny(r, host, &p, "insufficient_scope",
	            "The token lacks a scope that every request needs",
	            &r->snap->head->required, span_of("", 0));
}

const struct scope_set *access_scopes(const struct request *r)
{
	return r->principal.everything ? NULL : &r->principal.who.scopes;
}

bool access_may_write(const struct request *r)
{
	int scope = snapshot_scope(r->snap, SPAN(CATALOG_WRITE_SCOPE));
	struct scope_set needs = { { 0 } };

	if (r->principal.everything)
		return true;
	if (scope < 0)
		return false;
	scope_set_add(&needs, (unsigned)scope);
	return scope_set_covers(&r->principal.who.scopes, &needs);
}

bool access_permit(struct request *r, const struct h1_request *head,
                   const struct scope_set *needs, struct span id)
{
	struct scope_set all = r->snap->head->required;
	struct problem p;

	if (r->principal.everything ||
	    scope_set_covers(&r->principal.who.scopes, needs))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(all.bits); i++)
		all.bits[i] |= needs->bits[i];
	problem_set(&p, 403, RPC_FORBIDDEN,
	            "The token lacks a scope that this needs");
	return deny(r, h1_value(&head->head, H1_HOST), &p, "insufficient_scope",
	            "The token lacks a scope that this needs", &all, id);
}

#include "oci/endpoint.h"

#include "lib/url.h"

#define SCHEME      "https://"
#define SCHEME_LEN  (sizeof(SCHEME) - 1)
#define DUAL_STACK  "dualStack?"
#define WITH_DOT    "+Dot"
#define REGION_HOLE "{region}"

static const char *const sentences[ENDPOINT_ERRORS_MAX] = {
	[ENDPOINT_OK] = "no error",
	[ENDPOINT_BAD_TEMPLATE] = "the service's endpoint template is broken",
	[ENDPOINT_NO_VALUE] = "the service's endpoint needs a value that is "
			      "not there",
	[ENDPOINT_BAD_VALUE] = "a value for the service's endpoint is not a "
			       "label of a host name",
	[ENDPOINT_BAD_HOST] = "the service's endpoint is not a host name",
	[ENDPOINT_BAD_PATH] = "the service's base path is not a plain path",
	[ENDPOINT_BAD_OVERRIDE] = "the configured endpoint is not an http or "
				  "https URL without a query",
	[ENDPOINT_BAD_OWN] = "the resource's own endpoint is not an https URL "
			     "in a domain of Oracle Cloud",
	[ENDPOINT_NEEDED] = "this service has an endpoint per resource: one "
			    "must be given",
	[ENDPOINT_FULL] = "the endpoint does not fit into its memory",
};

const char *endpoint_error(enum endpoint_error error)
{
	return sentences[error];
}

/* --- text that grows in place --------------------------------------------- */

/* A URL in the making; too long sticks. */
struct draft {
	char bytes[ENDPOINT_MAX];
	size_t len;
	bool full;
};

static void add(struct draft *d, struct span text)
{
	if (text.len > sizeof(d->bytes) - d->len) {
		d->full = true;
		return;
	}
	if (text.len)
		memcpy(d->bytes + d->len, text.at, text.len);
	d->len += text.len;
}

/* As add(), but a dot after a dot, or at the beginning of a host, is dropped.
 */
static void add_host(struct draft *d, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char last = d->len ? d->bytes[d->len - 1] : '/';

		if (text.at[i] == '.' && (last == '.' || last == '/'))
			continue;
		add(d, span_of(text.at + i, 1));
	}
}

/* --- templates ------------------------------------------------------------ */

static bool is_label(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = ascii_lower((unsigned char)text.at[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' &&
		    c != '_')
			return false;
	}
	return text.len <= ENDPOINT_VALUE_MAX;
}

static struct span value_of(const struct endpoint_request *r, struct span name)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (span_eq(name, r->values[i].name))
			return r->values[i].text;
	return (struct span){ 0 };
}

/* A placeholder that the caller has a value for; with a dot, or needed. */
static enum endpoint_error fill_value(const struct endpoint_request *r,
                                      struct span hole, struct draft *d)
{
	static const struct span with_dot = { WITH_DOT, sizeof(WITH_DOT) - 1 };
	size_t n = hole.len - MIN(hole.len, with_dot.len);
	bool optional = span_eq(span_from(hole, n), with_dot);
	struct span value = value_of(r, optional ? span_first(hole, n) : hole);

	if (!is_label(value))
		return ENDPOINT_BAD_VALUE;
	if (value.len == 0)
		return optional ? ENDPOINT_OK : ENDPOINT_NO_VALUE;
	add_host(d, value);
	if (optional)
		add_host(d, SPAN("."));
	return ENDPOINT_OK;
}

/* What stands between two braces. */
static enum endpoint_error fill(const struct endpoint_request *r,
                                struct span hole, struct draft *d)
{
	if (span_is(hole, "region")) {
		add_host(d, r->region.identifier);
		return is_label(r->region.identifier) ? ENDPOINT_OK
		                                      : ENDPOINT_BAD_VALUE;
	}
	if (span_is(hole, "secondLevelDomain")) {
		add_host(d, r->region.domain);
		return r->region.domain.len ? ENDPOINT_OK : ENDPOINT_NO_VALUE;
	}
	if (span_starts(hole, SPAN(DUAL_STACK))) {
		struct span two = span_from(hole, sizeof(DUAL_STACK) - 1);
		size_t colon = span_find(two, ':');

		if (colon == two.len)
			return ENDPOINT_BAD_TEMPLATE;
		add_host(d, r->dual_stack ? span_first(two, colon)
		                          : span_from(two, colon + 1));
		return ENDPOINT_OK;
	}
	return fill_value(r, hole, d);
}

static enum endpoint_error expand(const struct endpoint_request *r,
                                  struct span template, struct draft *d)
{
	if (template.len > ENDPOINT_TEMPLATE_MAX ||
	    !span_starts(template, SPAN(SCHEME)))
		return ENDPOINT_BAD_TEMPLATE;
	add(d, SPAN(SCHEME));
	template = span_from(template, SCHEME_LEN);
	while (template.len > 0) {
		size_t open = span_find(template, '{'), close;
		enum endpoint_error error;

		add_host(d, span_first(template, open));
		if (open == template.len)
			break;
		template = span_from(template, open + 1);
		close = span_find(template, '}');
		if (close == template.len)
			return ENDPOINT_BAD_TEMPLATE;
		error = fill(r, span_first(template, close), d);
		if (error != ENDPOINT_OK)
			return error;
		template = span_from(template, close + 1);
	}
	return ENDPOINT_OK;
}

/* What stands before {region}, without the dot: "iaas". */
static struct span head_of(struct span template)
{
	static const struct span hole = { REGION_HOLE,
		                          sizeof(REGION_HOLE) - 1 };
	struct span host = span_from(template, SCHEME_LEN);
	size_t brace = span_find(host, '{');

	if (brace < 2 || !span_starts(span_from(host, brace), hole) ||
	    host.at[brace - 1] != '.')
		return (struct span){ 0 };
	return span_first(host, brace - 1);
}

static bool is_dotted(struct span region)
{
	return span_find(region, '.') < region.len;
}

/* A region that is a domain. */
static enum endpoint_error use_domain(const struct endpoint_request *r,
                                      struct draft *d)
{
	struct span service =
		r->service.len ? r->service : head_of(r->template);

	if (service.len == 0)
		return ENDPOINT_BAD_TEMPLATE;
	add(d, SPAN(SCHEME));
	add_host(d, service);
	add_host(d, SPAN("."));
	add_host(d, r->region.identifier);
	return ENDPOINT_OK;
}

/* A name with a dot, no port, no address: hosts of a cloud are that. */
static bool is_host(struct span host)
{
	struct url_authority parts;

	return is_dotted(host) && url_parse_authority(host, &parts) == URL_OK &&
	       !parts.ipv6 && parts.port == 0 && host.at[host.len - 1] != '.';
}

static enum endpoint_error use_template(const struct endpoint_request *r,
                                        struct draft *d)
{
	bool special = r->realm_specific && r->realm_template.len;
	enum endpoint_error error;

	if (is_dotted(r->region.identifier))
		error = use_domain(r, d);
	else
		error = expand(r, special ? r->realm_template : r->template, d);
	if (error != ENDPOINT_OK)
		return error;
	if (d->full ||
	    !is_host(span_from(span_of(d->bytes, d->len), SCHEME_LEN)))
		return ENDPOINT_BAD_HOST;
	return ENDPOINT_OK;
}

/* --- endpoints that are given --------------------------------------------- */

/* Without the slashes at the end. */
static struct span trim_slashes(struct span url)
{
	while (url.len && url.at[url.len - 1] == '/')
		url.len--;
	return url;
}

static enum endpoint_error use_override(const struct endpoint_request *r,
                                        struct draft *d)
{
	struct url url;

	if (r->override.len > ENDPOINT_MAX ||
	    url_parse(r->override, &url) != URL_OK ||
	    span_find(r->override, '?') < r->override.len)
		return ENDPOINT_BAD_OVERRIDE;
	add(d, trim_slashes(r->override));
	return ENDPOINT_OK;
}

static enum endpoint_error use_own(const struct endpoint_request *r,
                                   struct draft *d)
{
	struct url url;

	if (r->own.len > ENDPOINT_MAX || url_parse(r->own, &url) != URL_OK ||
	    !url.tls || url.port != 443 || !span_is(url.path, "/") ||
	    span_find(r->own, '?') < r->own.len || !region_owns_host(url.host))
		return ENDPOINT_BAD_OWN;
	add(d, SPAN(SCHEME));
	add(d, url.host);
	return ENDPOINT_OK;
}

/* --- together ------------------------------------------------------------- */

/* "/20160918", "/a/b", nothing; no segment is empty, "." or "..". */
static bool path_ok(struct span path)
{
	if (path.len > ENDPOINT_PATH_MAX || (path.len && *path.at != '/'))
		return false;
	while (path.len > 0) {
		struct span segment = span_from(path, 1);

		segment = span_first(segment, span_find(segment, '/'));
		for (size_t i = 0; i < segment.len; i++) {
			char c = segment.at[i];

			if (!is_label(span_of(&c, 1)) && c != '.' && c != '~')
				return false;
		}
		if (segment.len == 0 || span_is(segment, ".") ||
		    span_is(segment, ".."))
			return false;
		path = span_from(path, 1 + segment.len);
	}
	return true;
}

static enum endpoint_error use_best(const struct endpoint_request *r,
                                    struct draft *d)
{
	if (r->override.len)
		return use_override(r, d);
	if (r->own.len)
		return use_own(r, d);
	if (r->needs_own)
		return ENDPOINT_NEEDED;
	return use_template(r, d);
}

enum endpoint_error endpoint_url(const struct endpoint_request *request,
                                 struct buf *into)
{
	struct draft d = { .len = 0 };
	enum endpoint_error error;

	if (!path_ok(request->base_path))
		return ENDPOINT_BAD_PATH;
	error = use_best(request, &d);
	if (error != ENDPOINT_OK)
		return error;
	add(&d, request->base_path);
	if (d.full)
		return ENDPOINT_FULL;
	buf_add(into, d.bytes, d.len);
	return buf_err(into) < 0 ? ENDPOINT_FULL : ENDPOINT_OK;
}

#include "oci/signer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/url.h"
#include "oci/environment.h"
#include "oci/exchange.h"
#include "oci/hosts.h"
#include "oci/principal.h"
#include "oci/sign.h"

#define SENTENCE_MAX 512   /* bytes of our own sentences, NUL included */
#define SKEW_MAX_S   86400 /* a clock that is further off is no clock */

struct worker {
	struct signer *signer;
	struct source socket;
};

/* A configured credential. */
struct holder {
	struct signer *signer;
	struct principal *principal;
	uint64_t id;
	struct waiting *first, **last;
};

/* A question that waits for a pass, or for the addresses of its host. */
struct waiting {
	struct waiting *next;
	struct worker *worker;
	struct holder *holder;
	uint64_t id;
	struct buf packet;
};

struct signer {
	struct errand_host host;
	struct holder *holders[SIGNER_CREDENTIALS_MAX];
	size_t n_holders;
	struct worker *workers[SIGNER_WORKERS_MAX];
	size_t n_workers;
	struct hosts *hosts;      /* NULL: no addresses are sent */
	struct hosts_place place; /* of the answer in hand */
	struct waiting *for_host, **for_host_last; /* wait for addresses */
	struct waiting *free;
	size_t n_waiting;
	struct signer_counts counts;
	struct buf lines, packet; /* of the answer in hand */
	struct buf trust;         /* certificates, configured */
	char room[EXCHANGE_MAX];
};

/* --- answers ---------------------------------------------------------------
 */

/* Without room for it the worker will ask again. */
static void send_answer(struct signer *s, const struct worker *w,
                        const struct exchange_message *answer)
{
	buf_reset(&s->packet);
	if (exchange_write(answer, &s->packet) < 0 ||
	    exchange_send(w->socket.fd, buf_span(&s->packet)) < 0)
		s->counts.dropped++;
	pass_wipe(&s->packet);
}

static void answer_error(struct signer *s, const struct worker *w, uint64_t id,
                         int err, const char *sentence)
{
	s->counts.failed++;
	send_answer(
		s, w,
		&(struct exchange_message){
			.kind = EXCHANGE_ANSWER,
			.id = id,
			.numbers = { [ANSWER_ERR] = (uint64_t)-err },
			.texts = { [ANSWER_SENTENCE] = span_str(sentence) } });
}

static void answer_pass(struct signer *s, const struct worker *w, uint64_t id,
                        const struct pass *pass)
{
	const char *method = credential_method_word(pass->method);

	s->counts.signed_ok++;
	send_answer(
		s, w,
		&(struct exchange_message){
			.kind = EXCHANGE_ANSWER,
			.id = id,
			.numbers = { [ANSWER_GENERATION] = pass->generation,
	                             [ANSWER_EXPIRES_S] =
	                                     (uint64_t)pass->expires_s },
			.texts = { [ANSWER_LINES] = buf_span(&s->lines),
	                           [ANSWER_TENANCY] = span_str(pass->tenancy),
	                           [ANSWER_SUBJECT] = span_str(pass->subject),
	                           [ANSWER_REGION] = span_str(pass->region),
	                           [ANSWER_DOMAIN] = span_str(pass->domain),
	                           [ANSWER_ADDRESSES] = span_of(
					   s->place.at,
					   s->place.n * sizeof(s->place.at[0])),
	                           [ANSWER_METHOD] = span_str(method) } });
}

/* --- what may be signed ----------------------------------------------------
 */

/* Paths of the services that give out tokens, in lower case. */
static const char *const token_paths[] = {
	"/v1/x509",
	"/v1/authentication",
	"/v1/token",
	"/v1/resourceprincipal",
	"/v1/actions/generatescopedaccesstoken",
	"/20180711/resourceprincipaltoken",
	"/resourceprincipalsessiontoken",
	"/oauth2/",
};

static int hex(char c)
{
	c = (char)ascii_lower((unsigned char)c);
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	                              : -1;
}

/* The next character of a path as a server may read it. */
static char next_char(struct span *path)
{
	char c = *path->at;
	size_t n = 1;

	if (c == '%' && path->len >= 3 && hex(path->at[1]) >= 0 &&
	    hex(path->at[2]) >= 0) {
		c = (char)(hex(path->at[1]) * 16 + hex(path->at[2]));
		n = 3;
	}
	*path = span_from(*path, n);
	return (char)ascii_lower((unsigned char)c);
}

/* Does the path, however it is written, begin like one of the table? Dots that
 * lead upwards at its beginning could hide one. */
static bool is_token_path(struct span target)
{
	struct span path = span_first(target, span_find(target, '?'));
	char text[64];
	size_t n = 0;

	while (path.len && n < sizeof(text) - 1) {
		char c = next_char(&path);

		if (c != '/' || n == 0 || text[n - 1] != '/')
			text[n++] = c;
	}
	text[n] = '\0';
	if (strstr(text, "/./") || strstr(text, "/../"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(token_paths); i++)
		if (strncmp(text, token_paths[i], strlen(token_paths[i])) == 0)
			return true;
	return false;
}

static bool is_endpoint(struct span host, struct span endpoint)
{
	struct url url;

	return endpoint.len && url_parse(endpoint, &url) == URL_OK &&
	       span_eq_nocase(host, url.authority);
}

/* Is host in that domain, and not the domain itself? */
static bool is_within(struct span host, const char *domain)
{
	struct span tail = span_str(domain);

	if (tail.len == 0 || host.len < tail.len + 2)
		return false;
	return host.at[host.len - tail.len - 1] == '.' &&
	       span_eq_nocase(span_from(host, host.len - tail.len), tail);
}

/* A region that is a domain is the administrator's own word. */
static bool is_place(struct span host, const struct pass *pass)
{
	return region_owns_host(host) || is_within(host, pass->domain) ||
	       (strchr(pass->region, '.') && is_within(host, pass->region));
}

static bool gives_tokens(struct span host)
{
	struct span label = span_first(host, span_find(host, '.'));

	return span_eq_nocase(label, SPAN("auth")) ||
	       span_eq_nocase(label, SPAN("login"));
}

/* NULL, or why not. */
static const char *refusal(const struct holder *h, const struct pass *pass,
                           const struct exchange_message *ask)
{
	struct span host = ask->texts[ASK_HOST];
	struct url_authority at;

	if (is_token_path(ask->texts[ASK_TARGET]))
		return "Requests for tokens are the keeper's own; this one is "
		       "not signed.";
	if (is_endpoint(host, principal_settings(h->principal)->endpoint) ||
	    is_endpoint(host, environment_get("OCI_CLI_ENDPOINT")))
		return NULL;
	if (url_parse_authority(host, &at) != URL_OK ||
	    !is_place(at.host, pass) || gives_tokens(at.host))
		return "The host is not in the domain of a known realm of "
		       "Oracle Cloud and is not a configured endpoint; a "
		       "request to it is not signed.";
	return NULL;
}

/* --- signing ---------------------------------------------------------------
 */

static enum sign_error sign(struct signer *s, const struct pass *pass,
                            const struct exchange_message *ask)
{
	char date[SIGN_DATE_LEN + 1];
	uint64_t flags = ask->numbers[ASK_FLAGS];
	int64_t skew_s = (int64_t)ask->numbers[ASK_SKEW_S];
	int64_t now_s = s->host.utc_s ? s->host.utc_s() : clock_utc_ms() / 1000;

	if (skew_s < -SKEW_MAX_S || skew_s > SKEW_MAX_S)
		skew_s = 0;
	if (!sign_date(now_s + skew_s, date))
		return SIGN_BAD_DATE;

	const struct sign_request request = {
		.method = ask->texts[ASK_METHOD],
		.target = ask->texts[ASK_TARGET],
		.host = ask->texts[ASK_HOST],
		.date = span_of(date, SIGN_DATE_LEN),
		.with_body = flags & ASK_WITH_BODY,
		.unsigned_body = flags & ASK_UNSIGNED_BODY,
		.content_type = ask->texts[ASK_CONTENT_TYPE],
		.content_length = ask->numbers[ASK_CONTENT_LENGTH],
		.body_sha256 = ask->texts[ASK_BODY_SHA256],
		.obo_token = buf_span(&pass->delegate),
	};
	return sign_headers(pass->key, buf_span(&pass->key_id), &request,
	                    &s->lines);
}

/* Seldom enough that nobody can fill the log: after 1, 2, 4, 8, ... */
static void warn_of_refusal(const struct signer *s, struct span host)
{
	uint64_t n = s->counts.refused;

	if ((n & (n - 1)) == 0)
		log_warning("a worker asked for a signature that is not given",
		            LOG_SPAN("host", host), LOG_INT("times", n));
}

static void let_wait(struct signer *s, struct waiting ***last, struct holder *h,
                     struct worker *w, uint64_t id, struct span packet);

/* Where is it? False: it waits for that, or has been answered. */
static bool find_host(struct holder *h, struct worker *w,
                      const struct exchange_message *ask, struct span packet)
{
	struct signer *s = h->signer;
	struct span host = ask->texts[ASK_HOST];
	char text[SENTENCE_MAX];

	switch (hosts_find(s->hosts, host, &s->place)) {
	case HOSTS_KNOWN:
		return true;
	case HOSTS_COMING:
		let_wait(s, &s->for_host_last, h, w, ask->id, packet);
		return false;
	case HOSTS_UNKNOWN:
		break;
	}
	snprintf(text, sizeof(text),
	         "The host %.*s has no address: check the region, and the name "
	         "servers of this machine.",
	         SPAN_ARG(span_first(host, 200)));
	answer_error(s, w, ask->id, -EIO, text);
	return false;
}

static void serve_with(struct holder *h, struct worker *w,
                       const struct exchange_message *ask,
                       const struct pass *pass, struct span packet)
{
	struct signer *s = h->signer;
	bool identity_only = ask->numbers[ASK_FLAGS] & ASK_IDENTITY_ONLY;
	const char *why = identity_only ? NULL : refusal(h, pass, ask);
	enum sign_error error = SIGN_OK;

	if (why) {
		s->counts.refused++;
		warn_of_refusal(s, ask->texts[ASK_HOST]);
		answer_error(s, w, ask->id, -EACCES, why);
		return;
	}
	buf_reset(&s->lines);
	s->place.n = 0;
	if (!identity_only && s->hosts && !find_host(h, w, ask, packet))
		return;
	if (!identity_only)
		error = sign(s, pass, ask);
	if (error == SIGN_OK) {
		answer_pass(s, w, ask->id, pass);
	} else {
		char text[SENTENCE_MAX];

		snprintf(text, sizeof(text), "The request cannot be signed: %s",
		         sign_error(error));
		answer_error(s, w, ask->id, -EINVAL, text);
	}
	pass_wipe(&s->lines);
}

/* --- waiting ---------------------------------------------------------------
 */

static void free_waiting(struct waiting *wait)
{
	buf_free(&wait->packet);
	free(wait);
}

static bool is_in(const struct waiting *wait, const struct worker *w,
                  uint64_t id)
{
	for (; wait; wait = wait->next)
		if (wait->id == id && wait->worker == w)
			return true;
	return false;
}

/* At the end of a list; a question that was repeated waits already. */
static void let_wait(struct signer *s, struct waiting ***last, struct holder *h,
                     struct worker *w, uint64_t id, struct span packet)
{
	struct waiting *wait = s->free;

	if (is_in(h->first, w, id) || is_in(s->for_host, w, id))
		return;
	if (s->n_waiting == SIGNER_WAITING_MAX) {
		answer_error(s, w, id, -EBUSY,
		             "Too many requests wait for a credential; try "
		             "again later.");
		return;
	}
	if (wait)
		s->free = wait->next;
	else
		wait = calloc(1, sizeof(*wait));
	if (!wait) {
		answer_error(s, w, id, -EBUSY, "Out of memory.");
		return;
	}
	buf_free(&wait->packet);
	wait->packet.max = EXCHANGE_MAX;
	buf_add_span(&wait->packet, packet);
	wait->worker = w;
	wait->holder = h;
	wait->id = id;
	wait->next = NULL;
	**last = wait;
	*last = &wait->next;
	s->n_waiting++;
}

static void answer_failure(struct holder *h, const struct worker *w,
                           uint64_t id)
{
	const char *sentence;
	int err = principal_error(h->principal, &sentence);

	answer_error(h->signer, w, id, err ? err : -EIO,
	             err ? sentence : "The credential has just ended.");
}

/* Nobody waits for it any more, or never did. */
static bool is_late(const struct exchange_message *ask)
{
	return ask->numbers[ASK_DEADLINE] <= clock_mono_ms();
}

static void serve_waiting(struct holder *h, struct waiting *wait)
{
	const struct pass *pass = principal_pass(h->principal);
	struct exchange_message ask;

	if (buf_err(&wait->packet) ||
	    !exchange_read(buf_span(&wait->packet), EXCHANGE_ASK, &ask) ||
	    is_late(&ask))
		return;
	if (pass)
		serve_with(h, wait->worker, &ask, pass,
		           buf_span(&wait->packet));
	else
		answer_failure(h, wait->worker, wait->id);
}

/* Serve all of a list; some may have to wait again, for something else. */
static void serve_list(struct signer *s, struct waiting *wait)
{
	while (wait) {
		struct waiting *next = wait->next;

		serve_waiting(wait->holder, wait);
		wait->next = s->free;
		s->free = wait;
		s->n_waiting--;
		wait = next;
	}
}

/* A renewal that failed leaves the old pass: who waited gets that. */
static void on_news(void *owner, struct principal *principal)
{
	struct holder *h = owner;
	struct waiting *wait = h->first;

	(void)principal;
	h->first = NULL;
	h->last = &h->first;
	serve_list(h->signer, wait);
}

static void on_host(void *owner)
{
	struct signer *s = owner;
	struct waiting *wait = s->for_host;

	s->for_host = NULL;
	s->for_host_last = &s->for_host;
	serve_list(s, wait);
}

/* --- questions -------------------------------------------------------------
 */

static struct holder *find_holder(struct signer *s, uint64_t id)
{
	for (size_t i = 0; i < s->n_holders; i++)
		if (s->holders[i]->id == id)
			return s->holders[i];
	return NULL;
}

static void take_ask(struct signer *s, struct worker *w, struct span packet)
{
	struct exchange_message ask;
	struct holder *h;

	if (!exchange_read(packet, EXCHANGE_ASK, &ask)) {
		s->counts.foreign++;
		return;
	}
	if (is_late(&ask))
		return;
	s->counts.asked++;
	h = find_holder(s, ask.numbers[ASK_CREDENTIAL]);
	if (!h) {
		answer_error(s, w, ask.id, -ENOKEY,
		             "The keeper knows no such credential: the "
		             "configuration may just be changing. Try again.");
		return;
	}
	switch (principal_ask(h->principal, ask.numbers[ASK_REFUSED])) {
	case PRINCIPAL_READY:
		serve_with(h, w, &ask, principal_pass(h->principal), packet);
		break;
	case PRINCIPAL_COMING:
		let_wait(s, &h->last, h, w, ask.id, packet);
		break;
	case PRINCIPAL_FAILED:
		answer_failure(h, w, ask.id);
		break;
	}
}

static void on_ready(struct source *src, uint32_t events)
{
	struct worker *w = CONTAINER_OF(src, struct worker, socket);
	struct signer *s = w->signer;

	(void)events;
	for (int i = 0; i < EXCHANGE_BATCH; i++) {
		int n = exchange_receive(src->fd, s->room);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			loop_remove(s->host.loop, src);
			return;
		}
		take_ask(s, w, span_of(s->room, (size_t)n));
	}
}

/* --- the signer ------------------------------------------------------------
 */

struct signer *signer_new(struct loop *loop, struct fetcher *fetcher)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->host.loop = loop;
	s->host.fetcher = fetcher;
	s->lines.max = s->packet.max = EXCHANGE_MAX;
	s->for_host_last = &s->for_host;
	return s;
}

int signer_resolve(struct signer *signer, struct lookups *lookups)
{
	signer->hosts = hosts_new(signer->host.loop, lookups, on_host, signer);
	return signer->hosts ? 0 : -ENOMEM;
}

static void free_list(struct waiting *wait)
{
	while (wait) {
		struct waiting *next = wait->next;

		free_waiting(wait);
		wait = next;
	}
}

static void free_holder(struct holder *h)
{
	if (!h)
		return;
	principal_free(h->principal);
	free_list(h->first);
	free(h);
}

void signer_free(struct signer *signer)
{
	if (!signer)
		return;
	for (size_t i = 0; i < signer->n_holders; i++)
		free_holder(signer->holders[i]);
	for (size_t i = 0; i < signer->n_workers; i++) {
		loop_remove(signer->host.loop, &signer->workers[i]->socket);
		free(signer->workers[i]);
	}
	hosts_free(signer->hosts);
	free_list(signer->for_host);
	free_list(signer->free);
	pass_wipe(&signer->lines);
	pass_wipe(&signer->packet);
	buf_free(&signer->trust);
	free(signer);
}

static struct holder *new_holder(struct signer *s, const struct credential *c)
{
	struct holder *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->signer = s;
	h->id = credential_id(c);
	h->last = &h->first;
	h->principal = principal_new(&s->host, c, on_news, h);
	if (h->principal)
		return h;
	free(h);
	return NULL;
}

/* Who still waits for a credential that is gone will ask again, and be told. */
static void drop_holder(struct signer *s, struct holder *h)
{
	struct waiting **at = &s->for_host;

	for (struct waiting *wait = h->first; wait; wait = wait->next)
		s->n_waiting--;
	while (*at) {
		struct waiting *wait = *at;

		if (wait->holder != h) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		free_waiting(wait);
		s->n_waiting--;
	}
	s->for_host_last = at;
	free_holder(h);
}

static bool is_listed(struct holder *const list[], size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i]->id == id)
			return true;
	return false;
}

int signer_configure(struct signer *signer,
                     const struct credential *credentials, size_t n)
{
	struct holder *next[SIGNER_CREDENTIALS_MAX];
	size_t n_next = 0;

	if (n > SIGNER_CREDENTIALS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		uint64_t id = credential_id(&credentials[i]);
		struct holder *h = find_holder(signer, id);

		if (is_listed(next, n_next, id))
			continue;
		if (!h)
			h = new_holder(signer, &credentials[i]);
		if (!h) {
			for (size_t j = 0; j < n_next; j++)
				if (find_holder(signer, next[j]->id) != next[j])
					free_holder(next[j]);
			return -ENOMEM;
		}
		next[n_next++] = h;
	}
	for (size_t i = 0; i < signer->n_holders; i++)
		if (!is_listed(next, n_next, signer->holders[i]->id))
			drop_holder(signer, signer->holders[i]);
	for (size_t i = 0; i < n_next; i++)
		signer->holders[i] = next[i];
	signer->n_holders = n_next;
	return 0;
}

int signer_trust(struct signer *signer, struct span ca_pem)
{
	struct buf next = { .max = SIZE_MAX };

	buf_add_span(&next, ca_pem);
	if (buf_err(&next))
		return -ENOMEM;
	buf_free(&signer->trust);
	signer->trust = next;
	signer->host.ca_pem = buf_span(&signer->trust);
	return 0;
}

int signer_add_worker(struct signer *signer, int fd)
{
	struct worker *w;
	int err;

	if (signer->n_workers == SIGNER_WORKERS_MAX)
		return -E2BIG;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return os_error();
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->signer = signer;
	w->socket.fd = fd;
	w->socket.on_ready = on_ready;
	err = loop_add(signer->host.loop, &w->socket, EPOLLIN);
	if (err < 0) {
		free(w);
		return err;
	}
	signer->workers[signer->n_workers++] = w;
	return 0;
}

const struct signer_counts *signer_counts(const struct signer *signer)
{
	return &signer->counts;
}

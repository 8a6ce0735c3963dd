#include "oci/principal.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "oci/attempt.h"
#include "oci/detect.h"
#include "oci/environment.h"
#include "oci/federation.h"
#include "oci/resource.h"
#include "oci/userkey.h"
#include "oci/workload.h"

/* A renewal is looked at again at least so often: clocks may be set. */
#define LOOK_AGAIN_MS UINT64_C(3600000)

struct principal {
	const struct errand_host *host;
	struct credential settings; /* its texts are in store */
	struct buf store;
	void (*on_news)(void *owner, struct principal *principal);
	void *owner;

	struct pass *pass;
	struct attempt attempt;
	bool attempting;
	uint64_t refused;    /* generation that the attempt is to replace */
	uint64_t renewed_ms; /* when that was done last; 0: never */

	int err; /* of the last attempt; 0: none failed since the last pass */
	char sentence[PRINCIPAL_SENTENCE_MAX];
	uint64_t wait_ms; /* after the next failure */
	uint64_t not_before_ms;
	struct timer renew;
};

const struct attempt_method *const attempt_methods[CREDENTIAL_METHODS] = {
	[CREDENTIAL_AUTO] = &detect_auto,
	[CREDENTIAL_API_KEY] = &userkey_api,
	[CREDENTIAL_SECURITY_TOKEN] = &userkey_session,
	[CREDENTIAL_INSTANCE_PRINCIPAL] = &federation_instance,
	[CREDENTIAL_RESOURCE_PRINCIPAL] = &resource_principal,
	[CREDENTIAL_WORKLOAD] = &workload_identity,
	[CREDENTIAL_INSTANCE_OBO_USER] = &federation_obo,
};

static void start(struct principal *p);

/* --- time ------------------------------------------------------------------
 */

static bool is_valid(const struct principal *p)
{
	return p->pass && (p->pass->expires_s == 0 ||
	                   p->pass->expires_s > attempt_now_s(&p->attempt));
}

static void on_renew(struct timer *t);

static void arm_for(struct principal *p, int64_t when_s)
{
	int64_t in_s = when_s - attempt_now_s(&p->attempt);
	uint64_t in_ms = in_s > 0 ? (uint64_t)in_s * 1000 : 0;

	loop_timer(p->host->loop, &p->renew, MIN(in_ms, LOOK_AGAIN_MS),
	           on_renew);
}

static void on_renew(struct timer *t)
{
	struct principal *p = CONTAINER_OF(t, struct principal, renew);

	if (p->attempting || !p->pass)
		return;
	if (loop_now_ms(p->host->loop) >= p->not_before_ms &&
	    p->pass->renew_s <= attempt_now_s(&p->attempt))
		start(p);
	else
		arm_for(p, p->pass->renew_s);
}

/* --- attempts --------------------------------------------------------------
 */

static void keep_pass(struct principal *p)
{
	struct attempt *a = &p->attempt;
	bool first = !p->pass;

	pass_free(p->pass);
	p->pass = a->pass;
	a->pass = NULL;
	p->err = 0;
	*p->sentence = '\0';
	p->wait_ms = PRINCIPAL_FIRST_WAIT_MS;
	p->not_before_ms = 0;
	if (first)
		log_info("credential is ready",
		         LOG_STR("method",
		                 credential_method_word(p->pass->method)),
		         LOG_STR("tenancy", p->pass->tenancy),
		         LOG_STR("region", p->pass->region));
	if (p->pass->renew_s)
		arm_for(p, p->pass->renew_s);
}

/* Said once for each reason, however often it is the reason. */
static void keep_error(struct principal *p)
{
	struct attempt *a = &p->attempt;
	uint64_t now_ms = loop_now_ms(p->host->loop);

	if (strcmp(p->sentence, a->sentence) != 0)
		log_warning("no credential", LOG_STR("reason", a->sentence));
	p->err = a->err;
	snprintf(p->sentence, sizeof(p->sentence), "%s", a->sentence);
	p->not_before_ms = now_ms + p->wait_ms;
	if (is_valid(p) && p->pass->renew_s)
		loop_timer(p->host->loop, &p->renew, p->wait_ms, on_renew);
	p->wait_ms = MIN(p->wait_ms * 2, PRINCIPAL_LAST_WAIT_MS);
}

static void on_done(struct attempt *a)
{
	struct principal *p = a->owner;

	p->attempting = false;
	p->refused = 0;
	if (a->pass)
		keep_pass(p);
	else
		keep_error(p);
	attempt_stop(a);
	p->on_news(p->owner, p);
}

static void start(struct principal *p)
{
	p->attempting = true;
	loop_timer_stop(p->host->loop, &p->renew);
	attempt_start(&p->attempt, p->host, &p->settings, p->pass, on_done, p);
}

/* --- the public face -------------------------------------------------------
 */

static bool copy_settings(struct principal *p, const struct credential *from)
{
	const struct span texts[] = { from->config_file, from->profile,
		                      from->region, from->tenancy,
		                      from->endpoint };
	struct span *const to[] = { &p->settings.config_file,
		                    &p->settings.profile, &p->settings.region,
		                    &p->settings.tenancy,
		                    &p->settings.endpoint };
	size_t at = 0;

	p->store.max = SIZE_MAX;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		buf_add_span(&p->store, texts[i]);
	if (buf_err(&p->store))
		return false;
	p->settings.method = from->method;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].len)
			*to[i] = span_of(p->store.bytes + at, texts[i].len);
		at += texts[i].len;
	}
	return true;
}

struct principal *
principal_new(const struct errand_host *host, const struct credential *settings,
              void (*on_news)(void *owner, struct principal *principal),
              void *owner)
{
	struct principal *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->host = host;
	p->attempt.host = *host; /* its clock is ours */
	p->on_news = on_news;
	p->owner = owner;
	p->wait_ms = PRINCIPAL_FIRST_WAIT_MS;
	if (!copy_settings(p, settings)) {
		principal_free(p);
		return NULL;
	}
	return p;
}

void principal_free(struct principal *principal)
{
	if (!principal)
		return;
	attempt_stop(&principal->attempt);
	loop_timer_stop(principal->host->loop, &principal->renew);
	pass_free(principal->pass);
	buf_free(&principal->store);
	free(principal);
}

/* Is the pass to be replaced because it was refused, and not just now? */
static bool must_renew(const struct principal *p, uint64_t refused)
{
	uint64_t now_ms = loop_now_ms(p->host->loop);

	return refused && p->pass && p->pass->generation == refused &&
	       now_ms >= p->not_before_ms &&
	       (p->renewed_ms == 0 ||
	        now_ms - p->renewed_ms >= PRINCIPAL_REFUSAL_MS);
}

enum principal_state principal_ask(struct principal *principal,
                                   uint64_t refused_generation)
{
	struct principal *p = principal;

	if (!p->attempting && must_renew(p, refused_generation)) {
		p->renewed_ms = loop_now_ms(p->host->loop);
		p->refused = refused_generation;
		start(p);
	}
	if (p->attempting &&
	    (!is_valid(p) ||
	     (refused_generation && refused_generation == p->refused)))
		return PRINCIPAL_COMING;
	if (is_valid(p))
		return PRINCIPAL_READY;
	if (p->err && loop_now_ms(p->host->loop) < p->not_before_ms)
		return PRINCIPAL_FAILED;
	start(p);
	return PRINCIPAL_COMING;
}

const struct pass *principal_pass(const struct principal *principal)
{
	return is_valid(principal) ? principal->pass : NULL;
}

int principal_error(const struct principal *principal, const char **sentence)
{
	*sentence = principal->sentence;
	return principal->err;
}

const struct credential *principal_settings(const struct principal *principal)
{
	return &principal->settings;
}

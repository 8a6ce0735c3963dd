/*
 * signature - have a request to Oracle Cloud signed by the keeper.
 *
 * A worker holds no private key, no pass phrase and no token. It says which
 * request it is about to send and gets the header lines that make it a signed
 * one (Oracle Cloud request signing, version 1), and who it is then.
 *
 * Messages travel on one SOCK_SEQPACKET socket pair per worker, made by the
 * master before any fork, so the pair outlives both processes. A request that
 * is not answered is sent again until its time is over: a keeper that has died
 * has a successor, and a worker's successor ignores what its predecessor
 * asked. Nothing blocks; nothing is allocated once SIGNATURE_PENDING_MAX
 * requests have been pending at once.
 */
#ifndef OCI_SIGNATURE_H
#define OCI_SIGNATURE_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/loop.h"
#include "lib/span.h"

#define SIGNATURE_PENDING_MAX   1024  /* requests of one channel */
#define SIGNATURE_REPEAT_MS     1000  /* an unanswered request is sent again */
#define SIGNATURE_TIMEOUT_MS    15000 /* when the caller does not say */
#define SIGNATURE_ADDRESSES_MAX 8     /* of a host */
#define SIGNATURE_SHA256_LEN    44    /* base64 of a SHA-256 */

struct signature_channel; /* one worker's way to the keeper */
struct signature;         /* one request, until it is answered */

/* Whom a credential stands for. Spans live until on_done has returned. */
struct signature_identity {
	struct span tenancy; /* OCID */
	struct span subject; /* OCID of the user, instance or resource; the
	                        subject of the token for a workload */
	struct span region;  /* identifier ("eu-frankfurt-1"), or a domain */
	struct span domain;  /* of its realm ("oraclecloud.com"); empty when
	                        region is a domain */
	struct span method;  /* "config_file", "security_token",
	                        "instance_principal", "resource_principal",
	                        "oke_workload_identity", "instance_obo_user" */
	int64_t expires_s;   /* seconds since 1970 UTC; 0: does not expire */
};

/* All spans live until on_done has returned. */
struct signature_answer {
	/*
	 * 0, or
	 *	-ENOENT      no credential can be found
	 *	-EINVAL      a credential is there and is not good: a file, a
	 *	             key, a token, a setting
	 *	-EKEYEXPIRED a token is over and cannot be had anew
	 *	-EACCES      the keeper does not sign for this host or target
	 *	-ENOKEY      no such credential is configured
	 *	-ETIMEDOUT   no answer within timeout_ms
	 *	-EBUSY       the keeper has too many requests waiting
	 *	-EIO         a server that gives out tokens cannot be reached,
	 *	             or refuses
	 */
	int err;
	/* For people, no secret: what is wrong and how to put it right; ""
	   when err is 0. A whole sentence, or several. */
	struct span sentence;
	/* Header lines to add to the request, each ended with CR LF: date,
	   authorization, and, as far as they apply, x-content-sha256,
	   content-type and opc-obo-token. Not host, not content-length: the
	   HTTP client sends those; they must be the ones asked for. Empty for
	   identity_only. */
	struct span lines;
	/* Where the host is, ports included; none for one that is written as
	   an address. */
	const struct sockaddr_storage *addresses;
	size_t n_addresses;
	uint64_t generation; /* of the key; for refused_generation */
	struct signature_identity identity;
};

/* Everything is copied by signature_ask(), except owner. */
struct signature_request {
	uint64_t credential; /* credential_id() of oci/credential.h */
	bool identity_only;  /* sign nothing: only credential counts */
	struct span method;  /* "GET", any case */
	struct span target;  /* raw path and query, as in the request line */
	struct span host;    /* the Host field as it will be sent */
	bool with_body;      /* POST, PUT, PATCH: sign the content fields */
	bool unsigned_body;  /* has a body that is not signed (uploads) */
	struct span content_type; /* with_body; empty: application/json */
	struct span body_sha256;  /* with_body; base64, or empty: no bytes */
	uint64_t content_length;  /* with_body */
	/* Not 0: a request signed with this generation was refused with 401.
	   The keeper gets a new key or token before it signs, unless it has
	   one by now. */
	uint64_t refused_generation;
	int64_t skew_s;      /* server's clock minus ours, from a Date field */
	uint64_t timeout_ms; /* 0: SIGNATURE_TIMEOUT_MS */
	/* Called once, from the loop, never from within signature_ask(). The
	   request is gone then. */
	void (*on_done)(void *owner, const struct signature_answer *answer);
	void *owner;
};

/* What went by; never reset. */
struct signature_counts {
	uint64_t asked, answered, failed, repeated;
	uint64_t foreign; /* messages that were no answer to us */
};

/*
 * A channel on fd, which is made non-blocking and stays the caller's to close
 * after signature_channel_free(). Messages that wait in it, for a predecessor,
 * are thrown away. Returns NULL without memory or when the loop refuses fd.
 */
struct signature_channel *signature_channel_new(struct loop *loop, int fd);

/* Forget all requests without calling them back. NULL is fine. */
void signature_channel_free(struct signature_channel *channel);

/*
 * Ask. Returns 0 and the request in *out, for signature_cancel(), or
 *	-ENOBUFS   SIGNATURE_PENDING_MAX requests are pending
 *	-EMSGSIZE  method, target, host and content type are too long together
 *	           (EXCHANGE_MAX in oci/exchange.h)
 *	-EINVAL    body_sha256 is neither empty nor SIGNATURE_SHA256_LEN long
 *	-ENOMEM
 */
MUST_CHECK int signature_ask(struct signature_channel *channel,
                             const struct signature_request *request,
                             struct signature **out);

/* on_done will not be called; the request is gone. */
void signature_cancel(struct signature *signature);

/* What the channel has done so far. */
const struct signature_counts *
signature_counts(const struct signature_channel *channel);

#endif

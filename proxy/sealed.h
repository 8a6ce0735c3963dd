/*
 * sealed - what others carry for us: session ids, request states, ids.
 *
 * A gateway without memory of its clients gives them what it must know later,
 * encrypted and authenticated (XChaCha20-Poly1305) and bound to who they are.
 * Any worker can open it, nobody can make or change one, and another caller's
 * does not open. Replicas with the same session_key read what any of them
 * sealed, also after a restart; without one the key is made anew with each
 * start. What session_key_previous sealed still opens, so that a key can be
 * changed while clients go on.
 *
 * There is one form for all of it; what a kind uses of it is said there.
 */
#ifndef PROXY_SEALED_H
#define PROXY_SEALED_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "shm/snapshot.h"

/* What a client declared that it can do, as far as it matters here. */
#define CLIENT_FORM     1u /* elicitation, in a form */
#define CLIENT_URL      2u /* elicitation, at a URL */
#define CLIENT_SAMPLING 4u
#define CLIENT_TOOLS    8u /* sampling with tools */
#define CLIENT_ROOTS    16u
#define CLIENT_CONTEXT  32u  /* sampling with includeContext */
#define CLIENT_TASKS    64u  /* the extension tasks; in modern requests */
#define CLIENT_UI       128u /* the extension ui: it shows MCP Apps */
#define CLIENT_MASK     255u

enum sealed_kind {
	/* A session id (MCP 2025-11-25, "Session Management"): abilities,
	   revision; texts are pairs of a backend's hash and its session id */
	SEALED_SESSION = 1,
	/* The id under which a question of a legacy backend travels on to a
	   legacy client: backend, texts: its session's fields, its own id */
	SEALED_QUESTION,
	/* The id under which an input request of a modern backend travels on
	   to a legacy client: place, call, round; texts: the request's key */
	SEALED_INPUT,
	/* A requestState: of a call that a worker keeps: place, call, round,
	   digest */
	SEALED_PARKED,
	/* A requestState: backend, digest; texts: the backend's own state */
	SEALED_STATE,
	/* The id of an event, to resume a stream from */
	SEALED_EVENT,
	/* The id of a task: backend; texts: the backend's own */
	SEALED_TASK,
};

/* A worker, wherever it runs. */
struct place {
	struct ip address; /* of the replica; zero: no other can reach it */
	uint64_t instance; /* board.instance of its master */
	uint64_t born_ms; /* slot.started_ms: another worker is another place */
	uint32_t worker;  /* slot */
	uint16_t port;
};

#define SEALED_BIT(kind) (1u << (kind))

#define SEALED_TEXTS  4
#define SEALED_SMALL  768        /* bytes opened without allocating */
#define SEALED_MAX    (96 << 10) /* characters of anything sealed */
#define SEALED_ID_MAX 256        /* bytes of a backend's own request id */
#define SEALED_HEAD   4          /* characters that all of it begins with */

struct sealed {
	enum sealed_kind kind;
	uint32_t backend;   /* sealed_backend() */
	uint32_t abilities; /* CLIENT_* */
	uint32_t revision;  /* enum revision */
	uint32_t round;
	int64_t expires_s; /* UTC; 0: never */
	uint64_t call;     /* its number in its worker */
	uint64_t digest;   /* of the request that it belongs to */
	struct place place;
	struct span texts[SEALED_TEXTS];
};

/* Where an opened one's texts lie; sealed_free() after use. */
struct sealed_room {
	char small[SEALED_SMALL];
	struct buf large;
};

enum sealed_result {
	SEALED_OK,
	SEALED_FOREIGN, /* not ours, another caller's, changed, another kind */
	SEALED_EXPIRED,
};

/* CLIENT_* of a raw capabilities object, of initialize or of _meta. */
uint32_t sealed_abilities(struct span capabilities);

/* The way back: members of a capabilities object, without the braces. */
void sealed_capabilities(uint32_t abilities, struct buf *out);

/* A backend's name as a number that is the same on every replica. */
uint32_t sealed_backend(const struct snapshot *snap, uint32_t backend);

/* Its index in this snapshot; the number of backends: it is not there. */
uint32_t sealed_find_backend(const struct snapshot *snap, uint32_t hash);

/*
 * Append the sealed form, characters of base64url and '.'. asker: who it is
 * for; another asker cannot open it. False: over SEALED_MAX, or no memory.
 */
MUST_CHECK bool sealed_write(const struct snapshot *snap, struct span asker,
                             const struct sealed *s, struct buf *out);

/*
 * The way back, of one of these kinds (SEALED_BIT). now_s is UTC. The texts
 * point into room, which is overwritten, until sealed_free(); that is harmless
 * after any result.
 */
MUST_CHECK enum sealed_result sealed_read(const struct snapshot *snap,
                                          struct span asker, uint32_t kinds,
                                          struct span text, int64_t now_s,
                                          struct sealed *s,
                                          struct sealed_room *room);

void sealed_free(struct sealed_room *room);

#endif

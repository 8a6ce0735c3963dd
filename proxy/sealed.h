/*
 * sealed - what clients carry for us: session ids, and ids of questions.
 *
 * A gateway without memory of its clients gives them what it must know later,
 * encrypted and authenticated (XChaCha20-Poly1305) and bound to who they are.
 * Any worker can open it, nobody can make or change one, and another caller's
 * does not open. Replicas with the same session_key read what any of them
 * sealed, also after a restart; without one the key is made anew with each
 * start.
 *
 * A session id (MCP 2025-11-25, "Session Management") says what the client
 * can do. The id of a question, that is of a server's request that travels on
 * to a legacy client, says where the answer belongs.
 */
#ifndef PROXY_SEALED_H
#define PROXY_SEALED_H

#include "lib/base.h"
#include "lib/span.h"
#include "shm/snapshot.h"

/* What a legacy client declared in initialize, as far as it matters here. */
#define CLIENT_FORM     1u /* elicitation, in a form */
#define CLIENT_URL      2u /* elicitation, at a URL */
#define CLIENT_SAMPLING 4u
#define CLIENT_TOOLS    8u /* sampling with tools */
#define CLIENT_ROOTS    16u
#define CLIENT_MASK     31u

#define SEALED_SESSION_MAX  96   /* characters of a session id */
#define SEALED_QUESTION_MAX 2048 /* characters of a question's id */
#define SEALED_ID_MAX       256  /* bytes of the backend's own id */

/* CLIENT_* of the raw capabilities object of initialize. */
uint32_t sealed_abilities(struct span capabilities);

/* A session id for a client with these abilities. asker: who it is; another
 * asker cannot use it. Returns the number of characters. */
size_t sealed_session(const struct snapshot *snap, struct span asker,
                      uint32_t abilities, char out[SEALED_SESSION_MAX]);

/* The way back. False: not one of ours, or another's. */
MUST_CHECK bool sealed_session_open(const struct snapshot *snap,
                                    struct span asker, struct span text,
                                    uint32_t *abilities);

/* Where the answer to a question belongs. */
struct sealed_question {
	uint32_t slot;                  /* of the backend, on the board */
	struct span session;            /* lines for the head: id and version */
	struct span id;                 /* the backend's own id, raw JSON */
	char room[SEALED_QUESTION_MAX]; /* the spans point here once opened */
};

/* A question's id, without quotes. Returns the number of characters; 0: the
 * parts are too long together. */
size_t sealed_question(const struct snapshot *snap, struct span asker,
                       const struct sealed_question *q,
                       char out[SEALED_QUESTION_MAX]);

/* The way back, from the raw JSON string that the client sent as id. */
MUST_CHECK bool sealed_question_open(const struct snapshot *snap,
                                     struct span asker, struct span raw_id,
                                     struct sealed_question *q);

#endif

#include "worker/login.h"

#include <stdlib.h>

#include "lib/crypto.h"
#include "proxy/backsession.h"
#include "worker/clientsession.h"
#include "worker/local.h"

/* One backend of the login. */
struct row {
	struct login *login;
	struct session_wait wait;
	struct session_key key;
	uint32_t backend;
	bool open;
};

struct login {
	struct request *r;
	struct buf id; /* raw */
	uint32_t abilities;
	enum revision revision;
	struct timer timer;
	size_t n, pending;
	struct row rows[];
};

static bool has_own_sessions(const struct snapshot *snap, uint32_t i)
{
	return (snapshot_backend(snap, i)->flags & BACKEND_PER_CLIENT) &&
	       (snapshot_origin(snap, i)->eras & ERA_LEGACY);
}

/* One that does not fit in the client's id is given up, not the others. */
static void add_row(struct row *row, struct buf *lines)
{
	struct request *r = row->login->r;
	struct sessions *all = r->conn->w->proxy.sessions;
	struct buf line = { .max = CLIENTSESSION_BACKENDS_MAX - lines->len };

	backsession_add(r->snap, row->backend,
	                session_id(all, r->snap, row->backend, row->key),
	                session_version(all, r->snap, row->backend, row->key),
	                &line);
	row->open = buf_err(&line) == 0;
	buf_add_span(lines, buf_span(&line));
	buf_free(&line);
}

/* The client gets what there is. */
static void finish(struct login *l)
{
	struct request *r = l->r;
	struct sessions *all = r->conn->w->proxy.sessions;
	struct buf lines = { .max = CLIENTSESSION_BACKENDS_MAX };
	enum revision revision = l->revision;
	struct buf id = l->id;

	for (size_t i = 0; i < l->n; i++)
		if (l->rows[i].open)
			add_row(&l->rows[i], &lines);
	l->id = (struct buf){ 0 };
	if (buf_err(&lines) == 0 &&
	    clientsession_open(r, l->abilities, revision, buf_span(&lines))) {
		for (size_t i = 0; i < l->n; i++)
			if (l->rows[i].open)
				session_release(all, r->snap,
				                l->rows[i].backend,
				                l->rows[i].key);
	}
	login_end(l);
	r->login = NULL;
	local_initialized(r, buf_span(&id), revision);
	buf_free(&lines);
	buf_free(&id);
}

static void on_finish(struct timer *t)
{
	finish(CONTAINER_OF(t, struct login, timer));
}

static void on_session(struct session_wait *w, const char *error)
{
	struct row *row = CONTAINER_OF(w, struct row, wait);
	struct login *l = row->login;

	row->open = error == NULL;
	if (--l->pending == 0)
		loop_soon(l->r->conn->w->loop, &l->timer, on_finish);
}

static void open_one(struct login *l, uint32_t backend)
{
	struct request *r = l->r;
	struct sessions *all = r->conn->w->proxy.sessions;
	struct row *row = &l->rows[l->n];
	uint64_t owner;

	if (!session_room(all, r->snap))
		return;
	crypto_random(&owner, sizeof(owner));
	*row = (struct row){
		.login = l,
		.wait = { .done = on_session },
		.key = { .abilities = l->abilities, .owner = owner | 1 },
		.backend = backend,
	};
	l->n++;
	l->pending++;
	if (session_want(all, r->snap, backend, row->key, &row->wait)) {
		row->open = true;
		l->pending--;
	}
}

bool login_begin(struct request *r, const struct message *m, uint32_t abilities,
                 enum revision revision)
{
	uint32_t n = 0;
	struct login *l;

	for (uint32_t i = 0; i < r->snap->head->backends.len; i++)
		n += has_own_sessions(r->snap, i);
	if (n == 0 || r->snap->settings->stateless)
		return false;
	l = calloc(1, sizeof(*l) + n * sizeof(l->rows[0]));
	if (!l)
		return false;
	l->r = r;
	l->abilities = abilities;
	l->revision = revision;
	l->id.max = MESSAGE_ID_MAX;
	buf_add_span(&l->id, m->id);
	r->login = l;
	for (uint32_t i = 0; i < r->snap->head->backends.len; i++)
		if (has_own_sessions(r->snap, i))
			open_one(l, i);
	loop_timer(r->conn->w->loop, &l->timer, l->pending ? LOGIN_MS : 0,
	           on_finish);
	return true;
}

void login_end(struct login *l)
{
	if (!l)
		return;

	struct request *r = l->r;
	struct sessions *all = r->conn->w->proxy.sessions;

	loop_timer_stop(r->conn->w->loop, &l->timer);
	for (size_t i = 0; i < l->n; i++) {
		session_forgo(&l->rows[i].wait);
		/* Those that were handed out are not there any more. */
		session_close(all, r->snap, l->rows[i].backend, l->rows[i].key);
	}
	buf_free(&l->id);
	free(l);
}

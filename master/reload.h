/*
 * reload - from a file that was edited to workers that serve it.
 *
 *	read, check, compose --> the keeper adds the catalogue --> published
 *	--> adopted by every worker
 *
 * Until it is published nothing has changed: whatever fails leaves one line in
 * the log and the old configuration in force. The first load and every new
 * catalogue take the last part of the same way.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/master.h"

/* The first load. Returns 0, or -errno and a sentence in why. */
MUST_CHECK int reload_first(struct master *m, char why[COMPOSE_WHY_MAX]);

/* SIGHUP. While one is on its way, another is remembered and follows. */
void reload_request(struct master *m);

/* The keeper has said something: it can be asked to complete a new load. */
void reload_offer(struct master *m);

/* A catalogue of the keeper. Takes fd. */
void reload_catalog(struct master *m, int fd);

/* A worker has adopted something, or is gone. */
void reload_progress(struct master *m);

/* Forget what is on its way. */
void reload_forget(struct master *m);

/* Send the snapshot that is served now. */
void reload_send_current(struct master *m, struct child *c);

/* Where children write lines to, and which. */
void reload_send_log(struct master *m);

/* Worker processes of a configuration; 0 in it is one per CPU. */
uint32_t reload_workers(const struct config *config);

/* Backends that are healthy now. */
unsigned reload_healthy(const struct master *m);

/* Tell the service manager a state such as "READY=1", or "", and how we are. */
void reload_tell_manager(const struct master *m, const char *state);

#endif

#include "master/crew.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"
#include "master/keeper.h"
#include "worker/worker.h"

#define CPU_MAX_FILE "/sys/fs/cgroup/cpu.max"
#define BEAT_MS      1000 /* a beat may be that much older than its loop */

static int keep(struct board *board, uint32_t slot, int control)
{
	(void)slot;
	return keeper_main(board, control);
}

void crew_init(struct crew *crew)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		child_init(&crew->workers[i], &crew->home, i, worker_main);
	child_init(&crew->keeper, &crew->home, CHILD_KEEPER, keep);
	memset(crew->signing, 0xff, sizeof(crew->signing)); /* -1 */
	memset(crew->handover, 0xff, sizeof(crew->handover));
}

/* --- sockets -------------------------------------------------------------- */

static bool can_own(const struct crew *crew, uint32_t slot)
{
	const struct child *c = &crew->workers[slot];

	return slot < crew->n_workers && c->state != CHILD_DRAINING;
}

/* Who accepts from the socket of this slot? Its own worker, if it can. */
static struct child *owner_of(struct crew *crew, uint32_t slot)
{
	for (uint32_t i = 0; i < crew->n_workers; i++) {
		uint32_t n = i == 0 ? slot : (slot + i) % crew->n_workers;

		if (can_own(crew, n))
			return &crew->workers[n];
	}
	return &crew->workers[slot % MAX(crew->n_workers, 1u)];
}

void crew_deal(struct crew *crew)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct child *c = owner_of(crew, i);
		const uint64_t bit = (uint64_t)1 << (i % 64);
		const struct control msg = {
			.type = CONTROL_LISTEN,
			.number = i,
		};

		if (crew->listeners.fds[i] < 0 || !child_is_live(c) ||
		    c->state == CHILD_DRAINING || c->sockets[i / 64] & bit)
			continue;
		c->sockets[i / 64] |= bit;
		child_send(c, &msg, crew->listeners.fds[i]);
	}
}

/* --- signatures ----------------------------------------------------------- */

static void send_end(struct crew *crew, struct child *c, uint32_t slot, int end)
{
	const struct control msg = { .type = CONTROL_SIGNING, .number = slot };

	child_send(c, &msg, crew->signing[slot][end]);
}

/* --- between workers ------------------------------------------------------ */

static void offer_handover(struct crew *crew, struct child *c)
{
	const struct control msg = { .type = CONTROL_HANDOVER };
	int *fd = &crew->handover[c->slot];
	uint16_t port;

	if (*fd < 0) {
		int err = listener_private(fd, &port);

		if (err < 0) {
			*fd = -1;
			log_error("workers cannot hand requests over",
			          LOG_ERR(err));
			return;
		}
		atomic_store(&c->row->handover_port, port);
	}
	child_send(c, &msg, *fd);
}

void crew_connect(struct crew *crew, struct child *c)
{
	if (c->slot == CHILD_KEEPER) {
		for (uint32_t i = 0; i < WORKERS_MAX; i++)
			if (crew->signing[i][1] >= 0)
				send_end(crew, c, i, 1);
		return;
	}
	offer_handover(crew, c);
	if (crew->signing[c->slot][0] < 0) {
		int err = control_pair(crew->signing[c->slot]);

		if (err < 0) {
			crew->signing[c->slot][0] = -1;
			log_error("no sockets for signatures", LOG_ERR(err));
			return;
		}
		send_end(crew, &crew->keeper, c->slot, 1);
	}
	send_end(crew, c, c->slot, 0);
}

/* --- everybody ------------------------------------------------------------ */

static void count_slots(struct crew *crew)
{
	uint32_t n = crew->n_workers;

	for (uint32_t i = n; i < WORKERS_MAX; i++)
		if (crew->workers[i].pid)
			n = i + 1;
	atomic_store(&crew->home.board->n_workers, n);
}

void crew_resize(struct crew *crew, uint32_t n, uint64_t grace_ms)
{
	uint32_t before = crew->n_workers;

	crew->n_workers = n;
	/* First the heirs get the sockets, then the others let go of them. */
	crew_deal(crew);
	for (uint32_t i = n; i < before; i++) {
		crew->workers[i].grace_ms = grace_ms;
		child_event(&crew->workers[i], CHILD_STOP);
	}
	for (uint32_t i = 0; i < n; i++)
		child_event(&crew->workers[i], CHILD_START);
	count_slots(crew);
}

void crew_tell(struct crew *crew, const struct control *msg, int fd,
               bool keeper_too)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		child_send(&crew->workers[i], msg, fd);
	if (keeper_too)
		child_send(&crew->keeper, msg, fd);
}

void crew_drain(struct crew *crew, uint64_t grace_ms)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		crew->workers[i].grace_ms = grace_ms;
		child_event(&crew->workers[i], CHILD_STOP);
	}
}

void crew_cut(struct crew *crew)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		child_event(&crew->workers[i], CHILD_CUT);
	child_event(&crew->keeper, CHILD_CUT);
}

static struct child *child_of(struct crew *crew, pid_t pid)
{
	if (crew->keeper.pid == pid)
		return &crew->keeper;
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		if (crew->workers[i].pid == pid)
			return &crew->workers[i];
	return NULL;
}

void crew_reap(struct crew *crew)
{
	int status;
	pid_t pid;

	/* One SIGCHLD may stand for many deaths. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = child_of(crew, pid);

		if (!c)
			continue;
		c->status = status;
		child_event(c, CHILD_EXIT);
	}
	count_slots(crew);
}

static unsigned check(struct child *c, uint64_t now_ms, uint64_t timeout_ms)
{
	uint64_t beat_ms = atomic_load(&c->row->beat_ms);
	uint64_t silent_ms = now_ms > beat_ms ? now_ms - beat_ms : 0;

	if (!c->pid || c->state == CHILD_KILLED)
		return 0;
	if (silent_ms > timeout_ms + BEAT_MS)
		child_event(c, CHILD_HANG);
	return silent_ms > timeout_ms / 2 + BEAT_MS;
}

unsigned crew_check(struct crew *crew, uint64_t now_ms, uint64_t timeout_ms)
{
	unsigned late = check(&crew->keeper, now_ms, timeout_ms);

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		late += check(&crew->workers[i], now_ms, timeout_ms);
	return late;
}

unsigned crew_serving(const struct crew *crew)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		n += crew->workers[i].state == CHILD_SERVING;
	return n;
}

bool crew_has_workers(const struct crew *crew)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		if (crew->workers[i].pid)
			return true;
	return false;
}

bool crew_adopted(const struct crew *crew, uint64_t config_generation,
                  uint64_t catalog_serial)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		const struct child *c = &crew->workers[i];

		if (c->state == CHILD_SERVING &&
		    (c->config_generation < config_generation ||
		     c->catalog_serial < catalog_serial))
			return false;
	}
	return crew_serving(crew) > 0;
}

/* --- how many ------------------------------------------------------------- */

/* CPUs that a container's quota is worth, rounded up; 0: no quota. */
static uint32_t quota_cpus(void)
{
	struct buf text = { .max = 256 };
	uint64_t quota_us, period_us;
	uint32_t cpus = 0;

	if (file_read(CPU_MAX_FILE, &text) == 0) {
		struct span s = buf_span(&text);
		struct span first = span_first(s, span_find(s, ' '));
		struct span rest = span_from(s, first.len + 1);

		rest = span_first(rest, span_find(rest, '\n'));
		if (span_u64(first, UINT32_MAX, &quota_us) &&
		    span_u64(rest, UINT32_MAX, &period_us) && period_us)
			cpus = (uint32_t)((quota_us + period_us - 1) /
			                  period_us);
	}
	buf_free(&text);
	return cpus;
}

uint32_t crew_cpus(void)
{
	cpu_set_t set;
	uint32_t quota = quota_cpus();
	uint32_t n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (uint32_t)CPU_COUNT(&set);
	if (quota > 0)
		n = MIN(n, quota);
	return MAX(MIN(n, WORKERS_MAX), 1u);
}

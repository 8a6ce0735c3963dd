#include "master/publication.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int publication_open(struct publication *p, int fd)
{
	*p = (struct publication){ .fd = -1 };

	int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (kept < 0) {
		int err = os_error();

		close(fd);
		return err;
	}
	int err = snapshot_open(fd, &p->snap);
	if (err < 0) {
		close(kept);
		return err;
	}
	p->fd = kept;
	return 0;
}

void publication_close(struct publication *p)
{
	if (p->fd >= 0)
		close(p->fd);
	snapshot_unref(p->snap);
	*p = (struct publication){ .fd = -1 };
}

/* The header without what the builder of a catalogue writes into it. */
static struct header decided(const struct snapshot *s)
{
	struct header head = *s->head;

	head.size = 0;
	head.catalog_serial = 0;
	head.built_at_ms = 0;
	head.origins = (struct ref){ 0, 0 };
	head.views = (struct ref){ 0, 0 };
	return head;
}

bool publication_same_config(const struct publication *a,
                             const struct publication *b)
{
	struct header x = decided(a->snap);
	struct header y = decided(b->snap);

	/* Also: both parts end at the same place. */
	return memcmp(&x, &y, sizeof(x)) == 0 &&
	       memcmp(a->snap->base + sizeof(x), b->snap->base + sizeof(x),
	              x.config_end - sizeof(x)) == 0;
}

uint32_t publication_tools(const struct publication *p)
{
	uint32_t most = 0;

	for (int era = 0; era < VIEWS; era++) {
		const struct view *view =
			snapshot_view(p->snap, (enum view_era)era);

		most = MAX(most, view->lists[LIST_TOOLS].entries.len);
	}
	return most;
}

#include "proxy/inbox.h"

#include "lib/scan.h"

static size_t n_messages;

/* Whatever comes out is JSON. */
static void on_message(struct inbox *box, const struct span found[])
{
	struct scan_error why;

	(void)box;
	for (int i = 0; i < INBOX_ROWS; i++)
		assert(!found[i].at ||
		       scan_document(found[i], NULL, 0, NULL, &why) == SCAN_OK);
	n_messages++;
}

static size_t count(struct span body, size_t cut)
{
	struct inbox box = { .max = 1 << 20, .on_message = on_message };

	n_messages = 0;
	if (inbox_feed(&box, span_first(body, cut)) &&
	    inbox_feed(&box, span_from(body, cut)))
		inbox_end(&box);
	inbox_fini(&box);
	return n_messages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How a body is cut changes nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = span_of(data, size);

	assert(count(body, size) == count(body, size ? data[0] % size : 0));
	return 0;
}

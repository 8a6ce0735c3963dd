/*
 * privacy - mask Oracle Cloud identifiers in an answer.
 *
 * What identifies a resource are the parts of its OCID behind the region. Of
 * each, the first PRIVACY_HEAD and the last PRIVACY_TAIL characters stay and
 * PRIVACY_GAP stands for the rest; type, realm and region stay as they are:
 *
 *	ocid1.instance.oc1.iad.anuwcljtabcdefghijklmnopqrstuvwxyz
 *	ocid1.instance.oc1.iad.anuw****uvwxyz
 *
 * Equal OCIDs stay equal. Different ones of a type become equal with a chance
 * of one in 2^30, since the last characters are random (the first ones are
 * often the same in all of a region); so an answer can still be read, but no
 * service takes a masked OCID. A part that is not longer than what would stay
 * becomes PRIVACY_GAP alone. The mask is the same in every process and at every
 * start, and needs no key.
 */
#ifndef OCI_PRIVACY_H
#define OCI_PRIVACY_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define PRIVACY_HEAD 4
#define PRIVACY_TAIL 6
#define PRIVACY_GAP  "****"

/*
 * Append text with every OCID in it masked, wherever it stands: in a JSON
 * string, in a longer sentence, in a URL, in a key, right behind an escape. An
 * OCID that is itself written with escapes is not seen. Only bytes inside of
 * OCIDs change, and they become '*', so valid JSON stays valid. Masking twice
 * is masking once. Takes time in proportion to text. Errors stick in the
 * buffer; a part of an OCID shorter than the gap grows by up to three bytes.
 */
void privacy_mask(struct span text, struct buf *into);

/* Would privacy_mask() change text? */
bool privacy_touches(struct span text);

#endif

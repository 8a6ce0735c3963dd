/*
 * privacy - mask Oracle Cloud identifiers in an answer.
 *
 * What identifies a resource is the last part of its OCID. Of that part the
 * first PRIVACY_HEAD and the last PRIVACY_TAIL characters stay and PRIVACY_GAP
 * stands for the rest; everything before it stays as well:
 *
 *	ocid1.instance.oc1.iad.anuwcljtabcdefghijklmnopqrstuvwxyz
 *	ocid1.instance.oc1.iad.anuwcl****wxyz
 *
 * Equal OCIDs stay equal, and two different ones of a tenancy hardly ever
 * become equal, so that an answer can still be read; but no service takes a
 * masked one. A part that is no longer than what would stay becomes PRIVACY_GAP
 * alone. The mask is the same in every process and needs no key.
 */
#ifndef OCI_PRIVACY_H
#define OCI_PRIVACY_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define PRIVACY_HEAD 6
#define PRIVACY_TAIL 4
#define PRIVACY_GAP  "****"

/*
 * Append text with every OCID in it masked, wherever it stands: in a JSON
 * string, in a longer sentence, in a URL, in a key. Only bytes inside of OCIDs
 * change, and those become letters, digits and '*', so valid JSON stays valid.
 * Masking twice is masking once. Errors stick in the buffer; the answer is at
 * most as long as text unless its OCIDs are shorter than the gap.
 */
void privacy_mask(struct span text, struct buf *into);

/* Is there an OCID in text that privacy_mask() would change? */
bool privacy_touches(struct span text);

#endif

/*
 * stock - the tool packs that the program brings with it.
 *
 * They are the files of etc/tools, built in, so that nothing has to be found
 * at run time. Administrators add packs of their own (oci.tools_dir).
 */
#ifndef OCI_STOCK_H
#define OCI_STOCK_H

#include "lib/span.h"

/* All of them, one behind the other, for pack_load_all(). */
struct span stock_packs(void);

#endif

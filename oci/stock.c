#include "oci/stock.h"

#include <stdint.h>

/* Of oci/stock_blob.S; two objects to the compiler. */
extern const char stock_bytes[], stock_end[];

struct span stock_packs(void)
{
	return span_of(stock_bytes,
	               (uintptr_t)stock_end - (uintptr_t)stock_bytes);
}

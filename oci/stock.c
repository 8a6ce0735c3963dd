#include "oci/stock.h"

/* Of oci/stock.S. */
extern const char stock_bytes[], stock_end[];

struct span stock_packs(void)
{
	return span_of(stock_bytes, (size_t)(stock_end - stock_bytes));
}

#include "worker/address.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct ip address(uint32_t i)
{
	struct ip ip = { .bytes = { 0x20, 0x01, 0x0d, 0xb8 } };

	memcpy(ip.bytes + 12, &i, sizeof(i));
	return ip;
}

Test(address, up_to_the_limit)
{
	struct address_table t = { .seed = 7 };
	struct ip a = address(1), b = address(2);

	cr_assert(address_take(&t, &a, 2));
	cr_assert(address_take(&t, &a, 2));
	cr_assert_not(address_take(&t, &a, 2));
	cr_assert(address_take(&t, &a, 3)); /* the limit was raised */
	cr_assert(address_take(&t, &b, 1));
	cr_assert_not(address_take(&t, &b, 1));
	address_release(&t, &b);
	cr_assert(address_take(&t, &b, 1));
	address_release(&t, &a);
	cr_assert_not(address_take(&t, &a, 2));
	for (int i = 0; i < 2; i++)
		address_release(&t, &a);
	address_release(&t, &b);
	free(t.buckets);
}

/* More addresses than buckets: nothing is left when all have gone. */
Test(address, many)
{
	struct address_table t = { .seed = 7 };

	for (uint32_t i = 0; i < 5000; i++) {
		struct ip ip = address(i);

		cr_assert(address_take(&t, &ip, 1));
	}
	for (uint32_t i = 0; i < 5000; i++) {
		struct ip ip = address(i);

		cr_assert_not(address_take(&t, &ip, 1));
		address_release(&t, &ip);
		cr_assert(address_take(&t, &ip, 1));
		address_release(&t, &ip);
	}
	free(t.buckets);
}

#include "lib/ip.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

static struct ip ip(const char *text)
{
	struct ip out;

	cr_assert(ip_parse(span_str(text), &out), "%s", text);
	return out;
}

static struct ip_net net(const char *text)
{
	struct ip_net out;

	cr_assert(ip_net_parse(span_str(text), &out), "%s", text);
	return out;
}

Test(ip, text_both_ways)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:201", "192.0.2.1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip address = ip(table[i].in);
		char text[IP_TEXT_MAX];

		cr_assert_eq(ip_format(text, &address), strlen(table[i].out));
		cr_assert_str_eq(text, table[i].out);
	}
}

Test(ip, refuses_what_is_no_address)
{
	static const char *const table[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"256.0.0.1",
		"01.2.3.4",
		"0x7f.0.0.1",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1.2.3.4:80",
		"[::1]",
		":::",
		"1::2::3",
		"fe80::1%lo",
		"12345::",
		"::1/128",
		"localhost",
		"-1.2.3.4",
		"1.2.3.4/32",
		"g::",
		"1:2:3:4:5:6:7:8:9",
		"::ffff:1.2.3.256",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};
	struct ip out;

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		cr_assert(!ip_parse(span_str(table[i]), &out), "%s", table[i]);
	cr_assert(!ip_parse(span_of("1.2.3.4\0", 8), &out));
}

Test(ip, endpoints)
{
	static const struct {
		const char *text, *address;
		uint16_t port;
	} table[] = {
		{ "192.0.2.1", "192.0.2.1", 0 },
		{ "192.0.2.1:80", "192.0.2.1", 80 },
		{ "::1", "::1", 0 },
		{ "[::1]", "::1", 0 },
		{ "[::1]:65535", "::1", 65535 },
		{ "192.0.2.1:", NULL, 0 },
		{ "192.0.2.1:0", NULL, 0 },
		{ "192.0.2.1:65536", NULL, 0 },
		{ "[192.0.2.1]:80", NULL, 0 },
		{ "[::1]80", NULL, 0 },
		{ "[::1", NULL, 0 },
		{ "[::1]:", NULL, 0 },
		{ "[", NULL, 0 },
		{ "", NULL, 0 },
		{ ":80", NULL, 0 },
		{ "unknown", NULL, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip out, want;
		uint16_t port;
		bool ok =
			ip_parse_endpoint(span_str(table[i].text), &out, &port);

		cr_assert_eq(ok, table[i].address != NULL, "%s", table[i].text);
		if (!ok)
			continue;
		want = ip(table[i].address);
		cr_assert(ip_eq(&out, &want));
		cr_assert_eq(port, table[i].port);
	}
}

Test(ip, socket_addresses)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		                  .sin_port = htons(80) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		                   .sin6_port = htons(81) };
	struct sockaddr un = { .sa_family = AF_UNIX };
	struct ip out, want = ip("192.0.2.1");
	uint16_t port;

	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	cr_assert(ip_from_sockaddr((const void *)&v4, &out, &port));
	cr_assert(ip_eq(&out, &want));
	cr_assert_eq(port, 80);
	/* The same peer, as a dual-stack socket reports it. */
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
	cr_assert(ip_from_sockaddr((const void *)&v6, &out, &port));
	cr_assert(ip_eq(&out, &want));
	cr_assert_eq(port, 81);
	cr_assert(!ip_from_sockaddr(&un, &out, &port));
}

Test(ip, socket_addresses_of_text)
{
	static const struct {
		const char *text;
		sa_family_t family;
	} table[] = {
		{ "192.0.2.1", AF_INET },
		{ "::ffff:192.0.2.1", AF_INET },
		{ "2001:db8::1", AF_INET6 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip in = ip(table[i].text), out;
		struct sockaddr_storage at = ip_sockaddr(&in, 8443);
		uint16_t port;

		cr_assert_eq(at.ss_family, table[i].family);
		cr_assert(ip_from_sockaddr((const void *)&at, &out, &port));
		cr_assert(ip_eq(&in, &out));
		cr_assert_eq(port, 8443);
	}
}

Test(ip, networks)
{
	static const struct {
		const char *net, *address;
		bool in;
	} table[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1/32", "192.0.2.0", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.1", false },
		{ "::ffff:0:0/96", "192.0.2.1", true },
		{ "::ffff:192.0.2.0/120", "192.0.2.200", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true },
		{ "::1/128", "::2", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip_net n = net(table[i].net);
		struct ip a = ip(table[i].address);

		cr_assert_eq(ip_net_contains(&n, &a), table[i].in, "%s in %s",
		             table[i].address, table[i].net);
	}
}

Test(ip, refuses_what_is_no_network)
{
	static const char *const table[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.1.2.3/8",
		"10.0.0.0/a",
		"::/129",
		"10.0.0.0/+8",
		"10/8",
		"::1/64",
		"10.0.0.0/8/8",
		"10.0.0.0/0000000008",
		"10.0.0.0 /8",
	};
	struct ip_net out;

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		cr_assert(!ip_net_parse(span_str(table[i]), &out), "%s",
		          table[i]);
}

Test(ip, kinds)
{
	static const struct {
		const char *text;
		bool v4, loopback, link_local;
	} table[] = {
		{ "127.9.9.9", true, true, false },
		{ "::ffff:127.0.0.1", true, true, false },
		{ "::1", false, true, false },
		{ "128.0.0.1", true, false, false },
		{ "::2", false, false, false },
		{ "169.254.169.254", true, false, true },
		{ "febf::1", false, false, true },
		{ "fec0::1", false, false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip a = ip(table[i].text);

		cr_assert_eq(ip_is_v4(&a), table[i].v4);
		cr_assert_eq(ip_is_loopback(&a), table[i].loopback);
		cr_assert_eq(ip_is_link_local(&a), table[i].link_local);
	}
}

Test(ip, hash_depends_on_all_of_it)
{
	struct ip a = ip("::"), b;

	for (size_t i = 0; i < 128; i++) {
		b = a;
		b.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert_neq(ip_hash(&a, 1), ip_hash(&b, 1));
	}
	cr_assert_neq(ip_hash(&a, 1), ip_hash(&a, 2));
	cr_assert_eq(ip_hash(&a, 1), ip_hash(&a, 1));
}

/* Proxies are 10.0.0.0/8 and ::1; anybody may write the left part. */
Test(ip, forwarded_for)
{
	static const struct {
		const char *peer, *header, *client;
	} table[] = {
		{ "203.0.113.1", "192.0.2.1", "203.0.113.1" },
		{ "10.0.0.1", "", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1", "192.0.2.1" },
		{ "::1", "192.0.2.1:4711", "192.0.2.1" },
		{ "10.0.0.1", "[2001:db8::1]:80", "2001:db8::1" },
		{ "10.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1" },
		{ "10.0.0.1", "192.0.2.1 ,\t10.0.0.2", "192.0.2.1" },
		{ "10.0.0.1", "127.0.0.1,192.0.2.1,10.0.0.2,10.0.0.3",
		  "192.0.2.1" },
		{ "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3" },
		{ "10.0.0.1", "192.0.2.1, garbage", "10.0.0.1" },
		{ "10.0.0.1", "garbage, 192.0.2.1", "192.0.2.1" },
		{ "10.0.0.1", "192.0.2.1,,10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", "192.0.2.1,", "10.0.0.1" },
		{ "10.0.0.1", ",", "10.0.0.1" },
		{ "10.0.0.1", "unknown", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1" },
	};
	struct ip_net nets[] = { net("10.0.0.0/8"), net("::1") };

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ip want = ip(table[i].client);
		struct ip got =
			ip_forwarded_for(span_str(table[i].header), nets,
		                         ARRAY_LEN(nets), ip(table[i].peer));

		cr_assert(ip_eq(&got, &want), "%s from %s", table[i].header,
		          table[i].peer);
	}
}

/* Nobody makes us walk a list of thousands. */
Test(ip, forwarded_for_is_limited)
{
	char header[IP_HOPS_MAX * 9 + 16] = "192.0.2.1";
	struct ip_net nets[] = { net("10.0.0.0/8") };
	struct ip want = ip("10.0.0.9"), got;

	for (int i = 0; i < IP_HOPS_MAX; i++)
		strcat(header, ",10.0.0.9");
	got = ip_forwarded_for(span_str(header), nets, 1, ip("10.0.0.1"));
	cr_assert(ip_eq(&got, &want));
}

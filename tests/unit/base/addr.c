/* Addresses and prefixes: strict text, masks, order, ordinals. */
#include "base/addr.h"
#include "base/prng.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void text_is_strict(void **state)
{
	static const char *const bad[] = { "",
					   "10.0.0",
					   "10.0.0.256",
					   "10.0.0.1 ",
					   " 10.0.0.1",
					   "10.0.0.1/24/3",
					   "1.2.3.4/33",
					   "1.2.3.4/",
					   "1.2.3.4/+1",
					   "1.2.3.4/01",
					   "::1/129",
					   "fe80::1%eth0/64",
					   "10.0.0.0/1e1" };
	struct addr a = { 0 };
	struct prefix p = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(addr_parse_cidr(bad[i], &a, &p));
	assert_int_equal(a.family, 0);
	assert_true(prefix_parse("10.8.112.0/26", &p));
	assert_false(prefix_parse("10.8.112.1/26", &p));
	assert_true(addr_parse_cidr("10.8.112.1/26", &a, &p));
	char buf[PREFIX_STR_MAX];
	assert_string_equal(prefix_format(&p, buf), "10.8.112.0/26");
	assert_true(prefix_parse("fd00:10:244::a680/122", &p));
	assert_string_equal(prefix_format(&p, buf), "fd00:10:244::a680/122");
}

static void masks_leave_no_host_bits(void **state)
{
	struct prng r = { 7 };

	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[16], family = prng_below(&r, 2) ? AF_INET : AF_INET6;
		for (int k = 0; k < 16; k++)
			bytes[k] = (uint8_t)prng_next(&r);
		struct addr a = addr_from_bytes(family, bytes);
		struct prefix p = prefix_of(&a, (uint8_t)prng_below(&r, addr_bits(family) + 1));
		char buf[PREFIX_STR_MAX];
		struct prefix q;
		assert_true(prefix_has(&p, &a));
		assert_true(prefix_parse(prefix_format(&p, buf), &q));
		assert_true(prefix_eq(&p, &q));
		struct prefix host = prefix_host(&a);
		assert_true(prefix_covers(&p, &host));
		assert_int_equal(prefix_covers(&host, &p), p.len == host.len);
	}
}

static void ordinals_and_addresses_agree(void **state)
{
	struct prefix p;
	struct addr a;
	char buf[ADDR_STR_MAX];

	assert_true(prefix_parse("10.8.152.192/26", &p));
	a = prefix_nth(&p, 8);
	assert_string_equal(addr_format(&a, buf), "10.8.152.200");
	for (uint64_t n = 0; n < 64; n++) {
		a = prefix_nth(&p, n);
		assert_true(prefix_has(&p, &a));
		assert_int_equal(prefix_ordinal(&p, &a), n);
	}
	a = prefix_nth(&p, 64);
	assert_false(prefix_has(&p, &a));
	assert_true(prefix_parse("fd00::ff00/120", &p));
	a = prefix_nth(&p, 256);
	assert_string_equal(addr_format(&a, buf), "fd00::1:0");
}

static void families_never_mix(void **state)
{
	struct prefix v4, v6;
	struct addr a;

	assert_true(prefix_parse("0.0.0.0/0", &v4));
	assert_true(prefix_parse("::/0", &v6));
	assert_true(addr_parse("::a08:7002", &a));
	assert_false(prefix_has(&v4, &a));
	assert_true(prefix_has(&v6, &a));
	assert_false(prefix_overlaps(&v4, &v6));
}

static void sockaddrs_round_trip(void **state)
{
	static const char *const texts[] = { "172.16.67.138", "fe80::250:56ff:fe95:8d20" };

	for (size_t i = 0; i < 2; i++) {
		struct addr a, b;
		struct sockaddr_storage ss;
		uint16_t port;
		assert_true(addr_parse(texts[i], &a));
		assert_true(addr_to_sockaddr(&a, 179, &ss) > 0);
		assert_true(addr_from_sockaddr(&ss, &b, &port));
		assert_true(addr_eq(&a, &b));
		assert_int_equal(port, 179);
	}
}

static void macs(void **state)
{
	struct mac m;
	char buf[MAC_STR_MAX];

	assert_true(mac_parse("00:50:56:95:8d:20", &m));
	assert_string_equal(mac_format(&m, buf), "00:50:56:95:8d:20");
	assert_false(mac_parse("0:50:56:95:8d:20", &m));
	assert_false(mac_parse("00:50:56:95:8d:20:11", &m));
	assert_false(mac_parse("00-50-56-95-8d-20", &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_strict),
		cmocka_unit_test(masks_leave_no_host_bits),
		cmocka_unit_test(ordinals_and_addresses_agree),
		cmocka_unit_test(families_never_mix),
		cmocka_unit_test(sockaddrs_round_trip),
		cmocka_unit_test(macs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Addresses and prefixes of both families, as values. */
#include "base/addr.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

size_t addr_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

unsigned addr_bits(uint8_t family)
{
	return (unsigned)addr_size(family) * 8;
}

struct addr addr_v4(uint32_t v)
{
	return (struct addr){ AF_INET,
			      { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v } };
}

uint32_t addr_to_v4(const struct addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

struct addr addr_from_bytes(uint8_t family, const void *bytes)
{
	struct addr a = { .family = family };

	memcpy(a.b, bytes, addr_size(family));
	return a;
}

bool addr_parse(const char *s, struct addr *ret)
{
	struct addr a = { 0 };

	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = AF_INET6;
	else
		return false;
	*ret = a;
	return true;
}

char *addr_format(const struct addr *a, char buf[static ADDR_STR_MAX])
{
	if (!a->family || !inet_ntop(a->family, a->b, buf, ADDR_STR_MAX))
		snprintf(buf, ADDR_STR_MAX, "none");
	return buf;
}

/* Splits "addr/len"; the length is one to three plain digits without a leading zero. */
static bool split_cidr(const char *s, struct addr *ret_addr, uint8_t *ret_len)
{
	const char *slash = strchr(s, '/');
	char host[ADDR_STR_MAX];
	struct addr a;
	unsigned len = 0;

	if (!slash || (size_t)(slash - s) >= sizeof(host))
		return false;
	memcpy(host, s, (size_t)(slash - s));
	host[slash - s] = '\0';
	const char *p = slash + 1;
	if (!*p || strlen(p) > 3 || (p[0] == '0' && p[1]))
		return false;
	for (; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		len = len * 10 + (unsigned)(*p - '0');
	}
	if (!addr_parse(host, &a) || len > addr_bits(a.family))
		return false;
	*ret_addr = a;
	*ret_len = (uint8_t)len;
	return true;
}

bool addr_parse_cidr(const char *s, struct addr *ret, struct prefix *ret_net)
{
	struct addr a;
	uint8_t len;

	if (!split_cidr(s, &a, &len))
		return false;
	*ret = a;
	if (ret_net)
		*ret_net = prefix_of(&a, len);
	return true;
}

bool prefix_parse(const char *s, struct prefix *ret)
{
	struct addr a;
	uint8_t len;

	if (!split_cidr(s, &a, &len))
		return false;
	struct prefix p = prefix_of(&a, len);
	if (!addr_eq(&p.addr, &a))
		return false;
	*ret = p;
	return true;
}

char *prefix_format(const struct prefix *p, char buf[static PREFIX_STR_MAX])
{
	char a[ADDR_STR_MAX];

	snprintf(buf, PREFIX_STR_MAX, "%.47s/%u", addr_format(&p->addr, a), p->len);
	return buf;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->family == AF_INET6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool addr_is_multicast(const struct addr *a)
{
	return (a->family == AF_INET && (a->b[0] & 0xf0) == 0xe0) ||
	       (a->family == AF_INET6 && a->b[0] == 0xff);
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return (a->family == AF_INET && a->b[0] == 127) || (a->family == AF_INET6 && !memcmp(a->b, one, 16));
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, 16) == 0;
}

struct prefix prefix_of(const struct addr *a, uint8_t len)
{
	struct prefix p = { .addr = { .family = a->family }, .len = len };

	CHECK(len <= addr_bits(a->family));
	memcpy(p.addr.b, a->b, len / 8);
	if (len % 8)
		p.addr.b[len / 8] = (uint8_t)(a->b[len / 8] & (0xff << (8 - len % 8)));
	return p;
}

struct prefix prefix_host(const struct addr *a)
{
	return prefix_of(a, (uint8_t)addr_bits(a->family));
}

bool prefix_eq(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
	if (p->addr.family != a->family)
		return false;
	struct prefix q = prefix_of(a, p->len);
	return prefix_eq(p, &q);
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_has(outer, &inner->addr);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

struct addr prefix_nth(const struct prefix *p, uint64_t n)
{
	struct addr a = p->addr;
	unsigned carry = 0;

	for (size_t i = addr_size(a.family); i-- > 0;) {
		unsigned v = a.b[i] + (unsigned)(n & 0xff) + carry;
		a.b[i] = (uint8_t)v;
		carry = v >> 8;
		n >>= 8;
	}
	return a;
}

uint64_t prefix_ordinal(const struct prefix *p, const struct addr *a)
{
	uint64_t n = 0;
	size_t size = addr_size(a->family);

	for (size_t i = size > 8 ? size - 8 : 0; i < size; i++)
		n = n << 8 | (uint8_t)(a->b[i] ^ p->addr.b[i]);
	return n;
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == AF_INET6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)ret;
		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(port);
		memcpy(&s6->sin6_addr, a->b, 16);
		return sizeof(*s6);
	}
	struct sockaddr_in *s4 = (struct sockaddr_in *)ret;
	s4->sin_family = AF_INET;
	s4->sin_port = htons(port);
	memcpy(&s4->sin_addr, a->b, 4);
	return sizeof(*s4);
}

bool addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *ret, uint16_t *ret_port)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *s4 = (const struct sockaddr_in *)ss;
		*ret = addr_from_bytes(AF_INET, &s4->sin_addr);
		if (ret_port)
			*ret_port = ntohs(s4->sin_port);
		return true;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)ss;
		if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr))
			*ret = addr_from_bytes(AF_INET, s6->sin6_addr.s6_addr + 12);
		else
			*ret = addr_from_bytes(AF_INET6, &s6->sin6_addr);
		if (ret_port)
			*ret_port = ntohs(s6->sin6_port);
		return true;
	}
	return false;
}

bool mac_parse(const char *s, struct mac *ret)
{
	struct mac m;
	int n = 0;

	if (sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m.b[0], &m.b[1], &m.b[2], &m.b[3], &m.b[4],
		   &m.b[5], &n) != 6 ||
	    s[n] || n != 17)
		return false;
	*ret = m;
	return true;
}

char *mac_format(const struct mac *m, char buf[static MAC_STR_MAX])
{
	snprintf(buf, MAC_STR_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3],
		 m->b[4], m->b[5]);
	return buf;
}

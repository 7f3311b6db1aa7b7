/*
 * base/addr: one address type and one prefix type for both families.
 *
 * Invariant: unused bytes are zero and a prefix has no host bits, so memcmp() compares and hashes work on the
 * raw bytes. family 0 (ADDR_NONE) means "no address"; a zeroed struct is that.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	uint8_t family; /* AF_INET, AF_INET6 or 0 */
	uint8_t b[16];	/* network order; IPv4 in the first four, the rest zero */
};

struct prefix {
	struct addr addr; /* masked */
	uint8_t len;	  /* bits: 0..32 or 0..128 */
};

#define ADDR_STR_MAX   48 /* INET6_ADDRSTRLEN and a NUL */
#define PREFIX_STR_MAX 52

/* Number of bytes (4, 16 or 0) and bits of the family. */
size_t addr_size(uint8_t family);
unsigned addr_bits(uint8_t family);

struct addr addr_v4(uint32_t host_order);
uint32_t addr_to_v4(const struct addr *a); /* host order */
struct addr addr_from_bytes(uint8_t family, const void *bytes);

/* Strict text forms (RFC 5952 on output). False and *ret untouched if s is not exactly one address/prefix. */
bool addr_parse(const char *s, struct addr *ret);
char *addr_format(const struct addr *a, char buf[static ADDR_STR_MAX]);
/* "10.0.0.1/24": the address with its host bits, and the network it is in. ret_net may be NULL. */
bool addr_parse_cidr(const char *s, struct addr *ret, struct prefix *ret_net);
/* A prefix proper: host bits set are refused ("10.0.0.1/24" is false). */
bool prefix_parse(const char *s, struct prefix *ret);
char *prefix_format(const struct prefix *p, char buf[static PREFIX_STR_MAX]);

static inline bool addr_is_set(const struct addr *a)
{
	return a->family != 0;
}
bool addr_eq(const struct addr *a, const struct addr *b);
int addr_cmp(const struct addr *a, const struct addr *b); /* by family, then bytes */
bool addr_is_link_local(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_is_unspecified(const struct addr *a);

struct prefix prefix_of(const struct addr *a, uint8_t len); /* masks */
struct prefix prefix_host(const struct addr *a);	    /* /32 or /128 */
bool prefix_eq(const struct prefix *a, const struct prefix *b);
int prefix_cmp(const struct prefix *a, const struct prefix *b); /* family, address, then length */
bool prefix_has(const struct prefix *p, const struct addr *a);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner); /* equal counts as covered */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/* The address at ordinal n of p, and back. Ordinals are 64 bits: ask only where p has at most 2^63 addresses
 * or n is known small. */
struct addr prefix_nth(const struct prefix *p, uint64_t n);
uint64_t prefix_ordinal(const struct prefix *p, const struct addr *a);

/* Socket addresses; port in host order. Returns the length to hand to the kernel. */
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret);
bool addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *ret, uint16_t *ret_port);

struct mac {
	uint8_t b[6];
};
#define MAC_STR_MAX 18
bool mac_parse(const char *s, struct mac *ret);
char *mac_format(const struct mac *m, char buf[static MAC_STR_MAX]);

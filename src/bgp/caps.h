/*
 * bgp/caps: the capabilities of an OPEN (RFC 5492), one table row each.
 *
 * Unknown capabilities are skipped. A known one whose length breaks its own rule makes the OPEN malformed
 * (2/0 with the capability as data): guessing what the peer meant would change the meaning of every later
 * byte. Only those that merely inform (host name, version) are skipped instead. The parser of a capability
 * sees only that capability's bytes.
 */
#pragma once
#include "base/rd.h"
#include "base/str.h"
#include "base/wr.h"
#include "bgp/notify.h"

#include <stdbool.h>
#include <stdint.h>

/* The address families we speak, as bits; the same bits as IPC_FAMILY_* of bgp/ipc.h. */
enum { CAPS_V4 = 1, CAPS_V6 = 2, CAPS_FAMILIES = 2 };

/* AFI/SAFI on the wire to one of the bits and back; only unicast. 0 = a family we do not speak. */
uint8_t caps_family(uint16_t afi, uint8_t safi);
uint16_t caps_afi(uint8_t family_bit);
/* AF_INET / AF_INET6 to the bit and back; 0 = neither. */
uint8_t caps_family_of_af(uint8_t af);
uint8_t caps_af(uint8_t family_bit);

#define CAPS_ROLE_NONE 255
enum {
	CAPS_ROLE_PROVIDER,
	CAPS_ROLE_RS,
	CAPS_ROLE_RS_CLIENT,
	CAPS_ROLE_CUSTOMER,
	CAPS_ROLE_PEER
}; /* RFC 9234 */

/* What a side announced. Zero it (caps_init) before filling it by hand: role has no zero value. */
struct caps {
	bool mp;	       /* 1: at least one multiprotocol capability, of whatever family */
	uint8_t families;      /* 1: CAPS_V4 | CAPS_V6, unicast */
	bool refresh;	       /* 2 */
	uint8_t ext_nexthop;   /* 5: CAPS_V4 = IPv4 prefixes may have an IPv6 next hop (RFC 8950) */
	bool ext_message;      /* 6: messages up to 65535 bytes (RFC 8654) */
	uint8_t role;	       /* 9: CAPS_ROLE_*, or CAPS_ROLE_NONE */
	bool gr;	       /* 64: graceful restart */
	bool gr_restarting;    /*     the R bit: "I have just restarted" */
	bool gr_notification;  /*     the N bit: NOTIFICATION keeps routes too (RFC 8538) */
	uint16_t gr_time;      /*     seconds, 0..4095 */
	uint8_t gr_families;   /*     families whose state is kept */
	uint8_t gr_forwarding; /*     of these: forwarding state was preserved (F bit) */
	bool as4;	       /* 65 */
	uint32_t asn;	       /*     the AS number in it */
	uint8_t add_path_recv; /* 69: families for which it can receive path identifiers */
	uint8_t add_path_send; /*     ... and send them */
	bool enhanced_refresh; /* 70 */
	bool llgr;	       /* 71: aware of long-lived graceful restart */
	uint8_t llgr_families;
	uint8_t llgr_forwarding;
	uint32_t llgr_time[CAPS_FAMILIES]; /* stale seconds, 24 bits; [0] IPv4, [1] IPv6 */
	char hostname[65];		   /* 73: FQDN's host part, printable; "" = none. Not sent if empty */
	char version[65];		   /* 75: software version, printable; "" = none. Not sent if empty */
	uint16_t unknown;		   /* capabilities that were skipped */
};

void caps_init(struct caps *c);
/* The families this side speaks: without any multiprotocol capability that is IPv4 (RFC 4760 section 8). */
uint8_t caps_families(const struct caps *c);

/* What holds on a session between two sides that announced these. */
struct caps_agreed {
	uint8_t families;
	bool as4, refresh, enhanced_refresh, ext_message;
	uint8_t ext_nexthop;
	uint8_t add_path_in, add_path_out; /* families in which we receive / send path identifiers */
};
struct caps_agreed caps_agree(const struct caps *ours, const struct caps *theirs);

/* The value of one Capabilities optional parameter; adds to *c (call caps_init() once before the first). 0,
 * or -EBADMSG with the NOTIFICATION. */
int caps_decode(struct rd r, struct caps *c, struct notify *n);
/* All capabilities that *c has, in ascending code order, without the parameter's own header. */
void caps_encode(const struct caps *c, struct wr *w);
/* "ipv4 ipv6 route-refresh graceful-restart(120s,...) as4(65000)". Adds to out. */
void caps_format(const struct caps *c, struct str *out);

/* The table, for tests and for `status`: code and name of each capability we know. */
size_t caps_known(void);
uint8_t caps_known_code(size_t i);
const char *caps_known_name(size_t i);

/*
 * Capabilities: a row says how long a value may be, how it is read, when and how often it is written and how
 * it is shown. The loops below know nothing else, so a capability cannot be half there. RFC 5492 and the RFCs
 * named at the rows.
 */
#include "bgp/caps.h"

#include "base/check.h"

#include <stdio.h>
#include <sys/socket.h>

enum { AFI_V4 = 1, AFI_V6 = 2, SAFI_UNICAST = 1 };

uint8_t caps_family(uint16_t afi, uint8_t safi)
{
	if (safi != SAFI_UNICAST)
		return 0;
	return afi == AFI_V4 ? CAPS_V4 : afi == AFI_V6 ? CAPS_V6 : 0;
}

uint16_t caps_afi(uint8_t family_bit)
{
	return family_bit == CAPS_V4 ? AFI_V4 : family_bit == CAPS_V6 ? AFI_V6 : 0;
}

uint8_t caps_family_of_af(uint8_t af)
{
	return af == AF_INET ? CAPS_V4 : af == AF_INET6 ? CAPS_V6 : 0;
}

uint8_t caps_af(uint8_t family_bit)
{
	return family_bit == CAPS_V4 ? AF_INET : family_bit == CAPS_V6 ? AF_INET6 : 0;
}

/* Both families in order, for loops. */
static uint8_t family_at(unsigned i)
{
	return i == 0 ? CAPS_V4 : CAPS_V6;
}

static uint8_t get_family(struct rd *r)
{
	uint16_t afi = rd_be16(r);

	return caps_family(afi, rd_u8(r));
}

static void put_family(struct wr *w, uint8_t family)
{
	wr_be16(w, caps_afi(family));
	wr_u8(w, SAFI_UNICAST);
}

static void print_families(struct str *out, uint8_t families)
{
	str_add(out, families == CAPS_V4   ? "ipv4"
		     : families == CAPS_V6 ? "ipv6"
		     : families		   ? "ipv4 ipv6"
					   : "");
}

/* Text of a peer's, made printable and cut to dst. */
static void get_text(struct rd r, char *dst, size_t cap)
{
	size_t n = 0;

	memset(dst, 0, cap);
	while (rd_left(&r) && n + 1 < cap) {
		uint8_t c = rd_u8(&r);

		dst[n++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
}

/*
 * A row. get() has been given a value that obeys the length rule min + k * step (step 0: exactly min; VARIES:
 * at least min) and says whether it liked it. count() is how many capabilities of this kind *c asks for,
 * put() writes the value of the i-th. A soft row only informs: malformed, it is skipped.
 */
enum { VARIES = 1 };

struct caps_row {
	uint8_t code;
	const char *name;
	uint8_t min, step;
	bool soft;
	bool (*get)(struct rd *r, struct caps *c);
	unsigned (*count)(const struct caps *c);
	void (*put)(const struct caps *c, unsigned i, struct wr *w);
	void (*print)(const struct caps *c, struct str *out); /* what to say in parentheses; may be NULL */
};

/* 1 multiprotocol, RFC 4760 */
static bool mp_get(struct rd *r, struct caps *c)
{
	uint16_t afi = rd_be16(r);

	rd_u8(r); /* reserved */
	c->mp = true;
	c->families |= caps_family(afi, rd_u8(r));
	return true;
}

static unsigned mp_count(const struct caps *c)
{
	return !!(c->families & CAPS_V4) + !!(c->families & CAPS_V6);
}

static void mp_put(const struct caps *c, unsigned i, struct wr *w)
{
	uint8_t family = c->families & CAPS_V4 ? family_at(i) : CAPS_V6;

	wr_be16(w, caps_afi(family));
	wr_u8(w, 0);
	wr_u8(w, SAFI_UNICAST);
}

static void mp_print(const struct caps *c, struct str *out)
{
	print_families(out, c->families);
}

/* Capabilities without a value. */
static void none_put(const struct caps *c, unsigned i, struct wr *w)
{
}

/* 2 route refresh, RFC 2918 */
static bool refresh_get(struct rd *r, struct caps *c)
{
	return c->refresh = true;
}

static unsigned refresh_count(const struct caps *c)
{
	return c->refresh;
}

/* 5 extended next hop encoding, RFC 8950 */
static bool ext_nexthop_get(struct rd *r, struct caps *c)
{
	c->ext_nexthop = 0;
	while (rd_left(r)) {
		uint16_t afi = rd_be16(r), safi = rd_be16(r), nexthop_afi = rd_be16(r);

		if (afi == AFI_V4 && safi == SAFI_UNICAST && nexthop_afi == AFI_V6)
			c->ext_nexthop |= CAPS_V4;
	}
	return true;
}

static unsigned ext_nexthop_count(const struct caps *c)
{
	return !!c->ext_nexthop;
}

static void ext_nexthop_put(const struct caps *c, unsigned i, struct wr *w)
{
	wr_be16(w, AFI_V4);
	wr_be16(w, SAFI_UNICAST);
	wr_be16(w, AFI_V6);
}

/* 6 extended message, RFC 8654 */
static bool ext_message_get(struct rd *r, struct caps *c)
{
	return c->ext_message = true;
}

static unsigned ext_message_count(const struct caps *c)
{
	return c->ext_message;
}

/* 9 BGP role, RFC 9234: several different ones are an error */
static bool role_get(struct rd *r, struct caps *c)
{
	uint8_t role = rd_u8(r);

	if (c->role != CAPS_ROLE_NONE && c->role != role)
		return false;
	c->role = role;
	return true;
}

static unsigned role_count(const struct caps *c)
{
	return c->role != CAPS_ROLE_NONE;
}

static void role_put(const struct caps *c, unsigned i, struct wr *w)
{
	wr_u8(w, c->role);
}

static void role_print(const struct caps *c, struct str *out)
{
	static const char *const names[] = { "provider", "rs", "rs-client", "customer", "peer" };

	if (c->role < ARRAY_SIZE(names))
		str_add(out, names[c->role]);
	else
		str_addf(out, "%u", c->role);
}

/* 64 graceful restart, RFC 4724 and 8538; of several the last one counts */
static bool gr_get(struct rd *r, struct caps *c)
{
	uint16_t head = rd_be16(r);

	c->gr = true;
	c->gr_restarting = head & 0x8000;
	c->gr_notification = head & 0x4000;
	c->gr_time = head & 0x0fff;
	c->gr_families = c->gr_forwarding = 0;
	while (rd_left(r)) {
		uint8_t family = get_family(r);

		c->gr_families |= family;
		if (rd_u8(r) & 0x80)
			c->gr_forwarding |= family;
	}
	return true;
}

static unsigned gr_count(const struct caps *c)
{
	return c->gr;
}

static void gr_put(const struct caps *c, unsigned i, struct wr *w)
{
	wr_be16(w, (uint16_t)((c->gr_restarting ? 0x8000 : 0) | (c->gr_notification ? 0x4000 : 0) |
			      (c->gr_time & 0x0fff)));
	for (unsigned k = 0; k < CAPS_FAMILIES; k++) {
		if (!(c->gr_families & family_at(k)))
			continue;
		put_family(w, family_at(k));
		wr_u8(w, c->gr_forwarding & family_at(k) ? 0x80 : 0);
	}
}

static void gr_print(const struct caps *c, struct str *out)
{
	str_addf(out, "%us%s%s", c->gr_time, c->gr_restarting ? " restarting" : "",
		 c->gr_notification ? " notification" : "");
	if (c->gr_families)
		str_add(out, " ");
	print_families(out, c->gr_families);
}

/* 65 four-byte AS numbers, RFC 6793 */
static bool as4_get(struct rd *r, struct caps *c)
{
	c->asn = rd_be32(r);
	return c->as4 = true;
}

static unsigned as4_count(const struct caps *c)
{
	return c->as4;
}

static void as4_put(const struct caps *c, unsigned i, struct wr *w)
{
	wr_be32(w, c->asn);
}

static void as4_print(const struct caps *c, struct str *out)
{
	str_addf(out, "%u", c->asn);
}

/* 69 additional paths, RFC 7911; of several the last one counts, and of a family given twice the last entry
 */
static bool add_path_get(struct rd *r, struct caps *c)
{
	c->add_path_recv = c->add_path_send = 0;
	while (rd_left(r)) {
		uint8_t family = get_family(r), mode = rd_u8(r);

		if (mode < 1 || mode > 3)
			continue;
		c->add_path_recv &= (uint8_t)~family;
		c->add_path_send &= (uint8_t)~family;
		if (mode & 1)
			c->add_path_recv |= family;
		if (mode & 2)
			c->add_path_send |= family;
	}
	return true;
}

static unsigned add_path_count(const struct caps *c)
{
	return !!(c->add_path_recv | c->add_path_send);
}

static void add_path_put(const struct caps *c, unsigned i, struct wr *w)
{
	for (unsigned k = 0; k < CAPS_FAMILIES; k++) {
		uint8_t family = family_at(k);
		uint8_t mode = 0;

		if (c->add_path_recv & family)
			mode |= 1;
		if (c->add_path_send & family)
			mode |= 2;
		if (!mode)
			continue;
		put_family(w, family);
		wr_u8(w, mode);
	}
}

static void add_path_print(const struct caps *c, struct str *out)
{
	if (c->add_path_recv) {
		str_add(out, "receive ");
		print_families(out, c->add_path_recv);
	}
	if (c->add_path_send) {
		str_add(out, c->add_path_recv ? " send " : "send ");
		print_families(out, c->add_path_send);
	}
}

/* 70 enhanced route refresh, RFC 7313 */
static bool enhanced_get(struct rd *r, struct caps *c)
{
	return c->enhanced_refresh = true;
}

static unsigned enhanced_count(const struct caps *c)
{
	return c->enhanced_refresh;
}

/* 71 long-lived graceful restart, RFC 9494; of several the last one counts */
static bool llgr_get(struct rd *r, struct caps *c)
{
	c->llgr = true;
	c->llgr_families = c->llgr_forwarding = 0;
	memset(c->llgr_time, 0, sizeof(c->llgr_time));
	while (rd_left(r)) {
		uint8_t family = get_family(r), flags = rd_u8(r), high = rd_u8(r);
		uint32_t seconds = (uint32_t)high << 16 | rd_be16(r);

		if (!family)
			continue;
		c->llgr_families |= family;
		if (flags & 0x80)
			c->llgr_forwarding |= family;
		c->llgr_time[family == CAPS_V6] = seconds;
	}
	return true;
}

static unsigned llgr_count(const struct caps *c)
{
	return c->llgr;
}

static void llgr_put(const struct caps *c, unsigned i, struct wr *w)
{
	for (unsigned k = 0; k < CAPS_FAMILIES; k++) {
		if (!(c->llgr_families & family_at(k)))
			continue;
		put_family(w, family_at(k));
		wr_u8(w, c->llgr_forwarding & family_at(k) ? 0x80 : 0);
		wr_u8(w, (uint8_t)(c->llgr_time[k] >> 16));
		wr_be16(w, (uint16_t)c->llgr_time[k]);
	}
}

static void llgr_print(const struct caps *c, struct str *out)
{
	if (!c->llgr_families)
		str_add(out, "aware");
	if (c->llgr_families & CAPS_V4)
		str_addf(out, "ipv4 %us", c->llgr_time[0]);
	if (c->llgr_families & CAPS_V6)
		str_addf(out, "%sipv6 %us", c->llgr_families & CAPS_V4 ? " " : "", c->llgr_time[1]);
}

/* 73 host name: two counted strings, host and domain (draft-walton-bgp-hostname-capability) */
static bool hostname_get(struct rd *r, struct caps *c)
{
	struct rd host = rd_sub(r, rd_u8(r)), domain = rd_sub(r, rd_u8(r));

	if (!rd_ok(&host) || !rd_ok(&domain) || !rd_end(r))
		return false;
	get_text(host, c->hostname, sizeof(c->hostname));
	return true;
}

static unsigned hostname_count(const struct caps *c)
{
	return c->hostname[0] != '\0';
}

static void hostname_put(const struct caps *c, unsigned i, struct wr *w)
{
	size_t n = strlen(c->hostname);

	wr_u8(w, (uint8_t)n);
	wr_bytes(w, c->hostname, n);
	wr_u8(w, 0);
}

static void hostname_print(const struct caps *c, struct str *out)
{
	str_add(out, c->hostname);
}

/* 75 software version: one counted string (draft-abraitis-bgp-version-capability) */
static bool version_get(struct rd *r, struct caps *c)
{
	struct rd text = rd_sub(r, rd_u8(r));

	if (!rd_ok(&text) || !rd_end(r) || !rd_left(&text))
		return false;
	get_text(text, c->version, sizeof(c->version));
	return true;
}

static unsigned version_count(const struct caps *c)
{
	return c->version[0] != '\0';
}

static void version_put(const struct caps *c, unsigned i, struct wr *w)
{
	size_t n = strlen(c->version);

	wr_u8(w, (uint8_t)n);
	wr_bytes(w, c->version, n);
}

static void version_print(const struct caps *c, struct str *out)
{
	str_add(out, c->version);
}

/* Ascending by code: that is the order on the wire. */
static const struct caps_row rows[] = {
	{ 1, "multiprotocol", 4, 0, false, mp_get, mp_count, mp_put, mp_print },
	{ 2, "route-refresh", 0, 0, false, refresh_get, refresh_count, none_put, NULL },
	{ 5, "extended-next-hop", 0, 6, false, ext_nexthop_get, ext_nexthop_count, ext_nexthop_put, NULL },
	{ 6, "extended-message", 0, 0, false, ext_message_get, ext_message_count, none_put, NULL },
	{ 9, "role", 1, 0, false, role_get, role_count, role_put, role_print },
	{ 64, "graceful-restart", 2, 4, false, gr_get, gr_count, gr_put, gr_print },
	{ 65, "as4", 4, 0, false, as4_get, as4_count, as4_put, as4_print },
	{ 69, "add-path", 0, 4, false, add_path_get, add_path_count, add_path_put, add_path_print },
	{ 70, "enhanced-refresh", 0, 0, false, enhanced_get, enhanced_count, none_put, NULL },
	{ 71, "long-lived-graceful-restart", 0, 7, false, llgr_get, llgr_count, llgr_put, llgr_print },
	{ 73, "hostname", 2, VARIES, true, hostname_get, hostname_count, hostname_put, hostname_print },
	{ 75, "version", 1, VARIES, true, version_get, version_count, version_put, version_print },
};

static const struct caps_row *row_of(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

static bool length_ok(const struct caps_row *row, size_t n)
{
	if (n < row->min)
		return false;
	return row->step ? (n - row->min) % row->step == 0 : n == row->min;
}

void caps_init(struct caps *c)
{
	*c = (struct caps){ .role = CAPS_ROLE_NONE };
}

uint8_t caps_families(const struct caps *c)
{
	return c->mp || c->families ? c->families : CAPS_V4;
}

struct caps_agreed caps_agree(const struct caps *ours, const struct caps *theirs)
{
	uint8_t families = caps_families(ours) & caps_families(theirs);

	return (struct caps_agreed){
		.families = families,
		.as4 = ours->as4 && theirs->as4,
		.refresh = ours->refresh && theirs->refresh,
		.enhanced_refresh = ours->enhanced_refresh && theirs->enhanced_refresh,
		.ext_message = ours->ext_message && theirs->ext_message,
		.ext_nexthop = ours->ext_nexthop & theirs->ext_nexthop & families,
		.add_path_in = ours->add_path_recv & theirs->add_path_send & families,
		.add_path_out = ours->add_path_send & theirs->add_path_recv & families,
	};
}

int caps_decode(struct rd r, struct caps *c, struct notify *n)
{
	while (rd_left(&r)) {
		const uint8_t *start = r.at;
		uint8_t code = rd_u8(&r);
		struct rd value = rd_sub(&r, rd_u8(&r));
		const struct caps_row *row = row_of(code);

		if (!rd_ok(&value))
			return notify_set(n, NOTIFY_OPEN, OPEN_UNSPECIFIC, start, (size_t)(r.end - start));
		if (!row) {
			c->unknown++;
			continue;
		}
		if (length_ok(row, rd_left(&value)) && row->get(&value, c))
			continue;
		if (!row->soft)
			return notify_set(n, NOTIFY_OPEN, code == 9 ? OPEN_ROLE_MISMATCH : OPEN_UNSPECIFIC,
					  start, (size_t)(r.at - start));
	}
	return 0;
}

void caps_encode(const struct caps *c, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned count = rows[i].count(c);

		for (unsigned k = 0; k < count; k++) {
			wr_u8(w, rows[i].code);
			size_t hole = wr_open8(w);
			rows[i].put(c, k, w);
			wr_close8(w, hole);
		}
	}
}

void caps_format(const struct caps *c, struct str *out)
{
	const char *gap = "";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].count(c))
			continue;
		str_addf(out, "%s%s", gap, rows[i].name);
		gap = " ";
		if (!rows[i].print)
			continue;
		str_add(out, "(");
		rows[i].print(c, out);
		str_add(out, ")");
	}
}

size_t caps_known(void)
{
	return ARRAY_SIZE(rows);
}

uint8_t caps_known_code(size_t i)
{
	return rows[i].code;
}

const char *caps_known_name(size_t i)
{
	return rows[i].name;
}

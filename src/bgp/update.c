/*
 * UPDATE messages. Decoding finds the prefixes of both families, checks each once and leaves them where they
 * are; the attributes decide with them what the message is worth (RFC 7606). Encoding is the reverse with
 * many prefixes to a message. RFC 4271 4.3 and 6.3, RFC 4724 section 2, RFC 4760, RFC 7606, RFC 7911, RFC
 * 8950.
 */
#include "bgp/update.h"

#include "base/check.h"
#include "bgp/caps.h"
#include "bgp/msg.h"

#include <errno.h>

/* --- prefixes on the wire: [path identifier] bits bytes --- */

/* Takes one prefix off r: its bits and where its bytes are. NULL if there is none, or not a good one (then r
 * is bad). */
static const uint8_t *nlri_take(struct rd *r, unsigned max_bits, bool add_path, uint32_t *ret_path_id,
				uint8_t *ret_bits)
{
	if (!rd_left(r))
		return NULL;
	*ret_path_id = add_path ? rd_be32(r) : 0;
	*ret_bits = rd_u8(r);
	if (*ret_bits > max_bits)
		r->bad = true;
	return rd_bytes(r, (*ret_bits + 7u) / 8);
}

static bool nlri_good(const struct nlri *n)
{
	unsigned bits_max = addr_bits(n->af);
	struct rd r = n->r;
	uint32_t path_id;
	uint8_t bits;

	while (nlri_take(&r, bits_max, n->add_path, &path_id, &bits))
		;
	return rd_end(&r);
}

bool nlri_next(struct nlri *n, struct prefix *ret, uint32_t *ret_path_id)
{
	uint32_t path_id;
	uint8_t bits;
	const uint8_t *p = nlri_take(&n->r, n->af == AF_INET ? 32 : 128, n->add_path, &path_id, &bits);

	if (!p)
		return false;
	unsigned size = (bits + 7u) / 8;
	*ret = (struct prefix){ .addr.family = n->af, .len = bits };
	for (unsigned i = 0; i < size; i++)
		ret->addr.b[i] = p[i];
	if (bits % 8)
		ret->addr.b[size - 1] &= (uint8_t)(0xff00 >> (bits % 8));
	if (ret_path_id)
		*ret_path_id = path_id;
	return true;
}

static struct nlri nlri_of(struct rd r, uint8_t family, uint8_t add_path)
{
	return (struct nlri){ .r = r, .af = caps_af(family), .add_path = add_path & family };
}

/* --- decoding --- */

/* Prefixes of one place, if they are of a family we agreed on and all of them are good. */
static struct nlri update_prefixes(struct update *u, struct rd r, uint8_t family, const struct codec *c,
				   uint8_t code)
{
	struct nlri n = nlri_of(r, family, c->add_path_in);

	if (!(family & c->families) || !rd_left(&r))
		return (struct nlri){ 0 };
	if (nlri_good(&n))
		return n;
	attr_fault_add(&u->fault, ATTR_RESET, code, code ? UPDATE_BAD_OPTIONAL : UPDATE_BAD_NETWORK, r.at,
		       rd_left(&r), "malformed prefix");
	return (struct nlri){ 0 };
}

static void update_require(struct update *u, uint8_t code, bool there)
{
	if (!there)
		attr_fault_add(&u->fault, ATTR_WITHDRAW, code, UPDATE_MISSING_WELL_KNOWN, &code, 1,
			       "missing");
}

/* Routes need the mandatory attributes. */
static void update_check_mandatory(struct update *u, bool classic)
{
	if (!update_has_routes(u))
		return;
	update_require(u, ATTR_ORIGIN, attr_list_find(&u->attrs, ATTR_ORIGIN));
	update_require(u, ATTR_AS_PATH, attr_list_find(&u->attrs, ATTR_AS_PATH));
	/* RFC 4760 section 3: prefixes in MP_REACH_NLRI bring their own, and NEXT_HOP is ignored. */
	if (classic && u->attrs.bad_nexthop)
		attr_fault_add(&u->fault, ATTR_WITHDRAW, ATTR_NEXT_HOP, UPDATE_BAD_NEXT_HOP, NULL, 0,
			       "not a host address");
	else if (classic)
		update_require(u, ATTR_NEXT_HOP, addr_is_set(&u->attrs.nexthop));
}

/*
 * RFC 7606 5.2: with attributes but no routes to withdraw instead, an error may have hidden the routes
 * themselves: nothing less than a new session makes both sides agree again. An error in MP_UNREACH_NLRI alone
 * hides none, and routes of a family we do not speak are none of ours.
 */
static void update_escalate(struct update *u, bool classic)
{
	const struct attr_mp *reach = &u->attrs.reach;
	bool routes = classic || (reach->present && (!reach->family || rd_left(&reach->nlri)));

	if (u->fault.verdict == ATTR_WITHDRAW && !routes && u->attrs.others)
		u->fault.verdict = ATTR_RESET;
}

static uint8_t update_eor(const struct update *u, struct rd withdrawn, struct rd attrs, struct rd nlri,
			  const struct codec *c)
{
	const struct attr_mp *mp = &u->attrs.unreach;

	if (rd_left(&withdrawn) || rd_left(&nlri) || u->fault.verdict != ATTR_TAKE)
		return 0;
	if (!rd_left(&attrs))
		return c->families & CAPS_V4;
	return mp->present && !u->attrs.others && !rd_left(&mp->nlri) ? mp->family : 0;
}

bool update_has_routes(const struct update *u)
{
	return rd_left(&u->announced[0].nlri.r) || rd_left(&u->announced[1].nlri.r);
}

static void update_decode_parts(struct update *u, struct rd withdrawn, struct rd attrs, struct rd nlri,
				const struct codec *c)
{
	const struct attr_mp *reach = &u->attrs.reach, *unreach = &u->attrs.unreach;

	attr_decode(attrs, c, &u->attrs, &u->fault);
	u->withdrawn[0] = update_prefixes(u, withdrawn, CAPS_V4, c, 0);
	u->withdrawn[1] = update_prefixes(u, unreach->nlri, unreach->family, c, ATTR_MP_UNREACH);
	u->announced[0].nlri = update_prefixes(u, nlri, CAPS_V4, c, 0);
	u->announced[0].nexthop = u->attrs.nexthop;
	u->announced[1].nlri = update_prefixes(u, reach->nlri, reach->family, c, ATTR_MP_REACH);
	u->announced[1].nexthop = reach->nexthop;
	u->announced[1].link_local = reach->link_local;
	update_check_mandatory(u, rd_left(&u->announced[0].nlri.r));
	update_escalate(u, rd_left(&nlri));
	u->eor = update_eor(u, withdrawn, attrs, nlri, c);
}

enum attr_verdict update_decode(struct rd body, const struct codec *c, struct update *u)
{
	struct rd none = { 0 };
	struct rd withdrawn = rd_sub(&body, rd_be16(&body));
	struct rd attrs = rd_sub(&body, rd_be16(&body));
	bool ok = rd_ok(&body);

	memset(u->withdrawn, 0, sizeof(u->withdrawn));
	memset(u->announced, 0, sizeof(u->announced));
	u->eor = 0;
	if (ok) {
		update_decode_parts(u, withdrawn, attrs, body, c);
		return u->fault.verdict;
	}
	attr_decode(none, c, &u->attrs, &u->fault);
	attr_fault_add(&u->fault, ATTR_RESET, 0, UPDATE_MALFORMED_LIST, NULL, 0,
		       "a length runs past the message");
	return u->fault.verdict;
}

/* --- encoding --- */

enum {
	MP_HEADER = 4, /* flags, code, two bytes of length */
	FAMILY_SIZE = 3,
	EOR_SIZE_V4 = MSG_HEADER + 4,
	EOR_SIZE_V6 = MSG_HEADER + 4 + 3 + FAMILY_SIZE,
};

void pack_begin(struct packer *p, struct wr *w, const struct codec *c)
{
	*p = (struct packer){ .w = w, .codec = c };
}

static bool pack_add_path(const struct packer *p, uint8_t af)
{
	return p->codec->add_path_out & caps_family_of_af(af);
}

static size_t pack_prefix_size(const struct packer *p, const struct prefix *prefix)
{
	return (pack_add_path(p, prefix->addr.family) ? 4u : 0u) + 1u + (prefix->len + 7u) / 8;
}

static void pack_put(struct packer *p, const struct prefix *prefix, uint32_t path_id)
{
	if (pack_add_path(p, prefix->addr.family))
		wr_be32(p->w, path_id);
	wr_u8(p->w, prefix->len);
	wr_bytes(p->w, prefix->addr.b, (prefix->len + 7u) / 8);
	p->prefixes++;
}

static size_t pack_room(const struct packer *p)
{
	return p->w->cap - p->w->len;
}

/* Can the open message take n more bytes and still be closed? */
static bool pack_fits(const struct packer *p, size_t n)
{
	return p->w->len - p->start + n + p->tail <= p->codec->max && n + p->tail <= pack_room(p);
}

static void pack_open_mp(struct packer *p, uint8_t code)
{
	wr_u8(p->w, ATTR_F_OPTIONAL | ATTR_F_EXTENDED);
	wr_u8(p->w, code);
	p->hole = wr_open16(p->w);
	wr_be16(p->w, caps_afi(caps_family_of_af(p->af)));
	wr_u8(p->w, 1);
}

/* RFC 7606 5.1: MP_REACH_NLRI goes first, so the other attributes follow when the prefixes are complete. */
static void pack_open_announce(struct packer *p)
{
	p->start = msg_begin(p->w, MSG_UPDATE);
	wr_be16(p->w, 0);
	p->attrs = wr_open16(p->w);
	if (p->mp) {
		size_t n = addr_size(p->nexthop.family);

		pack_open_mp(p, ATTR_MP_REACH);
		wr_u8(p->w, (uint8_t)n);
		wr_bytes(p->w, p->nexthop.b, n);
		wr_u8(p->w, 0);
	} else {
		attr_encode(p->set, &p->nexthop, p->codec->as4, p->w);
		wr_close16(p->w, p->attrs);
	}
}

static void pack_open_withdraw(struct packer *p)
{
	p->start = msg_begin(p->w, MSG_UPDATE);
	if (p->mp) {
		wr_be16(p->w, 0);
		p->attrs = wr_open16(p->w);
		pack_open_mp(p, ATTR_MP_UNREACH);
	} else {
		p->hole = wr_open16(p->w);
	}
}

void pack_end(struct packer *p)
{
	if (p->open == PACK_NONE)
		return;
	if (p->mp) {
		wr_close16(p->w, p->hole);
		if (p->open == PACK_ANNOUNCE)
			attr_encode(p->set, NULL, p->codec->as4, p->w);
		wr_close16(p->w, p->attrs);
	} else if (p->open == PACK_WITHDRAW) {
		wr_close16(p->w, p->hole);
		wr_be16(p->w, 0);
	}
	msg_end(p->w, p->start);
	CHECK(wr_ok(p->w)); /* the room was asked for beforehand */
	p->messages++;
	p->open = PACK_NONE;
}

int pack_announce(struct packer *p, const struct attr_set *a, const struct addr *nexthop,
		  const struct prefix *prefix, uint32_t path_id)
{
	size_t size = pack_prefix_size(p, prefix);

	if (p->open == PACK_ANNOUNCE && p->set == a && p->af == prefix->addr.family && pack_fits(p, size) &&
	    addr_eq(&p->nexthop, nexthop)) {
		pack_put(p, prefix, path_id);
		return 0;
	}
	pack_end(p);

	bool mp = prefix->addr.family == AF_INET6 || nexthop->family == AF_INET6;
	size_t attrs = attr_size(a, mp ? NULL : nexthop, p->codec->as4);
	size_t reach = mp ? MP_HEADER + FAMILY_SIZE + 2 + addr_size(nexthop->family) : 0;
	size_t total = MSG_HEADER + 4 + attrs + reach + size;
	if (total > p->codec->max)
		return -EMSGSIZE;
	if (total > pack_room(p))
		return -ENOSPC;
	p->open = PACK_ANNOUNCE;
	p->af = prefix->addr.family;
	p->mp = mp;
	p->set = a;
	p->nexthop = *nexthop;
	p->tail = mp ? attrs : 0;
	pack_open_announce(p);
	pack_put(p, prefix, path_id);
	return 0;
}

int pack_withdraw(struct packer *p, const struct prefix *prefix, uint32_t path_id)
{
	size_t size = pack_prefix_size(p, prefix);

	if (p->open == PACK_WITHDRAW && p->af == prefix->addr.family && pack_fits(p, size)) {
		pack_put(p, prefix, path_id);
		return 0;
	}
	pack_end(p);

	bool mp = prefix->addr.family == AF_INET6;
	if (MSG_HEADER + 4 + (mp ? MP_HEADER + FAMILY_SIZE : 0) + size > pack_room(p))
		return -ENOSPC;
	p->open = PACK_WITHDRAW;
	p->af = prefix->addr.family;
	p->mp = mp;
	p->tail = mp ? 0 : 2; /* the attributes' length */
	pack_open_withdraw(p);
	pack_put(p, prefix, path_id);
	return 0;
}

int pack_eor(struct packer *p, uint8_t af)
{
	pack_end(p);
	if (pack_room(p) < (size_t)(af == AF_INET6 ? EOR_SIZE_V6 : EOR_SIZE_V4))
		return -ENOSPC;
	size_t start = msg_begin(p->w, MSG_UPDATE);
	wr_be16(p->w, 0);
	size_t attrs = wr_open16(p->w);
	if (af == AF_INET6) {
		wr_u8(p->w, ATTR_F_OPTIONAL);
		wr_u8(p->w, ATTR_MP_UNREACH);
		wr_u8(p->w, FAMILY_SIZE);
		wr_be16(p->w, caps_afi(CAPS_V6));
		wr_u8(p->w, 1);
	}
	wr_close16(p->w, attrs);
	msg_end(p->w, start);
	p->messages++;
	return 0;
}

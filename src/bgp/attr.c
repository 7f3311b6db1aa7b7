/*
 * Path attributes. One row of a table says everything about one: name, flags, length, what a malformed one
 * does to its message (RFC 7606), how it is read, which header fields it gives, how policy edits it, how it
 * is shown. The loops know only rows; what has no row is an unknown attribute. RFC 4271, 1997, 4360, 4456,
 * 4760, 6793, 7606, 8092, 8950, 9234.
 */
#include "bgp/attr.h"

#include "base/check.h"
#include "bgp/caps.h"
#include "bgp/msg.h"

#include <stdio.h>

enum { FLAGS_KIND = ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE };
enum { VARIES = 1 }; /* a step: any length from min on */

/* One attribute being decoded. */
struct job {
	const struct codec *codec;
	struct attr_list *list;
	struct attr_fault *fault;
	const uint8_t *start; /* the whole attribute, for the NOTIFICATION */
	size_t len;
	uint8_t code;
};

struct attr_row {
	const char *name;
	uint8_t flags;	       /* the required Optional and Transitive bits */
	uint16_t min, step;    /* length: min + k * step; step 0 = exactly min */
	enum attr_verdict bad; /* of a malformed one */
	uint8_t subcode;       /* for a bad value, if it comes to a NOTIFICATION */
	bool internal;	       /* from another AS it is left out, whatever it says */
	bool as2_only;	       /* from a peer with 4-byte AS numbers it is left out */
	bool apart;	       /* is not in the list of items: get() puts it elsewhere */
	const char *(*get)(struct rd r, const struct job *j); /* NULL, or what is malformed */
	void (*head)(struct attr_set *a, struct rd r);	      /* header fields from the canonical value */
	void (*edit)(const struct attr_item *old, const struct attr_change *ch,
		     struct wr *w); /* the new value */
	bool (*kept)(const struct attr_item *old,
		     const struct attr_change *ch); /* is there one after the edit? */
	void (*print)(struct rd r, struct str *out);
};

static const struct attr_row *row_of(uint8_t code);

const char *attr_verdict_name(enum attr_verdict v)
{
	static const char *const names[] = { "take", "drop attribute", "treat as withdraw", "reset" };

	return (unsigned)v < ARRAY_SIZE(names) ? names[v] : "unknown";
}

void attr_fault_add(struct attr_fault *f, enum attr_verdict v, uint8_t code, uint8_t subcode,
		    const void *data, size_t len, const char *why)
{
	const char *name = attr_name(code);

	if (v <= f->verdict)
		return;
	f->verdict = v;
	f->code = code;
	notify_set(&f->notify, NOTIFY_UPDATE, subcode, data, len);
	if (name)
		snprintf(f->why, sizeof(f->why), "%s: %s", name, why);
	else if (code)
		snprintf(f->why, sizeof(f->why), "attribute %u: %s", code, why);
	else
		snprintf(f->why, sizeof(f->why), "%s", why);
}

static void job_fault(const struct job *j, enum attr_verdict v, uint8_t subcode, const char *why)
{
	attr_fault_add(j->fault, v, j->code, subcode, j->start, j->len, why);
}

/* --- AS paths on the wire: segments of type, count, AS numbers of 2 or 4 bytes --- */

struct segment {
	uint8_t type, n;
	struct rd asns;
};

static uint32_t asn_get(struct rd *r, unsigned width)
{
	return width == 4 ? rd_be32(r) : rd_be16(r);
}

/* False at the end, and where the bytes do not make a segment (then r is bad). */
static bool segment_next(struct rd *r, unsigned width, struct segment *ret)
{
	if (!rd_left(r))
		return false;
	ret->type = rd_u8(r);
	ret->n = rd_u8(r);
	ret->asns = rd_sub(r, (size_t)ret->n * width);
	return rd_ok(r);
}

static bool is_confed(uint8_t type)
{
	return type == ATTR_CONFED_SEQUENCE_SEG || type == ATTR_CONFED_SET_SEG;
}

/* RFC 4271 9.1.2.2 and RFC 5065: a set is one hop, a confederation segment none. */
static unsigned segment_hops(const struct segment *s)
{
	return s->type == ATTR_SEQUENCE_SEG ? s->n : s->type == ATTR_SET_SEG ? 1 : 0;
}

static const char *path_check(struct rd r, unsigned width, bool confed_allowed)
{
	struct segment s;
	unsigned total = 0;

	while (segment_next(&r, width, &s)) {
		if (s.type < ATTR_SET_SEG || s.type > ATTR_CONFED_SET_SEG)
			return "segment of unknown type";
		if (!s.n)
			return "empty segment";
		if (is_confed(s.type) && !confed_allowed)
			return "confederation segment from outside";
		total += s.n;
		if (total > ATTR_AS_PATH_MAX)
			return "too many AS numbers";
		while (rd_left(&s.asns))
			if (!asn_get(&s.asns, width))
				return "AS number 0";
	}
	return rd_end(&r) ? NULL : "segment runs past the end";
}

static unsigned path_hops(struct rd r, unsigned width)
{
	struct segment s;
	unsigned hops = 0;

	while (segment_next(&r, width, &s))
		hops += segment_hops(&s);
	return hops;
}

/* Writes a path with 4-byte numbers. Segments stay as they came; only where two paths are put together do the
 * sequences that meet become one. */
struct path_out {
	struct wr *w;
	size_t count_at; /* where the last segment's count is */
	unsigned n;
	bool joins; /* the next segment may become part of the last one */
};

static void path_open(struct path_out *p, uint8_t type)
{
	wr_u8(p->w, type);
	p->count_at = p->w->len;
	wr_u8(p->w, 0);
	p->n = 0;
}

static void path_add(struct path_out *p, uint32_t asn)
{
	wr_be32(p->w, asn);
	p->n++;
	if (wr_ok(p->w))
		p->w->buf[p->count_at] = (uint8_t)p->n;
}

/* The first n numbers of a segment. */
static void path_add_segment(struct path_out *p, const struct segment *s, unsigned width, unsigned n)
{
	struct rd asns = s->asns;

	if (!p->joins || s->type != ATTR_SEQUENCE_SEG || p->n + n > UINT8_MAX)
		path_open(p, s->type);
	p->joins = false;
	while (n-- > 0)
		path_add(p, asn_get(&asns, width));
}

static void path_add_all(struct path_out *p, struct rd r, unsigned width, bool confed)
{
	struct segment s;

	while (segment_next(&r, width, &s))
		if (confed || !is_confed(s.type))
			path_add_segment(p, &s, width, s.n);
}

/* The first hops of a path, with the confederation segments met on the way. */
static void path_add_leading(struct path_out *p, struct rd r, unsigned width, unsigned hops)
{
	struct segment s;

	while (hops > 0 && segment_next(&r, width, &s)) {
		unsigned k = segment_hops(&s), n = s.type == ATTR_SEQUENCE_SEG ? MIN(hops, k) : s.n;

		path_add_segment(p, &s, width, n);
		p->joins = s.type == ATTR_SEQUENCE_SEG && hops <= k;
		hops -= MIN(hops, k);
	}
}

/* --- reading, row by row; get() is called with a value that obeys the length rule --- */

static const char *origin_get(struct rd r, const struct job *j)
{
	return rd_u8(&r) > ATTR_ORIGIN_INCOMPLETE ? "unknown value" : NULL;
}

static const char *path_get(struct rd r, const struct job *j)
{
	if (j->codec->ebgp && !rd_left(&r))
		return "empty from another AS";
	return path_check(r, j->codec->as4 ? 4 : 2, !j->codec->ebgp);
}

/* RFC 6793: confederation segments have no business here, but only spoil this attribute's merging, not more.
 */
static const char *as4_path_get(struct rd r, const struct job *j)
{
	return path_check(r, 4, true);
}

static bool nexthop_usable(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
	return !addr_is_unspecified(a) && !addr_is_loopback(a) && !addr_is_multicast(a);
}

static const char *nexthop_get(struct rd r, const struct job *j)
{
	struct addr a = addr_v4(rd_be32(&r));

	if (!nexthop_usable(&a))
		return "not a host address";
	j->list->nexthop = a;
	return NULL;
}

static const char *aggregator_get(struct rd r, const struct job *j)
{
	unsigned width = j->codec->as4 ? 4 : 2;

	if (rd_left(&r) != width + 4)
		return "wrong length";
	return asn_get(&r, width) ? NULL : "AS number 0";
}

static const char *as4_aggregator_get(struct rd r, const struct job *j)
{
	return rd_be32(&r) ? NULL : "AS number 0";
}

static const char *otc_get(struct rd r, const struct job *j)
{
	return rd_be32(&r) ? NULL : "AS number 0";
}

/* Next hop field lengths: 4 for IPv4; 16, or 32 with a link-local beside the global, for IPv6 and where RFC
 * 8950 was agreed. */
static bool nexthop_length_ok(const struct codec *c, uint8_t family, size_t n)
{
	bool v6 = n == 16 || n == 32;

	if (family == CAPS_V4)
		return n == 4 || (v6 && c->ext_nexthop & CAPS_V4);
	return v6;
}

static void reach_get_nexthop(struct rd r, const struct job *j)
{
	struct attr_mp *mp = &j->list->reach;
	size_t n = rd_left(&r);
	struct addr a = { .family = n == 4 ? AF_INET : AF_INET6 }, second = { .family = AF_INET6 };

	rd_copy(&r, a.b, n == 4 ? 4 : 16);
	if (n == 32)
		rd_copy(&r, second.b, 16);
	if (n == 32 && addr_is_link_local(&second))
		mp->link_local = second;
	if (a.family == AF_INET6 && addr_is_unspecified(&a) && addr_is_set(&mp->link_local))
		a = mp->link_local; /* some speakers have no global address to name */
	if (nexthop_usable(&a))
		mp->nexthop = a;
	else
		job_fault(j, ATTR_WITHDRAW, UPDATE_BAD_NEXT_HOP, "next hop is not a host address");
}

static const char *reach_get(struct rd r, const struct job *j)
{
	struct attr_mp *mp = &j->list->reach;
	uint16_t afi = rd_be16(&r);
	uint8_t family = caps_family(afi, rd_u8(&r));
	struct rd nexthop = rd_sub(&r, rd_u8(&r));

	rd_u8(&r); /* reserved */
	mp->present = true;
	if (!rd_ok(&r))
		return "cut short";
	if (!(family & j->codec->families))
		return NULL; /* not ours: nothing in it is looked at */
	if (!nexthop_length_ok(j->codec, family, rd_left(&nexthop)))
		return "next hop of wrong length";
	reach_get_nexthop(nexthop, j);
	mp->family = family;
	mp->nlri = r;
	return NULL;
}

static const char *unreach_get(struct rd r, const struct job *j)
{
	struct attr_mp *mp = &j->list->unreach;
	uint16_t afi = rd_be16(&r);

	mp->present = true;
	mp->family = caps_family(afi, rd_u8(&r)) & j->codec->families;
	mp->nlri = r;
	return NULL;
}

/* --- header fields, from canonical values --- */

static void origin_head(struct attr_set *a, struct rd r)
{
	a->origin = rd_u8(&r);
}

static void path_head(struct attr_set *a, struct rd r)
{
	struct segment s;
	unsigned hops = path_hops(r, 4);
	bool first = true;

	a->as_path_len = (uint16_t)MIN(hops, (unsigned)UINT16_MAX);
	while (segment_next(&r, 4, &s)) {
		if (is_confed(s.type))
			continue;
		bool seq = s.type == ATTR_SEQUENCE_SEG;
		for (uint32_t asn; rd_left(&s.asns); first = false) {
			asn = rd_be32(&s.asns);
			if (first)
				a->first_asn = seq ? asn : 0;
			a->origin_asn = seq ? asn : 0;
		}
	}
}

static void med_head(struct attr_set *a, struct rd r)
{
	a->med = rd_be32(&r);
	a->flags |= ATTR_HAS_MED;
}

static void local_pref_head(struct attr_set *a, struct rd r)
{
	a->local_pref = rd_be32(&r);
	a->flags |= ATTR_HAS_LOCAL_PREF;
}

static const struct well_known {
	uint32_t community;
	uint16_t flag;
	const char *name;
} well_known[] = {
	{ ATTR_COMMUNITY_GRACEFUL_SHUTDOWN, ATTR_GRACEFUL_SHUTDOWN, "graceful-shutdown" },
	{ ATTR_COMMUNITY_LLGR_STALE, ATTR_LLGR_STALE, "llgr-stale" },
	{ ATTR_COMMUNITY_NO_LLGR, ATTR_NO_LLGR, "no-llgr" },
	{ ATTR_COMMUNITY_BLACKHOLE, 0, "blackhole" },
	{ ATTR_COMMUNITY_NO_EXPORT, ATTR_NO_EXPORT, "no-export" },
	{ ATTR_COMMUNITY_NO_ADVERTISE, ATTR_NO_ADVERTISE, "no-advertise" },
	{ ATTR_COMMUNITY_NO_EXPORT_SUBCONFED, ATTR_NO_EXPORT_SUBCONFED, "no-export-subconfed" },
};

static const struct well_known *well_known_of(uint32_t community)
{
	for (size_t i = 0; i < ARRAY_SIZE(well_known); i++)
		if (well_known[i].community == community)
			return &well_known[i];
	return NULL;
}

static void communities_head(struct attr_set *a, struct rd r)
{
	while (rd_left(&r)) {
		uint32_t community = rd_be32(&r);
		const struct well_known *k =
			community >= ATTR_COMMUNITY_GRACEFUL_SHUTDOWN ? well_known_of(community) : NULL;

		if (k)
			a->flags |= k->flag;
	}
}

static void originator_head(struct attr_set *a, struct rd r)
{
	a->originator_id = rd_be32(&r);
	a->flags |= ATTR_HAS_ORIGINATOR;
}

static void otc_head(struct attr_set *a, struct rd r)
{
	a->otc = rd_be32(&r);
	a->flags |= ATTR_HAS_OTC;
}

static void cluster_head(struct attr_set *a, struct rd r)
{
	a->cluster_len = (uint16_t)(rd_left(&r) / 4);
}

/* --- edits: kept() says whether the attribute exists afterwards, edit() writes its value --- */

static struct rd old_value(const struct attr_item *old)
{
	return old ? rd_of(old->at, old->len) : (struct rd){ 0 };
}

static void old_copy(const struct attr_item *old, struct wr *w)
{
	if (old)
		wr_bytes(w, old->at, old->len);
}

static bool path_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return old || ch->prepend || ch->npath;
}

static void path_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	struct path_out p = { .w = w };

	if (!ch->prepend && !ch->npath) {
		old_copy(old, w);
		return;
	}
	path_open(&p, ATTR_SEQUENCE_SEG);
	for (unsigned i = 0; i < ch->prepend; i++)
		path_add(&p, ch->prepend_asn);
	for (size_t i = 0; i < ch->npath; i++) {
		if (p.n == UINT8_MAX)
			path_open(&p, ATTR_SEQUENCE_SEG);
		path_add(&p, ch->path[i]);
	}
	p.joins = true;
	path_add_all(&p, old_value(old), 4, !ch->prepend);
}

static bool edit_kept(enum attr_edit e, const struct attr_item *old)
{
	return e == ATTR_PUT || (e == ATTR_KEEP && old);
}

static bool med_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return edit_kept(ch->med, old);
}

static void med_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	if (ch->med == ATTR_PUT)
		wr_be32(w, ch->med_value);
	else
		old_copy(old, w);
}

static bool local_pref_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return !ch->leave_as && edit_kept(ch->local_pref, old);
}

static void local_pref_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	if (ch->local_pref == ATTR_PUT)
		wr_be32(w, ch->local_pref_value);
	else
		old_copy(old, w);
}

static bool has_community(struct rd r, uint32_t community)
{
	while (rd_left(&r))
		if (rd_be32(&r) == community)
			return true;
	return false;
}

static bool communities_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return old || ch->ncommunities;
}

static void communities_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	size_t start = w->len;

	old_copy(old, w);
	for (size_t i = 0; i < ch->ncommunities; i++)
		if (wr_ok(w) && !has_community(rd_of(w->buf + start, w->len - start), ch->communities[i]))
			wr_be32(w, ch->communities[i]);
}

static bool originator_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return !ch->leave_as && (old || ch->originator_id);
}

static void originator_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	if (old)
		old_copy(old, w);
	else
		wr_be32(w, ch->originator_id);
}

static bool cluster_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return !ch->leave_as && (old || ch->cluster_id);
}

static void cluster_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	if (ch->cluster_id)
		wr_be32(w, ch->cluster_id);
	old_copy(old, w);
}

static bool otc_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return old || ch->otc;
}

static void otc_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	if (old)
		old_copy(old, w);
	else
		wr_be32(w, ch->otc);
}

/* RFC 4360: bit 0x40 of the first byte marks what must not leave the AS. */
static void ext_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	struct rd r = old_value(old);

	while (rd_left(&r)) {
		const uint8_t *p = rd_bytes(&r, 8);

		if (p && !(ch->leave_as && p[0] & 0x40))
			wr_bytes(w, p, 8);
	}
}

static bool ext_kept(const struct attr_item *old, const struct attr_change *ch)
{
	struct rd r = old_value(old);

	while (rd_left(&r)) {
		const uint8_t *p = rd_bytes(&r, 8);

		if (p && !(ch->leave_as && p[0] & 0x40))
			return true;
	}
	return false;
}

static bool has_large(struct rd r, const struct attr_large *l)
{
	while (rd_left(&r)) {
		uint32_t a = rd_be32(&r), b = rd_be32(&r), c = rd_be32(&r);

		if (a == l->global && b == l->local1 && c == l->local2)
			return true;
	}
	return false;
}

static bool large_kept(const struct attr_item *old, const struct attr_change *ch)
{
	return old || ch->nlarge;
}

static void large_edit(const struct attr_item *old, const struct attr_change *ch, struct wr *w)
{
	size_t start = w->len;

	old_copy(old, w);
	for (size_t i = 0; i < ch->nlarge; i++) {
		const struct attr_large *l = &ch->large[i];

		if (!wr_ok(w) || has_large(rd_of(w->buf + start, w->len - start), l))
			continue;
		wr_be32(w, l->global);
		wr_be32(w, l->local1);
		wr_be32(w, l->local2);
	}
}

/* --- showing --- */

static void origin_print(struct rd r, struct str *out)
{
	static const char *const names[] = { "igp", "egp", "incomplete" };
	uint8_t v = rd_u8(&r);

	str_add(out, v < ARRAY_SIZE(names) ? names[v] : "unknown");
}

static void path_print(struct rd r, struct str *out)
{
	static const char *const open[] = { "", "{", "", "(", "[" }, *const close[] = { "", "}", "", ")",
											"]" };
	struct segment s;
	const char *gap = "";

	if (!rd_left(&r))
		str_add(out, "empty");
	while (segment_next(&r, 4, &s)) {
		unsigned t = s.type < ARRAY_SIZE(open) ? s.type : 0;

		str_addf(out, "%s%s", gap, open[t]);
		for (gap = ""; rd_left(&s.asns); gap = " ")
			str_addf(out, "%s%u", gap, rd_be32(&s.asns));
		str_add(out, close[t]);
		gap = " ";
	}
}

static void u32_print(struct rd r, struct str *out)
{
	str_addf(out, "%u", rd_be32(&r));
}

static void print_id(struct rd *r, struct str *out)
{
	char buf[ADDR_STR_MAX];
	struct addr a = addr_v4(rd_be32(r));

	str_add(out, addr_format(&a, buf));
}

static void ids_print(struct rd r, struct str *out)
{
	for (const char *gap = ""; rd_left(&r); gap = " ") {
		str_add(out, gap);
		print_id(&r, out);
	}
}

static void empty_print(struct rd r, struct str *out)
{
}

static void aggregator_print(struct rd r, struct str *out)
{
	str_addf(out, "%u ", rd_be32(&r));
	print_id(&r, out);
}

static void communities_print(struct rd r, struct str *out)
{
	for (const char *gap = ""; rd_left(&r); gap = " ") {
		uint32_t v = rd_be32(&r);
		const struct well_known *k = well_known_of(v);

		if (k)
			str_addf(out, "%s%s", gap, k->name);
		else
			str_addf(out, "%s%u:%u", gap, v >> 16, v & 0xffff);
	}
}

static void ext_print(struct rd r, struct str *out)
{
	for (const char *gap = ""; rd_left(&r); gap = " ")
		str_addf(out, "%s0x%016llx", gap, (unsigned long long)rd_be64(&r));
}

static void large_print(struct rd r, struct str *out)
{
	for (const char *gap = ""; rd_left(&r); gap = " ") {
		uint32_t a = rd_be32(&r), b = rd_be32(&r), c = rd_be32(&r);

		str_addf(out, "%s%u:%u:%u", gap, a, b, c);
	}
}

static void unknown_print(uint8_t code, uint8_t flags, struct rd r, struct str *out)
{
	size_t n = rd_left(&r), shown = MIN(n, (size_t)32);

	str_addf(out, "attribute-%u flags 0x%02x length %zu", code, flags, n);
	for (size_t i = 0; i < shown; i++)
		str_addf(out, "%s%02x", i ? "" : " ", rd_u8(&r));
	str_add(out, shown < n ? "..." : "");
}

/* --- the table --- */

enum {
	WELL_KNOWN = ATTR_F_TRANSITIVE,
	OPTIONAL = ATTR_F_OPTIONAL,
	OPT_TRANS = ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE
};

static const struct attr_row rows[] = {
	[ATTR_ORIGIN] = { .name = "origin",
			  .flags = WELL_KNOWN,
			  .min = 1,
			  .bad = ATTR_WITHDRAW,
			  .subcode = UPDATE_BAD_ORIGIN,
			  .get = origin_get,
			  .head = origin_head,
			  .print = origin_print },
	[ATTR_AS_PATH] = { .name = "as-path",
			   .flags = WELL_KNOWN,
			   .step = VARIES,
			   .bad = ATTR_WITHDRAW,
			   .subcode = UPDATE_BAD_AS_PATH,
			   .get = path_get,
			   .head = path_head,
			   .edit = path_edit,
			   .kept = path_kept,
			   .print = path_print },
	[ATTR_NEXT_HOP] = { .name = "next-hop",
			    .flags = WELL_KNOWN,
			    .min = 4,
			    .bad = ATTR_WITHDRAW,
			    .subcode = UPDATE_BAD_NEXT_HOP,
			    .apart = true,
			    .get = nexthop_get },
	[ATTR_MED] = { .name = "med",
		       .flags = OPTIONAL,
		       .min = 4,
		       .bad = ATTR_WITHDRAW,
		       .head = med_head,
		       .edit = med_edit,
		       .kept = med_kept,
		       .print = u32_print },
	[ATTR_LOCAL_PREF] = { .name = "local-pref",
			      .flags = WELL_KNOWN,
			      .min = 4,
			      .bad = ATTR_WITHDRAW,
			      .internal = true,
			      .head = local_pref_head,
			      .edit = local_pref_edit,
			      .kept = local_pref_kept,
			      .print = u32_print },
	[ATTR_ATOMIC_AGGREGATE] = { .name = "atomic-aggregate",
				    .flags = WELL_KNOWN,
				    .bad = ATTR_DROP,
				    .print = empty_print },
	[ATTR_AGGREGATOR] = { .name = "aggregator",
			      .flags = OPT_TRANS,
			      .min = 6,
			      .step = 2,
			      .bad = ATTR_DROP,
			      .get = aggregator_get,
			      .print = aggregator_print },
	[ATTR_COMMUNITIES] = { .name = "communities",
			       .flags = OPT_TRANS,
			       .min = 4,
			       .step = 4,
			       .bad = ATTR_WITHDRAW,
			       .head = communities_head,
			       .edit = communities_edit,
			       .kept = communities_kept,
			       .print = communities_print },
	[ATTR_ORIGINATOR_ID] = { .name = "originator-id",
				 .flags = OPTIONAL,
				 .min = 4,
				 .bad = ATTR_WITHDRAW,
				 .internal = true,
				 .head = originator_head,
				 .edit = originator_edit,
				 .kept = originator_kept,
				 .print = ids_print },
	[ATTR_CLUSTER_LIST] = { .name = "cluster-list",
				.flags = OPTIONAL,
				.min = 4,
				.step = 4,
				.bad = ATTR_WITHDRAW,
				.internal = true,
				.head = cluster_head,
				.edit = cluster_edit,
				.kept = cluster_kept,
				.print = ids_print },
	[ATTR_MP_REACH] = { .name = "mp-reach",
			    .flags = OPTIONAL,
			    .min = 5,
			    .step = VARIES,
			    .bad = ATTR_RESET,
			    .subcode = UPDATE_BAD_OPTIONAL,
			    .apart = true,
			    .get = reach_get },
	[ATTR_MP_UNREACH] = { .name = "mp-unreach",
			      .flags = OPTIONAL,
			      .min = 3,
			      .step = VARIES,
			      .bad = ATTR_RESET,
			      .subcode = UPDATE_BAD_OPTIONAL,
			      .apart = true,
			      .get = unreach_get },
	[ATTR_EXT_COMMUNITIES] = { .name = "ext-communities",
				   .flags = OPT_TRANS,
				   .min = 8,
				   .step = 8,
				   .bad = ATTR_WITHDRAW,
				   .edit = ext_edit,
				   .kept = ext_kept,
				   .print = ext_print },
	[ATTR_AS4_PATH] = { .name = "as4-path",
			    .flags = OPT_TRANS,
			    .min = 6,
			    .step = VARIES,
			    .bad = ATTR_DROP,
			    .as2_only = true,
			    .get = as4_path_get },
	[ATTR_AS4_AGGREGATOR] = { .name = "as4-aggregator",
				  .flags = OPT_TRANS,
				  .min = 8,
				  .bad = ATTR_DROP,
				  .as2_only = true,
				  .get = as4_aggregator_get },
	[ATTR_LARGE_COMMUNITIES] = { .name = "large-communities",
				     .flags = OPT_TRANS,
				     .min = 12,
				     .step = 12,
				     .bad = ATTR_WITHDRAW,
				     .edit = large_edit,
				     .kept = large_kept,
				     .print = large_print },
	[ATTR_OTC] = { .name = "only-to-customer",
		       .flags = OPT_TRANS,
		       .min = 4,
		       .bad = ATTR_WITHDRAW,
		       .get = otc_get,
		       .head = otc_head,
		       .edit = otc_edit,
		       .kept = otc_kept,
		       .print = u32_print },
};

static const struct attr_row *row_of(uint8_t code)
{
	return code < ARRAY_SIZE(rows) && rows[code].name ? &rows[code] : NULL;
}

const char *attr_name(uint8_t code)
{
	const struct attr_row *row = row_of(code);

	return row ? row->name : NULL;
}

/* --- decoding --- */

static bool length_ok(const struct attr_row *row, size_t n)
{
	if (n < row->min)
		return false;
	return row->step ? (n - row->min) % row->step == 0 : n == row->min;
}

/* Keeps the list ascending; messages nearly always come that way. */
static void list_insert(struct attr_list *l, uint8_t code, uint8_t flags, struct rd value)
{
	size_t i = l->n++;

	for (; i > 0 && l->item[i - 1].code > code; i--)
		l->item[i] = l->item[i - 1];
	l->item[i] = (struct attr_item){ value.at, (uint16_t)rd_left(&value), code, flags };
}

static void decode_unknown(const struct job *j, uint8_t flags, struct rd value)
{
	if (!(flags & ATTR_F_OPTIONAL))
		job_fault(j, ATTR_RESET, UPDATE_UNKNOWN_WELL_KNOWN, "unknown well-known attribute");
	else if (flags & ATTR_F_TRANSITIVE)
		list_insert(j->list, j->code, flags, value);
}

static void decode_known(const struct job *j, const struct attr_row *row, uint8_t flags, struct rd value)
{
	bool flags_ok = (flags & FLAGS_KIND) == row->flags;
	const char *why = NULL;

	if (row->internal && j->codec->ebgp) {
		job_fault(j, ATTR_DROP, 0, "from another AS");
		return;
	}
	if (row->as2_only && j->codec->as4) {
		job_fault(j, ATTR_DROP, 0, "from a peer with 4-byte AS numbers");
		return;
	}
	if (!flags_ok)
		job_fault(j, row->as2_only ? ATTR_DROP : ATTR_WITHDRAW, UPDATE_BAD_FLAGS, "wrong flags");
	if (!length_ok(row, rd_left(&value))) {
		job_fault(j, row->bad, row->bad == ATTR_RESET ? row->subcode : UPDATE_BAD_LENGTH,
			  "wrong length");
		return;
	}
	/* Prefixes must be found even if the flags are wrong, so what is kept apart is read in any case. */
	if (row->get && (flags_ok || row->apart))
		why = row->get(value, j);
	if (why)
		job_fault(j, row->bad, row->subcode ? row->subcode : UPDATE_BAD_OPTIONAL, why);
	else if (flags_ok && !row->apart)
		list_insert(j->list, j->code, flags, value);
}

/* The next attribute of the field. False at its end, and where the rest is not one: what came before it
 * stands, but the prefixes of this message are not to be believed (RFC 7606 section 4). */
static bool decode_next(struct rd *r, struct job *j, uint8_t *ret_flags, struct rd *ret_value)
{
	const uint8_t *start = r->at;
	size_t left = rd_left(r);

	if (!left)
		return false;
	*ret_flags = rd_u8(r);
	j->code = rd_u8(r);
	*ret_value = rd_sub(r, *ret_flags & ATTR_F_EXTENDED ? rd_be16(r) : rd_u8(r));
	if (!rd_ok(r)) {
		attr_fault_add(j->fault, ATTR_WITHDRAW, 0, UPDATE_BAD_LENGTH, start, left,
			       "an attribute runs past the end");
		return false;
	}
	j->start = start;
	j->len = (size_t)(r->at - start);
	return true;
}

enum attr_verdict attr_decode(struct rd r, const struct codec *c, struct attr_list *ret,
			      struct attr_fault *fault)
{
	struct job j = { .codec = c, .list = ret, .fault = fault };
	uint64_t seen[4] = { 0 };
	struct rd value;
	uint8_t flags;

	ret->n = 0;
	ret->nexthop = (struct addr){ 0 };
	ret->reach = ret->unreach = (struct attr_mp){ 0 };
	ret->others = false;
	fault->verdict = ATTR_TAKE;
	fault->code = fault->notify.code = fault->notify.subcode = 0;
	fault->notify.len = 0;
	fault->why[0] = '\0';
	while (decode_next(&r, &j, &flags, &value)) {
		const struct attr_row *row = row_of(j.code);
		uint64_t bit = 1ull << (j.code & 63);
		bool again = seen[j.code >> 6] & bit;

		seen[j.code >> 6] |= bit;
		ret->others |= j.code != ATTR_MP_UNREACH;
		if (again && row && row->bad == ATTR_RESET)
			job_fault(&j, ATTR_RESET, UPDATE_MALFORMED_LIST, "repeated");
		else if (again)
			job_fault(&j, ATTR_DROP, 0, "repeated");
		else if (row)
			decode_known(&j, row, flags, value);
		else
			decode_unknown(&j, flags, value);
	}
	ret->others |= rd_ok(&r) ? false : true; /* whatever ran past the end was something */
	return fault->verdict;
}

const struct attr_item *attr_list_find(const struct attr_list *l, uint8_t code)
{
	for (size_t i = 0; i < l->n && l->item[i].code <= code; i++)
		if (l->item[i].code == code)
			return &l->item[i];
	return NULL;
}

/* --- canonical bytes --- */

static size_t item_size(size_t len)
{
	return (len > UINT8_MAX ? 4 : 3) + len;
}

static void put_header(struct wr *w, uint8_t flags, uint8_t code, size_t len)
{
	flags &= (uint8_t)~ATTR_F_EXTENDED;
	if (len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wr_u8(w, len > UINT8_MAX ? flags | ATTR_F_EXTENDED : flags);
	wr_u8(w, code);
	if (len > UINT8_MAX)
		wr_be16(w, (uint16_t)len);
	else
		wr_u8(w, (uint8_t)len);
}

static void put_item(struct wr *w, uint8_t flags, uint8_t code, const void *value, size_t len)
{
	put_header(w, flags, code, len);
	wr_bytes(w, value, len);
}

/* The next attribute of canonical bytes; our own, but read like any others. */
static bool item_next(struct rd *r, struct attr_item *ret)
{
	if (!rd_left(r))
		return false;
	ret->flags = rd_u8(r);
	ret->code = rd_u8(r);
	ret->len = ret->flags & ATTR_F_EXTENDED ? rd_be16(r) : rd_u8(r);
	ret->at = rd_bytes(r, ret->len);
	return rd_ok(r);
}

/* --- the table of sets --- */

#define BUCKETS_MIN 64

struct attr_table {
	struct attr_set **bucket;
	size_t nbuckets, count, bytes;
	uint64_t seed;
	uint8_t wire[ATTR_SET_MAX]; /* the set being built */
	uint8_t value[UINT16_MAX];  /* a value being built */
};

struct attr_table *attr_table_new(uint64_t seed)
{
	struct attr_table *t = xmalloc(sizeof(*t)); /* the big buffers stay untouched until used */

	t->bucket = xcalloc(BUCKETS_MIN, sizeof(*t->bucket));
	t->nbuckets = BUCKETS_MIN;
	t->count = t->bytes = 0;
	t->seed = seed;
	return t;
}

void attr_table_free(struct attr_table *t)
{
	if (!t)
		return;
	CHECK(!t->count);
	free(t->bucket);
	free(t);
}

size_t attr_table_count(const struct attr_table *t)
{
	return t->count;
}

size_t attr_table_bytes(const struct attr_table *t)
{
	return t->bytes + t->nbuckets * sizeof(*t->bucket) + sizeof(*t);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Keyed folding multiplication, eight bytes at a time; the last ones are padded with zeros, so the length
 * goes in too. */
static uint32_t hash_of(const struct attr_table *t, const uint8_t *p, size_t n)
{
	uint64_t h = mix(t->seed ^ 0x9e3779b97f4a7c15ull, n + 0xd6e8feb86659fd93ull), v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = mix(h ^ v, 0xa0761d6478bd642full ^ t->seed);
	}
	v = 0;
	memcpy(&v, p, n);
	h = mix(h ^ v, 0xe7037ed1a0b428dbull ^ t->seed);
	return (uint32_t)(h ^ h >> 32);
}

static void table_grow(struct attr_table *t)
{
	size_t n = t->nbuckets * 2;
	struct attr_set **bucket = xcalloc(n, sizeof(*bucket));

	for (size_t i = 0; i < t->nbuckets; i++) {
		for (struct attr_set *a = t->bucket[i], *next; a; a = next) {
			next = a->next;
			a->next = bucket[a->hash & (n - 1)];
			bucket[a->hash & (n - 1)] = a;
		}
	}
	free(t->bucket);
	t->bucket = bucket;
	t->nbuckets = n;
}

static void set_head(struct attr_set *a)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	a->local_pref = ATTR_LOCAL_PREF_DEFAULT;
	while (item_next(&r, &it)) {
		const struct attr_row *row = row_of(it.code);

		if (!row)
			a->flags |= ATTR_HAS_UNKNOWN;
		else if (row->head)
			row->head(a, rd_of(it.at, it.len));
		if (it.code < ATTR_NEXT_HOP)
			a->split = (uint32_t)(r.at - a->wire);
	}
}

static struct attr_set *set_new(struct attr_table *t, uint32_t hash, size_t len)
{
	struct attr_set *a = xmalloc(sizeof(*a) + len);

	memset(a, 0, sizeof(*a));
	a->refs = 1;
	a->hash = hash;
	a->len = (uint32_t)len;
	memcpy(a->wire, t->wire, len);
	set_head(a);
	return a;
}

/* The set whose canonical bytes are the first len of t->wire. */
static struct attr_set *table_take(struct attr_table *t, size_t len)
{
	uint32_t hash = hash_of(t, t->wire, len);

	for (struct attr_set *a = t->bucket[hash & (t->nbuckets - 1)]; a; a = a->next)
		if (a->hash == hash && a->len == len && !memcmp(a->wire, t->wire, len))
			return attr_ref(a);
	if (t->count >= t->nbuckets)
		table_grow(t);
	struct attr_set *a = set_new(t, hash, len), **at = &t->bucket[hash & (t->nbuckets - 1)];
	a->next = *at;
	*at = a;
	t->count++;
	t->bytes += sizeof(*a) + len;
	return a;
}

struct attr_set *attr_ref(struct attr_set *a)
{
	a->refs++;
	CHECK(a->refs);
	return a;
}

void attr_unref(struct attr_table *t, struct attr_set *a)
{
	if (!a || --a->refs)
		return;
	struct attr_set **at = &t->bucket[a->hash & (t->nbuckets - 1)];
	while (*at != a) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = a->next;
	t->count--;
	t->bytes -= sizeof(*a) + a->len;
	free(a);
}

/* --- from a message to a set --- */

/* RFC 6793 4.2.3: an AGGREGATOR with a real number beside an AS4_AGGREGATOR was put in by a speaker that does
 * not know 4-byte numbers, after both companions were written: they are out of date. */
static bool as4_usable(const struct attr_list *l)
{
	const struct attr_item *agg = attr_list_find(l, ATTR_AGGREGATOR);
	struct rd r = old_value(agg);

	return !agg || !attr_list_find(l, ATTR_AS4_AGGREGATOR) || rd_be16(&r) == MSG_AS_TRANS;
}

/* AS_PATH of a 2-byte peer with 4-byte numbers, completed from AS4_PATH if that is not longer. */
static void put_path_as2(struct attr_table *t, const struct attr_list *l, const struct attr_item *it,
			 struct wr *w)
{
	const struct attr_item *as4 = as4_usable(l) ? attr_list_find(l, ATTR_AS4_PATH) : NULL;
	struct wr value = wr_to(t->value, sizeof(t->value));
	struct path_out p = { .w = &value };
	struct rd path = old_value(it), path4 = old_value(as4);
	unsigned hops = path_hops(path, 2), hops4 = path_hops(path4, 4);

	if (as4 && hops4 <= hops) {
		path_add_leading(&p, path, 2, hops - hops4);
		path_add_all(&p, path4, 4, false);
	}
	if (!value.len || path_check(rd_of(t->value, value.len), 4, true)) {
		/* Nothing to complete from, or it came out longer than any path may be. */
		value.len = 0;
		p = (struct path_out){ .w = &value };
		path_add_all(&p, path, 2, true);
	}
	CHECK(wr_ok(&value));
	put_item(w, WELL_KNOWN, ATTR_AS_PATH, t->value, value.len);
}

static void put_aggregator_as2(const struct attr_list *l, const struct attr_item *it, struct wr *w)
{
	const struct attr_item *as4 = as4_usable(l) ? attr_list_find(l, ATTR_AS4_AGGREGATOR) : NULL;
	struct rd r = old_value(as4 ? as4 : it);

	put_header(w, OPT_TRANS | (it->flags & ATTR_F_PARTIAL), ATTR_AGGREGATOR, 8);
	wr_be32(w, asn_get(&r, as4 ? 4 : 2));
	wr_be32(w, rd_be32(&r));
}

static void put_canonical(struct attr_table *t, const struct attr_list *l, const struct attr_item *it,
			  bool as4, struct wr *w)
{
	const struct attr_row *row = row_of(it->code);

	if (row && row->as2_only)
		return;
	if (!as4 && it->code == ATTR_AS_PATH)
		put_path_as2(t, l, it, w);
	else if (!as4 && it->code == ATTR_AGGREGATOR)
		put_aggregator_as2(l, it, w);
	else if (!row)
		put_item(w, OPT_TRANS | ATTR_F_PARTIAL, it->code, it->at, it->len);
	else if (row->flags == OPT_TRANS)
		put_item(w, OPT_TRANS | (it->flags & ATTR_F_PARTIAL), it->code, it->at, it->len);
	else
		put_item(w, row->flags, it->code, it->at, it->len);
}

struct attr_set *attr_intern(struct attr_table *t, const struct attr_list *l, const struct codec *c)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));

	for (size_t i = 0; i < l->n; i++)
		put_canonical(t, l, &l->item[i], c->as4, &w);
	/* A message is at most 64 KB and a path grows by at most 4 bytes for each of ATTR_AS_PATH_MAX
	 * numbers, twice. */
	CHECK(wr_ok(&w));
	return table_take(t, w.len);
}

struct attr_set *attr_originate(struct attr_table *t, uint8_t origin)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));

	put_item(&w, WELL_KNOWN, ATTR_ORIGIN, &origin, 1);
	put_item(&w, WELL_KNOWN, ATTR_AS_PATH, NULL, 0);
	return table_take(t, w.len);
}

/* --- changing a set --- */

static void derive_put(struct attr_table *t, uint8_t code, const struct attr_item *old,
		       const struct attr_change *ch, struct wr *w)
{
	const struct attr_row *row = row_of(code);
	struct wr value = wr_to(t->value, sizeof(t->value));

	if (!row) {
		if (old && !ch->drop_unknown)
			put_item(w, old->flags, code, old->at, old->len);
	} else if (!row->edit) {
		if (old)
			put_item(w, old->flags, code, old->at, old->len);
	} else if (row->kept(old, ch)) {
		row->edit(old, ch, &value);
		w->bad |= value.bad;
		put_item(w, old ? old->flags : row->flags, code, t->value, value.len);
	}
}

struct attr_set *attr_derive(struct attr_table *t, struct attr_set *a, const struct attr_change *ch)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;
	unsigned code = 0; /* the next one not yet written */

	while (item_next(&r, &it)) {
		for (; code < it.code && code < ARRAY_SIZE(rows); code++)
			derive_put(t, (uint8_t)code, NULL, ch, &w);
		derive_put(t, it.code, &it, ch, &w);
		code = it.code + 1u;
	}
	for (; code < ARRAY_SIZE(rows); code++)
		derive_put(t, (uint8_t)code, NULL, ch, &w);
	return wr_ok(&w) ? table_take(t, w.len) : NULL;
}

/* --- questions --- */

bool attr_find(const struct attr_set *a, uint8_t code, struct rd *ret)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	while (item_next(&r, &it)) {
		if (it.code != code)
			continue;
		*ret = rd_of(it.at, it.len);
		return true;
	}
	return false;
}

unsigned attr_path_count(const struct attr_set *a, uint32_t asn)
{
	struct segment s;
	struct rd r;
	unsigned n = 0;

	if (!attr_find(a, ATTR_AS_PATH, &r))
		return 0;
	while (segment_next(&r, 4, &s))
		while (rd_left(&s.asns))
			n += rd_be32(&s.asns) == asn;
	return n;
}

bool attr_path_begins(const struct attr_set *a, const uint32_t *asns, size_t n)
{
	struct segment s;
	struct rd r;
	size_t i = 0;

	if (!n)
		return true;
	if (!attr_find(a, ATTR_AS_PATH, &r))
		return false;
	while (i < n && segment_next(&r, 4, &s)) {
		if (s.type == ATTR_SET_SEG)
			return false;
		for (; i < n && !is_confed(s.type) && rd_left(&s.asns); i++)
			if (rd_be32(&s.asns) != asns[i])
				return false;
	}
	return i == n;
}

bool attr_cluster_has(const struct attr_set *a, uint32_t cluster_id)
{
	struct rd r;

	return a->cluster_len && attr_find(a, ATTR_CLUSTER_LIST, &r) && has_community(r, cluster_id);
}

bool attr_community_has(const struct attr_set *a, uint32_t community)
{
	struct rd r;

	return attr_find(a, ATTR_COMMUNITIES, &r) && has_community(r, community);
}

bool attr_large_has(const struct attr_set *a, const struct attr_large *l)
{
	struct rd r;

	return attr_find(a, ATTR_LARGE_COMMUNITIES, &r) && has_large(r, l);
}

/* --- encoding --- */

/* What a path looks like to a peer with 2-byte numbers. */
struct path_as2 {
	size_t len;  /* of AS_PATH */
	size_t len4; /* of AS4_PATH; 0 = not needed */
};

static struct path_as2 path_as2_of(struct rd r)
{
	struct path_as2 p = { 0 };
	struct segment s;
	bool big = false;

	while (segment_next(&r, 4, &s)) {
		p.len += 2 + 2u * s.n;
		if (!is_confed(s.type))
			p.len4 += 2 + 4u * s.n;
		while (rd_left(&s.asns))
			big |= rd_be32(&s.asns) > UINT16_MAX;
	}
	if (!big)
		p.len4 = 0;
	return p;
}

static uint16_t asn_as2(uint32_t asn)
{
	return asn > UINT16_MAX ? MSG_AS_TRANS : (uint16_t)asn;
}

static void put_path_to_as2(struct rd r, size_t len, struct wr *w)
{
	struct segment s;

	put_header(w, WELL_KNOWN, ATTR_AS_PATH, len);
	while (segment_next(&r, 4, &s)) {
		wr_u8(w, s.type);
		wr_u8(w, s.n);
		while (rd_left(&s.asns))
			wr_be16(w, asn_as2(rd_be32(&s.asns)));
	}
}

static void put_as4_path(struct rd r, size_t len, struct wr *w)
{
	struct segment s;

	put_header(w, OPT_TRANS, ATTR_AS4_PATH, len);
	while (segment_next(&r, 4, &s)) {
		if (is_confed(s.type))
			continue;
		wr_u8(w, s.type);
		wr_u8(w, s.n);
		wr_bytes(w, s.asns.at, rd_left(&s.asns));
	}
}

static void put_aggregator_to_as2(struct rd r, uint8_t flags, struct wr *w)
{
	uint32_t asn = rd_be32(&r);

	put_header(w, flags, ATTR_AGGREGATOR, 6);
	wr_be16(w, asn_as2(asn));
	wr_be32(w, rd_be32(&r));
}

/* Is the AGGREGATOR one that 2 bytes cannot say? */
static bool aggregator_big(const struct attr_set *a, struct rd *ret)
{
	struct rd r;

	if (!attr_find(a, ATTR_AGGREGATOR, &r))
		return false;
	*ret = r;
	return rd_be32(&r) > UINT16_MAX;
}

/* The two attributes that carry what a 2-byte peer cannot see in its own. */
static void put_companions(const struct attr_set *a, struct wr *w)
{
	struct rd path, agg;

	if (attr_find(a, ATTR_AS_PATH, &path)) {
		size_t len4 = path_as2_of(path).len4;

		if (len4)
			put_as4_path(path, len4, w);
	}
	if (aggregator_big(a, &agg))
		put_item(w, OPT_TRANS, ATTR_AS4_AGGREGATOR, agg.at, rd_left(&agg));
}

static void put_nexthop(const struct addr *nexthop, struct wr *w)
{
	if (nexthop && nexthop->family == AF_INET)
		put_item(w, WELL_KNOWN, ATTR_NEXT_HOP, nexthop->b, 4);
}

static void encode_as2(const struct attr_set *a, const struct addr *nexthop, struct wr *w)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;
	bool nexthop_due = true, companions_due = true;

	while (item_next(&r, &it)) {
		struct rd value = rd_of(it.at, it.len);

		if (nexthop_due && it.code > ATTR_NEXT_HOP) {
			put_nexthop(nexthop, w);
			nexthop_due = false;
		}
		if (companions_due && it.code > ATTR_AS4_AGGREGATOR) {
			put_companions(a, w);
			companions_due = false;
		}
		if (it.code == ATTR_AS_PATH)
			put_path_to_as2(value, path_as2_of(value).len, w);
		else if (it.code == ATTR_AGGREGATOR)
			put_aggregator_to_as2(value, it.flags, w);
		else
			put_item(w, it.flags, it.code, it.at, it.len);
	}
	if (nexthop_due)
		put_nexthop(nexthop, w);
	if (companions_due)
		put_companions(a, w);
}

/* What the bytes of a set become for a 2-byte peer. */
static size_t size_as2(const struct attr_set *a)
{
	size_t n = a->len;
	struct rd path, agg;

	if (attr_find(a, ATTR_AS_PATH, &path)) {
		struct path_as2 p = path_as2_of(path);

		n -= item_size(rd_left(&path));
		n += item_size(p.len) + (p.len4 ? item_size(p.len4) : 0);
	}
	if (attr_find(a, ATTR_AGGREGATOR, &agg))
		n -= 2;
	if (aggregator_big(a, &agg))
		n += item_size(8);
	return n;
}

size_t attr_size(const struct attr_set *a, const struct addr *nexthop, bool as4)
{
	return (as4 ? a->len : size_as2(a)) + (nexthop && nexthop->family == AF_INET ? item_size(4) : 0);
}

void attr_encode(const struct attr_set *a, const struct addr *nexthop, bool as4, struct wr *w)
{
	if (!as4) {
		encode_as2(a, nexthop, w);
		return;
	}
	wr_bytes(w, a->wire, a->split);
	put_nexthop(nexthop, w);
	wr_bytes(w, a->wire + a->split, a->len - a->split);
}

void attr_format(const struct attr_set *a, struct str *out)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	for (const char *gap = ""; item_next(&r, &it); gap = ", ") {
		const struct attr_row *row = row_of(it.code);
		struct rd value = rd_of(it.at, it.len);

		str_add(out, gap);
		if (!row || !row->print) {
			unknown_print(it.code, it.flags, value, out);
			continue;
		}
		str_addf(out, "%s%s", row->name, rd_left(&value) || it.code == ATTR_AS_PATH ? " " : "");
		row->print(value, out);
	}
}

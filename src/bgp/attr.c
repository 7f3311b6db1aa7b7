/*
 * Path attributes: the table of rows, and the decoding of a message's attributes by it. RFC 4271, 1997, 4360,
 * 4456, 4760, 6793, 7606, 8092, 8950, 9234.
 */
#include "bgp/attr.h"

#include "base/check.h"
#include "bgp/as_path.h"
#include "bgp/attr_row.h"
#include "bgp/caps.h"
#include "bgp/msg.h"

#include <stdio.h>

enum { FLAGS_KIND = ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE };
enum { VARIES = 1 }; /* a step: any length from min on */

struct attr_job {
	const struct codec *codec;
	struct attr_list *list;
	struct attr_fault *fault;
	const uint8_t *start; /* the whole attribute, for the NOTIFICATION */
	size_t len;
	uint8_t code;
};

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

static void job_fault(const struct attr_job *j, enum attr_verdict v, uint8_t subcode, const char *why)
{
	attr_fault_add(j->fault, v, j->code, subcode, j->start, j->len, why);
}

/* --- reading, row by row; get() is called with a value that obeys the length rule --- */

static const char *origin_get(struct rd r, const struct attr_job *j)
{
	return rd_u8(&r) > ATTR_ORIGIN_INCOMPLETE ? "unknown value" : NULL;
}

static const char *path_get(struct rd r, const struct attr_job *j)
{
	if (j->codec->ebgp && !rd_left(&r))
		return "empty from another AS";
	return as_path_check(r, j->codec->as4 ? 4 : 2, !j->codec->ebgp);
}

/* RFC 6793: confederation segments have no business here, but only spoil this attribute's merging, not more.
 */
static const char *as4_path_get(struct rd r, const struct attr_job *j)
{
	return as_path_check(r, 4, true);
}

static bool nexthop_usable(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
	return !addr_is_unspecified(a) && !addr_is_loopback(a) && !addr_is_multicast(a);
}

static const char *nexthop_get(struct rd r, const struct attr_job *j)
{
	struct addr a = addr_v4(rd_be32(&r));

	if (nexthop_usable(&a))
		j->list->nexthop = a;
	else
		j->list->bad_nexthop = true;
	return NULL;
}

static const char *aggregator_get(struct rd r, const struct attr_job *j)
{
	unsigned width = j->codec->as4 ? 4 : 2;

	if (rd_left(&r) != width + 4)
		return "wrong length";
	return as_path_asn(&r, width) ? NULL : "AS number 0";
}

static const char *as4_aggregator_get(struct rd r, const struct attr_job *j)
{
	return rd_be32(&r) ? NULL : "AS number 0";
}

static const char *otc_get(struct rd r, const struct attr_job *j)
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

static void reach_get_nexthop(struct rd r, const struct attr_job *j)
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

static const char *reach_get(struct rd r, const struct attr_job *j)
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

static const char *unreach_get(struct rd r, const struct attr_job *j)
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
	unsigned hops = as_path_hops(r, 4);

	a->as_path_len = (uint16_t)MIN(hops, (unsigned)UINT16_MAX);
	a->first_asn = as_path_first(r);
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
	struct as_path_out p = { .w = w };

	if (!ch->prepend && !ch->npath) {
		old_copy(old, w);
		return;
	}
	for (unsigned i = 0; i < ch->prepend; i++)
		as_path_prepend(&p, ch->prepend_asn);
	for (size_t i = 0; i < ch->npath; i++)
		as_path_prepend(&p, ch->path[i]);
	as_path_append(&p, old_value(old), 4, !ch->prepend);
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

bool attr_row_has_community(struct rd r, uint32_t community)
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
		if (wr_ok(w) &&
		    !attr_row_has_community(rd_of(w->buf + start, w->len - start), ch->communities[i]))
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

bool attr_row_has_large(struct rd r, const struct attr_large *l)
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

		if (!wr_ok(w) || attr_row_has_large(rd_of(w->buf + start, w->len - start), l))
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

/* --- the table --- */

static const struct attr_row rows[ATTR_ROWS] = {
	[ATTR_ORIGIN] = { .name = "origin",
			  .flags = ROW_WELL_KNOWN,
			  .min = 1,
			  .bad = ATTR_WITHDRAW,
			  .subcode = UPDATE_BAD_ORIGIN,
			  .get = origin_get,
			  .head = origin_head,
			  .print = origin_print },
	[ATTR_AS_PATH] = { .name = "as-path",
			   .flags = ROW_WELL_KNOWN,
			   .step = VARIES,
			   .bad = ATTR_WITHDRAW,
			   .subcode = UPDATE_BAD_AS_PATH,
			   .get = path_get,
			   .head = path_head,
			   .edit = path_edit,
			   .kept = path_kept,
			   .print = as_path_print },
	[ATTR_NEXT_HOP] = { .name = "next-hop",
			    .flags = ROW_WELL_KNOWN,
			    .min = 4,
			    .bad = ATTR_WITHDRAW,
			    .subcode = UPDATE_BAD_NEXT_HOP,
			    .apart = true,
			    .get = nexthop_get },
	[ATTR_MED] = { .name = "med",
		       .flags = ROW_OPTIONAL,
		       .min = 4,
		       .bad = ATTR_WITHDRAW,
		       .head = med_head,
		       .edit = med_edit,
		       .kept = med_kept,
		       .print = u32_print },
	[ATTR_LOCAL_PREF] = { .name = "local-pref",
			      .flags = ROW_WELL_KNOWN,
			      .min = 4,
			      .bad = ATTR_WITHDRAW,
			      .internal = true,
			      .head = local_pref_head,
			      .edit = local_pref_edit,
			      .kept = local_pref_kept,
			      .print = u32_print },
	[ATTR_ATOMIC_AGGREGATE] = { .name = "atomic-aggregate",
				    .flags = ROW_WELL_KNOWN,
				    .bad = ATTR_DROP,
				    .print = empty_print },
	[ATTR_AGGREGATOR] = { .name = "aggregator",
			      .flags = ROW_OPT_TRANS,
			      .min = 6,
			      .step = 2,
			      .bad = ATTR_DROP,
			      .get = aggregator_get,
			      .print = aggregator_print },
	[ATTR_COMMUNITIES] = { .name = "communities",
			       .flags = ROW_OPT_TRANS,
			       .min = 4,
			       .step = 4,
			       .bad = ATTR_WITHDRAW,
			       .head = communities_head,
			       .edit = communities_edit,
			       .kept = communities_kept,
			       .print = communities_print },
	[ATTR_ORIGINATOR_ID] = { .name = "originator-id",
				 .flags = ROW_OPTIONAL,
				 .min = 4,
				 .bad = ATTR_WITHDRAW,
				 .internal = true,
				 .head = originator_head,
				 .edit = originator_edit,
				 .kept = originator_kept,
				 .print = ids_print },
	[ATTR_CLUSTER_LIST] = { .name = "cluster-list",
				.flags = ROW_OPTIONAL,
				.min = 4,
				.step = 4,
				.bad = ATTR_WITHDRAW,
				.internal = true,
				.head = cluster_head,
				.edit = cluster_edit,
				.kept = cluster_kept,
				.print = ids_print },
	[ATTR_MP_REACH] = { .name = "mp-reach",
			    .flags = ROW_OPTIONAL,
			    .min = 5,
			    .step = VARIES,
			    .bad = ATTR_RESET,
			    .subcode = UPDATE_BAD_OPTIONAL,
			    .apart = true,
			    .get = reach_get },
	[ATTR_MP_UNREACH] = { .name = "mp-unreach",
			      .flags = ROW_OPTIONAL,
			      .min = 3,
			      .step = VARIES,
			      .bad = ATTR_RESET,
			      .subcode = UPDATE_BAD_OPTIONAL,
			      .apart = true,
			      .get = unreach_get },
	[ATTR_EXT_COMMUNITIES] = { .name = "ext-communities",
				   .flags = ROW_OPT_TRANS,
				   .min = 8,
				   .step = 8,
				   .bad = ATTR_WITHDRAW,
				   .edit = ext_edit,
				   .kept = ext_kept,
				   .print = ext_print },
	[ATTR_AS4_PATH] = { .name = "as4-path",
			    .flags = ROW_OPT_TRANS,
			    .min = 6,
			    .step = VARIES,
			    .bad = ATTR_DROP,
			    .as2_only = true,
			    .get = as4_path_get },
	[ATTR_AS4_AGGREGATOR] = { .name = "as4-aggregator",
				  .flags = ROW_OPT_TRANS,
				  .min = 8,
				  .bad = ATTR_DROP,
				  .as2_only = true,
				  .get = as4_aggregator_get },
	[ATTR_LARGE_COMMUNITIES] = { .name = "large-communities",
				     .flags = ROW_OPT_TRANS,
				     .min = 12,
				     .step = 12,
				     .bad = ATTR_WITHDRAW,
				     .edit = large_edit,
				     .kept = large_kept,
				     .print = large_print },
	[ATTR_OTC] = { .name = "only-to-customer",
		       .flags = ROW_OPT_TRANS,
		       .min = 4,
		       .bad = ATTR_WITHDRAW,
		       .get = otc_get,
		       .head = otc_head,
		       .edit = otc_edit,
		       .kept = otc_kept,
		       .print = u32_print },
};

const struct attr_row *attr_row_of(uint8_t code)
{
	return code < ARRAY_SIZE(rows) && rows[code].name ? &rows[code] : NULL;
}

const char *attr_name(uint8_t code)
{
	const struct attr_row *row = attr_row_of(code);

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

static void decode_unknown(const struct attr_job *j, uint8_t flags, struct rd value)
{
	if (!(flags & ATTR_F_OPTIONAL))
		job_fault(j, ATTR_RESET, UPDATE_UNKNOWN_WELL_KNOWN, "unknown well-known attribute");
	else if (flags & ATTR_F_TRANSITIVE)
		list_insert(j->list, j->code, flags, value);
}

static void decode_known(const struct attr_job *j, const struct attr_row *row, uint8_t flags, struct rd value)
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
		job_fault(j, ATTR_WITHDRAW, UPDATE_BAD_FLAGS, "wrong flags");
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
static bool decode_next(struct rd *r, struct attr_job *j, uint8_t *ret_flags, struct rd *ret_value)
{
	const uint8_t *start = r->at;
	size_t left = rd_left(r);

	if (!left)
		return false;
	*ret_flags = rd_u8(r);
	j->code = rd_u8(r);
	*ret_value = rd_sub(r, *ret_flags & ATTR_F_EXTENDED ? rd_be16(r) : rd_u8(r));
	if (!rd_ok(r)) {
		const struct attr_row *row = attr_row_of(j->code);
		/* RFC 7606 section 3 j: prefixes that cannot be found cannot be withdrawn. */
		enum attr_verdict v = row && row->bad == ATTR_RESET ? ATTR_RESET : ATTR_WITHDRAW;

		attr_fault_add(j->fault, v, 0, UPDATE_BAD_LENGTH, start, left,
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
	struct attr_job j = { .codec = c, .list = ret, .fault = fault };
	uint64_t seen[4] = { 0 };
	struct rd value;
	uint8_t flags;

	ret->n = 0;
	ret->nexthop = (struct addr){ 0 };
	ret->reach = ret->unreach = (struct attr_mp){ 0 };
	ret->others = ret->bad_nexthop = false;
	fault->verdict = ATTR_TAKE;
	fault->code = fault->notify.code = fault->notify.subcode = 0;
	fault->notify.len = 0;
	fault->why[0] = '\0';
	while (decode_next(&r, &j, &flags, &value)) {
		const struct attr_row *row = attr_row_of(j.code);
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

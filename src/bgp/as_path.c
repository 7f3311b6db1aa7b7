#include "bgp/as_path.h"

#include "base/check.h"
#include "bgp/attr.h"
#include "bgp/msg.h"

struct segment {
	uint8_t type, n;
	struct rd asns;
};

uint32_t as_path_asn(struct rd *r, unsigned width)
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

static unsigned segment_hops(const struct segment *s)
{
	return s->type == ATTR_SEQUENCE_SEG ? s->n : s->type == ATTR_SET_SEG ? 1 : 0;
}

const char *as_path_check(struct rd r, unsigned width, bool confed_allowed)
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
			if (!as_path_asn(&s.asns, width))
				return "AS number 0";
	}
	return rd_end(&r) ? NULL : "segment runs past the end";
}

unsigned as_path_hops(struct rd r, unsigned width)
{
	struct segment s;
	unsigned hops = 0;

	while (segment_next(&r, width, &s))
		hops += segment_hops(&s);
	return hops;
}

/* --- questions --- */

uint32_t as_path_first(struct rd r)
{
	struct segment s;

	while (segment_next(&r, 4, &s))
		if (!is_confed(s.type))
			return s.type == ATTR_SEQUENCE_SEG ? rd_be32(&s.asns) : 0;
	return 0;
}

unsigned as_path_count(struct rd r, uint32_t asn)
{
	struct segment s;
	unsigned n = 0;

	while (segment_next(&r, 4, &s))
		while (rd_left(&s.asns))
			n += rd_be32(&s.asns) == asn;
	return n;
}

bool as_path_begins(struct rd r, const uint32_t *asns, size_t n)
{
	struct segment s;
	size_t i = 0;

	while (i < n && segment_next(&r, 4, &s)) {
		if (s.type == ATTR_SET_SEG)
			return false;
		for (; i < n && !is_confed(s.type) && rd_left(&s.asns); i++)
			if (rd_be32(&s.asns) != asns[i])
				return false;
	}
	return i == n;
}

void as_path_print(struct rd r, struct str *out)
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

/* --- writing --- */

static void path_open(struct as_path_out *p, uint8_t type)
{
	wr_u8(p->w, type);
	p->count_at = p->w->len;
	wr_u8(p->w, 0);
	p->n = 0;
}

static void path_add(struct as_path_out *p, uint32_t asn)
{
	wr_be32(p->w, asn);
	p->n++;
	if (wr_ok(p->w))
		p->w->buf[p->count_at] = (uint8_t)p->n;
}

void as_path_prepend(struct as_path_out *p, uint32_t asn)
{
	if (!p->n || p->n == UINT8_MAX)
		path_open(p, ATTR_SEQUENCE_SEG);
	path_add(p, asn);
	p->joins = true;
}

/* The first n numbers of a segment. */
static void add_segment(struct as_path_out *p, const struct segment *s, unsigned width, unsigned n)
{
	struct rd asns = s->asns;

	if (!p->joins || s->type != ATTR_SEQUENCE_SEG || p->n + n > UINT8_MAX)
		path_open(p, s->type);
	p->joins = false;
	while (n-- > 0)
		path_add(p, as_path_asn(&asns, width));
}

void as_path_append(struct as_path_out *p, struct rd r, unsigned width, bool confed)
{
	struct segment s;

	while (segment_next(&r, width, &s))
		if (confed || !is_confed(s.type))
			add_segment(p, &s, width, s.n);
}

/* --- 2-byte numbers --- */

/* The first hops of a path, with the confederation segments met on the way. */
static void add_leading(struct as_path_out *p, struct rd r, unsigned width, unsigned hops)
{
	struct segment s;

	while (hops > 0 && segment_next(&r, width, &s)) {
		unsigned k = segment_hops(&s), n = s.type == ATTR_SEQUENCE_SEG ? MIN(hops, k) : s.n;

		add_segment(p, &s, width, n);
		p->joins = s.type == ATTR_SEQUENCE_SEG && hops <= k;
		hops -= MIN(hops, k);
	}
}

void as_path_merge(struct rd path, struct rd path4, struct wr *w)
{
	size_t start = w->len;
	struct as_path_out p = { .w = w };
	unsigned hops = as_path_hops(path, 2), hops4 = as_path_hops(path4, 4);

	if (rd_left(&path4) && hops4 <= hops) {
		add_leading(&p, path, 2, hops - hops4);
		as_path_append(&p, path4, 4, false);
	}
	if (w->len == start || as_path_check(rd_of(w->buf + start, w->len - start), 4, true)) {
		/* Nothing to complete from, or it came out longer than any path may be. */
		w->len = start;
		p = (struct as_path_out){ .w = w };
		as_path_append(&p, path, 2, true);
	}
}

struct as_path_as2 as_path_as2(struct rd r)
{
	struct as_path_as2 p = { 0 };
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

uint16_t as_path_asn_as2(uint32_t asn)
{
	return asn > UINT16_MAX ? MSG_AS_TRANS : (uint16_t)asn;
}

void as_path_put_as2(struct rd r, struct wr *w)
{
	struct segment s;

	while (segment_next(&r, 4, &s)) {
		wr_u8(w, s.type);
		wr_u8(w, s.n);
		while (rd_left(&s.asns))
			wr_be16(w, as_path_asn_as2(rd_be32(&s.asns)));
	}
}

void as_path_put_as4(struct rd r, struct wr *w)
{
	struct segment s;

	while (segment_next(&r, 4, &s)) {
		if (is_confed(s.type))
			continue;
		wr_u8(w, s.type);
		wr_u8(w, s.n);
		wr_bytes(w, s.asns.at, rd_left(&s.asns));
	}
}

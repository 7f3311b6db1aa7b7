/*
 * The first byte chooses the session, the rest is the body of an UPDATE. What is accepted is packed again for
 * the same session and decoded once more: prefixes, path identifiers, next hops and the attribute set must be
 * the same.
 */
#include "base/check.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ROUTES_MAX = 20000, OUT_MAX = 4 << 20 };

struct route {
	struct prefix prefix;
	uint32_t path_id;
	struct addr nexthop;
	bool withdrawn;
};

/* The buffers are big and used for every input. */
static struct update update, again;
static struct route routes[ROUTES_MAX];
static uint8_t out[OUT_MAX];

static struct codec codec_of(uint8_t bits)
{
	uint8_t add_path = bits >> 2 & 3;

	return (struct codec){
		.ebgp = bits & 1,
		.as4 = bits & 2,
		.families = bits & 16	? CAPS_V4
			    : bits & 32 ? CAPS_V6
					: CAPS_V4 | CAPS_V6,
		.ext_nexthop = bits & 64 ? CAPS_V4 : 0,
		.add_path_in = add_path,
		.add_path_out = add_path,
		.max = MSG_MAX_EXT,
	};
}

/* All prefixes of a message in order: withdrawn, then announced. */
static size_t collect(const struct update *u, struct route *to, size_t max)
{
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct nlri list = i < 2 ? u->withdrawn[i] : u->announced[i - 2].nlri;
		struct route r = { .withdrawn = i < 2 };

		if (i >= 2)
			r.nexthop = u->announced[i - 2].nexthop;
		while (n < max && nlri_next(&list, &r.prefix, &r.path_id)) {
			CHECK(r.prefix.len <= addr_bits(r.prefix.addr.family));
			to[n++] = r;
		}
	}
	return n;
}

static size_t pack(const struct codec *c, const struct attr_set *a, size_t n, bool *ret_too_long)
{
	struct wr w = wr_to(out, sizeof(out));
	struct packer p;
	int k = 0;

	pack_begin(&p, &w, c);
	for (size_t i = 0; i < n && !k; i++)
		k = routes[i].withdrawn
			    ? pack_withdraw(&p, &routes[i].prefix, routes[i].path_id)
			    : pack_announce(&p, a, &routes[i].nexthop, &routes[i].prefix, routes[i].path_id);
	pack_end(&p);
	CHECK(k == 0 || k == -EMSGSIZE);
	*ret_too_long = k == -EMSGSIZE;
	return w.len;
}

/* Confederation segments do not survive a 2-byte peer together with large numbers (RFC 6793), so sets are
 * only compared where they must. */
static bool has_confed(const struct attr_set *a)
{
	struct rd r;

	if (!attr_find(a, ATTR_AS_PATH, &r))
		return false;
	while (rd_left(&r)) {
		if (rd_u8(&r) >= ATTR_CONFED_SEQUENCE_SEG)
			return true;
		rd_bytes(&r, 4u * rd_u8(&r));
	}
	CHECK(rd_end(&r));
	return false;
}

static void check_message(const struct codec *c, struct attr_table *t, const struct attr_set *a,
			  struct rd body, const struct route **r, const struct route *end)
{
	static struct route got[ROUTES_MAX];

	CHECK(update_decode(body, c, &again) == ATTR_TAKE);
	size_t n = collect(&again, got, ROUTES_MAX);
	CHECK(n > 0 && n <= (size_t)(end - *r));
	for (size_t i = 0; i < n; i++, (*r)++) {
		CHECK(prefix_eq(&got[i].prefix, &(*r)->prefix) && got[i].path_id == (*r)->path_id);
		CHECK(got[i].withdrawn == (*r)->withdrawn);
		CHECK(got[i].withdrawn || addr_eq(&got[i].nexthop, &(*r)->nexthop));
	}
	if (!update_has_routes(&again))
		return;
	struct attr_set *b = attr_intern(t, &again.attrs, c);
	CHECK(b == a || (!c->as4 && has_confed(a)));
	attr_unref(t, b);
}

static void check_round_trip(const struct codec *c, struct attr_table *t, const struct attr_set *a, size_t n)
{
	const struct route *r = routes;
	struct notify notify;
	struct msg m;
	bool too_long;
	size_t len = pack(c, a, n, &too_long);
	ssize_t k;

	for (const uint8_t *p = out; (k = msg_next(p, len, c->max, &m, &notify)) != 0;
	     p += k, len -= (size_t)k) {
		CHECK(k > 0 && m.type == MSG_UPDATE);
		check_message(c, t, a, m.body, &r, routes + n);
	}
	CHECK(len == 0);
	CHECK(too_long || r == routes + n);
}

static void check_set(struct attr_table *t, struct attr_set *a)
{
	static const uint32_t community = 0xfde80001;
	struct attr_change change = { .leave_as = true,
				      .drop_unknown = true,
				      .prepend = 3,
				      .prepend_asn = 4200000000u,
				      .communities = &community,
				      .ncommunities = 1 };
	own_str struct str text = { 0 };
	struct attr_set *b = attr_derive(t, a, &change);

	attr_format(a, &text);
	CHECK(!b || (b->as_path_len == a->as_path_len + 3 && b->first_asn == 4200000000u &&
		     attr_community_has(b, community) && !(b->flags & ATTR_HAS_UNKNOWN)));
	attr_unref(t, b);
	b = attr_derive(t, a, &(struct attr_change){ 0 });
	CHECK(a == b);
	attr_unref(t, b);
}

static void check_accepted(const struct codec *c)
{
	struct attr_table *t = attr_table_new(1);
	struct attr_set *a = attr_intern(t, &update.attrs, c);

	check_set(t, a);
	for (unsigned i = 0; i < 2; i++)
		CHECK(!rd_left(&update.announced[i].nlri.r) || addr_is_set(&update.announced[i].nexthop));
	check_round_trip(c, t, a, collect(&update, routes, ROUTES_MAX));
	attr_unref(t, a);
	CHECK(attr_table_count(t) == 0);
	attr_table_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1 || n > MSG_MAX_EXT - MSG_HEADER)
		return 0;
	struct codec c = codec_of(data[0]);
	enum attr_verdict v = update_decode(rd_of(data + 1, n - 1), &c, &update);
	CHECK(v == update.fault.verdict && v <= ATTR_RESET);
	CHECK((v == ATTR_TAKE) == !update.fault.why[0]);
	if (v == ATTR_RESET)
		CHECK(update.fault.notify.code == NOTIFY_UPDATE && update.fault.notify.subcode);
	if (v <= ATTR_DROP)
		check_accepted(&c);
	else
		collect(&update, routes, ROUTES_MAX);
	return 0;
}

/*
 * What comes in on one session goes out on another of a different kind: the first byte chooses the one, the
 * second the other, the rest is the body of an UPDATE. What is accepted is packed for the second session and
 * read there: every prefix that can be said must be there once, with its next hop, and the attributes must be
 * those that went out.
 */
#include "base/check.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ROUTES_MAX = 20000, OUT_MAX = 8 << 20 };

struct route {
	struct prefix prefix;
	uint32_t path_id;
	struct addr nexthop;
};

/* Big, and used for every input. */
static struct update update, again;
static struct route routes[ROUTES_MAX];
static uint8_t out[OUT_MAX];

static struct codec codec_of(uint8_t bits)
{
	return (struct codec){
		.ebgp = bits & 1,
		.as4 = bits & 2,
		.families = CAPS_V4 | CAPS_V6,
		.ext_nexthop = bits & 4 ? CAPS_V4 : 0,
		.add_path_in = bits >> 3 & 3,
		.add_path_out = bits >> 3 & 3,
		.max = bits & 32 ? MSG_MAX_EXT : MSG_MAX,
	};
}

/* What the second session can be told of. */
static size_t collect(const struct update *u, const struct codec *to)
{
	size_t n = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct nlri list = u->announced[i].nlri;
		struct route r = { .nexthop = u->announced[i].nexthop };

		while (n < ROUTES_MAX && nlri_next(&list, &r.prefix, &r.path_id))
			if (r.prefix.addr.family == r.nexthop.family || to->ext_nexthop)
				routes[n++] = r;
	}
	return n;
}

/* The changes that every route undergoes on the way out. */
static struct attr_set *change(struct attr_table *t, struct attr_set *a, const struct codec *to)
{
	struct attr_change ch = { .leave_as = to->ebgp, .drop_unknown = to->ebgp };

	if (to->ebgp) {
		ch.prepend = 1;
		ch.prepend_asn = 4200000000u;
	} else {
		ch.originator_id = 7;
		ch.cluster_id = 9;
	}
	return attr_derive(t, a, &ch);
}

/* RFC 6793 leaves confederation segments out of AS4_PATH, so they do not reach beyond an old speaker. */
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
	return false;
}

/* In front of a path of the longest kind another number makes one that is refused. */
static bool too_long(const struct attr_set *a)
{
	struct rd r;
	unsigned n = 0;

	if (!attr_find(a, ATTR_AS_PATH, &r))
		return false;
	while (rd_left(&r)) {
		rd_u8(&r);
		unsigned k = rd_u8(&r);
		rd_bytes(&r, 4u * k);
		n += k;
	}
	return n > ATTR_AS_PATH_MAX;
}

static void check_message(struct attr_table *t, const struct attr_set *a, const struct codec *to,
			  struct rd body, const struct route **r, const struct route *end)
{
	CHECK(update_decode(body, to, &again) == ATTR_TAKE);
	for (unsigned i = 0; i < 2; i++) {
		struct nlri list = again.announced[i].nlri;
		struct prefix p;
		uint32_t id;

		for (; nlri_next(&list, &p, &id); (*r)++) {
			CHECK(*r < end && prefix_eq(&p, &(*r)->prefix));
			CHECK(id == (list.add_path ? (*r)->path_id : 0));
			CHECK(addr_eq(&again.announced[i].nexthop, &(*r)->nexthop));
		}
		CHECK(!rd_left(&again.withdrawn[i].r));
	}
	struct attr_set *b = attr_intern(t, &again.attrs, to);
	CHECK(b == a || (!to->as4 && has_confed(a)));
	attr_unref(t, b);
}

static void send_on(struct attr_table *t, const struct attr_set *a, const struct codec *to, size_t n)
{
	const struct route *r = routes;
	struct wr w = wr_to(out, sizeof(out));
	struct packer p;
	struct msg m;
	ssize_t len;
	int k = 0;

	pack_begin(&p, &w, to);
	for (size_t i = 0; i < n && !k; i++)
		k = pack_announce(&p, a, &routes[i].nexthop, &routes[i].prefix, routes[i].path_id);
	pack_end(&p);
	CHECK(k == 0 || k == -ENOSPC || (k == -EMSGSIZE && attr_size(a, NULL, to->as4) > to->max - 100));
	for (const uint8_t *at = out; (len = msg_next(at, w.len - (size_t)(at - out), to->max, &m, NULL));
	     at += len) {
		CHECK(len > 0 && m.type == MSG_UPDATE);
		check_message(t, a, to, m.body, &r, routes + n);
	}
	CHECK(k || r == routes + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2 || n > MSG_MAX_EXT - MSG_HEADER)
		return 0;
	struct codec from = codec_of(data[0]), to = codec_of(data[1]);
	if (update_decode(rd_of(data + 2, n - 2), &from, &update) > ATTR_DROP || !update_has_routes(&update))
		return 0;
	struct attr_table *t = attr_table_new(1);
	struct attr_set *a = attr_intern(t, &update.attrs, &from), *b = change(t, a, &to);
	if (b && !too_long(b))
		send_on(t, b, &to, collect(&update, &to));
	attr_unref(t, a);
	attr_unref(t, b);
	CHECK(attr_table_count(t) == 0);
	attr_table_free(t);
	return 0;
}

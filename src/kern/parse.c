/* rtnetlink messages as the kernel writes them (rtnetlink(7), netlink(7)); integers are in host order. */
#include "kern/parse.h"

#include "base/check.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nexthop.h>

static uint16_t rd_h16(struct rd *r)
{
	uint16_t v;

	rd_copy(r, &v, sizeof(v));
	return v;
}

static uint32_t rd_h32(struct rd *r)
{
	uint32_t v;

	rd_copy(r, &v, sizeof(v));
	return v;
}

/* Steps over the padding to four bytes; the last element of a row may lack it. */
static void skip_padding(struct rd *r, size_t len)
{
	size_t pad = (4 - len % 4) % 4;

	(void)rd_bytes(r, MIN(pad, rd_left(r)));
}

bool parse_message(struct rd *r, struct nlmsghdr *ret, struct rd *ret_body)
{
	struct nlmsghdr h;

	if (r->bad || !rd_left(r))
		return false;
	rd_copy(r, &h, sizeof(h));
	if (rd_ok(r) && h.nlmsg_len < sizeof(h))
		r->bad = true;
	if (!rd_ok(r))
		return false;
	struct rd body = rd_sub(r, h.nlmsg_len - sizeof(h));
	if (!rd_ok(r))
		return false;
	skip_padding(r, h.nlmsg_len);
	*ret = h;
	*ret_body = body;
	return true;
}

bool parse_attr(struct rd *r, uint16_t *ret_type, struct rd *ret_value)
{
	if (r->bad || !rd_left(r))
		return false;
	uint16_t len = rd_h16(r);
	uint16_t type = rd_h16(r);
	if (rd_ok(r) && len < sizeof(struct nlattr))
		r->bad = true;
	if (!rd_ok(r))
		return false;
	struct rd value = rd_sub(r, len - sizeof(struct nlattr));
	if (!rd_ok(r))
		return false;
	skip_padding(r, len);
	*ret_type = type & NLA_TYPE_MASK;
	*ret_value = value;
	return true;
}

static bool attr_u8(struct rd v, uint8_t *ret)
{
	uint8_t x = rd_u8(&v);

	if (rd_end(&v))
		*ret = x;
	return rd_end(&v);
}

static bool attr_u32(struct rd v, uint32_t *ret)
{
	uint32_t x = rd_h32(&v);

	if (rd_end(&v))
		*ret = x;
	return rd_end(&v);
}

static bool attr_addr(struct rd v, uint8_t family, struct addr *ret)
{
	size_t n = addr_size(family);

	if (!n || rd_left(&v) != n)
		return false;
	*ret = addr_from_bytes(family, v.at);
	return true;
}

/* A name: NUL-terminated, with nothing behind the NUL, short enough for buf. */
static bool attr_name(struct rd v, char *buf, size_t cap)
{
	size_t n = rd_left(&v);

	if (!n || n > cap || v.at[n - 1] || memchr(v.at, '\0', n) != v.at + n - 1)
		return false;
	memcpy(buf, v.at, n);
	return true;
}

/* A link-layer address that is not an Ethernet one is as good as none. */
static bool attr_mac(struct rd v, struct mac *ret)
{
	if (rd_left(&v) != sizeof(ret->b))
		return false;
	memcpy(ret->b, v.at, sizeof(ret->b));
	return true;
}

/* The kernel's sentence; what is not plain text becomes a question mark, as it ends up on terminals. */
static void attr_text(struct rd v, char text[static PARSE_TEXT_MAX])
{
	size_t n = 0;

	while (rd_left(&v) && n < PARSE_TEXT_MAX - 1) {
		uint8_t c = rd_u8(&v);
		if (!c)
			break;
		text[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	text[n] = '\0';
}

static bool read_ext_ack(struct rd *r, char text[static PARSE_TEXT_MAX])
{
	uint16_t type;
	struct rd v;

	while (parse_attr(r, &type, &v))
		if (type == NLMSGERR_ATTR_MSG)
			attr_text(v, text);
	return !r->bad;
}

/* The kernel writes 0 or -errno; anything else is not from a kernel. */
static bool take_code(uint32_t raw, int *ret)
{
	int32_t code = (int32_t)raw;

	if (code > 0 || code < -4095)
		return false;
	*ret = -code;
	return true;
}

bool parse_error(struct rd body, uint16_t flags, int *ret_code, char text[static PARSE_TEXT_MAX])
{
	uint32_t raw = rd_h32(&body);
	struct nlmsghdr req;

	rd_copy(&body, &req, sizeof(req));
	text[0] = '\0';
	if (!rd_ok(&body))
		return false;
	if (!(flags & NLM_F_CAPPED)) {
		if (req.nlmsg_len < sizeof(req))
			return false;
		size_t n = req.nlmsg_len - sizeof(req);
		(void)rd_bytes(&body, n);
		skip_padding(&body, n);
	}
	if (!rd_ok(&body) || ((flags & NLM_F_ACK_TLVS) && !read_ext_ack(&body, text)))
		return false;
	return take_code(raw, ret_code);
}

bool parse_done(struct rd body, uint16_t flags, int *ret_code, char text[static PARSE_TEXT_MAX])
{
	text[0] = '\0';
	if (!rd_left(&body)) {
		*ret_code = 0;
		return true;
	}
	uint32_t raw = rd_h32(&body);
	if (!rd_ok(&body) || ((flags & NLM_F_ACK_TLVS) && !read_ext_ack(&body, text)))
		return false;
	return take_code(raw, ret_code);
}

static bool read_linkinfo(struct rd nest, struct link *l)
{
	uint16_t type;
	struct rd v;

	while (parse_attr(&nest, &type, &v))
		if (type == IFLA_INFO_KIND && !attr_name(v, l->kind, sizeof(l->kind)))
			l->kind[0] = '\0'; /* a kind with a longer name than any of ours */
	return !nest.bad;
}

static bool read_link_attr(struct link *l, uint16_t type, struct rd v)
{
	uint32_t nsid;

	switch (type) {
	case IFLA_IFNAME:
		return attr_name(v, l->name, sizeof(l->name));
	case IFLA_ADDRESS:
		(void)attr_mac(v, &l->mac);
		return true;
	case IFLA_MTU:
		return attr_u32(v, &l->mtu);
	case IFLA_LINK:
		return attr_u32(v, &l->peer);
	case IFLA_MASTER:
		return attr_u32(v, &l->master);
	case IFLA_OPERSTATE:
		return attr_u8(v, &l->operstate);
	case IFLA_LINK_NETNSID:
		if (!attr_u32(v, &nsid))
			return false;
		l->peer_nsid = (int32_t)nsid;
		return true;
	case IFLA_LINKINFO:
		return read_linkinfo(v, l);
	}
	return true;
}

bool parse_link(struct rd body, struct link *ret)
{
	struct link l = { .peer_nsid = -1 };
	struct ifinfomsg h;
	uint16_t type;
	struct rd v;

	rd_copy(&body, &h, sizeof(h));
	/* AF_BRIDGE messages are about a port of a bridge: its RTM_DELLINK does not mean the link is gone. */
	if (!rd_ok(&body) || h.ifi_family != AF_UNSPEC || h.ifi_index <= 0)
		return false;
	l.ifindex = (uint32_t)h.ifi_index;
	l.flags = h.ifi_flags;
	while (parse_attr(&body, &type, &v))
		if (!read_link_attr(&l, type, v))
			return false;
	if (body.bad || !l.name[0])
		return false;
	if (strcmp(l.kind, "veth")) { /* IFLA_LINK of others (a VLAN's parent) is no peer */
		l.peer = 0;
		l.peer_nsid = -1;
	}
	*ret = l;
	return true;
}

static bool read_ifaddr_attr(struct if_addr *a, uint8_t family, struct addr *peer, uint16_t type, struct rd v)
{
	switch (type) {
	case IFA_LOCAL:
		return attr_addr(v, family, &a->addr);
	case IFA_ADDRESS:
		return attr_addr(v, family, peer);
	case IFA_BROADCAST:
		return attr_addr(v, family, &a->broadcast);
	case IFA_LABEL:
		return attr_name(v, a->label, sizeof(a->label));
	case IFA_FLAGS:
		return attr_u32(v, &a->flags);
	}
	return true;
}

bool parse_ifaddr(struct rd body, struct if_addr *ret)
{
	struct if_addr a = { 0 };
	struct ifaddrmsg h;
	struct addr peer = { 0 };
	uint16_t type;
	struct rd v;

	rd_copy(&body, &h, sizeof(h));
	if (!rd_ok(&body) || !addr_size(h.ifa_family) || h.ifa_prefixlen > addr_bits(h.ifa_family) ||
	    !h.ifa_index)
		return false;
	a.ifindex = h.ifa_index;
	a.len = h.ifa_prefixlen;
	a.scope = h.ifa_scope;
	a.flags = h.ifa_flags;
	while (parse_attr(&body, &type, &v))
		if (!read_ifaddr_attr(&a, h.ifa_family, &peer, type, v))
			return false;
	/* On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is always
	 * ours. */
	if (!addr_is_set(&a.addr))
		a.addr = peer;
	if (body.bad || !addr_is_set(&a.addr))
		return false;
	*ret = a;
	return true;
}

bool parse_neigh(struct rd body, struct neigh *ret)
{
	struct neigh n = { 0 };
	struct ndmsg h;
	uint16_t type;
	struct rd v;

	rd_copy(&body, &h, sizeof(h));
	if (!rd_ok(&body) || !addr_size(h.ndm_family) || h.ndm_ifindex <= 0)
		return false;
	n.ifindex = (uint32_t)h.ndm_ifindex;
	n.state = h.ndm_state;
	n.flags = h.ndm_flags;
	while (parse_attr(&body, &type, &v)) {
		if (type == NDA_DST && !attr_addr(v, h.ndm_family, &n.addr))
			return false;
		if (type == NDA_LLADDR)
			n.has_mac = attr_mac(v, &n.mac);
	}
	if (body.bad || !addr_is_set(&n.addr))
		return false;
	*ret = n;
	return true;
}

static bool attr_via(struct rd v, struct addr *ret)
{
	uint16_t family = rd_h16(&v);

	return rd_ok(&v) && family <= UINT8_MAX && attr_addr(v, (uint8_t)family, ret);
}

static bool read_hop_attrs(struct rd attrs, uint8_t family, struct route_hop *h)
{
	uint16_t type;
	struct rd v;

	while (parse_attr(&attrs, &type, &v)) {
		if (type == RTA_GATEWAY && !attr_addr(v, family, &h->gateway))
			return false;
		if (type == RTA_VIA && !attr_via(v, &h->gateway))
			return false;
	}
	return !attrs.bad;
}

static void set_hop_flags(struct route_hop *h, unsigned flags)
{
	h->onlink = flags & RTNH_F_ONLINK;
	h->flags = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
}

static bool read_multipath(struct rd v, uint8_t family, struct route *r)
{
	while (rd_left(&v)) {
		struct rtnexthop nh;
		struct route_hop h = { 0 };

		rd_copy(&v, &nh, sizeof(nh));
		if (!rd_ok(&v) || nh.rtnh_len < sizeof(nh) || nh.rtnh_ifindex < 0)
			return false;
		struct rd attrs = rd_sub(&v, nh.rtnh_len - sizeof(nh));
		if (!rd_ok(&v) || !read_hop_attrs(attrs, family, &h))
			return false;
		skip_padding(&v, nh.rtnh_len);
		h.ifindex = (uint32_t)nh.rtnh_ifindex;
		h.weight = (uint16_t)(nh.rtnh_hops + 1);
		set_hop_flags(&h, nh.rtnh_flags);
		if (r->nhops < ROUTE_HOPS_MAX)
			r->hops[r->nhops++] = h;
	}
	return true;
}

/* hop: the only next hop, of a route without RTA_MULTIPATH. */
static bool read_route_attr(struct route *r, uint8_t family, struct route_hop *hop, uint16_t type,
			    struct rd v)
{
	switch (type) {
	case RTA_DST:
		return attr_addr(v, family, &r->dst.addr);
	case RTA_GATEWAY:
		return attr_addr(v, family, &hop->gateway);
	case RTA_VIA:
		return attr_via(v, &hop->gateway);
	case RTA_OIF:
		return attr_u32(v, &hop->ifindex);
	case RTA_PRIORITY:
		return attr_u32(v, &r->metric);
	case RTA_TABLE:
		return attr_u32(v, &r->table);
	case RTA_PREFSRC:
		return attr_addr(v, family, &r->prefsrc);
	case RTA_MULTIPATH:
		return read_multipath(v, family, r);
	case RTA_NH_ID:
		return attr_u32(v, &r->nhid);
	case RTA_PREF:
		return attr_u8(v, &r->pref);
	}
	return true;
}

bool parse_route(struct rd body, bool fib, struct route *ret)
{
	struct route r = { 0 };
	struct route_hop hop = { 0 };
	struct rtmsg h;
	uint16_t type;
	struct rd v;

	rd_copy(&body, &h, sizeof(h));
	if (!rd_ok(&body) || !addr_size(h.rtm_family) || h.rtm_dst_len > addr_bits(h.rtm_family))
		return false;
	if (fib && (h.rtm_src_len || h.rtm_tos || (h.rtm_flags & RTM_F_CLONED)))
		return false;
	r.dst.addr.family = h.rtm_family;
	r.table = h.rtm_table;
	r.type = h.rtm_type;
	r.protocol = h.rtm_protocol;
	r.scope = h.rtm_scope;
	set_hop_flags(&hop, h.rtm_flags);
	while (parse_attr(&body, &type, &v))
		if (!read_route_attr(&r, h.rtm_family, &hop, type, v))
			return false;
	if (body.bad)
		return false;
	r.dst = prefix_of(&r.dst.addr, h.rtm_dst_len);
	if (!r.nhops && (hop.ifindex || addr_is_set(&hop.gateway)))
		r.hops[r.nhops++] = hop;
	*ret = r;
	return true;
}

static bool read_nexthop_attr(struct nexthop *nh, uint8_t family, uint16_t type, struct rd v)
{
	switch (type) {
	case NHA_ID:
		return attr_u32(v, &nh->id);
	case NHA_OIF:
		return attr_u32(v, &nh->hop.ifindex);
	case NHA_GATEWAY:
		return attr_addr(v, family, &nh->hop.gateway);
	}
	return true;
}

bool parse_nexthop(struct rd body, struct nexthop *ret)
{
	struct nexthop nh = { 0 };
	struct nhmsg h;
	uint16_t type;
	struct rd v;
	bool plain = true;

	rd_copy(&body, &h, sizeof(h));
	if (!rd_ok(&body))
		return false;
	nh.protocol = h.nh_protocol;
	set_hop_flags(&nh.hop, h.nh_flags);
	while (parse_attr(&body, &type, &v)) {
		if (!read_nexthop_attr(&nh, h.nh_family, type, v))
			return false;
		plain &= type == NHA_ID || type == NHA_OIF || type == NHA_GATEWAY;
	}
	if (body.bad || !nh.id)
		return false;
	if (!plain)
		memset(&nh.hop, 0, sizeof(nh.hop));
	*ret = nh;
	return true;
}

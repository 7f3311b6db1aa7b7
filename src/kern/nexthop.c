/* Nexthop objects over rtnetlink: RTM_NEWNEXTHOP, RTM_GETNEXTHOP, RTM_DELNEXTHOP. */
#include "kern/nexthop.h"

#include "kern/msg.h"
#include "kern/parse.h"

#include <linux/nexthop.h>

int nexthop_add(struct nl *nl, const struct nexthop *nh, struct err *e)
{
	struct nhmsg h = {
		.nh_family = nh->hop.gateway.family,
		.nh_protocol = nh->protocol,
		.nh_flags = nh->hop.onlink ? RTNH_F_ONLINK : 0,
	};

	if (!nh->id || !addr_is_set(&nh->hop.gateway))
		return err_set(e, EINVAL, "add a nexthop object: not a number and a gateway");
	struct nlmsghdr *m = nl_msg(nl, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	msg_put_u32(m, NHA_ID, nh->id);
	msg_put_addr(m, NHA_GATEWAY, &nh->hop.gateway);
	msg_put_u32(m, NHA_OIF, nh->hop.ifindex);
	int r = nl_request(nl, m, e);
	if (r < 0)
		err_in(e, "add nexthop object %u", nh->id);
	return r;
}

int nexthop_del(struct nl *nl, uint32_t id, struct err *e)
{
	struct nhmsg h = { 0 };
	struct nlmsghdr *m = nl_msg(nl, RTM_DELNEXTHOP, 0, &h, sizeof(h));

	msg_put_u32(m, NHA_ID, id);
	int r = nl_request(nl, m, e);
	if (r < 0)
		err_in(e, "delete nexthop object %u", id);
	return r;
}

struct listing {
	uint8_t protocol;
	nexthop_fn *fn;
	void *arg;
};

static void on_nexthop(void *arg, uint16_t type, struct rd body)
{
	const struct listing *l = arg;
	struct nexthop nh;

	if (type == RTM_NEWNEXTHOP && parse_nexthop(body, &nh) &&
	    (!l->protocol || nh.protocol == l->protocol))
		l->fn(l->arg, &nh);
}

int nexthop_dump(struct nl *nl, uint8_t protocol, nexthop_fn *fn, void *arg, struct err *e)
{
	struct listing l = { protocol, fn, arg };
	struct nhmsg h = { 0 }; /* the kernel refuses to filter by protocol */
	int r = nl_query(nl, nl_msg(nl, RTM_GETNEXTHOP, NLM_F_DUMP, &h, sizeof(h)), on_nexthop, &l, e);

	if (r < 0)
		err_in(e, "list nexthop objects");
	return r;
}

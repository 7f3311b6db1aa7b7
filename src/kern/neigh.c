/* Neighbour tables over rtnetlink: RTM_NEWNEIGH, RTM_GETNEIGH, RTM_DELNEIGH. */
#include "kern/neigh.h"

#include "base/check.h"
#include "kern/msg.h"
#include "kern/parse.h"

static int change(struct nl *nl, uint16_t type, uint16_t flags, const struct neigh *n, struct err *e)
{
	struct ndmsg h = {
		.ndm_family = n->addr.family,
		.ndm_ifindex = (int)n->ifindex,
		.ndm_state = n->state,
		.ndm_flags = n->flags,
	};
	char buf[ADDR_STR_MAX];
	int r;

	if (!addr_is_set(&n->addr)) {
		r = err_set(e, EINVAL, "not an address");
	} else {
		struct nlmsghdr *m = nl_msg(nl, type, flags, &h, sizeof(h));
		msg_put_addr(m, NDA_DST, &n->addr);
		if (n->has_mac && type == RTM_NEWNEIGH)
			msg_put(m, NDA_LLADDR, n->mac.b, sizeof(n->mac.b));
		r = nl_request(nl, m, e);
	}
	if (r < 0)
		err_in(e, "%s neighbour %s on interface %u", type == RTM_NEWNEIGH ? "set" : "remove",
		       addr_format(&n->addr, buf), n->ifindex);
	return r;
}

int neigh_replace(struct nl *nl, const struct neigh *n, struct err *e)
{
	return change(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n, e);
}

int neigh_del(struct nl *nl, const struct neigh *n, struct err *e)
{
	return change(nl, RTM_DELNEIGH, 0, n, e);
}

struct listing {
	uint8_t family;
	uint32_t ifindex;
	neigh_fn *fn;
	void *arg;
};

static void on_neigh(void *arg, uint16_t type, struct rd body)
{
	const struct listing *l = arg;
	struct neigh n;

	if (type != RTM_NEWNEIGH || !parse_neigh(body, &n) || (n.flags & NTF_PROXY))
		return;
	if ((l->family && n.addr.family != l->family) || (l->ifindex && n.ifindex != l->ifindex))
		return;
	l->fn(l->arg, &n);
}

int neigh_dump(struct nl *nl, uint8_t family, uint32_t ifindex, neigh_fn *fn, void *arg, struct err *e)
{
	struct ndmsg h = { .ndm_family = family };
	struct listing l = { family, ifindex, fn, arg };
	struct nlmsghdr *m = nl_msg(nl, RTM_GETNEIGH, NLM_F_DUMP, &h, sizeof(h));

	if (ifindex)
		msg_put_u32(m, NDA_IFINDEX, ifindex);
	int r = nl_query(nl, m, on_neigh, &l, e);
	if (r < 0)
		err_in(e, "list neighbours");
	return r;
}

const char *neigh_state_name(uint16_t state)
{
	static const struct {
		uint16_t state;
		const char *name;
	} names[] = {
		{ NUD_INCOMPLETE, "INCOMPLETE" }, { NUD_REACHABLE, "REACHABLE" }, { NUD_STALE, "STALE" },
		{ NUD_DELAY, "DELAY" },		  { NUD_PROBE, "PROBE" },	  { NUD_FAILED, "FAILED" },
		{ NUD_NOARP, "NOARP" },		  { NUD_PERMANENT, "PERMANENT" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (state & names[i].state)
			return names[i].name;
	return "NONE";
}

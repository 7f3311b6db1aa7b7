/* Network interfaces over rtnetlink: RTM_NEWLINK, RTM_GETLINK, RTM_DELLINK. */
#include "kern/link.h"

#include "base/check.h"
#include "kern/msg.h"
#include "kern/parse.h"

#include <linux/if_link.h>
#include <linux/veth.h>

/* The kernel refuses what is not a name; what it would never see whole is refused here. */
static int check_name(const char *name, size_t cap, struct err *e)
{
	if (strnlen(name, cap) >= IFNAMSIZ)
		return err_set(e, EINVAL, "interface name %.32s: longer than %d characters", name,
			       IFNAMSIZ - 1);
	return 0;
}

static bool mac_is_set(const struct mac *m)
{
	static const struct mac zero;

	return memcmp(m, &zero, sizeof(zero)) != 0;
}

struct end {
	const char *name;
	const struct mac *mac;
	int ns_fd;
};

static void put_end(struct nlmsghdr *m, const struct link_veth *v, const struct end *end)
{
	if (end->name[0])
		msg_put_str(m, IFLA_IFNAME, end->name);
	if (mac_is_set(end->mac))
		msg_put(m, IFLA_ADDRESS, end->mac->b, sizeof(end->mac->b));
	if (v->mtu)
		msg_put_u32(m, IFLA_MTU, v->mtu);
	if (v->queues) {
		msg_put_u32(m, IFLA_NUM_TX_QUEUES, v->queues);
		msg_put_u32(m, IFLA_NUM_RX_QUEUES, v->queues);
	}
	if (v->no_txqueue)
		msg_put_u32(m, IFLA_TXQLEN, 0);
	if (end->ns_fd >= 0)
		msg_put_u32(m, IFLA_NET_NS_FD, (uint32_t)end->ns_fd);
}

static void put_peer(struct nlmsghdr *m, const struct link_veth *v)
{
	struct nlattr *info = msg_nest(m, IFLA_LINKINFO);

	msg_put_str(m, IFLA_INFO_KIND, "veth");
	struct nlattr *data = msg_nest(m, IFLA_INFO_DATA);
	struct nlattr *peer = msg_nest(m, VETH_INFO_PEER);
	msg_put_header(m, sizeof(struct ifinfomsg));
	put_end(m, v, &(struct end){ v->peer_name, &v->peer_mac, v->peer_ns_fd });
	msg_nest_end(m, peer);
	msg_nest_end(m, data);
	msg_nest_end(m, info);
}

int link_add_veth(struct nl *nl, const struct link_veth *v, struct err *e)
{
	struct ifinfomsg h = { .ifi_flags = v->up ? IFF_UP : 0, .ifi_change = v->up ? IFF_UP : 0 };

	int r = check_name(v->name, sizeof(v->name), e);
	if (r == 0)
		r = check_name(v->peer_name, sizeof(v->peer_name), e);
	if (r < 0)
		return r;
	struct nlmsghdr *m = nl_msg(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	put_end(m, v, &(struct end){ v->name, &v->mac, v->ns_fd });
	put_peer(m, v);
	r = nl_request(nl, m, e);
	if (r < 0)
		err_in(e, "add veth pair %s, %s", v->name[0] ? v->name : "(unnamed)",
		       v->peer_name[0] ? v->peer_name : "(unnamed)");
	return r;
}

int link_add_bridge(struct nl *nl, const char *name, struct err *e)
{
	struct ifinfomsg h = { 0 };

	int r = check_name(name, IFNAMSIZ, e);
	if (r < 0)
		return r;
	struct nlmsghdr *m = nl_msg(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	msg_put_str(m, IFLA_IFNAME, name);
	struct nlattr *info = msg_nest(m, IFLA_LINKINFO);
	msg_put_str(m, IFLA_INFO_KIND, "bridge");
	msg_nest_end(m, info);
	r = nl_request(nl, m, e);
	if (r < 0)
		err_in(e, "add bridge %s", name);
	return r;
}

int link_del(struct nl *nl, uint32_t ifindex, struct err *e)
{
	struct ifinfomsg h = { .ifi_index = (int)ifindex };

	if (!ifindex) /* the kernel would take it for "whatever else the request names" */
		return err_set(e, ENODEV, "delete interface 0: %m");
	int r = nl_request(nl, nl_msg(nl, RTM_DELLINK, 0, &h, sizeof(h)), e);
	if (r < 0)
		err_in(e, "delete interface %u", ifindex);
	return r;
}

struct found {
	bool found;
	struct link link;
};

static void on_one(void *arg, uint16_t type, struct rd body)
{
	struct found *f = arg;

	if (type == RTM_NEWLINK && parse_link(body, &f->link))
		f->found = true;
}

static int get(struct nl *nl, struct nlmsghdr *m, struct link *ret, struct err *e)
{
	struct found f = { 0 };

	msg_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int r = nl_query(nl, m, on_one, &f, e);
	if (r == 0 && !f.found) /* "there is none" would have come as an error */
		r = err_set(e, EPROTO, "the kernel's answer is no interface");
	if (r == 0)
		*ret = f.link;
	return r;
}

int link_get(struct nl *nl, const char *name, struct link *ret, struct err *e)
{
	struct ifinfomsg h = { 0 };

	int r = check_name(name, IFNAMSIZ, e);
	if (r < 0)
		return r;
	if (!name[0])
		return err_set(e, ENODEV, "look up an interface without a name: %m");
	struct nlmsghdr *m = nl_msg(nl, RTM_GETLINK, 0, &h, sizeof(h));
	msg_put_str(m, IFLA_IFNAME, name);
	r = get(nl, m, ret, e);
	if (r < 0)
		err_in(e, "look up interface %s", name);
	return r;
}

int link_get_index(struct nl *nl, uint32_t ifindex, struct link *ret, struct err *e)
{
	struct ifinfomsg h = { .ifi_index = (int)ifindex };

	if (!ifindex)
		return err_set(e, ENODEV, "look up interface 0: %m");
	int r = get(nl, nl_msg(nl, RTM_GETLINK, 0, &h, sizeof(h)), ret, e);
	if (r < 0)
		err_in(e, "look up interface %u", ifindex);
	return r;
}

/* Starts the change of one existing interface; up as in ifi_flags, or -1 to leave that alone. */
static struct nlmsghdr *change(struct nl *nl, uint32_t ifindex, int up)
{
	struct ifinfomsg h = {
		.ifi_index = (int)ifindex,
		.ifi_flags = up > 0 ? IFF_UP : 0,
		.ifi_change = up >= 0 ? IFF_UP : 0,
	};

	return nl_msg(nl, RTM_SETLINK, 0, &h, sizeof(h));
}

static int finish(struct nl *nl, struct nlmsghdr *m, uint32_t ifindex, const char *what, struct err *e)
{
	int r = ifindex ? nl_request(nl, m, e) : err_set(e, ENODEV, "%m");

	if (r < 0)
		err_in(e, "%s interface %u", what, ifindex);
	return r;
}

int link_set_up(struct nl *nl, uint32_t ifindex, bool up, struct err *e)
{
	return finish(nl, change(nl, ifindex, up), ifindex, up ? "bring up" : "take down", e);
}

int link_set_mac(struct nl *nl, uint32_t ifindex, const struct mac *mac, struct err *e)
{
	struct nlmsghdr *m = change(nl, ifindex, -1);

	msg_put(m, IFLA_ADDRESS, mac->b, sizeof(mac->b));
	return finish(nl, m, ifindex, "set the MAC address of", e);
}

int link_set_mtu(struct nl *nl, uint32_t ifindex, uint32_t mtu, struct err *e)
{
	struct nlmsghdr *m = change(nl, ifindex, -1);

	msg_put_u32(m, IFLA_MTU, mtu);
	return finish(nl, m, ifindex, "set the MTU of", e);
}

int link_set_name(struct nl *nl, uint32_t ifindex, const char *name, struct err *e)
{
	int r = check_name(name, IFNAMSIZ, e);

	if (r < 0)
		return r;
	struct nlmsghdr *m = change(nl, ifindex, -1);
	msg_put_str(m, IFLA_IFNAME, name);
	return finish(nl, m, ifindex, "rename", e);
}

int link_set_master(struct nl *nl, uint32_t ifindex, uint32_t master, struct err *e)
{
	struct nlmsghdr *m = change(nl, ifindex, -1);

	msg_put_u32(m, IFLA_MASTER, master);
	return finish(nl, m, ifindex, "set the bridge of", e);
}

int link_set_ns(struct nl *nl, uint32_t ifindex, int ns_fd, struct err *e)
{
	struct nlmsghdr *m = change(nl, ifindex, -1);

	msg_put_u32(m, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	return finish(nl, m, ifindex, "change the namespace of", e);
}

struct listing {
	link_fn *fn;
	void *arg;
};

static void on_link(void *arg, uint16_t type, struct rd body)
{
	const struct listing *l = arg;
	struct link found;

	if (type == RTM_NEWLINK && parse_link(body, &found))
		l->fn(l->arg, &found);
}

int link_dump(struct nl *nl, link_fn *fn, void *arg, struct err *e)
{
	struct ifinfomsg h = { 0 };
	struct listing l = { fn, arg };
	struct nlmsghdr *m = nl_msg(nl, RTM_GETLINK, NLM_F_DUMP, &h, sizeof(h));

	msg_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int r = nl_query(nl, m, on_link, &l, e);
	if (r < 0)
		err_in(e, "list interfaces");
	return r;
}

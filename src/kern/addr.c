/* Interface addresses over rtnetlink: RTM_NEWADDR, RTM_GETADDR, RTM_DELADDR. */
#include "kern/addr.h"

#include "base/check.h"
#include "kern/msg.h"
#include "kern/parse.h"

#include <linux/if_addr.h>

static int explain(int r, const char *what, const struct if_addr *a, struct err *e)
{
	char buf[ADDR_STR_MAX];

	if (r < 0)
		err_in(e, "%s address %s/%u on interface %u", what, addr_format(&a->addr, buf), a->len,
		       a->ifindex);
	return r;
}

static struct nlmsghdr *begin(struct nl *nl, uint16_t type, uint16_t flags, const struct if_addr *a)
{
	struct ifaddrmsg h = {
		.ifa_family = a->addr.family,
		.ifa_prefixlen = a->len,
		.ifa_flags = (uint8_t)a->flags,
		.ifa_scope = a->scope,
		.ifa_index = a->ifindex,
	};
	struct nlmsghdr *m = nl_msg(nl, type, flags, &h, sizeof(h));

	msg_put_addr(m, IFA_LOCAL, &a->addr);
	msg_put_addr(m, IFA_ADDRESS, &a->addr);
	return m;
}

static int check(const struct if_addr *a, struct err *e)
{
	if (!addr_is_set(&a->addr) || a->len > addr_bits(a->addr.family))
		return err_set(e, EINVAL, "not an address with a prefix length");
	if (!a->ifindex)
		return err_set(e, ENODEV, "%m");
	return 0;
}

int ifaddr_replace(struct nl *nl, const struct if_addr *a, struct err *e)
{
	int r = check(a, e);

	if (r == 0) {
		struct nlmsghdr *m = begin(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a);
		msg_put_u32(m, IFA_FLAGS, a->flags);
		if (a->broadcast.family == AF_INET && a->addr.family == AF_INET)
			msg_put_addr(m, IFA_BROADCAST, &a->broadcast);
		if (a->label[0] && a->addr.family == AF_INET)
			msg_put(m, IFA_LABEL, a->label, strnlen(a->label, IFNAMSIZ - 1) + 1);
		r = nl_request(nl, m, e);
	}
	return explain(r, "set", a, e);
}

int ifaddr_del(struct nl *nl, const struct if_addr *a, struct err *e)
{
	int r = check(a, e);

	if (r == 0)
		r = nl_request(nl, begin(nl, RTM_DELADDR, 0, a), e);
	return explain(r, "remove", a, e);
}

struct listing {
	uint8_t family;
	uint32_t ifindex;
	ifaddr_fn *fn;
	void *arg;
};

/* The kernel filters already, unless it is too old to do so strictly. */
static void on_addr(void *arg, uint16_t type, struct rd body)
{
	const struct listing *l = arg;
	struct if_addr a;

	if (type != RTM_NEWADDR || !parse_ifaddr(body, &a))
		return;
	if ((l->family && a.addr.family != l->family) || (l->ifindex && a.ifindex != l->ifindex))
		return;
	l->fn(l->arg, &a);
}

int ifaddr_dump(struct nl *nl, uint8_t family, uint32_t ifindex, ifaddr_fn *fn, void *arg, struct err *e)
{
	struct ifaddrmsg h = { .ifa_family = family, .ifa_index = ifindex };
	struct listing l = { family, ifindex, fn, arg };
	int r = nl_query(nl, nl_msg(nl, RTM_GETADDR, NLM_F_DUMP, &h, sizeof(h)), on_addr, &l, e);

	if (r < 0)
		err_in(e, "list addresses");
	return r;
}

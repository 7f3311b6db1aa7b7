/* Building rtnetlink requests with libmnl, with a bound that is checked on every step. */
#include "kern/msg.h"

#include "base/check.h"

void msg_put(struct nlmsghdr *m, uint16_t type, const void *p, size_t n)
{
	CHECK(mnl_attr_put_check(m, NL_MSG_MAX, type, n, p));
}

void msg_put_u32(struct nlmsghdr *m, uint16_t type, uint32_t v)
{
	msg_put(m, type, &v, sizeof(v));
}

void msg_put_str(struct nlmsghdr *m, uint16_t type, const char *s)
{
	msg_put(m, type, s, strlen(s) + 1);
}

void msg_put_addr(struct nlmsghdr *m, uint16_t type, const struct addr *a)
{
	msg_put(m, type, a->b, addr_size(a->family));
}

void msg_put_via(struct nlmsghdr *m, uint16_t type, const struct addr *a)
{
	uint8_t via[2 + 16];
	uint16_t family = a->family;

	memcpy(via, &family, sizeof(family));
	memcpy(via + 2, a->b, addr_size(a->family));
	msg_put(m, type, via, 2 + addr_size(a->family));
}

void *msg_put_header(struct nlmsghdr *m, size_t n)
{
	CHECK(m->nlmsg_len + MNL_ALIGN(n) <= NL_MSG_MAX);
	return mnl_nlmsg_put_extra_header(m, n);
}

struct nlattr *msg_nest(struct nlmsghdr *m, uint16_t type)
{
	struct nlattr *nest = mnl_attr_nest_start_check(m, NL_MSG_MAX, type);

	CHECK(nest);
	return nest;
}

void msg_nest_end(struct nlmsghdr *m, struct nlattr *nest)
{
	mnl_attr_nest_end(m, nest);
}

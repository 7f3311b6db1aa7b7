/* Interfaces, their addresses and their neighbours, on the real kernel. */
#include "place.h"

#include "kern/addr.h"
#include "kern/neigh.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

static struct mac mac(const char *s)
{
	struct mac m;

	assert_true(mac_parse(s, &m));
	return m;
}

static struct link get(struct nl *nl, const char *name)
{
	struct link l = { 0 };

	OK(link_get(nl, name, &l, &e));
	return l;
}

/* The host end here and up, the peer born in the pod's namespace, all in one request. */
static void test_veth_into_pod(void **state)
{
	struct place *p = *state;
	char name[64], cmd[128];
	struct nl *pod;

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-g%d", getpid());
	OK(netns_add(name, &e));
	own_fd int ns = netns_open_name(name, NULL);
	struct link_veth v = { .name = "cali459253b413d",
			       .peer_name = "eth0",
			       .ns_fd = -1,
			       .peer_ns_fd = ns,
			       .mtu = 1440,
			       .queues = 3,
			       .mac = mac("ee:ee:ee:ee:ee:ee"),
			       .peer_mac = mac("02:00:00:00:00:07"),
			       .up = true };
	OK(link_add_veth(p->nl, &v, &e));
	assert_int_equal(link_add_veth(p->nl, &v, NULL), -EEXIST);
	OK(nl_adopt(nl_socket_in(ns, NULL), &pod, &e));
	struct link host = get(p->nl, "cali459253b413d"), eth0 = get(pod, "eth0");
	assert_int_equal(host.mtu, 1440);
	assert_int_equal(eth0.mtu, 1440);
	assert_true(host.flags & IFF_UP);
	assert_false(eth0.flags & IFF_UP);
	assert_memory_equal(&host.mac, &v.mac, sizeof(v.mac));
	assert_memory_equal(&eth0.mac, &v.peer_mac, sizeof(v.mac));
	assert_string_equal(host.kind, "veth");
	assert_int_equal(host.peer, eth0.ifindex);
	assert_int_equal(eth0.peer, host.ifindex);
	assert_true(host.peer_nsid >= 0);
	snprintf(cmd, sizeof(cmd), "ip -n %s -d link show eth0", name);
	own_mem char *out = place_run(cmd);
	assert_non_null(strstr(out, "numtxqueues 3 "));
	assert_non_null(strstr(out, "numrxqueues 3 "));
	snprintf(cmd, sizeof(cmd), "ip -d link show %s", v.name);
	own_mem char *out2 = place_run(cmd);
	assert_non_null(strstr(out2, "numtxqueues 3 "));

	/* A taken name in the pod leaves nothing here either. */
	snprintf(v.name, sizeof(v.name), "cali2");
	assert_int_equal(link_add_veth(p->nl, &v, NULL), -EEXIST);
	assert_int_equal(link_get(p->nl, "cali2", &host, NULL), -ENODEV);

	/* Asked from inside the pod, with the host end elsewhere. */
	snprintf(v.peer_name, sizeof(v.peer_name), "eth1");
	v.ns_fd = p->ns;
	v.peer_ns_fd = -1;
	v.up = false;
	OK(link_add_veth(pod, &v, &e));
	assert_int_equal(get(p->nl, "cali2").peer, get(pod, "eth1").ifindex);
	assert_false(get(p->nl, "cali2").flags & IFF_UP);
	OK(link_del(pod, get(pod, "eth1").ifindex, &e));
	assert_int_equal(link_get(p->nl, "cali2", &host, NULL), -ENODEV);
	nl_free(pod);
	OK(netns_del(name, &e));
}

static void find_kv(void *arg, const struct link *l)
{
	unsigned *seen = arg;

	if (!strcmp(l->name, "lo"))
		*seen |= 1;
	if (!strcmp(l->name, "kv0") && !strcmp(l->kind, "veth") && l->peer && l->peer_nsid == -1)
		*seen |= 2;
	if (!strcmp(l->name, "kbr") && !strcmp(l->kind, "bridge") && !l->peer)
		*seen |= 4;
}

static void test_change(void **state)
{
	struct place *p = *state;
	char name[64];
	struct err err = { 0 };
	unsigned seen = 0;
	struct nl *other;
	struct link l;

	NEED_ROOT();
	place_veth(p, "kv0", "kv1");
	OK(link_add_bridge(p->nl, "kbr", &e));
	assert_int_equal(link_add_bridge(p->nl, "kbr", NULL), -EEXIST);
	OK(link_dump(p->nl, find_kv, &seen, &e));
	assert_int_equal(seen, 7);
	uint32_t i = place_index(p, "kv0");
	OK(link_set_mtu(p->nl, i, 1400, &e));
	struct mac m = mac("02:11:22:33:44:55");
	OK(link_set_mac(p->nl, i, &m, &e));
	OK(link_set_master(p->nl, i, place_index(p, "kbr"), &e));
	OK(link_get_index(p->nl, i, &l, &e));
	assert_int_equal(l.mtu, 1400);
	assert_memory_equal(&l.mac, &m, sizeof(m));
	assert_int_equal(l.master, place_index(p, "kbr"));
	OK(link_set_master(p->nl, i, 0, &e));
	OK(link_set_up(p->nl, i, false, &e));
	OK(link_set_name(p->nl, i, "kv0.renamed", &e));
	l = get(p->nl, "kv0.renamed");
	assert_int_equal(l.ifindex, i);
	assert_int_equal(l.master, 0);
	assert_false(l.flags & IFF_UP);

	assert_int_equal(link_set_mtu(p->nl, i, 1000000, &err), -EINVAL);
	char want[128];
	snprintf(want, sizeof(want),
		 "set the MTU of interface %u: Invalid argument (mtu greater than device maximum)", i);
	assert_string_equal(err.msg, want);
	assert_int_equal(link_set_up(p->nl, 999999, true, NULL), -ENODEV);
	assert_int_equal(link_set_up(p->nl, 0, true, NULL), -ENODEV);
	assert_int_equal(link_del(p->nl, 0, NULL), -ENODEV);
	assert_int_equal(link_del(p->nl, 999999, NULL), -ENODEV);
	assert_int_equal(link_get_index(p->nl, 0, &l, NULL), -ENODEV);
	assert_int_equal(link_get(p->nl, "", &l, NULL), -ENODEV);
	assert_int_equal(link_get(p->nl, "a-name-of-sixteen", &l, NULL), -EINVAL);
	assert_int_equal(link_add_bridge(p->nl, "a/b", NULL), -EINVAL);

	snprintf(name, sizeof(name), "korat-t-kern-h%d", getpid());
	OK(netns_add(name, &e));
	own_fd int ns = netns_open_name(name, NULL);
	OK(link_set_ns(p->nl, i, ns, &e));
	assert_int_equal(link_get(p->nl, "kv0.renamed", &l, NULL), -ENODEV);
	OK(nl_adopt(nl_socket_in(ns, NULL), &other, &e));
	assert_int_equal(get(other, "kv0.renamed").peer, place_index(p, "kv1"));
	nl_free(other);
	OK(netns_del(name, &e));
	OK(link_del(p->nl, place_index(p, "kbr"), &e));
}

struct addrs {
	struct if_addr v[16];
	size_t n;
};

static void collect(void *arg, const struct if_addr *a)
{
	struct addrs *l = arg;

	assert_true(l->n < ARRAY_SIZE(l->v));
	l->v[l->n++] = *a;
}

static void test_addresses(void **state)
{
	struct place *p = *state;
	struct addrs l = { .n = 0 };

	NEED_ROOT();
	place_veth(p, "ka0", "ka1");
	uint32_t i = place_index(p, "ka0");
	struct if_addr a = { .ifindex = i,
			     .len = 24,
			     .scope = RT_SCOPE_LINK,
			     .flags = IFA_F_NOPREFIXROUTE,
			     .label = "ka0:1" };
	assert_true(addr_parse("10.2.0.5", &a.addr) && addr_parse("10.2.0.255", &a.broadcast));
	OK(ifaddr_replace(p->nl, &a, &e));
	OK(ifaddr_replace(p->nl, &a, &e));
	struct if_addr b = { .ifindex = i, .len = 64, .flags = IFA_F_NODAD };
	assert_true(addr_parse("fd00::5", &b.addr));
	OK(ifaddr_replace(p->nl, &b, &e));
	OK(ifaddr_dump(p->nl, AF_INET, i, collect, &l, &e));
	assert_int_equal(l.n, 1);
	assert_true(addr_eq(&l.v[0].addr, &a.addr) && addr_eq(&l.v[0].broadcast, &a.broadcast));
	assert_int_equal(l.v[0].len, 24);
	assert_int_equal(l.v[0].scope, RT_SCOPE_LINK);
	assert_int_equal(l.v[0].flags, IFA_F_NOPREFIXROUTE | IFA_F_PERMANENT);
	assert_string_equal(l.v[0].label, "ka0:1");
	own_mem char *routes = place_run("ip route show dev ka0");
	assert_string_equal(routes, "");
	l.n = 0;
	OK(ifaddr_dump(p->nl, AF_INET6, i, collect, &l, &e));
	assert_int_equal(l.n, 2); /* and the link-local one */
	l.n = 0;
	OK(ifaddr_dump(p->nl, 0, 0, collect, &l, &e));
	assert_true(l.n >= 4);
	OK(ifaddr_del(p->nl, &a, &e));
	assert_int_equal(ifaddr_del(p->nl, &a, NULL), -EADDRNOTAVAIL);
	OK(ifaddr_del(p->nl, &b, &e));
	assert_int_equal(ifaddr_del(p->nl, &b, NULL), -EADDRNOTAVAIL);
	a.len = 33;
	assert_int_equal(ifaddr_replace(p->nl, &a, NULL), -EINVAL);

	/* On a point-to-point address, ours is ours. */
	place_do("ip addr add 10.3.0.1 peer 10.3.0.2 dev ka0");
	l.n = 0;
	OK(ifaddr_dump(p->nl, AF_INET, i, collect, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(addr_to_v4(&l.v[0].addr), 0x0a030001);
}

struct neighs {
	struct neigh v[16];
	size_t n;
};

static void gather(void *arg, const struct neigh *n)
{
	struct neighs *l = arg;

	assert_true(l->n < ARRAY_SIZE(l->v));
	l->v[l->n++] = *n;
}

static void test_neighbours(void **state)
{
	struct place *p = *state;
	struct neighs l = { .n = 0 };

	NEED_ROOT();
	place_veth(p, "kn0", "kn1");
	place_veth(p, "kn2", "kn3");
	struct neigh n = { .ifindex = place_index(p, "kn0"),
			   .has_mac = true,
			   .mac = mac("00:50:56:95:58:0c"),
			   .state = NUD_PERMANENT };
	assert_true(addr_parse("169.254.1.1", &n.addr));
	OK(neigh_replace(p->nl, &n, &e));
	n.ifindex = place_index(p, "kn2");
	n.state = NUD_STALE;
	OK(neigh_replace(p->nl, &n, &e));
	struct neigh n6 = n;
	assert_true(addr_parse("fd00::9", &n6.addr));
	OK(neigh_replace(p->nl, &n6, &e));
	struct neigh proxy = { .ifindex = n.ifindex, .flags = NTF_PROXY };
	assert_true(addr_parse("10.9.9.9", &proxy.addr));
	OK(neigh_replace(p->nl, &proxy, &e));
	OK(neigh_dump(p->nl, AF_INET, 0, gather, &l, &e));
	assert_int_equal(l.n, 2);
	l.n = 0;
	OK(neigh_dump(p->nl, AF_INET, n.ifindex, gather, &l, &e));
	assert_int_equal(l.n, 1);
	assert_true(l.v[0].has_mac && addr_eq(&l.v[0].addr, &n.addr));
	assert_memory_equal(&l.v[0].mac, &n.mac, sizeof(n.mac));
	assert_string_equal(neigh_state_name(l.v[0].state), "STALE");
	n.mac = mac("00:50:56:95:8d:20");
	n.state = NUD_REACHABLE;
	OK(neigh_replace(p->nl, &n, &e));
	own_mem char *out = place_run("ip neigh show dev kn2 169.254.1.1");
	assert_string_equal(out, "169.254.1.1 lladdr 00:50:56:95:8d:20 REACHABLE\n");
	OK(neigh_del(p->nl, &proxy, &e));
	OK(neigh_del(p->nl, &n6, &e));
	n = (struct neigh){ .ifindex = n.ifindex };
	assert_int_equal(neigh_replace(p->nl, &n, NULL), -EINVAL);
	assert_string_equal(neigh_state_name(0), "NONE");
	assert_string_equal(neigh_state_name(NUD_FAILED), "FAILED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_veth_into_pod),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_neighbours),
	};

	return cmocka_run_group_tests(tests, place_enter, place_leave);
}

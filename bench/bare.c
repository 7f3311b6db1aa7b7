/*
 * bare: what no plugin can save. A CNI plugin without a datastore, address management, checks or an agent:
 * for ADD it makes the same kernel objects as Korat does (veth pair, the host's settings, the pod's address
 * and two routes, the host's route), for DEL it deletes the pair. The pod's address is 10.79.0.0 plus the
 * number at the end of CNI_CONTAINERID. Its time is process start and the kernel's work.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buf[8192];

static struct nlmsghdr *request(uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return h;
}

static void send_one(struct mnl_socket *nl, struct nlmsghdr *h, const char *what)
{
	char back[8192];
	ssize_t n;

	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(nl, back, sizeof(back))) < 0 ||
	    mnl_cb_run(back, (size_t)n, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		err(1, "%s", what);
}

static struct mnl_socket *open_nl(void)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		err(1, "netlink");
	return nl;
}

static void make_pair(struct mnl_socket *nl, const char *host, int ns)
{
	static const unsigned char mac[6] = { 0xee, 0xee, 0xee, 0xee, 0xee, 0xee };
	struct nlmsghdr *h = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, host);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(h, IFLA_MTU, 1500);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, "eth0");
	mnl_attr_put_u32(h, IFLA_MTU, 1500);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)ns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	send_one(nl, h, "make the pair");
}

static void set_up(struct mnl_socket *nl, unsigned index)
{
	struct nlmsghdr *h = request(RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_index = (int)index;
	m->ifi_flags = m->ifi_change = IFF_UP;
	send_one(nl, h, "set up");
}

static void add_address(struct mnl_socket *nl, unsigned index, uint32_t addr)
{
	struct nlmsghdr *h = request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	*m = (struct ifaddrmsg){ .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = index };
	mnl_attr_put_u32(h, IFA_LOCAL, addr);
	mnl_attr_put_u32(h, IFA_ADDRESS, addr);
	mnl_attr_put_u32(h, IFA_BROADCAST, addr);
	send_one(nl, h, "add the address");
}

static void add_route(struct mnl_socket *nl, unsigned index, uint32_t dst, unsigned char len, uint32_t via)
{
	struct nlmsghdr *h = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	*m = (struct rtmsg){ .rtm_family = AF_INET,
			     .rtm_dst_len = len,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_BOOT,
			     .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			     .rtm_type = RTN_UNICAST };
	if (len)
		mnl_attr_put_u32(h, RTA_DST, dst);
	if (via)
		mnl_attr_put_u32(h, RTA_GATEWAY, via);
	mnl_attr_put_u32(h, RTA_OIF, index);
	send_one(nl, h, "add a route");
}

static void write_setting(const char *form, const char *ifname, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), form, ifname);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, 1) != 1)
		warn("%s", path);
	close(fd);
}

static void add(const char *host, int ns, uint32_t addr)
{
	uint32_t gw = inet_addr("169.254.1.1");
	struct mnl_socket *nl = open_nl();

	make_pair(nl, host, ns);
	write_setting("/proc/sys/net/ipv4/conf/%s/route_localnet", host, "1");
	write_setting("/proc/sys/net/ipv4/neigh/%s/proxy_delay", host, "0");
	write_setting("/proc/sys/net/ipv4/conf/%s/proxy_arp", host, "1");
	write_setting("/proc/sys/net/ipv4/conf/%s/forwarding", host, "1");
	write_setting("/proc/sys/net/ipv6/conf/%s/accept_ra", host, "0");
	write_setting("/proc/sys/net/ipv6/conf/%s/accept_dad", host, "0");
	unsigned index = if_nametoindex(host);
	set_up(nl, index);
	add_route(nl, index, addr, 32, 0);
	if (setns(ns, CLONE_NEWNET) < 0)
		err(1, "enter the pod");
	struct mnl_socket *pod = open_nl();
	index = if_nametoindex("eth0");
	set_up(pod, index);
	add_route(pod, index, gw, 32, 0);
	add_route(pod, index, 0, 0, gw);
	add_address(pod, index, addr);
}

static void del(const char *host)
{
	struct mnl_socket *nl = open_nl();
	struct nlmsghdr *h = request(RTM_DELLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_index = (int)if_nametoindex(host);
	send_one(nl, h, "delete the pair");
}

int main(void)
{
	const char *id = getenv("CNI_CONTAINERID"), *netns = getenv("CNI_NETNS"),
		   *verb = getenv("CNI_COMMAND");
	char host[IFNAMSIZ], conf[4096];
	ssize_t n = read(STDIN_FILENO, conf, sizeof(conf));

	if (n < 0 || !id || !netns || !verb || strlen(id) < 6)
		errx(1, "this is a CNI plugin: it takes its orders from the environment");
	unsigned long number = strtoul(id + strlen(id) - 6, NULL, 10);
	snprintf(host, sizeof(host), "bare%lu", number);
	if (!strcmp(verb, "DEL")) {
		del(host);
		return 0;
	}
	int ns = open(netns, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		err(1, "open %s", netns);
	add(host, ns, htonl(0x0a4f0000 + (uint32_t)number));
	printf("{}\n");
	return 0;
}

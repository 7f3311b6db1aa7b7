/*
 * The result of ADD (CNI specification 0.3.0, 0.3.1, 0.4.0 and 1.0.0, section "Result"; the choice of members
 * follows Calico): the host's interface, the pod's, an address each with no gateway, and the block as a
 * route.
 */
#include "cni/result.h"

#include "base/check.h"

#include <string.h>

static int nonsense(const char *what, struct fault *f)
{
	return fault_set(
		f, FAULT_PLUGIN,
		"the agent's answer has no usable \"%s\"; are koratd and korat-cni of the same version?",
		what);
}

/* IPv4 goes before IPv6, each family in the agent's order. */
static int parse_addresses(const json_t *list, struct result *r)
{
	struct addr addr;
	size_t i;
	json_t *v;

	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > RESULT_ADDRESSES_MAX)
		return -1;
	for (int v6 = 0; v6 < 2; v6++)
		json_array_foreach(list, i, v)
		{
			const char *s = json_string_value(v);
			if (!s || !addr_parse_cidr(s, &addr, NULL))
				return -1;
			if (v6 != (addr.family == AF_INET6))
				continue;
			r->v6[r->naddrs] = v6;
			r->addrs[r->naddrs++] = s;
		}
	return 0;
}

static int parse_routes(const json_t *list, struct result *r)
{
	struct addr addr;
	size_t i;
	json_t *v;

	if (list && (!json_is_array(list) || json_array_size(list) > RESULT_ADDRESSES_MAX))
		return -1;
	json_array_foreach(list, i, v)
	{
		const char *dst = json_string_value(json_object_get(v, "dst"));
		if (!dst || !addr_parse_cidr(dst, &addr, NULL))
			return -1;
		r->routes[r->nroutes++] = dst;
	}
	return 0;
}

static int parse_sysctls(const json_t *list, struct result *r)
{
	size_t i;
	json_t *v;

	if (list && (!json_is_array(list) || json_array_size(list) > RESULT_SYSCTLS_MAX))
		return -1;
	json_array_foreach(list, i, v)
	{
		const char *name = json_string_value(json_array_get(v, 0));
		const char *value = json_string_value(json_array_get(v, 1));
		if (!name || !value || json_array_size(v) != 2)
			return -1;
		r->sysctls[r->nsysctls].name = name;
		r->sysctls[r->nsysctls++].value = value;
	}
	return 0;
}

int result_parse(const json_t *answer, struct result *ret, struct fault *f)
{
	struct result r = { .host_ifname = json_string_value(json_object_get(answer, "hostInterface")),
			    .mac = json_string_value(json_object_get(answer, "mac")) };
	const json_t *mtu = json_object_get(answer, "mtu");
	struct mac mac;

	if (!r.host_ifname || !*r.host_ifname || strlen(r.host_ifname) >= IFNAMSIZ)
		return nonsense("hostInterface", f);
	if (!r.mac || !mac_parse(r.mac, &mac))
		return nonsense("mac", f);
	if (mtu &&
	    (!json_is_integer(mtu) || json_integer_value(mtu) < 0 || json_integer_value(mtu) > INT32_MAX))
		return nonsense("mtu", f);
	r.mtu = (uint32_t)json_integer_value(mtu);
	if (parse_addresses(json_object_get(answer, "addresses"), &r) < 0)
		return nonsense("addresses", f);
	if (parse_routes(json_object_get(answer, "routes"), &r) < 0)
		return nonsense("routes", f);
	if (parse_sysctls(json_object_get(answer, "sysctls"), &r) < 0)
		return nonsense("sysctls", f);
	*ret = r;
	return 0;
}

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static json_t *interfaces(const struct result *r, const struct args *a, const struct version *v)
{
	json_t *host = json_object(), *pod = json_object(), *list = json_array();

	put(host, "name", json_string(r->host_ifname));
	if (v->old_result)
		put(pod, "name", json_string(a->ifname));
	put(pod, "mac", json_string(r->mac));
	if (!v->old_result && r->mtu)
		put(pod, "mtu", json_integer(r->mtu));
	if (!v->old_result)
		put(pod, "name", json_string(a->ifname));
	put(pod, "sandbox", json_string(a->netns));
	json_array_append_new(list, host);
	json_array_append_new(list, pod);
	return list;
}

static json_t *addresses(const struct result *r, const struct version *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->naddrs; i++) {
		json_t *ip = json_object();
		if (v->old_result) {
			put(ip, "version", json_string(r->v6[i] ? "6" : "4"));
			put(ip, "interface", json_integer(1));
			put(ip, "address", json_string(r->addrs[i]));
		} else {
			put(ip, "address", json_string(r->addrs[i]));
			put(ip, "interface", json_integer(1));
		}
		json_array_append_new(list, ip);
	}
	return list;
}

static json_t *routes(const struct result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nroutes; i++) {
		json_t *route = json_object();
		put(route, "dst", json_string(r->routes[i]));
		json_array_append_new(list, route);
	}
	return list;
}

char *result_format(const struct result *r, const struct args *a, const struct version *v)
{
	json_t *root = json_object();

	put(root, "cniVersion", json_string(v->text));
	put(root, "interfaces", interfaces(r, a, v));
	put(root, "ips", addresses(r, v));
	if (r->nroutes)
		put(root, "routes", routes(r));
	if (v->old_result)
		put(root, "dns", json_object());
	char *text = json_dumps(root, JSON_INDENT(4));
	CHECK(text);
	json_decref(root);
	return text;
}

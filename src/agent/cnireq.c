/* The runtime's parameters, checked once more: the plugin is not trusted to have done it. */
#include "agent/cnireq.h"

#include "base/check.h"

#include <ctype.h>
#include <stdio.h>

/* The CNI specification's grammar for container ids and network names: alphanumeric first, then also "_.-".
 */
static bool id_ok(const char *s)
{
	if (!isalnum((unsigned char)s[0]))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != '.' && *s != '-')
			return false;
	return true;
}

static bool ifname_ok(const char *s)
{
	if (!s[0] || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if (*s == '/' || *s == ':' || *s == '%' || isspace((unsigned char)*s) ||
		    iscntrl((unsigned char)*s))
			return false;
	return true;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool copy(char *dst, size_t cap, const char *src)
{
	return (size_t)snprintf(dst, cap, "%s", src) < cap;
}

static int decode_identity(const json_t *params, struct cnireq *r, int *code, struct err *e)
{
	*code = CNI_BAD_ENV;
	if (!copy(r->container_id, sizeof(r->container_id), text(params, "containerID")) ||
	    !id_ok(r->container_id))
		return err_set(e, EINVAL,
			       "the container id is missing or has characters other than letters, digits, "
			       "\"_\", \".\" and \"-\"");
	if (!copy(r->ifname, sizeof(r->ifname), text(params, "ifname")) || !ifname_ok(r->ifname))
		return err_set(e, EINVAL,
			       "the interface name is missing, longer than %d characters or has \"/\", "
			       "\":\", \"%%\" or spaces",
			       IFNAMSIZ - 1);
	*code = CNI_BAD_CONFIG;
	if (!copy(r->network, sizeof(r->network), text(params, "network")) || !id_ok(r->network))
		return err_set(e, EINVAL,
			       "the network name is missing or has characters other than letters, digits, "
			       "\"_\", \".\" and \"-\"");
	if (!copy(r->netns, sizeof(r->netns), text(params, "netns")))
		return err_set(e, EINVAL, "the path of the network namespace is longer than %zu characters",
			       sizeof(r->netns) - 1);
	snprintf(r->handle, sizeof(r->handle), "%s.%s", r->network, r->container_id);
	return 0;
}

/* Kubernetes pods are known by namespace and name; everything else by its container id. */
static int decode_wep(const json_t *args, const char *node, struct cnireq *r, int *code, struct err *e)
{
	struct wep *w = &r->wep;
	const char *pod = text(args, "K8S_POD_NAME"), *ns = text(args, "K8S_POD_NAMESPACE");
	bool k8s = pod[0] && ns[0];

	*code = CNI_BAD_ENV;
	snprintf(w->node, sizeof(w->node), "%s", node);
	snprintf(w->orchestrator, sizeof(w->orchestrator), "%s", k8s ? "k8s" : "cni");
	if (!copy(w->namespace, sizeof(w->namespace), k8s ? ns : "default") ||
	    (k8s && !copy(w->pod, sizeof(w->pod), pod)))
		return err_set(e, EINVAL, "K8S_POD_NAMESPACE or K8S_POD_NAME is too long");
	if (k8s && (!kind_name_ok(w->pod) || !kind_name_ok(w->namespace)))
		return err_set(e, EINVAL,
			       "K8S_POD_NAMESPACE and K8S_POD_NAME must be lower-case DNS names, as "
			       "Kubernetes makes them");
	snprintf(w->container_id, sizeof(w->container_id), "%s", r->container_id);
	snprintf(w->endpoint, sizeof(w->endpoint), "%s", r->ifname);
	snprintf(w->profile, sizeof(w->profile), "%s", r->network);
	snprintf(w->netns, sizeof(w->netns), "%s", r->netns);
	if (wep_name(w, w->name, e) < 0)
		return -e->code;
	wep_interface(w, w->interface);
	if ((size_t)snprintf(r->wep_key, sizeof(r->wep_key), "%s/%s", w->namespace, w->name) >=
	    sizeof(r->wep_key))
		return err_set(e, EINVAL, "the names of node, pod and interface together are too long");
	return 0;
}

static int decode_pools(const json_t *list, struct cnireq *r, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);
		if (!s || r->npools == CNIREQ_POOLS_MAX)
			return err_set(
				e, EINVAL,
				"ipam.ipv4_pools and ipam.ipv6_pools take at most %d pool names or CIDRs",
				CNIREQ_POOLS_MAX);
		if (!prefix_parse(s, &r->pools[r->npools]) &&
		    !copy(r->pool_names[r->npools], sizeof(r->pool_names[0]), s))
			return err_set(e, EINVAL, "ipam: a pool name is too long");
		r->npools++;
	}
	return 0;
}

static int decode_conf(const json_t *conf, struct cnireq *r, int *code, struct err *e)
{
	const json_t *ipam = json_object_get(conf, "ipam");
	json_int_t mtu = json_integer_value(json_object_get(conf, "mtu"));

	*code = CNI_BAD_CONFIG;
	r->v4 = strcmp(text(ipam, "assign_ipv4"), "false") != 0;
	r->v6 = !strcmp(text(ipam, "assign_ipv6"), "true");
	if (!r->v4 && !r->v6)
		return err_set(e, EINVAL,
			       "ipam.assign_ipv4 is \"false\" and ipam.assign_ipv6 is not \"true\": the pod "
			       "would have no address");
	if (mtu < 0 || mtu > 65535 || (mtu && mtu < 68))
		return err_set(e, EINVAL, "mtu is %lld: allowed are 68 to 65535, or 0 for the default",
			       (long long)mtu);
	r->mtu = (uint32_t)mtu;
	r->allow_ip_forwarding = json_is_true(
		json_object_get(json_object_get(conf, "container_settings"), "allow_ip_forwarding"));
	if (decode_pools(json_object_get(ipam, "ipv4_pools"), r, e) < 0)
		return -e->code;
	return decode_pools(json_object_get(ipam, "ipv6_pools"), r, e);
}

int cnireq_decode_id(const json_t *params, struct cnireq *ret, int *ret_code, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	return decode_identity(params, ret, ret_code, e);
}

int cnireq_decode(const json_t *params, const char *node, struct cnireq *ret, int *ret_code, struct err *e)
{
	const json_t *args = json_object_get(params, "args");
	const char *ip = text(args, "IP");

	if (cnireq_decode_id(params, ret, ret_code, e) < 0 || decode_wep(args, node, ret, ret_code, e) < 0 ||
	    decode_conf(json_object_get(params, "conf"), ret, ret_code, e) < 0)
		return -e->code;
	*ret_code = CNI_BAD_ENV;
	if (ip[0] && !addr_parse(ip, &ret->wanted))
		return err_set(e, EINVAL, "CNI_ARGS IP=%.60s is not an IPv4 or IPv6 address", ip);
	return 0;
}

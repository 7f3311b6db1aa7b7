/*
 * Node: one machine of the cluster. Its name is the machine's name for IPAM, BGP and pods alike; spec.bgp
 * holds the addresses that other nodes reach it at.
 */
#include "model/node.h"

#include "base/check.h"
#include "model/bgpconfig.h"
#include "model/fields.h"

#include <stdio.h>

static const char *const address_words[] = { "CalicoNodeIP", "InternalIP", "ExternalIP", NULL };

const struct kind_field node_fields[] = {
	{ "spec", "object", "How the node is reached.", "{}", .fill = true, .form = FORM_OBJECT },
	{ "spec.bgp", "object", "The node as a BGP speaker.", .form = FORM_OBJECT },
	{ "spec.bgp.asNumber", "AS number", "The node's AS; BGPConfiguration default's if absent.",
	  .form = FORM_ANY, .ok = asn_ok, .want = ASN_WANT },
	{ "spec.bgp.ipv4Address", "cidr", "IPv4 address and network of the node, \"10.0.0.1/24\".",
	  .form = FORM_CIDR, .family = AF_INET },
	{ "spec.bgp.ipv6Address", "cidr", "IPv6 address and network of the node.", .form = FORM_CIDR,
	  .family = AF_INET6 },
	{ "spec.bgp.ipv4IPIPTunnelAddr", "address", "Address of the IP-in-IP device.", .form = FORM_IP,
	  .family = AF_INET },
	{ "spec.bgp.routeReflectorClusterID", "IPv4 address",
	  "Makes the node a route reflector of this cluster.", .form = FORM_IP, .family = AF_INET },
	{ "spec.ipv4VXLANTunnelAddr", "address", "Address of the VXLAN device.", .form = FORM_IP,
	  .family = AF_INET },
	{ "spec.vxlanTunnelMACAddr", "MAC address", "MAC address of the VXLAN device.", .form = FORM_MAC },
	{ "spec.ipv6VXLANTunnelAddr", "address", "Address of the IPv6 VXLAN device.", .form = FORM_IP,
	  .family = AF_INET6 },
	{ "spec.vxlanTunnelMACAddrV6", "MAC address", "MAC address of the IPv6 VXLAN device.",
	  .form = FORM_MAC },
	{ "spec.orchRefs[]", "list of object", "The node's names in orchestrators.", .form = FORM_OBJECT },
	{ "spec.orchRefs[].nodeName", "string", "Its name there.", .form = FORM_STRING },
	{ "spec.orchRefs[].orchestrator", "string", "Which one: k8s.", .required = true,
	  .form = FORM_STRING },
	{ "spec.wireguard", "object", "Addresses of WireGuard devices.", .form = FORM_OBJECT },
	{ "spec.wireguard.interfaceIPv4Address", "address", "The IPv4 one.", .form = FORM_IP,
	  .family = AF_INET },
	{ "spec.wireguard.interfaceIPv6Address", "address", "The IPv6 one.", .form = FORM_IP,
	  .family = AF_INET6 },
	{ "spec.addresses[]", "list of object", "All addresses the node is known by.", .form = FORM_OBJECT },
	{ "spec.addresses[].address", "address or cidr", "The address.", .required = true, .form = FORM_NET },
	{ "spec.addresses[].type", "string", "CalicoNodeIP, InternalIP or ExternalIP.", .form = FORM_WORD,
	  .words = address_words },
	{ "spec.interfaces[]", "list of object", "Network interfaces and their addresses.",
	  .form = FORM_OBJECT },
	{ "spec.interfaces[].name", "string", "The interface.", .form = FORM_STRING, .max = 15 },
	{ "spec.interfaces[].addresses[]", "list of address", "Its addresses.", .form = FORM_NET },
	{ "status", "object", "What the node tells about itself.", "{}", .fill = true, .form = FORM_OBJECT },
	{ "status.wireguardPublicKey", "string", "Its WireGuard key.", .form = FORM_STRING },
	{ "status.wireguardPublicKeyV6", "string", "Its WireGuard key for IPv6.", .form = FORM_STRING },
	{ "status.podCIDRs[]", "list of cidr", "Pod networks that Kubernetes gave to the node.",
	  .form = FORM_CIDR },
	{ 0 },
};

/* Old documents may have the address without its network: then it is alone in it. */
static int decode_address(const json_t *doc, const char *path, uint8_t family, struct addr *ret,
			  struct prefix *ret_net, struct err *e)
{
	const char *s = fields_str(doc, path);
	struct prefix net;
	struct addr a;

	if (!*s)
		return 0;
	if (addr_parse(s, &a))
		net = prefix_host(&a);
	else if (!addr_parse_cidr(s, &a, &net))
		a.family = 0;
	if (a.family != family)
		return err_set(e, EINVAL, "%s: \"%.60s\" is not an %s address with its prefix length", path,
			       s, family == AF_INET ? "IPv4" : "IPv6");
	*ret = a;
	*ret_net = net;
	return 0;
}

int node_decode(const json_t *doc, struct node *ret, struct err *e)
{
	struct node n = { 0 };
	const json_t *asn = kind_get(doc, "spec.bgp.asNumber");
	const char *cluster = fields_str(doc, "spec.bgp.routeReflectorClusterID");
	struct addr id;

	snprintf(n.name, sizeof(n.name), "%s", fields_str(doc, "metadata.name"));
	int rc = decode_address(doc, "spec.bgp.ipv4Address", AF_INET, &n.ipv4, &n.net4, e);
	if (rc == 0)
		rc = decode_address(doc, "spec.bgp.ipv6Address", AF_INET6, &n.ipv6, &n.net6, e);
	if (rc < 0)
		return rc;
	n.has_asn = asn;
	if (asn && asn_decode(asn, &n.asn) < 0)
		return err_set(e, EINVAL, "spec.bgp.asNumber: it is not " ASN_WANT);
	if (*cluster) {
		if (!addr_parse(cluster, &id) || id.family != AF_INET)
			return err_set(e, EINVAL,
				       "spec.bgp.routeReflectorClusterID: \"%.60s\" is not an IPv4 address",
				       cluster);
		n.cluster_id = addr_to_v4(&id);
	}
	*ret = n;
	return 0;
}

/* An address that other machines can open a connection to. */
static int check_reachable(const json_t *doc, const char *path, char ret_field[static KIND_FIELD_MAX],
			   struct err *e)
{
	const char *s = fields_str(doc, path);
	struct addr a;

	if (!*s || !addr_parse_cidr(s, &a, NULL))
		return 0;
	if (addr_is_unspecified(&a) || addr_is_loopback(&a) || addr_is_multicast(&a))
		return field_err(ret_field, e, path, "\"%s\" is not an address that other nodes can reach",
				 s);
	return 0;
}

int node_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
	       struct err *e)
{
	int rc = fields_check(kind_info(KIND_NODE), doc, old, strict, ret_field, e);

	if (rc < 0)
		return rc;
	asn_canonical(kind_get(doc, "spec.bgp"));
	if (kind_get(doc, "spec.bgp") && !*fields_str(doc, "spec.bgp.ipv4Address") &&
	    !*fields_str(doc, "spec.bgp.ipv6Address"))
		return field_err(
			ret_field, e, "spec.bgp",
			"a node without address: give ipv4Address or ipv6Address with its prefix length, "
			"such as 10.0.0.1/24");
	rc = check_reachable(doc, "spec.bgp.ipv4Address", ret_field, e);
	return rc ? rc : check_reachable(doc, "spec.bgp.ipv6Address", ret_field, e);
}

static void encode_address(json_t *bgp, json_t *addresses, const char *key, const struct addr *a,
			   const struct prefix *net)
{
	char ip[ADDR_STR_MAX], text[PREFIX_STR_MAX];

	if (!addr_is_set(a))
		return;
	snprintf(text, sizeof(text), "%.47s/%u", addr_format(a, ip), net->len);
	json_object_set_new(bgp, key, json_string(text));
	json_array_append_new(addresses, json_pack("{s:s, s:s}", "address", text, "type", "CalicoNodeIP"));
}

json_t *node_encode(const struct node *n, const uint8_t uid[16], nsec_t wall)
{
	char ip[ADDR_STR_MAX];

	if (!addr_is_set(&n->ipv4) && !addr_is_set(&n->ipv6))
		return NULL;
	json_t *bgp = json_object(), *addresses = json_array();
	if (n->has_asn)
		json_object_set_new(bgp, "asNumber", json_integer(n->asn));
	encode_address(bgp, addresses, "ipv4Address", &n->ipv4, &n->net4);
	encode_address(bgp, addresses, "ipv6Address", &n->ipv6, &n->net6);
	if (n->cluster_id) {
		struct addr id = addr_v4(n->cluster_id);
		json_object_set_new(bgp, "routeReflectorClusterID", json_string(addr_format(&id, ip)));
	}
	json_t *doc = kind_envelope(kind_info(KIND_NODE), n->name, NULL, uid, wall);
	json_object_set_new(doc, "spec", json_pack("{s:o, s:o}", "bgp", bgp, "addresses", addresses));
	json_object_set_new(doc, "status", json_object());
	return doc;
}

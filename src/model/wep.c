/*
 * WorkloadEndpoint: one interface of one pod. Its name and its host interface are computed from who the pod
 * is, so that any program finds them without asking; that is why SHA-1 is here (a name, not a secret).
 */
#include "model/wep.h"

#include "base/check.h"
#include "base/str.h"
#include "model/fields.h"

#include <ctype.h>
#include <sha1.h>
#include <stdio.h>

#define LABEL_NAMESPACE	   "projectcalico.org/namespace"
#define LABEL_ORCHESTRATOR "projectcalico.org/orchestrator"
#define NOTE_NETNS	   "korat.io/netns"

/* ---- names ---- */

/* One part, its dashes doubled. */
static int add_part(struct str *b, const char *what, const char *part, struct err *e)
{
	size_t n = strlen(part);

	if (!n)
		return err_set(e, EINVAL, "endpoint name: the %s is empty", what);
	if (part[0] == '-' || part[n - 1] == '-')
		return err_set(e, EINVAL, "endpoint name: the %s \"%.100s\" begins or ends with \"-\"", what,
			       part);
	if (b->n)
		str_add(b, "-");
	for (; *part; part++)
		str_add(b, *part == '-' ? "--" : (char[]){ *part, '\0' });
	return 0;
}

/* The part that tells pods of one node apart. */
static int add_workload(struct str *b, const struct wep *w, struct err *e)
{
	if (strcmp(w->orchestrator, "cni") == 0)
		return add_part(b, "container id", w->container_id, e);
	if (strcmp(w->orchestrator, "libnetwork") == 0)
		return add_part(b, "workload", "libnetwork", e);
	return add_part(b, "pod", w->pod, e);
}

int wep_name(const struct wep *w, char ret[static KIND_NAME_MAX], struct err *e)
{
	own_str struct str b = { 0 };

	int rc = add_part(&b, "node", w->node, e);
	if (rc == 0)
		rc = add_part(&b, "orchestrator", w->orchestrator, e);
	if (rc == 0)
		rc = add_workload(&b, w, e);
	if (rc == 0)
		rc = add_part(&b, "endpoint", w->endpoint, e);
	if (rc < 0)
		return rc;
	/* Room for "<namespace>/" before it in the store name. */
	if (b.n >= KIND_NAME_MAX - sizeof(w->namespace))
		return err_set(e, EINVAL, "endpoint name: %zu bytes are too long", b.n);
	memcpy(ret, b.s, b.n + 1);
	return 0;
}

static void interface_name(const char *prefix, size_t n, const struct wep *w, char ret[static IFNAMSIZ])
{
	char text[sizeof(w->namespace) + sizeof(w->pod) + 1], hex[SHA1_DIGEST_STRING_LENGTH];

	if (strcmp(w->orchestrator, "k8s") != 0) {
		snprintf(ret, IFNAMSIZ, "cali%.11s", w->container_id);
		return;
	}
	int len = snprintf(text, sizeof(text), "%s.%s", w->namespace, w->pod);
	SHA1Data((const uint8_t *)text, (size_t)len, hex);
	snprintf(ret, IFNAMSIZ, "%.*s%.11s", (int)MIN(n, 14), prefix, hex);
}

void wep_interface(const struct wep *w, char ret[static IFNAMSIZ])
{
	interface_name("cali", 4, w, ret);
}

void wep_interface_prefixed(const char *prefixes, const struct wep *w, char ret[static IFNAMSIZ])
{
	interface_name(prefixes, strcspn(prefixes, ","), w, ret);
}

/* ---- the table ---- */

static bool interface_ok(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_.-", s[i]))
			return false;
	return n && n < IFNAMSIZ;
}

static bool container_ok(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-')
			return false;
	return n && s[0] != '-' && s[n - 1] != '-';
}

/* An address alone, as "10.0.0.1/32", "fd00::1/128" or without its length. */
static bool single(const char *s, struct addr *ret)
{
	struct prefix net;
	struct addr a;

	if (!s)
		return false;
	if (!addr_parse(s, &a)) {
		if (!addr_parse_cidr(s, &a, &net) || net.len != addr_bits(a.family))
			return false;
	}
	*ret = a;
	return true;
}

static bool single_ok(const json_t *v)
{
	struct addr a;

	return single(json_string_value(v), &a);
}

/* Parts of the endpoint's name, which is an object's name and a key; the orchestrator is a label's value too.
 */
static bool name_part_ok(const json_t *v)
{
	return json_is_string(v) && kind_name_ok(json_string_value(v));
}

#define IF_WANT	  "an interface name: 1..15 letters, digits and \"_.-\""
#define PART_WANT "a name: lower-case letters, digits, \"-\" and \".\""

static bool port_protocol_ok(const json_t *v)
{
	static const char *const words[] = { "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "UDPLite" };
	const char *s = json_string_value(v);

	if (json_is_integer(v))
		return json_integer_value(v) >= 0 && json_integer_value(v) <= 255;
	for (size_t i = 0; s && i < ARRAY_SIZE(words); i++)
		if (strcmp(s, words[i]) == 0)
			return true;
	return false;
}

#define QOS(name)                                                                             \
	{                                                                                     \
		"spec.qosControls." name, "integer", "A limit of traffic.", .form = FORM_INT, \
									    .max = INT64_MAX  \
	}

const struct kind_field wep_fields[] = {
	{ "spec", "object", "Who the pod is and how it is attached.", .required = true, .form = FORM_OBJECT },
	{ "spec.orchestrator", "string", "Who made the pod: k8s, cni, ...", .required = true,
	  .form = FORM_STRING, .max = 63, .ok = name_part_ok, .want = PART_WANT,
	  INTO(struct wep, orchestrator) },
	{ "spec.workload", "string", "The workload, for other orchestrators.", .form = FORM_STRING },
	{ "spec.node", "string", "The node it runs on.", .required = true, .form = FORM_STRING,
	  .ok = name_part_ok, .want = PART_WANT, INTO(struct wep, node) },
	{ "spec.containerID", "string", "The container that owns the interface.", .form = FORM_STRING,
	  .ok = container_ok, .want = "a container id: letters, digits and \"-\" inside",
	  INTO(struct wep, container_id) },
	{ "spec.pod", "string", "The pod.", .form = FORM_STRING, .ok = name_part_ok, .want = PART_WANT,
	  INTO(struct wep, pod) },
	{ "spec.endpoint", "string", "The interface's name inside the pod.", .required = true,
	  .form = FORM_STRING, .ok = interface_ok, .want = IF_WANT, INTO(struct wep, endpoint) },
	{ "spec.serviceAccountName", "string", "The pod's service account.", .form = FORM_STRING },
	{ "spec.ipNetworks[]", "list of address", "The pod's addresses, each alone (/32 or /128).",
	  .form = FORM_STRING, .ok = single_ok, .want = "a single address such as 10.0.0.1/32" },
	{ "spec.ipNATs[]", "list of object", "Further addresses translated to the pod's.",
	  .form = FORM_OBJECT },
	{ "spec.ipNATs[].internalIP", "address", "One of the pod's.", .required = true, .form = FORM_IP },
	{ "spec.ipNATs[].externalIP", "address", "The further one.", .required = true, .form = FORM_IP },
	{ "spec.ipv4Gateway", "address", "The pod's IPv4 gateway.", .form = FORM_IP, .family = AF_INET },
	{ "spec.ipv6Gateway", "address", "The pod's IPv6 gateway.", .form = FORM_IP, .family = AF_INET6 },
	{ "spec.profiles[]", "list of string", "Profiles whose rules apply.", .form = FORM_STRING },
	{ "spec.interfaceName", "string", "The interface on the host.", .form = FORM_STRING,
	  .ok = interface_ok, .want = IF_WANT, INTO(struct wep, interface) },
	{ "spec.mac", "MAC address", "The MAC address of the pod's end.", .form = FORM_MAC,
	  INTO(struct wep, mac) },
	{ "spec.ports[]", "list of object", "Named ports.", .form = FORM_OBJECT },
	{ "spec.ports[].name", "string", "The name.", .form = FORM_STRING },
	{ "spec.ports[].protocol", "protocol", "TCP, UDP, SCTP, ...", .required = true, .form = FORM_ANY,
	  .ok = port_protocol_ok, .want = "a protocol: TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or 0..255" },
	{ "spec.ports[].port", "integer", "The port.", .required = true, .form = FORM_INT, .min = 1,
	  .max = 65535 },
	{ "spec.ports[].hostPort", "integer", "The port on the host, 0 for none.", .form = FORM_INT,
	  .max = 65535 },
	{ "spec.ports[].hostIP", "string", "The host's address, empty for all.", .form = FORM_STRING },
	{ "spec.allowSpoofedSourcePrefixes[]", "list of cidr", "Further sources the pod may send from.",
	  .form = FORM_CIDR },
	{ "spec.qosControls", "object", "Limits of traffic.", .form = FORM_OBJECT },
	QOS("ingressBandwidth"),
	QOS("egressBandwidth"),
	QOS("ingressBurst"),
	QOS("egressBurst"),
	QOS("ingressPeakrate"),
	QOS("egressPeakrate"),
	QOS("ingressMinburst"),
	QOS("egressMinburst"),
	QOS("ingressPacketRate"),
	QOS("egressPacketRate"),
	QOS("ingressPacketBurst"),
	QOS("egressPacketBurst"),
	QOS("ingressMaxConnections"),
	QOS("egressMaxConnections"),
	{ "spec.qosControls.dscp", "integer or string", "DSCP of what leaves.", .form = FORM_ANY },
	{ 0 },
};

/* ---- decoding ---- */

static int decode_addrs(const json_t *doc, struct wep *w, struct err *e)
{
	json_t *list = kind_get(doc, "spec.ipNetworks"), *v;
	char shown[SHOW_MAX];
	size_t i;

	if (json_array_size(list) > WEP_ADDRS_MAX)
		return err_set(e, EINVAL,
			       "spec.ipNetworks: %zu addresses are too many: at most %d are allowed",
			       json_array_size(list), WEP_ADDRS_MAX);
	json_array_foreach(list, i, v)
	{
		if (!single(json_string_value(v), &w->addrs[i]))
			return err_set(e, EINVAL, "spec.ipNetworks[%zu]: %s is not a single address", i,
				       fields_show(v, shown));
		w->naddrs++;
	}
	return 0;
}

int wep_decode(const json_t *doc, struct wep *ret, struct err *e)
{
	struct wep w = { 0 };
	const json_t *notes = kind_get(doc, "metadata.annotations"),
		     *profile = json_array_get(kind_get(doc, "spec.profiles"), 0);
	const char *netns = json_string_value(json_object_get(notes, NOTE_NETNS)),
		   *first = json_string_value(profile);

	int rc = fields_decode(wep_fields, doc, &w, e);
	if (rc == 0)
		rc = decode_addrs(doc, &w, e);
	if (rc < 0)
		return rc;
	const char *ns = fields_str(doc, "metadata.namespace");
	snprintf(w.name, sizeof(w.name), "%s", fields_str(doc, "metadata.name"));
	snprintf(w.namespace, sizeof(w.namespace), "%s", *ns ? ns : "default");
	snprintf(w.profile, sizeof(w.profile), "%s", first ? first : "");
	snprintf(w.netns, sizeof(w.netns), "%s", netns ? netns : "");
	*ret = w;
	return 0;
}

/* ---- rules ---- */

static bool has_addr(const struct wep *w, const char *s)
{
	struct addr a;

	if (!addr_parse(s, &a))
		return false;
	for (size_t i = 0; i < w->naddrs; i++)
		if (addr_eq(&a, &w->addrs[i]))
			return true;
	return false;
}

static int check_nats(const json_t *doc, const struct wep *w, char ret_field[static KIND_FIELD_MAX],
		      struct err *e)
{
	char path[64];
	json_t *nat;
	size_t i;

	json_array_foreach(kind_get(doc, "spec.ipNATs"), i, nat)
	{
		snprintf(path, sizeof(path), "spec.ipNATs[%zu].internalIP", i);
		if (!has_addr(w, fields_str(nat, "internalIP")))
			return field_err(ret_field, e, path, "%.60s is not one of the pod's ipNetworks",
					 fields_str(nat, "internalIP"));
	}
	return 0;
}

/* The name must be what wep_name() says; a missing one is filled in. */
static int check_computed_name(json_t *doc, const struct wep *w, char ret_field[static KIND_FIELD_MAX],
			       struct err *e)
{
	char name[KIND_NAME_MAX];
	struct err why;

	if (wep_name(w, name, &why) < 0)
		return field_err(ret_field, e, "spec", "%.300s", why.msg);
	if (!*w->name)
		json_object_set_new(json_object_get(doc, "metadata"), "name", json_string(name));
	else if (strcmp(w->name, name) != 0)
		return field_err(ret_field, e, "metadata.name",
				 "\"%.150s\" is not the name that spec gives: %.200s", w->name, name);
	return 0;
}

static void put_text(json_t *obj, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(obj, key, json_string(text));
	else
		json_object_del(obj, key);
}

static json_t *child(json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key);

	if (!json_is_object(v)) {
		v = json_object();
		json_object_set_new(obj, key, v);
	}
	return v;
}

static void put_labels(json_t *doc, const struct wep *w)
{
	json_t *labels = child(child(doc, "metadata"), "labels");

	put_text(labels, LABEL_NAMESPACE, w->namespace);
	put_text(labels, LABEL_ORCHESTRATOR, w->orchestrator);
}

int wep_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
	      struct err *e)
{
	struct wep w;

	int rc = fields_check(kind_info(KIND_WEP), doc, old, strict, ret_field, e);
	if (rc == 0)
		rc = wep_decode(doc, &w, e);
	if (rc == 0)
		rc = check_computed_name(doc, &w, ret_field, e);
	if (rc == 0)
		rc = check_nats(doc, &w, ret_field, e);
	if (rc == 0) {
		put_text(child(doc, "metadata"), "namespace", w.namespace);
		put_labels(doc, &w);
	}
	return rc;
}

/* ---- encoding ---- */

static json_t *encode_addrs(const struct wep *w)
{
	char text[PREFIX_STR_MAX];
	json_t *list = json_array();

	for (size_t i = 0; i < w->naddrs; i++) {
		struct prefix p = prefix_host(&w->addrs[i]);
		json_array_append_new(list, json_string(prefix_format(&p, text)));
	}
	return list;
}

/* The first profile is the network's; what follows belongs to whoever added it. */
static void put_profile(json_t *spec, const struct wep *w)
{
	json_t *list = json_object_get(spec, "profiles");

	if (!*w->profile)
		return;
	if (json_array_size(list))
		json_array_set_new(list, 0, json_string(w->profile));
	else
		json_object_set_new(spec, "profiles", json_pack("[s]", w->profile));
}

json_t *wep_encode(const struct wep *w, const json_t *base, const uint8_t uid[16], nsec_t wall)
{
	static const struct mac no_mac;
	char mac[MAC_STR_MAX], name[KIND_NAME_MAX];
	const char *called = *w->name || wep_name(w, name, NULL) < 0 ? w->name : name;
	json_t *doc = base ? json_deep_copy(base)
			   : kind_envelope(kind_info(KIND_WEP), called, w->namespace, uid, wall);
	json_t *meta = child(doc, "metadata");

	put_labels(doc, w);
	if (*w->netns || json_object_get(meta, "annotations"))
		put_text(child(meta, "annotations"), NOTE_NETNS, w->netns);
	json_t *spec = child(doc, "spec");
	put_text(spec, "orchestrator", w->orchestrator);
	put_text(spec, "node", w->node);
	put_text(spec, "containerID", w->container_id);
	put_text(spec, "pod", w->pod);
	put_text(spec, "endpoint", w->endpoint);
	if (w->naddrs)
		json_object_set_new(spec, "ipNetworks", encode_addrs(w));
	else
		json_object_del(spec, "ipNetworks");
	put_profile(spec, w);
	put_text(spec, "interfaceName", w->interface);
	put_text(spec, "mac", memcmp(&w->mac, &no_mac, sizeof(no_mac)) ? mac_format(&w->mac, mac) : "");
	return doc;
}

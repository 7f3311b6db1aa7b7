/*
 * BGPConfiguration: "default" for the cluster, "node.<name>" for what one node does otherwise. Also the forms
 * of AS numbers (RFC 5396: plain and dotted).
 */
#include "model/bgpconfig.h"

#include "base/check.h"
#include "model/fields.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- values ---- */

static bool number(const char **s, uint64_t max, uint64_t *ret)
{
	const char *p = *s;
	uint64_t n = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > max)
			return false;
	}
	*s = p;
	*ret = n;
	return true;
}

static bool asn_text(const char *s, uint64_t *ret)
{
	uint64_t high, low;
	const char *p = s;

	if (number(&p, UINT32_MAX, ret) && !*p)
		return true;
	p = s;
	if (!number(&p, UINT16_MAX, &high) || *p++ != '.' || !number(&p, UINT16_MAX, &low) || *p)
		return false;
	*ret = high << 16 | low;
	return true;
}

int asn_decode(const json_t *v, uint32_t *ret)
{
	uint64_t n = 0;

	if (json_is_integer(v)) {
		if (json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX)
			return -EINVAL;
		n = (uint64_t)json_integer_value(v);
	} else if (!json_is_string(v) || !asn_text(json_string_value(v), &n)) {
		return -EINVAL;
	}
	if (n == 0) /* RFC 7607: no speaker may have AS 0 */
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

bool asn_ok(const json_t *v)
{
	uint32_t asn;

	return asn_decode(v, &asn) == 0;
}

void asn_canonical(json_t *obj)
{
	uint32_t asn;

	if (asn_decode(json_object_get(obj, "asNumber"), &asn) == 0)
		json_object_set_new(obj, "asNumber", json_integer(asn));
}

/* "120s", "2m", "1h30m", "1.5s": what Go prints for a duration. Whole seconds, rounded up. */
static bool duration_seconds(const char *s, uint32_t *ret)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {
		{ "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }
	};
	double total = 0;

	if (strcmp(s, "0") == 0) {
		*ret = 0;
		return true;
	}
	if (!*s)
		return false;
	while (*s) {
		char *end;
		size_t u = 0;
		if ((*s < '0' || *s > '9') && *s != '.')
			return false;
		double n = strtod(s, &end);
		if (strspn(s, "0123456789.") != (size_t)(end - s))
			return false;
		while (u < ARRAY_SIZE(units) && strncmp(end, units[u].unit, strlen(units[u].unit)) != 0)
			u++;
		if (u == ARRAY_SIZE(units))
			return false;
		total += n * units[u].seconds;
		s = end + strlen(units[u].unit);
	}
	if (total > UINT32_MAX)
		return false;
	*ret = (uint32_t)total;
	if (*ret < total)
		++*ret;
	return true;
}

static bool duration_ok(const json_t *v)
{
	uint32_t seconds;

	return json_is_string(v) && duration_seconds(json_string_value(v), &seconds);
}

/* "aa:nn" of 16-bit parts (RFC 1997) or "aa:nn:mm" of 32-bit parts (RFC 8092). */
static bool community_ok(const json_t *v)
{
	const char *s = json_string_value(v);
	uint64_t part[3];
	size_t n = 0;

	if (!s)
		return false;
	for (;;) {
		if (n == 3 || !number(&s, UINT32_MAX, &part[n++]))
			return false;
		if (!*s)
			break;
		if (*s++ != ':')
			return false;
	}
	return n == 3 || (n == 2 && part[0] <= UINT16_MAX && part[1] <= UINT16_MAX);
}

static bool ifname_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("_.*-", c);
}

static bool ifpattern_ok(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if (!ifname_char(s[i]))
			return false;
	return n && n <= 15 && strcmp(s, "*") != 0;
}

/* ---- the table ---- */

static const char *const severity_words[] = { "Debug", "Info", "Warning", "Error", "Fatal", NULL };
static const char *const enabled_words[] = { "Enabled", "Disabled", NULL };
static const char *const bind_words[] = { "None", "NodeIP", NULL };
static const char *const program_words[] = { "Disabled", "EnabledNoEncapOnly", "EnabledIPIPOnly", "Enabled",
					     NULL };

#define PRIORITY_MAX 2147483646

const struct kind_field bgpconfig_fields[] = {
	{ "spec", "object", "How BGP runs.", "{}", .fill = true, .form = FORM_OBJECT },
	{ "spec.logSeverityScreen", "string", "What is logged.", "Info", .form = FORM_WORD,
	  .words = severity_words },
	{ "spec.nodeToNodeMeshEnabled", "boolean", "Whether every node peers with every other.", "true",
	  .form = FORM_BOOL, INTO(struct bgpconfig, mesh) },
	{ "spec.asNumber", "AS number", "The AS of nodes that have none of their own.", "64512",
	  .form = FORM_ANY, .ok = asn_ok, .want = ASN_WANT },
	{ "spec.serviceLoadBalancerIPs[]", "list of object",
	  "Networks of LoadBalancer addresses to announce.", .form = FORM_OBJECT },
	{ "spec.serviceLoadBalancerIPs[].cidr", "cidr", "The network.", .required = true, .form = FORM_CIDR },
	{ "spec.serviceExternalIPs[]", "list of object", "Networks of external addresses to announce.",
	  .form = FORM_OBJECT },
	{ "spec.serviceExternalIPs[].cidr", "cidr", "The network.", .required = true, .form = FORM_CIDR },
	{ "spec.serviceClusterIPs[]", "list of object", "Networks of cluster addresses to announce.",
	  .form = FORM_OBJECT },
	{ "spec.serviceClusterIPs[].cidr", "cidr", "The network.", .required = true, .form = FORM_CIDR },
	{ "spec.serviceLoadBalancerAggregation", "string", "Whether such networks are announced whole.",
	  "Enabled", .form = FORM_WORD, .words = enabled_words },
	{ "spec.communities[]", "list of object", "Names for communities.", .form = FORM_OBJECT },
	{ "spec.communities[].name", "string", "The name.", .required = true, .form = FORM_STRING },
	{ "spec.communities[].value", "string", "The community, \"aa:nn\" or \"aa:nn:mm\".", .required = true,
	  .form = FORM_STRING, .ok = community_ok,
	  .want = "a community: aa:nn of 16-bit numbers or aa:nn:mm" },
	{ "spec.prefixAdvertisements[]", "list of object", "Communities added to what is announced.",
	  .form = FORM_OBJECT },
	{ "spec.prefixAdvertisements[].cidr", "cidr", "To which prefixes.", .required = true,
	  .form = FORM_CIDR },
	{ "spec.prefixAdvertisements[].communities[]", "list of string", "Communities, by value or name.",
	  .form = FORM_STRING },
	{ "spec.listenPort", "integer", "The TCP port BGP listens on.", "179", .form = FORM_INT, .min = 1,
	  .max = 65535, INTO(struct bgpconfig, port) },
	{ "spec.nodeMeshPassword", "object", "The TCP MD5 key of the mesh.", .form = FORM_OBJECT },
	{ "spec.nodeMeshPassword.secretKeyRef", "object", "Which secret holds it.", .form = FORM_OBJECT },
	{ "spec.nodeMeshPassword.secretKeyRef.name", "string", "The secret.", .form = FORM_STRING },
	{ "spec.nodeMeshPassword.secretKeyRef.key", "string", "Its key.", .required = true,
	  .form = FORM_STRING },
	{ "spec.nodeMeshPassword.secretKeyRef.optional", "boolean", "Whether it may be missing.",
	  .form = FORM_BOOL },
	{ "spec.nodeMeshMaxRestartTime", "duration", "For how long routes of a restarting node are kept.",
	  "120s", .form = FORM_STRING, .ok = duration_ok, .want = "a duration such as \"120s\" or \"2m\"" },
	{ "spec.bindMode", "string", "NodeIP: listen on the node's own addresses only.", "None",
	  .form = FORM_WORD, .words = bind_words, INTO(struct bgpconfig, bind_node_ip) },
	{ "spec.ignoredInterfaces[]", "list of string", "Interfaces whose addresses are not announced.",
	  .form = FORM_STRING, .ok = ifpattern_ok,
	  .want = "an interface name or pattern: 1..15 letters, digits and \"_.*-\", not just \"*\"" },
	{ "spec.localWorkloadPeeringIPV4", "address", "Where pods peer with their node.", .form = FORM_IP,
	  .family = AF_INET },
	{ "spec.localWorkloadPeeringIPV6", "address", "Where pods peer with their node.", .form = FORM_IP,
	  .family = AF_INET6 },
	{ "spec.programClusterRoutes", "string", "Which pools' routes BGP puts into the kernel.",
	  "EnabledNoEncapOnly", .form = FORM_WORD, .words = program_words },
	{ "spec.ipv4NormalRoutePriority", "integer", "Metric of IPv4 routes.", "1024", .form = FORM_INT,
	  .min = 1, .max = PRIORITY_MAX },
	{ "spec.ipv6NormalRoutePriority", "integer", "Metric of IPv6 routes.", "1024", .form = FORM_INT,
	  .min = 1, .max = PRIORITY_MAX },
	{ 0 },
};

/* ---- rules ---- */

static int check_name(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	const char *name = fields_str(doc, "metadata.name");

	if (strcmp(name, "default") != 0 && (strncmp(name, "node.", 5) != 0 || !name[5]))
		return field_err(ret_field, e, "metadata.name",
				 "\"%.100s\" is neither \"default\" nor \"node.\" and the name of a node",
				 name);
	return 0;
}

/* What the whole cluster must agree on can only be said once. */
static int check_global(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	static const char *const global[] = { "nodeToNodeMeshEnabled",	"asNumber",
					      "serviceLoadBalancerIPs", "serviceExternalIPs",
					      "serviceClusterIPs",	"nodeMeshPassword",
					      "nodeMeshMaxRestartTime" };
	const char *name = fields_str(doc, "metadata.name");
	char path[64];

	if (strcmp(name, "default") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(global); i++) {
		snprintf(path, sizeof(path), "spec.%s", global[i]);
		if (kind_get(doc, path))
			return field_err(ret_field, e, path,
					 "it is allowed only in BGPConfiguration default, not in %.100s",
					 name);
	}
	return 0;
}

static int check_mesh(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	static const char *const needs_mesh[] = { "spec.nodeMeshPassword", "spec.nodeMeshMaxRestartTime" };

	if (!json_is_false(kind_get(doc, "spec.nodeToNodeMeshEnabled")))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(needs_mesh); i++)
		if (kind_get(doc, needs_mesh[i]))
			return field_err(ret_field, e, needs_mesh[i],
					 "it has no meaning while nodeToNodeMeshEnabled is false");
	return 0;
}

static bool community_named(const json_t *doc, const char *name)
{
	json_t *c;
	size_t i;

	json_array_foreach(kind_get(doc, "spec.communities"), i,
			   c) if (strcmp(fields_str(c, "name"), name) == 0) return true;
	return false;
}

static int check_communities(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	json_t *ads = kind_get(doc, "spec.prefixAdvertisements"), *ad, *c;
	char path[KIND_FIELD_MAX], shown[SHOW_MAX];
	size_t i, j;

	if (json_array_size(kind_get(doc, "spec.communities")) && !json_array_size(ads))
		return field_err(ret_field, e, "spec.communities",
				 "no prefixAdvertisements use them: name one at least");
	json_array_foreach(ads, i, ad)
	{
		json_array_foreach(json_object_get(ad, "communities"), j, c)
		{
			if (community_ok(c) || community_named(doc, json_string_value(c)))
				continue;
			snprintf(path, sizeof(path), "spec.prefixAdvertisements[%zu].communities[%zu]", i, j);
			return field_err(ret_field, e, path,
					 "%s is neither a community (aa:nn or aa:nn:mm) nor a name in "
					 "spec.communities",
					 fields_show(c, shown));
		}
	}
	return 0;
}

int bgpconfig_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
		    struct err *e)
{
	int rc = fields_check(kind_info(KIND_BGPCONFIG), doc, old, strict, ret_field, e);

	if (rc < 0)
		return rc;
	asn_canonical(kind_get(doc, "spec"));
	rc = check_name(doc, ret_field, e);
	if (rc == 0)
		rc = check_global(doc, ret_field, e);
	if (rc == 0)
		rc = check_mesh(doc, ret_field, e);
	return rc ? rc : check_communities(doc, ret_field, e);
}

int bgpconfig_decode(const json_t *doc, struct bgpconfig *ret, struct err *e)
{
	struct bgpconfig c = { 0 };
	const json_t *asn = kind_get(doc, "spec.asNumber");
	const char *restart = fields_str(doc, "spec.nodeMeshMaxRestartTime");

	int rc = fields_decode(bgpconfig_fields, doc, &c, e);
	if (rc < 0)
		return rc;
	snprintf(c.name, sizeof(c.name), "%s", fields_str(doc, "metadata.name"));
	c.has_mesh = kind_get(doc, "spec.nodeToNodeMeshEnabled");
	c.has_asn = asn;
	if (asn && asn_decode(asn, &c.asn) < 0)
		return err_set(e, EINVAL, "spec.asNumber: it is not " ASN_WANT);
	if (*restart && !duration_seconds(restart, &c.restart_time))
		return err_set(e, EINVAL, "spec.nodeMeshMaxRestartTime: \"%.60s\" is not a duration",
			       restart);
	*ret = c;
	return 0;
}

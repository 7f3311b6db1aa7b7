/*
 * IPPool: a network that pods get addresses from. The rules are Calico's, because a datastore is shared with
 * it: what one side accepts the other must be able to use.
 */
#include "model/ippool.h"

#include "base/check.h"
#include "model/fields.h"
#include "model/selector.h"

#include <stdio.h>

static const char *const encap_words[] = { "Never", "Always", "CrossSubnet", NULL };
static const char *const use_words[] = { "Workload", "Tunnel", "LoadBalancer", NULL };
static const char *const mode_words[] = { "Automatic", "Manual", NULL };

const struct kind_field ippool_fields[] = {
	{ "spec", "object", "What the pool is for.", .required = true, .form = FORM_OBJECT },
	{ "spec.cidr", "cidr", "The network that addresses are taken from.", .required = true,
	  .immutable = true, .form = FORM_PREFIX, INTO(struct ippool, cidr) },
	{ "spec.vxlanMode", "string", "Encapsulation in VXLAN: Never, Always or CrossSubnet.", "Never",
	  .fill = true, .form = FORM_WORD, .words = encap_words, INTO(struct ippool, vxlan) },
	{ "spec.ipipMode", "string", "Encapsulation in IP-in-IP: Never, Always or CrossSubnet.", "Never",
	  .fill = true, .form = FORM_WORD, .words = encap_words, INTO(struct ippool, ipip) },
	{ "spec.natOutgoing", "boolean", "Whether pods are masqueraded towards addresses outside all pools.",
	  "false", .form = FORM_BOOL, INTO(struct ippool, nat_outgoing) },
	{ "spec.disabled", "boolean", "Whether no new addresses are taken from the pool.", "false",
	  .form = FORM_BOOL, INTO(struct ippool, disabled) },
	{ "spec.disableBGPExport", "boolean", "Whether the pool's routes are kept out of BGP.", "false",
	  .form = FORM_BOOL, INTO(struct ippool, disable_bgp_export) },
	{ "spec.blockSize", "integer", "The prefix length of the blocks that nodes claim (IPv6: 122).", "26",
	  .immutable = true, .form = FORM_INT, .max = 128,
	  .want = "a prefix length: 20..32 for IPv4, 116..128 for IPv6" },
	{ "spec.nodeSelector", "selector", "The nodes that may use the pool.", "all()", .fill = true,
	  .form = FORM_STRING, .ok = selector_ok, .want = SELECTOR_WANT, INTO(struct ippool, node_selector) },
	{ "spec.namespaceSelector", "selector", "The namespaces whose pods may use the pool.",
	  .form = FORM_STRING, .ok = selector_ok, .want = SELECTOR_WANT },
	{ "spec.allowedUses[]", "list of string", "What addresses are for: Workload, Tunnel, LoadBalancer.",
	  "Workload,Tunnel", .fill = true, .form = FORM_WORD, .words = use_words },
	{ "spec.assignmentMode", "string", "Automatic, or Manual: only when asked for by name.", "Automatic",
	  .fill = true, .form = FORM_WORD, .words = mode_words, INTO(struct ippool, manual) },
	{ "status", "object", "What controllers found.", .form = FORM_OBJECT },
	{ "status.conditions[]", "list of object", "Conditions, of type Allocatable.", .form = FORM_OBJECT },
	{ "status.conditions[].type", "string", "The condition's name.", .form = FORM_STRING },
	{ "status.conditions[].status", "string", "True, False or Unknown.", .form = FORM_STRING },
	{ "status.conditions[].observedGeneration", "integer", "The generation it was found at.",
	  .form = FORM_INT, .max = INT64_MAX },
	{ "status.conditions[].lastTransitionTime", "string", "When it changed.", .form = FORM_STRING },
	{ "status.conditions[].reason", "string", "Why, in one word.", .form = FORM_STRING },
	{ "status.conditions[].message", "string", "Why, in a sentence.", .form = FORM_STRING, .max = 32768 },
	{ 0 },
};

static uint8_t default_block_size(const struct prefix *cidr)
{
	return cidr->addr.family == AF_INET ? 26 : 122;
}

/* The default depends on the family, so the table cannot fill it. 0 is what old versions wrote for "default".
 */
static void fill_block_size(json_t *doc)
{
	json_t *spec = kind_get(doc, "spec"), *size = kind_get(doc, "spec.blockSize");
	struct prefix cidr;

	if (!prefix_parse(fields_str(doc, "spec.cidr"), &cidr))
		return;
	if (!size || (json_is_integer(size) && json_integer_value(size) == 0))
		json_object_set_new(spec, "blockSize", json_integer(default_block_size(&cidr)));
}

/* The uses as bits; ones we do not know are left out. */
static uint8_t uses_of(const json_t *doc)
{
	json_t *list = kind_get(doc, "spec.allowedUses"), *v;
	uint8_t uses = 0;
	size_t i;

	json_array_foreach(list, i, v) for (int w = 0; use_words[w];
					    w++) if (json_is_string(v) &&
						     strcmp(json_string_value(v), use_words[w]) == 0) uses |=
		(uint8_t)(1 << w);
	return uses ? uses : json_array_size(list) ? 0 : POOL_USE_WORKLOAD | POOL_USE_TUNNEL;
}

/* An IPAM controller of Calico may have found the pool unusable, or somebody is deleting it. */
static bool allocatable(const json_t *doc)
{
	json_t *c;
	size_t i;

	if (kind_get(doc, "metadata.deletionTimestamp"))
		return false;
	json_array_foreach(kind_get(doc, "status.conditions"), i,
			   c) if (strcmp(fields_str(c, "type"), "Allocatable") == 0 &&
				  strcmp(fields_str(c, "status"), "False") == 0) return false;
	return true;
}

static int decode(const json_t *doc, struct ippool *ret, struct err *e)
{
	struct ippool p = { 0 };
	json_t *size = kind_get(doc, "spec.blockSize");

	int rc = fields_decode(ippool_fields, doc, &p, e);
	if (rc < 0)
		return rc;
	if (!p.cidr.addr.family)
		return err_set(e, EINVAL, "spec.cidr: it is missing");
	snprintf(p.name, sizeof(p.name), "%s", fields_str(doc, "metadata.name"));
	json_int_t n = json_integer_value(size);
	p.block_size = n ? (uint8_t)MIN(MAX(n, 0), UINT8_MAX) : default_block_size(&p.cidr);
	p.uses = uses_of(doc);
	p.disabled |= !allocatable(doc);
	*ret = p;
	return 0;
}

static bool block_size_ok(const struct ippool *p)
{
	uint8_t bits = (uint8_t)addr_bits(p->cidr.addr.family), least = bits == 32 ? 20 : 116;

	return p->block_size >= least && p->block_size <= bits &&
	       (p->disabled || p->block_size >= p->cidr.len);
}

static int block_size_err(const struct ippool *p, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	char net[PREFIX_STR_MAX];
	bool v4 = p->cidr.addr.family == AF_INET;

	return field_err(ret_field, e, "spec.blockSize",
			 "%u is outside the pool %s: allowed are %s and at least the pool length %u",
			 p->block_size, prefix_format(&p->cidr, net), v4 ? "20..32" : "116..128",
			 p->cidr.len);
}

int ippool_decode(const json_t *doc, struct ippool *ret, struct err *e)
{
	char field[KIND_FIELD_MAX];
	struct ippool p;

	int rc = decode(doc, &p, e);
	if (rc < 0)
		return rc;
	if (!block_size_ok(&p))
		return block_size_err(&p, field, e);
	*ret = p;
	return 0;
}

static int check_link_local(const struct ippool *p, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	static const char *const taken[] = { "169.254.0.0/16", "fe80::/10" };
	char net[PREFIX_STR_MAX];
	struct prefix local;

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (prefix_parse(taken[i], &local) && prefix_overlaps(&p->cidr, &local))
			return field_err(
				ret_field, e, "spec.cidr",
				"%s overlaps the link-local range %s, which pods need for their gateway",
				prefix_format(&p->cidr, net), taken[i]);
	return 0;
}

static int check_encap(const struct ippool *p, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	if (p->ipip && p->vxlan)
		return field_err(ret_field, e, "spec.ipipMode",
				 "ipipMode and vxlanMode exclude each other: one of them must be Never");
	if (p->ipip && p->cidr.addr.family == AF_INET6)
		return field_err(ret_field, e, "spec.ipipMode",
				 "IP-in-IP carries IPv4 only: an IPv6 pool must say Never");
	return 0;
}

/* Addresses of services are not handed out by nodes, so nothing that is about nodes may be set. */
static int check_uses(const struct ippool *p, const json_t *doc, char ret_field[static KIND_FIELD_MAX],
		      struct err *e)
{
	if (kind_get(doc, "spec.allowedUses") && !json_array_size(kind_get(doc, "spec.allowedUses")))
		return field_err(ret_field, e, "spec.allowedUses",
				 "the list is empty: leave it out, or name a use");
	if (*fields_str(doc, "spec.namespaceSelector") && p->uses & POOL_USE_TUNNEL)
		return field_err(ret_field, e, "spec.namespaceSelector",
				 "a pool for tunnels has no namespaces: set allowedUses to [Workload]");
	if (!(p->uses & POOL_USE_LOADBALANCER))
		return 0;
	if (p->uses != POOL_USE_LOADBALANCER)
		return field_err(ret_field, e, "spec.allowedUses",
				 "LoadBalancer must be the only use of a pool");
	if (p->ipip || p->vxlan)
		return field_err(ret_field, e, p->ipip ? "spec.ipipMode" : "spec.vxlanMode",
				 "a pool for LoadBalancer must say Never");
	if (!selector_trivial(p->node_selector))
		return field_err(ret_field, e, "spec.nodeSelector", "a pool for LoadBalancer must say all()");
	if (p->disable_bgp_export)
		return field_err(ret_field, e, "spec.disableBGPExport",
				 "a pool for LoadBalancer must be exported");
	return 0;
}

static int check_update(const struct ippool *p, const json_t *old, char ret_field[static KIND_FIELD_MAX],
			struct err *e)
{
	if (old && uses_of(old) & POOL_USE_LOADBALANCER && !(p->uses & POOL_USE_LOADBALANCER))
		return field_err(ret_field, e, "spec.allowedUses",
				 "a pool for LoadBalancer stays one: make a new IPPool instead");
	return 0;
}

int ippool_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
		 struct err *e)
{
	struct ippool p;

	fill_block_size(doc);
	int rc = fields_check(kind_info(KIND_IPPOOL), doc, old, strict, ret_field, e);
	if (rc == 0)
		rc = decode(doc, &p, e);
	if (rc == 0 && !block_size_ok(&p))
		rc = block_size_err(&p, ret_field, e);
	if (rc == 0)
		rc = check_link_local(&p, ret_field, e);
	if (rc == 0)
		rc = check_encap(&p, ret_field, e);
	if (rc == 0)
		rc = check_uses(&p, doc, ret_field, e);
	return rc ? rc : check_update(&p, old, ret_field, e);
}

int ippool_check_overlap(const struct ippool *p, const struct ippool *others, size_t n, struct err *e)
{
	char mine[PREFIX_STR_MAX], theirs[PREFIX_STR_MAX];

	for (size_t i = 0; i < n; i++)
		if (strcmp(p->name, others[i].name) != 0 && prefix_overlaps(&p->cidr, &others[i].cidr))
			return err_set(e, EEXIST, "spec.cidr: %s overlaps %s of IPPool %s",
				       prefix_format(&p->cidr, mine), prefix_format(&others[i].cidr, theirs),
				       others[i].name);
	return 0;
}

/*
 * Lab files. A table per kind of record says which fields there are, so that unknown ones are refused with a
 * suggestion; the order of the lab's own table is the order of decoding (segments before what refers to
 * them). Whatever must be unique is claimed in one map of keys, which remembers who claimed it first.
 */
#include "ctl/lab_file.h"

#include "base/check.h"
#include "base/map.h"
#include "base/str.h"
#include "ctl/near.h"
#include "model/ippool.h"
#include "model/kinds.h"

#include <stdio.h>

#define PATH_MAX_LEN 200
#define FIELDS_MAX   16
#define POOLS_MAX    64
#define API_VERSION  "lab.korat.io/v1"

struct claim {
	char *key, *path;
	UT_hash_handle hh;
};

struct ctx {
	const struct yaml *y; /* NULL if the document is not from a file */
	struct lab *lab;
	struct err *e;
	struct claim *claims;
	struct ippool pools[POOLS_MAX];
	size_t npools;
};

struct field {
	const char *name;
	bool required;
	size_t offset; /* of what fill() fills */
	int (*fill)(struct ctx *c, const char *path, const json_t *v, void *to);
};

struct record {
	const char *what;	    /* "a node" */
	const struct field *fields; /* ended by a NULL name */
	size_t size, max;
	int (*check)(struct ctx *c, const char *path, void *item);
};

static int bad(struct ctx *c, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int bad(struct ctx *c, const char *path, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->y)
		return yaml_err(c->y, 0, path, c->e, "%s", text);
	return err_set(c->e, EINVAL, "%s%s%s", path, *path ? ": " : "", text);
}

/* The words of a table, as a list for near_explain(). */
static void field_names(const struct field *f, const char *ret[static FIELDS_MAX + 1])
{
	size_t n = 0;

	for (; f->name; f++) {
		CHECK(n < FIELDS_MAX);
		ret[n++] = f->name;
	}
	ret[n] = NULL;
}

static void join(char ret[static PATH_MAX_LEN], const char *base, const char *key)
{
	snprintf(ret, PATH_MAX_LEN, "%.120s%s%.70s", base, *base ? "." : "", key);
}

static int refuse_unknown(struct ctx *c, const struct record *r, const char *path, const json_t *obj)
{
	const char *names[FIELDS_MAX + 1], *key;
	json_t *v;

	field_names(r->fields, names);
	json_object_foreach((json_t *)obj, key, v)
	{
		size_t i = 0;
		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (names[i])
			continue;
		own_str struct str s = { 0 };
		char at[PATH_MAX_LEN];
		snprintf(at, sizeof(at), "%.120s%s%.60s:", path, *path ? "." : "", key);
		near_explain(&s, key, names, "allowed are");
		return bad(c, at, "%s has no field '%.60s': %s", r->what, key, s.s);
	}
	return 0;
}

static int decode_record(struct ctx *c, const struct record *r, const char *path, const json_t *obj,
			 void *item)
{
	if (!json_is_object(obj))
		return bad(c, path, "%s must be a mapping of fields", r->what);
	int rc = refuse_unknown(c, r, path, obj);
	for (const struct field *f = r->fields; !rc && f->name; f++) {
		const json_t *v = json_object_get(obj, f->name);
		char at[PATH_MAX_LEN];
		join(at, path, f->name);
		if (v && !json_is_null(v))
			rc = f->fill(c, at, v, (char *)item + f->offset);
		else if (f->required)
			rc = bad(c, path, "%s needs the field '%s'", r->what, f->name);
	}
	return rc ? rc : r->check ? r->check(c, path, item) : 0;
}

/* A list of records into an array that grows as they are taken, so that whoever owns it can always free it.
 */
static int take_records(struct ctx *c, const char *path, const json_t *v, const struct record *r, void **ret,
			size_t *ret_n)
{
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return bad(c, path, "must be a list");
	if (n > r->max)
		return bad(c, path, "has %zu entries, but at most %zu are allowed", n, r->max);
	free(*ret);
	*ret = xcalloc(n, r->size);
	for (*ret_n = 0; *ret_n < n; ++*ret_n) {
		char at[PATH_MAX_LEN];
		snprintf(at, sizeof(at), "%.160s[%zu]", path, *ret_n);
		int rc = decode_record(c, r, at, json_array_get(v, *ret_n), (char *)*ret + *ret_n * r->size);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- what must be unique ---- */

static int claim(struct ctx *c, const char *path, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int claim(struct ctx *c, const char *path, const char *what, const char *fmt, ...)
{
	char key[2 * LAB_ID_MAX];
	struct claim *old;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	map_find_str(c->claims, key, old);
	if (old)
		return bad(c, path, "%s is already taken by %s", what, old->path);
	struct claim *n = xcalloc(1, sizeof(*n));
	n->key = xstrdup(key);
	n->path = xstrdup(path);
	map_add_str(c->claims, key, n);
	return 0;
}

static void claims_done(struct ctx *c)
{
	struct claim *n, *tmp;

	map_each (c->claims, n, tmp) {
		map_del(c->claims, n);
		free(n->key);
		free(n->path);
		free(n);
	}
}

/* ---- single values ---- */

static int take_text(struct ctx *c, const char *path, const json_t *v, const char **ret)
{
	if (json_is_string(v)) {
		*ret = json_string_value(v);
		return 0;
	}
	return bad(c, path, "must be text%s",
		   json_is_number(v) || json_is_boolean(v) ? " (put it in quotes)" : "");
}

/* A DNS label: it becomes part of names of namespaces, directories and resources. */
static bool label_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= LAB_NAME_MAX || s[0] == '-' || s[n - 1] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int take_name(struct ctx *c, const char *path, const json_t *v, void *to)
{
	const char *s = "";
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	if (!label_ok(s))
		return bad(c, path,
			   "'%.80s' is no name: allowed are 1 to %d small letters, digits and '-', which is "
			   "neither "
			   "first nor last",
			   s, LAB_NAME_MAX - 1);
	snprintf(to, LAB_NAME_MAX, "%s", s);
	return 0;
}

/* The name of something with a namespace of its own. */
static int take_netns_name(struct ctx *c, const char *path, const json_t *v, void *to)
{
	char what[LAB_NAME_MAX + 16];
	int r = take_name(c, path, v, to);

	if (r)
		return r;
	if (strncmp(to, "seg-", 4) == 0)
		return bad(c, path, "'%s' begins with 'seg-', which is kept for segments", (char *)to);
	snprintf(what, sizeof(what), "the name '%s'", (char *)to);
	return claim(c, path, what, "netns %s", (char *)to);
}

static int take_segment_name(struct ctx *c, const char *path, const json_t *v, void *to)
{
	char what[LAB_NAME_MAX + 16];
	int r = take_name(c, path, v, to);

	snprintf(what, sizeof(what), "the name '%s'", (char *)to);
	return r ? r : claim(c, path, what, "segment %s", (char *)to);
}

static int take_subnet(struct ctx *c, const char *path, const json_t *v, uint8_t family, struct prefix *ret)
{
	const char *s = "";
	struct addr a;
	int r = take_text(c, path, v, &s);
	const char *like = family == AF_INET ? "172.16.67.0/24" : "fd00:67::/64";

	if (r)
		return r;
	if (prefix_parse(s, ret) && ret->addr.family == family && ret->len > 0 &&
	    ret->len <= addr_bits(family) - 1)
		return 0;
	if (addr_parse_cidr(s, &a, ret) && a.family == family && ret->len > 0) {
		char net[PREFIX_STR_MAX];
		return bad(c, path, "'%.60s' has bits beyond its length: did you mean '%s'?", s,
			   prefix_format(ret, net));
	}
	return bad(c, path, "'%.60s' is no IPv%c network: allowed is, for example, %s", s,
		   family == AF_INET ? '4' : '6', like);
}

static int take_subnet4(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_subnet(c, path, v, AF_INET, to);
}

static int take_subnet6(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_subnet(c, path, v, AF_INET6, to);
}

static int take_ifname(struct ctx *c, const char *path, const json_t *v, void *to)
{
	const char *s = "";
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	size_t n = strlen(s);
	if (n == 0 || n >= IFNAMSIZ || strpbrk(s, "/: \t\n%") || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return bad(c, path,
			   "'%.40s' is no interface name: allowed are 1 to %d characters without "
			   "blanks, '/', ':' and '%%'",
			   s, IFNAMSIZ - 1);
	if (strcmp(s, "lo") == 0 || strncmp(s, "cali", 4) == 0)
		return bad(c, path,
			   "'%s' is taken: 'lo' is the loopback and 'cali...' are interfaces of pods", s);
	snprintf(to, IFNAMSIZ, "%s", s);
	return 0;
}

static int take_mac(struct ctx *c, const char *path, const json_t *v, void *to)
{
	static const struct mac zero;
	struct lab_iface *i = to;
	const char *s = "";
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	if (!mac_parse(s, &i->mac))
		return bad(c, path, "'%.40s' is no MAC address: allowed is, for example, 00:50:56:95:8d:20",
			   s);
	if ((i->mac.b[0] & 1) || memcmp(&i->mac, &zero, sizeof(zero)) == 0)
		return bad(c, path,
			   "%s cannot be the address of an interface: the lowest bit of its first byte "
			   "must be 0, and it must not be all zero",
			   s);
	i->has_mac = true;
	return 0;
}

static int take_host(struct ctx *c, const char *path, const json_t *v, uint8_t family, struct addr *ret,
		     uint8_t *ret_len)
{
	const char *s = "", *like = family == AF_INET ? "172.16.67.138/24" : "fd00:67::138/64";
	struct prefix net;
	struct addr a;
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	if (!addr_parse_cidr(s, &a, &net) || a.family != family)
		return bad(c, path,
			   "'%.60s' is no IPv%c address with a prefix length: allowed is, for example, %s", s,
			   family == AF_INET ? '4' : '6', like);
	*ret = a;
	*ret_len = net.len;
	return 0;
}

static int take_address4(struct ctx *c, const char *path, const json_t *v, void *to)
{
	struct lab_iface *i = to;

	return take_host(c, path, v, AF_INET, &i->addr4, &i->len4);
}

static int take_address6(struct ctx *c, const char *path, const json_t *v, void *to)
{
	struct lab_iface *i = to;

	return take_host(c, path, v, AF_INET6, &i->addr6, &i->len6);
}

static int take_ip(struct ctx *c, const char *path, const json_t *v, uint8_t family, struct addr *ret)
{
	const char *s = "", *like = family == AF_INET6 ? "fd00::1" : "172.16.67.1";
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	if (addr_parse(s, ret) && (!family || ret->family == family))
		return 0;
	return bad(c, path, "'%.60s' is no %saddress: allowed is, for example, %s (without a prefix length)",
		   s,
		   family == AF_INET ? "IPv4 "
		   : family	     ? "IPv6 "
				     : "",
		   like);
}

static int take_gateway4(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_ip(c, path, v, AF_INET, to);
}

static int take_gateway6(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_ip(c, path, v, AF_INET6, to);
}

static int take_metric(struct ctx *c, const char *path, const json_t *v, void *to)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n > INT32_MAX)
		return bad(c, path, "must be a whole number from 1 to %d", INT32_MAX);
	*(uint32_t *)to = (uint32_t)n;
	return 0;
}

static int take_segment(struct ctx *c, const char *path, const json_t *v, void *to)
{
	const char *s = "", *names[LAB_SEGMENTS_MAX + 1] = { 0 };
	own_str struct str list = { 0 };
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	for (size_t i = 0; i < c->lab->nsegments; i++) {
		names[i] = c->lab->segments[i].name;
		if (strcmp(names[i], s) == 0) {
			*(size_t *)to = i;
			return 0;
		}
	}
	near_explain(&list, s, names, "segments are");
	return bad(c, path, "there is no segment '%.60s': %s", s, list.s);
}

/* ---- interfaces of nodes and routers ---- */

static int check_address(struct ctx *c, const char *path, const char *field, const struct lab_segment *s,
			 const struct prefix *net, const struct addr *a, uint8_t len)
{
	char at[PATH_MAX_LEN], text[ADDR_STR_MAX], net_text[PREFIX_STR_MAX], what[ADDR_STR_MAX + 16];

	if (!addr_is_set(a))
		return 0;
	join(at, path, field);
	addr_format(a, text);
	if (!addr_is_set(&net->addr))
		return bad(c, at, "segment %s has no IPv%c subnet", s->name,
			   a->family == AF_INET ? '4' : '6');
	if (!prefix_has(net, a) || len != net->len)
		return bad(c, at, "%s/%u is not in segment %s, whose subnet is %s", text, len, s->name,
			   prefix_format(net, net_text));
	struct prefix host = prefix_host(a);
	bool last = a->family == AF_INET && len < 31 && (addr_to_v4(a) | ~0u << (32 - len)) == ~0u;
	if (len < host.len - 1 && (last || addr_eq(a, &net->addr)))
		return bad(c, at, "%s is the %s address of %s, not one of a host", text,
			   last ? "broadcast" : "network", prefix_format(net, net_text));
	snprintf(what, sizeof(what), "the address %s", text);
	return claim(c, at, what, "addr %s", text);
}

static int check_gateway(struct ctx *c, const char *path, const char *field, const struct lab_segment *s,
			 const struct prefix *net, const struct addr *gw, const struct addr *own)
{
	char at[PATH_MAX_LEN], text[ADDR_STR_MAX];

	if (!addr_is_set(gw))
		return 0;
	join(at, path, field);
	if (!addr_is_set(own))
		return bad(c, at, "a gateway of this family needs an address of it on the interface");
	bool near = prefix_has(net, gw) || (gw->family == AF_INET6 && addr_is_link_local(gw));
	if (!near || addr_eq(gw, own))
		return bad(c, at, "the gateway %s must be another host of segment %s", addr_format(gw, text),
			   s->name);
	return 0;
}

static int check_iface(struct ctx *c, const char *path, struct lab_iface *i)
{
	const struct lab_segment *s = &c->lab->segments[i->segment];
	char at[PATH_MAX_LEN], mac[MAC_STR_MAX];
	int r;

	if (!addr_is_set(&i->addr4) && !addr_is_set(&i->addr6))
		return bad(c, path, "an address is missing: 'address' (IPv4), 'address6' (IPv6) or both");
	if ((r = check_address(c, path, "address", s, &s->net4, &i->addr4, i->len4)) ||
	    (r = check_address(c, path, "address6", s, &s->net6, &i->addr6, i->len6)) ||
	    (r = check_gateway(c, path, "gateway", s, &s->net4, &i->gw4, &i->addr4)) ||
	    (r = check_gateway(c, path, "gateway6", s, &s->net6, &i->gw6, &i->addr6)))
		return r;
	if (!i->has_mac)
		return 0;
	join(at, path, "mac");
	return claim(c, at, "the MAC address", "mac %zu %s", i->segment, mac_format(&i->mac, mac));
}

/* Rows for the interface that type has as member. */
#define IFACE_ROW(type, member, name, required, field, fill)                                     \
	{                                                                                        \
		name, required, offsetof(type, member) + offsetof(struct lab_iface, field), fill \
	}
#define IFACE_FIELDS(type, member)                                              \
	IFACE_ROW(type, member, "segment", true, segment, take_segment),        \
		IFACE_ROW(type, member, "interface", false, name, take_ifname), \
		{ "mac", false, offsetof(type, member), take_mac },             \
		{ "address", false, offsetof(type, member), take_address4 },    \
		{ "address6", false, offsetof(type, member), take_address6 },   \
		IFACE_ROW(type, member, "gateway", false, gw4, take_gateway4),  \
		IFACE_ROW(type, member, "gateway6", false, gw6, take_gateway6), \
		IFACE_ROW(type, member, "metric", false, metric, take_metric)

/* ---- records ---- */

static int check_segment(struct ctx *c, const char *path, void *item)
{
	struct lab_segment *s = item;

	if (!addr_is_set(&s->net4.addr) && !addr_is_set(&s->net6.addr))
		return bad(c, path, "a segment needs a 'subnet' (IPv4), a 'subnet6' (IPv6) or both");
	for (const struct lab_segment *o = c->lab->segments; o < s; o++) {
		if (prefix_overlaps(&o->net4, &s->net4) && addr_is_set(&s->net4.addr))
			return bad(c, path, "the subnet overlaps with that of segment %s", o->name);
		if (prefix_overlaps(&o->net6, &s->net6) && addr_is_set(&s->net6.addr))
			return bad(c, path, "the IPv6 subnet overlaps with that of segment %s", o->name);
	}
	return 0;
}

static const struct field segment_fields[] = {
	{ "name", true, offsetof(struct lab_segment, name), take_segment_name },
	{ "subnet", false, offsetof(struct lab_segment, net4), take_subnet4 },
	{ "subnet6", false, offsetof(struct lab_segment, net6), take_subnet6 },
	{ NULL },
};
static const struct record segment_record = { "a segment", segment_fields, sizeof(struct lab_segment),
					      LAB_SEGMENTS_MAX, check_segment };

static int check_node(struct ctx *c, const char *path, void *item)
{
	struct lab_node *n = item;

	if (!*n->iface.name)
		snprintf(n->iface.name, sizeof(n->iface.name), "eth0");
	return check_iface(c, path, &n->iface);
}

static const struct field node_fields[] = {
	{ "name", true, offsetof(struct lab_node, name), take_netns_name },
	IFACE_FIELDS(struct lab_node, iface),
	{ NULL },
};
static const struct record node_record = { "a node", node_fields, sizeof(struct lab_node), LAB_NODES_MAX,
					   check_node };

static int check_router_iface(struct ctx *c, const char *path, void *item)
{
	return check_iface(c, path, item);
}

struct lab_router_iface {
	struct lab_iface iface;
};
static const struct field router_iface_fields[] = {
	IFACE_FIELDS(struct lab_router_iface, iface),
	{ NULL },
};
static const struct record router_iface_record = { "an interface of a router", router_iface_fields,
						   sizeof(struct lab_router_iface), LAB_IFS_MAX,
						   check_router_iface };

static int take_router_ifaces(struct ctx *c, const char *path, const json_t *v, void *to)
{
	struct lab_router *router = to;
	own_mem void *ifs = NULL;
	size_t n = 0;
	int r = take_records(c, path, v, &router_iface_record, &ifs, &n);

	if (r)
		return r;
	memcpy(router->ifs, ifs, n * sizeof(router->ifs[0]));
	router->nifs = n;
	for (size_t i = 0; i < n; i++) {
		char at[PATH_MAX_LEN];
		snprintf(at, sizeof(at), "%.160s[%zu]", path, i);
		if (!*router->ifs[i].name)
			snprintf(router->ifs[i].name, sizeof(router->ifs[i].name), "eth%u",
				 (unsigned)i % LAB_IFS_MAX);
		for (size_t k = 0; k < i; k++) {
			if (router->ifs[k].segment == router->ifs[i].segment)
				return bad(c, at,
					   "a router has one interface on a segment, and has one on this "
					   "already");
			if (strcmp(router->ifs[k].name, router->ifs[i].name) == 0)
				return bad(c, at, "the interface '%s' is already there", router->ifs[i].name);
		}
	}
	return 0;
}

static const struct field router_fields[] = {
	{ "name", true, offsetof(struct lab_router, name), take_netns_name },
	{ "interfaces", true, 0, take_router_ifaces },
	{ NULL },
};
static const struct record router_record = { "a router", router_fields, sizeof(struct lab_router),
					     LAB_ROUTERS_MAX, NULL };

static int take_pod_node(struct ctx *c, const char *path, const json_t *v, void *to)
{
	const char *s = "", *names[LAB_NODES_MAX + 1] = { 0 };
	own_str struct str list = { 0 };
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	for (size_t i = 0; i < c->lab->nnodes; i++)
		names[i] = c->lab->nodes[i].name;
	if (lab_node(c->lab, s)) {
		snprintf(to, LAB_NAME_MAX, "%s", s);
		return 0;
	}
	near_explain(&list, s, names, "nodes are");
	return bad(c, path, "there is no node '%.60s': %s", s, list.s);
}

static int take_container_id(struct ctx *c, const char *path, const json_t *v, void *to)
{
	const char *s = "";
	int r = take_text(c, path, v, &s);

	if (r)
		return r;
	size_t n = strlen(s);
	if (n < 11 || n >= LAB_ID_MAX ||
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != n)
		return bad(c, path, "'%.40s' is no container id: allowed are 11 to %d letters and digits", s,
			   LAB_ID_MAX - 1);
	snprintf(to, LAB_ID_MAX, "%s", s);
	return 0;
}

static bool in_a_pool(const struct ctx *c, const struct addr *a)
{
	for (size_t i = 0; i < c->npools; i++) {
		if (prefix_has(&c->pools[i].cidr, a))
			return true;
	}
	return false;
}

static int take_pod_ip(struct ctx *c, const char *path, const json_t *v, void *to)
{
	char text[ADDR_STR_MAX], what[ADDR_STR_MAX + 16];
	int r = take_ip(c, path, v, 0, to);

	if (r)
		return r;
	addr_format(to, text);
	if (!in_a_pool(c, to))
		return bad(
			c, path,
			"%s is in no IPPool of this lab: add one to 'resources', or choose another address",
			text);
	snprintf(what, sizeof(what), "the address %s", text);
	return claim(c, path, what, "addr %s", text);
}

static int check_pod(struct ctx *c, const char *path, void *item)
{
	struct lab_pod *p = item;
	char at[PATH_MAX_LEN], what[64];

	if (!*p->id)
		lab_make_id(p->name, p->id);
	if (c->npools == 0)
		return bad(c, path, "a pod needs an address, but there is no IPPool: add one to 'resources'");
	/* The host's end of the pod is named after the first 11 characters. */
	join(at, path, "containerID");
	snprintf(what, sizeof(what), "the interface cali%.11s on %.20s", p->id, p->node);
	return claim(c, at, what, "cali %s %.11s", p->node, p->id);
}

static const struct field pod_fields[] = {
	{ "name", true, offsetof(struct lab_pod, name), take_netns_name },
	{ "node", true, offsetof(struct lab_pod, node), take_pod_node },
	{ "containerID", false, offsetof(struct lab_pod, id), take_container_id },
	{ "ip", false, offsetof(struct lab_pod, ip), take_pod_ip },
	{ NULL },
};
static const struct record pod_record = { "a pod", pod_fields, sizeof(struct lab_pod), LAB_PODS_MAX,
					  check_pod };

/* ---- resources ---- */

static int check_pool(struct ctx *c, const char *path, const json_t *doc)
{
	char at[PATH_MAX_LEN];
	struct ippool p = { 0 };
	struct err e = { 0 };

	if (c->npools == POOLS_MAX)
		return bad(c, path, "a lab may have at most %d IPPools", POOLS_MAX);
	if (ippool_decode(doc, &p, &e) < 0)
		return bad(c, path, "%s", e.msg);
	join(at, path, "spec.cidr");
	if (ippool_check_overlap(&p, c->pools, c->npools, &e) < 0)
		return bad(c, at, "%s", e.msg);
	c->pools[c->npools++] = p;
	return 0;
}

/* A complaint of the model about a field of a resource, put where it stands in the lab file. */
static int bad_field(struct ctx *c, const char *path, const char *field, const struct err *e)
{
	char at[PATH_MAX_LEN];

	snprintf(at, sizeof(at), "%.60s%s%.127s", path, *field ? "." : "", field);
	return bad(c, at, "%s", e->msg);
}

static int check_resource(struct ctx *c, const char *path, json_t *doc)
{
	char field[KIND_FIELD_MAX] = "", name[KIND_NAME_MAX], what[100];
	struct err e = { 0 };

	if (!json_is_object(doc))
		return bad(c, path,
			   "a resource must be a whole document with apiVersion, kind, metadata and spec");
	const struct kind_info *k = kind_of(doc, field, &e);
	if (!k || k->check(doc, NULL, true, field, &e) < 0)
		return bad_field(c, path, field, &e);
	if (k->internal)
		return bad(c, path, "%s is written by korat itself and cannot be a resource of a lab",
			   k->name);
	if (kind_store_name(k, doc, name, &e) < 0)
		return bad(c, path, "%s", e.msg);
	snprintf(what, sizeof(what), "%s '%.60s'", k->name, name);
	int r = claim(c, path, what, "resource %d %.200s", (int)k->kind, name);
	return r || k->kind != KIND_IPPOOL ? r : check_pool(c, path, doc);
}

static int take_resources(struct ctx *c, const char *path, const json_t *v, void *to)
{
	if (!json_is_array(v))
		return bad(c, path, "must be a list of documents");
	json_t *list = json_deep_copy(v);
	json_decref(c->lab->resources);
	c->lab->resources = list;
	for (size_t i = 0; i < json_array_size(list); i++) {
		char at[PATH_MAX_LEN];
		snprintf(at, sizeof(at), "%.100s[%zu]", path, i);
		int r = check_resource(c, at, json_array_get(list, i));
		if (r)
			return r;
	}
	return 0;
}

static int take_cni(struct ctx *c, const char *path, const json_t *v, void *to)
{
	static const char *const ours[] = { "cniVersion", "name", "type", "agent_socket" };

	if (!json_is_object(v))
		return bad(c, path, "must be a mapping: members for the CNI configuration");
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		char at[PATH_MAX_LEN];
		join(at, path, ours[i]);
		if (json_object_get(v, ours[i]))
			return bad(c, at, "'%s' is set by the lab itself", ours[i]);
	}
	json_decref(c->lab->cni);
	c->lab->cni = json_deep_copy(v);
	return 0;
}

/* ---- the lab ---- */

static int take_segments(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_records(c, path, v, &segment_record, (void **)&c->lab->segments, &c->lab->nsegments);
}

static int take_routers(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_records(c, path, v, &router_record, (void **)&c->lab->routers, &c->lab->nrouters);
}

static int take_nodes(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_records(c, path, v, &node_record, (void **)&c->lab->nodes, &c->lab->nnodes);
}

static int take_pods(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_records(c, path, v, &pod_record, (void **)&c->lab->pods, &c->lab->npods);
}

static int take_constant(struct ctx *c, const char *path, const json_t *v, const char *must)
{
	const char *s = json_string_value(v);

	if (s && strcmp(s, must) == 0)
		return 0;
	return bad(c, path, "must be %s%s%.40s%s", must, s ? ", not '" : "", s ? s : "", s ? "'" : "");
}

static int take_api_version(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_constant(c, path, v, API_VERSION);
}

static int take_kind(struct ctx *c, const char *path, const json_t *v, void *to)
{
	return take_constant(c, path, v, "Lab");
}

static int check_lab(struct ctx *c, const char *path, void *item)
{
	if (c->lab->nnodes == 0)
		return bad(c, "nodes", "a lab needs at least one node");
	return 0;
}

static const struct field lab_fields[] = {
	{ "apiVersion", true, 0, take_api_version },
	{ "kind", true, 0, take_kind },
	{ "name", true, offsetof(struct lab, name), take_name },
	{ "segments", true, 0, take_segments },
	{ "routers", false, 0, take_routers },
	{ "nodes", true, 0, take_nodes },
	{ "resources", false, 0, take_resources },
	{ "pods", false, 0, take_pods },
	{ "cni", false, 0, take_cni },
	{ NULL },
};
static const struct record lab_record = { "a lab", lab_fields, sizeof(struct lab), 1, check_lab };

static int decode(const struct yaml *y, const json_t *doc, struct lab *ret, struct err *e)
{
	struct lab lab = { 0 };
	struct ctx *c = xcalloc(1, sizeof(*c));

	*c = (struct ctx){ .y = y, .lab = &lab, .e = e };
	int r = decode_record(c, &lab_record, "", doc, &lab);
	claims_done(c);
	free(c);
	if (r) {
		lab_done(&lab);
		return r;
	}
	if (!lab.resources)
		lab.resources = json_array();
	if (!lab.cni)
		lab.cni = json_object();
	*ret = lab;
	return 0;
}

int lab_decode(const struct yaml *y, struct lab *ret, struct err *e)
{
	if (y->n > 1)
		return yaml_err(y, 1, "", e, "a lab file holds one document, but here is another");
	if (y->n == 0)
		return err_set(e, EINVAL, "the lab file is empty");
	return decode(y, yaml_json(y, 0), ret, e);
}

int lab_decode_json(const json_t *doc, struct lab *ret, struct err *e)
{
	return decode(NULL, doc, ret, e);
}

int lab_read_file(const char *path, struct lab *ret, struct err *e)
{
	struct yaml y = { 0 };
	int r = yaml_read_file(path, &y, e);

	if (r < 0)
		return r;
	r = lab_decode(&y, ret, e);
	yaml_done(&y);
	return r;
}

/* ---- back to JSON ---- */

static void put_addr(json_t *o, const char *key, const struct addr *a, int len)
{
	char text[ADDR_STR_MAX];

	if (!addr_is_set(a))
		return;
	addr_format(a, text);
	json_object_set_new(o, key, len < 0 ? json_string(text) : json_sprintf("%s/%d", text, len));
}

static json_t *encode_iface(const struct lab *l, const struct lab_iface *i, json_t *o)
{
	char mac[MAC_STR_MAX];

	json_object_set_new(o, "segment", json_string(l->segments[i->segment].name));
	json_object_set_new(o, "interface", json_string(i->name));
	if (i->has_mac)
		json_object_set_new(o, "mac", json_string(mac_format(&i->mac, mac)));
	put_addr(o, "address", &i->addr4, i->len4);
	put_addr(o, "address6", &i->addr6, i->len6);
	put_addr(o, "gateway", &i->gw4, -1);
	put_addr(o, "gateway6", &i->gw6, -1);
	if (i->metric)
		json_object_set_new(o, "metric", json_integer(i->metric));
	return o;
}

static json_t *encode_router(const struct lab *l, const struct lab_router *r)
{
	json_t *ifs = json_array();

	for (size_t i = 0; i < r->nifs; i++)
		json_array_append_new(ifs, encode_iface(l, &r->ifs[i], json_object()));
	return json_pack("{s:s, s:o}", "name", r->name, "interfaces", ifs);
}

static json_t *encode_pod(const struct lab_pod *p)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "name", p->name, "node", p->node, "containerID", p->id);

	put_addr(o, "ip", &p->ip, -1);
	return o;
}

json_t *lab_encode(const struct lab *l)
{
	json_t *segments = json_array(), *routers = json_array(), *nodes = json_array(), *pods = json_array();

	for (size_t i = 0; i < l->nsegments; i++) {
		const struct lab_segment *s = &l->segments[i];
		json_t *o = json_pack("{s:s}", "name", s->name);
		put_addr(o, "subnet", &s->net4.addr, s->net4.len);
		put_addr(o, "subnet6", &s->net6.addr, s->net6.len);
		json_array_append_new(segments, o);
	}
	for (size_t i = 0; i < l->nrouters; i++)
		json_array_append_new(routers, encode_router(l, &l->routers[i]));
	for (size_t i = 0; i < l->nnodes; i++)
		json_array_append_new(nodes, encode_iface(l, &l->nodes[i].iface,
							  json_pack("{s:s}", "name", l->nodes[i].name)));
	for (size_t i = 0; i < l->npods; i++)
		json_array_append_new(pods, encode_pod(&l->pods[i]));
	json_t *doc = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:O, s:O}", "apiVersion", API_VERSION,
				"kind", "Lab", "name", l->name, "segments", segments, "routers", routers,
				"nodes", nodes, "pods", pods, "resources", l->resources, "cni", l->cni);
	CHECK(doc);
	return doc;
}

/* ---- made up ---- */

void lab_generate(size_t n, struct lab *ret)
{
	json_t *nodes = json_array(), *pods = json_array();
	struct err e;

	for (size_t i = 1; i <= n; i++) {
		json_t *mac = json_sprintf("02:00:0a:64:%02x:%02x", (unsigned)(i >> 8), (unsigned)(i & 0xff));
		json_array_append_new(nodes, json_pack("{s:o, s:s, s:s, s:o, s:o}", "name",
						       json_sprintf("node%zu", i), "segment", "lan",
						       "interface", "eth0", "mac", mac, "address",
						       json_sprintf("10.100.0.%zu/16", i)));
		json_array_append_new(pods, json_pack("{s:o, s:o}", "name", json_sprintf("pod%zu", i), "node",
						      json_sprintf("node%zu", i)));
	}
	json_t *pool = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:i, s:b}}", "apiVersion",
				 "projectcalico.org/v3", "kind", "IPPool", "metadata", "name", "default-pool",
				 "spec", "cidr", "10.8.0.0/16", "blockSize", 26, "natOutgoing", 0);
	json_t *doc = json_pack("{s:s, s:s, s:o, s:[{s:s, s:s}], s:o, s:[o], s:o}", "apiVersion", API_VERSION,
				"kind", "Lab", "name", json_sprintf("flat-%zu", n), "segments", "name", "lan",
				"subnet", "10.100.0.0/16", "nodes", nodes, "resources", pool, "pods", pods);
	CHECK(doc && n >= 1 && n <= LAB_NODES_MAX);
	CHECK(lab_decode_json(doc, ret, &e) == 0);
	json_decref(doc);
}

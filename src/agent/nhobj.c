/* Nexthop objects by number and by hop; made just before the first route that needs them, deleted after the
 * last. */
#include "agent/nhobj.h"

#include "base/log.h"

/* Numbers are shared with whoever else makes objects: ours begin where people and other daemons do not. */
#define FIRST_ID 0x4b000001u

static struct nhobj *by_id(const struct nhobjs *o, uint32_t id)
{
	struct nhobj *obj;

	HASH_FIND(hh_id, o->by_id, &id, sizeof(id), obj);
	return obj;
}

static void key_of(const struct route_hop *hop, struct route_hop *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->gateway = hop->gateway;
	ret->ifindex = hop->ifindex;
	ret->onlink = hop->onlink;
}

static struct nhobj *by_hop(const struct nhobjs *o, const struct route_hop *hop)
{
	struct route_hop key;
	struct nhobj *obj;

	key_of(hop, &key);
	HASH_FIND(hh_key, o->by_key, &key, sizeof(key), obj);
	return obj;
}

static struct nhobj *add(struct nhobjs *o, uint32_t id, const struct route_hop *hop)
{
	struct nhobj *obj = xcalloc(1, sizeof(*obj));

	obj->id = id;
	key_of(hop, &obj->hop);
	HASH_ADD(hh_id, o->by_id, id, sizeof(obj->id), obj);
	/* Should there be two for one hop (left behind by another life), the first is used and the other
	 * goes. */
	obj->keyed = !by_hop(o, hop);
	if (obj->keyed)
		HASH_ADD(hh_key, o->by_key, hop, sizeof(obj->hop), obj);
	return obj;
}

static void unkey(struct nhobjs *o, struct nhobj *obj)
{
	if (obj->keyed)
		HASH_DELETE(hh_key, o->by_key, obj);
	obj->keyed = false;
}

static void forget(struct nhobjs *o, struct nhobj *obj)
{
	unkey(o, obj);
	HASH_DELETE(hh_id, o->by_id, obj);
	free(obj);
}

static void set_present(struct nhobjs *o, struct nhobj *obj, bool present)
{
	if (!obj->users)
		o->unused += (size_t)present - (size_t)obj->present;
	obj->present = present;
	if (!present && !obj->users)
		forget(o, obj);
}

/* ---- whether they are used ---- */

static void set_on(struct nhobjs *o, bool on)
{
	o->changed |= o->on != on;
	o->on = on;
}

void nhobj_gateways(struct nhobjs *o, size_t n, bool settled)
{
	if (o->unsupported || o->mode == NHOBJ_NEVER)
		set_on(o, false);
	else if (o->mode == NHOBJ_ALWAYS || n > NHOBJ_MIN)
		set_on(o, true);
	else if (settled && n < NHOBJ_MIN / 2)
		set_on(o, false);
}

bool nhobj_take_changed(struct nhobjs *o)
{
	bool changed = o->changed;

	o->changed = false;
	return changed;
}

static uint32_t new_id(struct nhobjs *o)
{
	if (!o->last_id)
		o->last_id = FIRST_ID - 1;
	do
		o->last_id++;
	while (!o->last_id || by_id(o, o->last_id));
	return o->last_id;
}

uint32_t nhobj_get(struct nhobjs *o, const struct route_hop *hop)
{
	struct nhobj *obj;

	if (!o->on || !addr_is_set(&hop->gateway))
		return 0;
	obj = by_hop(o, hop);
	if (!obj)
		obj = add(o, new_id(o), hop);
	o->unused -= !obj->users && obj->present;
	obj->users++;
	return obj->id;
}

void nhobj_put(struct nhobjs *o, uint32_t id)
{
	struct nhobj *obj = id ? by_id(o, id) : NULL;

	if (!obj || --obj->users)
		return;
	o->unused += obj->present;
	if (!obj->present)
		forget(o, obj);
}

/* ---- making them ---- */

bool nhobj_queue(struct nhobjs *o, struct nl *nl, uint32_t id)
{
	struct nhobj *obj = by_id(o, id);
	struct nexthop nh = { .id = id, .protocol = ROUTE_PROTO_BIRD };

	if (!obj || obj->present)
		return false;
	nh.hop = obj->hop;
	return nexthop_add(nl, &nh, NULL) == 0;
}

/* The number belongs to somebody else: users get another when they ask again. */
static void taken(struct nhobjs *o, struct nhobj *obj)
{
	unkey(o, obj);
	o->changed = true;
}

void nhobj_on_result(struct nhobjs *o, uint32_t id, int code)
{
	struct nhobj *obj = by_id(o, id);

	if (obj && code == 0) {
		set_present(o, obj, true);
	} else if (obj && code == EEXIST && !obj->present) {
		taken(o, obj);
	} else if (code == EOPNOTSUPP && !o->unsupported) {
		o->unsupported = true;
		log_warn("this kernel has no nexthop objects; routes name their gateways instead");
		set_on(o, false);
	}
}

/* ---- what the kernel has ---- */

void nhobj_dump_begin(struct nhobjs *o)
{
	o->dump++;
}

void nhobj_seen(struct nhobjs *o, const struct nexthop *nh)
{
	struct nhobj *obj = by_id(o, nh->id);

	/* Groups and the like are never ours. */
	if (nh->protocol != ROUTE_PROTO_BIRD || !addr_is_set(&nh->hop.gateway))
		return;
	if (obj && obj->keyed) {
		struct route_hop key;
		key_of(&nh->hop, &key);
		/* Somebody has given it another next hop: it is not what routes want. */
		if (memcmp(&key, &obj->hop, sizeof(key)) != 0)
			taken(o, obj);
	}
	if (!obj)
		obj = add(o, nh->id, &nh->hop);
	obj->dump = o->dump;
	set_present(o, obj, true);
}

void nhobj_dump_end(struct nhobjs *o)
{
	struct nhobj *obj, *tmp;

	HASH_ITER(hh_id, o->by_id, obj, tmp)
	if (obj->dump != o->dump)
		set_present(o, obj, false);
	/* A life before this one used them, and for all that is known yet it was right. */
	if (!o->looked && o->mode == NHOBJ_AUTO && o->by_id)
		o->on = true;
	o->looked = true;
}

bool nhobj_gone(struct nhobjs *o, uint32_t id)
{
	struct nhobj *obj = by_id(o, id);

	if (obj)
		set_present(o, obj, false);
	return obj != NULL;
}

void nhobj_link_down(struct nhobjs *o, uint32_t ifindex)
{
	struct nhobj *obj, *tmp;

	HASH_ITER(hh_id, o->by_id, obj, tmp)
	if (obj->hop.ifindex == ifindex)
		set_present(o, obj, false);
}

bool nhobj_is_present(const struct nhobjs *o, uint32_t id)
{
	const struct nhobj *obj = by_id(o, id);

	return obj && obj->present;
}

/* ---- deleting them ---- */

static void on_deleted(void *arg, uint64_t tag, int code, const char *text)
{
	struct nhobjs *o = arg;
	struct nhobj *obj = by_id(o, (uint32_t)tag);

	if (obj && (code == 0 || code == ENOENT))
		set_present(o, obj, false);
}

int nhobj_sweep(struct nhobjs *o, struct nl *nl, struct err *e)
{
	struct nhobj *obj, *tmp;

	if (!o->unused)
		return 0;
	nl_batch_begin(nl);
	HASH_ITER(hh_id, o->by_id, obj, tmp)
	{
		if (obj->users || !obj->present)
			continue;
		nl_tag(nl, obj->id);
		nexthop_del(nl, obj->id, NULL);
	}
	return nl_batch_end(nl, on_deleted, o, e);
}

void nhobj_done(struct nhobjs *o)
{
	struct nhobj *obj, *tmp;

	HASH_ITER(hh_id, o->by_id, obj, tmp)
	forget(o, obj);
}

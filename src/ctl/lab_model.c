/* Labs as values: finding and removing what is in them. */
#include "ctl/lab.h"

#include "base/check.h"
#include "base/prng.h"

#include <stdio.h>

void lab_done(struct lab *l)
{
	free(l->segments);
	free(l->routers);
	free(l->nodes);
	free(l->pods);
	json_decref(l->resources);
	json_decref(l->cni);
	*l = (struct lab){ 0 };
}

const struct lab_node *lab_node(const struct lab *l, const char *name)
{
	for (size_t i = 0; i < l->nnodes; i++) {
		if (strcmp(l->nodes[i].name, name) == 0)
			return &l->nodes[i];
	}
	return NULL;
}

const struct lab_pod *lab_pod(const struct lab *l, const char *name)
{
	for (size_t i = 0; i < l->npods; i++) {
		if (strcmp(l->pods[i].name, name) == 0)
			return &l->pods[i];
	}
	return NULL;
}

void lab_del_node(struct lab *l, const char *name)
{
	const struct lab_node *n = lab_node(l, name);

	if (!n)
		return;
	size_t i = (size_t)(n - l->nodes);
	memmove(&l->nodes[i], &l->nodes[i + 1], (--l->nnodes - i) * sizeof(*l->nodes));
}

void lab_del_pod(struct lab *l, const char *name)
{
	const struct lab_pod *p = lab_pod(l, name);

	if (!p)
		return;
	size_t i = (size_t)(p - l->pods);
	memmove(&l->pods[i], &l->pods[i + 1], (--l->npods - i) * sizeof(*l->pods));
}

char *lab_netns(const char *name, char buf[static LAB_NETNS_MAX])
{
	snprintf(buf, LAB_NETNS_MAX, "korat-%.63s", name);
	return buf;
}

char *lab_netns_segment(const char *name, char buf[static LAB_NETNS_MAX])
{
	snprintf(buf, LAB_NETNS_MAX, "korat-seg-%.63s", name);
	return buf;
}

void lab_each_netns(const struct lab *l, lab_netns_fn *fn, void *arg)
{
	char buf[LAB_NETNS_MAX];

	for (size_t i = 0; i < l->nsegments; i++)
		fn(arg, lab_netns_segment(l->segments[i].name, buf));
	for (size_t i = 0; i < l->nrouters; i++)
		fn(arg, lab_netns(l->routers[i].name, buf));
	for (size_t i = 0; i < l->nnodes; i++)
		fn(arg, lab_netns(l->nodes[i].name, buf));
	for (size_t i = 0; i < l->npods; i++)
		fn(arg, lab_netns(l->pods[i].name, buf));
}

void lab_make_id(const char *name, char ret[static LAB_ID_MAX])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
	struct prng r = { hash };
	for (size_t i = 0; i < 4; i++)
		snprintf(ret + 16 * i, 17, "%016llx", (unsigned long long)prng_next(&r));
}

bool lab_is_flat(const struct lab *l)
{
	for (size_t i = 1; i < l->nnodes; i++) {
		if (l->nodes[i].iface.segment != l->nodes[0].iface.segment)
			return false;
	}
	return true;
}

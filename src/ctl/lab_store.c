/* Documents into the lab's datastore, one after another, waiting for each. */
#include "ctl/lab_store.h"

#include "base/check.h"
#include "ctl/lab_state.h"
#include "ctl/release.h"
#include "loop/loop.h"
#include "model/clusterinfo.h"
#include "model/kinds.h"
#include "model/node.h"
#include "store/store.h"

#include <sys/random.h>

/* One opening of the store. */
struct fill {
	struct loop *loop;
	struct store *store;
	nsec_t wall;
	struct str *done;
};

static void fill_close(struct fill *f)
{
	store_free(f->store);
	loop_free(f->loop);
}

static int fill_open(struct fill *f, bool create, struct err *e)
{
	f->loop = loop_new(e);
	if (!f->loop)
		return -e->code;
	f->wall = loop_wall(f->loop);
	f->store = store_open(f->loop, LAB_STORE, create, e);
	if (f->store)
		return 0;
	loop_free(f->loop);
	return -e->code;
}

static void new_uid(uint8_t uid[static 16])
{
	CHECK(getrandom(uid, 16, 0) == 16);
}

static int create(struct fill *f, enum kind kind, const json_t *doc, struct err *e)
{
	const struct kind_info *k = kind_info(kind);
	char name[KIND_NAME_MAX];
	int r = kind_store_name(k, doc, name, e);

	if (r < 0)
		return r;
	own_mem char *value = kind_dump_json(doc);
	r = store_write_wait(f->loop, f->store, kind, name, value, 0, true, NULL, e);
	if (r == STORE_EXISTS)
		return r;
	if (r < 0) {
		err_in(e, "%s %s", k->name, name);
		return r;
	}
	if (f->done)
		str_addf(f->done, "%s%s/%s", f->done->n ? " " : "", k->name, name);
	return 0;
}

static int create_resource(struct fill *f, const json_t *given, struct err *e)
{
	char field[KIND_FIELD_MAX];
	const struct kind_info *k = kind_of(given, field, e);
	uint8_t uid[16];

	if (!k)
		return -e->code;
	json_t *doc = json_deep_copy(given);
	new_uid(uid);
	kind_stamp(doc, NULL, uid, f->wall);
	int r = create(f, k->kind, doc, e);
	json_decref(doc);
	return r;
}

/* What the lab file brought itself stays as it is. */
static int create_default(struct fill *f, enum kind kind, json_t *doc, struct err *e)
{
	int r = create(f, kind, doc, e);

	json_decref(doc);
	return r == STORE_EXISTS ? 0 : r;
}

static int create_node(struct fill *f, const struct lab_node *n, struct err *e)
{
	struct node node = { .ipv4 = n->iface.addr4, .ipv6 = n->iface.addr6 };
	uint8_t uid[16];

	if (addr_is_set(&node.ipv4))
		node.net4 = prefix_of(&node.ipv4, n->iface.len4);
	if (addr_is_set(&node.ipv6))
		node.net6 = prefix_of(&node.ipv6, n->iface.len6);
	memcpy(node.name, n->name, sizeof(n->name));
	new_uid(uid);
	return create_default(f, KIND_NODE, node_encode(&node, uid, f->wall), e);
}

static int create_cluster(struct fill *f, struct err *e)
{
	uint8_t uid[16], guid[16];
	int r;

	new_uid(uid);
	json_t *bgp = kind_envelope(kind_info(KIND_BGPCONFIG), "default", NULL, uid, f->wall);
	json_object_set_new(bgp, "spec",
			    json_pack("{s:b, s:i}", "nodeToNodeMeshEnabled", 1, "asNumber", 64512));
	if ((r = create_default(f, KIND_BGPCONFIG, bgp, e)))
		return r;
	new_uid(uid);
	new_uid(guid);
	return create_default(f, KIND_CLUSTERINFO, clusterinfo_encode(guid, "korat-lab", uid, f->wall), e);
}

int lab_store_fill(const struct lab *l, struct str *done, struct err *e)
{
	struct fill f = { .done = done };
	int r = fill_open(&f, true, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(l->resources) && !r; i++)
		r = create_resource(&f, json_array_get(l->resources, i), e);
	if (!r)
		r = create_cluster(&f, e);
	for (size_t i = 0; i < l->nnodes && !r; i++)
		r = create_node(&f, &l->nodes[i], e);
	fill_close(&f);
	return r;
}

int lab_store_add_node(const struct lab_node *n, struct err *e)
{
	struct fill f = { 0 };
	int r = fill_open(&f, false, e);

	if (r < 0)
		return r;
	r = create_node(&f, n, e);
	fill_close(&f);
	return r;
}

int lab_store_del_node(const char *name, struct err *e)
{
	struct release_left left;
	struct fill f = { 0 };
	int r = fill_open(&f, false, e);

	if (r < 0)
		return r;
	r = store_delete_wait(f.loop, f.store, KIND_NODE, name, 0, e);
	if (r == 0 || r == STORE_NOT_FOUND)
		r = release_node(f.loop, f.store, name, &left, e);
	fill_close(&f);
	return r;
}

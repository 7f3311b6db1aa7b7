/* The mesh: one session per pair of nodes and family, with Calico's rule for who dials. */
#include "agent/peers.h"

#include "agent/agent.h"

#include <arpa/inet.h>
#include <sha2.h>
#include <stdio.h>

/* Seconds, as Calico offers them; for the restart time peers keep our routes while the speaker is away. */
#define HOLD_TIME    240
#define RESTART_TIME 120

bool peers_mesh(const struct node *me, const struct node *other, uint8_t family, uint32_t my_asn,
		uint32_t other_asn, uint16_t port, struct ipc_peer *ret)
{
	const struct addr *mine = family == AF_INET ? &me->ipv4 : &me->ipv6;
	const struct addr *theirs = family == AF_INET ? &other->ipv4 : &other->ipv6;
	char a[ADDR_STR_MAX], b[ADDR_STR_MAX];

	if (!addr_is_set(mine) || !addr_is_set(theirs) || addr_eq(mine, theirs))
		return false;
	if (me->cluster_id || other->cluster_id)
		return false; /* reflectors are not in the mesh */
	*ret = (struct ipc_peer){
		.remote = *theirs,
		.local = *mine,
		.port = port,
		.remote_asn = other_asn,
		.local_asn = my_asn,
		.families = family == AF_INET ? IPC_FAMILY_V4 : IPC_FAMILY_V6,
		/* What one node announces, every other takes, as in Calico's mesh; also between two AS. */
		.import = IPC_POLICY_ALL,
		.export = IPC_POLICY_ALL,
		/* Compared as text, as Calico does: the textually larger address dials, the other side waits.
		 */
		.passive = strcmp(addr_format(theirs, a), addr_format(mine, b)) > 0,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", other->name);
	return true;
}

uint32_t peers_router_id(const struct node *me)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	if (addr_is_set(&me->ipv4))
		return addr_to_v4(&me->ipv4);
	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)me->name, strlen(me->name));
	SHA256Final(hash, &ctx);
	if (hash[0] > 223)
		hash[0] = (uint8_t)(hash[0] - 32);
	uint32_t id = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
	return id ? id : 1;
}

static void tell_peer(struct agent *a, const struct ipc_peer *p, bool gone)
{
	struct ipc_msg m = { .type = gone ? IPC_PEER_GONE : IPC_PEER, .peer = *p };

	a->io.to_speaker(a->io.arg, &m);
}

static void tell_config(struct agent *a, const struct node *me)
{
	uint32_t restart = a->world.bgp_default.restart_time;
	struct ipc_config c = {
		.asn = world_asn(&a->world, me),
		.router_id = peers_router_id(me),
		.cluster_id = me->cluster_id,
		.hold_time = HOLD_TIME,
		.restart_time = (uint16_t)MIN(restart ? restart : RESTART_TIME, 4095u),
	};

	if (a->peers.config_told && !memcmp(&c, &a->peers.config, sizeof(c)))
		return;
	a->peers.config = c;
	a->peers.config_told = true;
	struct ipc_msg m = { .type = IPC_CONFIG, .config = c };
	a->io.to_speaker(a->io.arg, &m);
}

static void want_peer(struct agent *a, const struct ipc_peer *want)
{
	struct peers *p = &a->peers;
	struct peer_entry *en;

	map_find(p->map, &want->remote, en);
	if (!en) {
		en = xcalloc(1, sizeof(*en));
		en->remote = want->remote;
		map_add(p->map, remote, en);
		a->fib.restate = true;
	}
	/* Two nodes with one address: the first has it. Telling both in turn would restart the session each
	 * time. */
	if (en->delta.wanted && en->delta.stamp == p->stamp)
		return;
	delta_want(&en->delta, p->stamp, memcmp(&en->want, want, sizeof(*want)) != 0);
	if (!en->delta.present || en->delta.differs) {
		en->want = *want;
		tell_peer(a, want, false);
	}
	delta_applied(&en->delta);
}

static bool mesh_enabled(const struct world *w)
{
	return !w->bgp_default.has_mesh || w->bgp_default.mesh;
}

static void want_mesh(struct agent *a, const struct node *me)
{
	struct world *w = &a->world;
	struct world_node *n, *tmp;
	struct ipc_peer want;
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	map_each (w->nodes, n, tmp) {
		if (!strcmp(n->node.name, w->me))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(families); i++)
			if (peers_mesh(me, &n->node, families[i], world_asn(w, me), world_asn(w, &n->node),
				       world_port(w), &want))
				want_peer(a, &want);
	}
}

void peers_derive(struct agent *a)
{
	struct peers *p = &a->peers;
	const struct node *me = world_me(&a->world);
	struct peer_entry *en, *tmp;

	if (!a->world.synced)
		return;
	p->stamp++;
	if (me && (addr_is_set(&me->ipv4) || addr_is_set(&me->ipv6))) {
		tell_config(a, me);
		if (mesh_enabled(&a->world))
			want_mesh(a, me);
	}
	map_each (p->map, en, tmp) {
		if (en->delta.stamp == p->stamp)
			continue;
		tell_peer(a, &en->want, true);
		map_del(p->map, en);
		a->fib.restate = true;
		free(en);
	}
}

void peers_restate(struct agent *a)
{
	struct peer_entry *en, *tmp;

	a->peers.config_told = false;
	map_each (a->peers.map, en, tmp) {
		en->delta.present = false;
		en->heard = false;
	}
}

void peers_on_state(struct agent *a, const struct ipc_peer_state *st)
{
	struct peer_entry *en;

	map_find(a->peers.map, &st->remote, en);
	if (!en)
		return;
	en->heard = true;
	en->state = *st;
	en->state_at = a->io.now(a->io.arg) - st->since;
}

void peers_done(struct peers *p)
{
	struct peer_entry *en, *tmp;

	map_each (p->map, en, tmp) {
		map_del(p->map, en);
		free(en);
	}
}

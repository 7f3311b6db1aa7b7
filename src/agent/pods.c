/* CNI requests as small machines; pods' routes as a derivation. */
#include "agent/pods.h"

#include "agent/agent.h"
#include "agent/cnireq.h"
#include "agent/podlink.h"
#include "kern/addr.h"
#include "kern/netns.h"
#include "rpc/rpc.h"

#include <stdio.h>

#define WAITERS_MAX 16
#define STORE_TRIES 8

struct job_key {
	char container_id[254];
	char ifname[IFNAMSIZ];
};

enum job_what { JOB_ADD, JOB_DEL };

struct pod_job {
	struct job_key key;
	struct agent *agent;
	enum job_what what;
	struct cnireq req;
	struct rpc_req *waiters[WAITERS_MAX]; /* all get the same answer */
	size_t nwaiters;
	struct rpc_req *next; /* a DEL that came while an ADD was under way */
	int ns_fd;
	struct nl *nl; /* inside the pod; NULL if the plugin could not open it (DEL) */
	struct alloc_job alloc;
	bool allocating[2];  /* IPv4, IPv6 still to be assigned */
	bool mending;	     /* an ADD that failed and is being undone */
	bool keep_inside;    /* the pod's interface of that name is not ours */
	bool waiting_routes; /* everything is done but the kernel's routes */
	int store_tries;
	int fail_code; /* what to answer after mending */
	struct err fail;
	char timestamp[CLOCK_GO_MAX]; /* attribute of the allocation */
	struct prefix blocks[2];      /* the block of each address, for the answer */
	UT_hash_handle hh;
};

static void job_continue_add(struct pod_job *j);
static void job_start_del(struct pod_job *j);
static void write_wep(struct pod_job *j);
static void delete_wep(struct pod_job *j);
static void start_del(struct agent *a, struct rpc_req *req);
static struct world_wep *wep_of(struct pod_job *j);

/* ---- jobs ---- */

static struct job_key key_of(const struct cnireq *r)
{
	struct job_key k;

	memset(&k, 0, sizeof(k));
	memcpy(k.container_id, r->container_id, sizeof(k.container_id));
	memcpy(k.ifname, r->ifname, sizeof(k.ifname));
	return k;
}

static struct pod_job *job_find(struct agent *a, const struct cnireq *r)
{
	struct job_key k = key_of(r);
	struct pod_job *j;

	map_find(a->pods.jobs, &k, j);
	return j;
}

static struct pod_job *job_new(struct agent *a, enum job_what what, const struct cnireq *r,
			       struct rpc_req *req)
{
	struct pod_job *j = xcalloc(1, sizeof(*j));

	j->agent = a;
	j->what = what;
	j->req = *r;
	j->key = key_of(r);
	j->ns_fd = -1;
	j->waiters[j->nwaiters++] = req;
	map_add(a->pods.jobs, key, j);
	return j;
}

/* Ends the job; a DEL that waited for it starts now. */
static void job_end(struct pod_job *j)
{
	struct agent *a = j->agent;
	struct rpc_req *next = j->next;

	map_del(a->pods.jobs, j);
	nl_free(j->nl);
	if (j->ns_fd >= 0)
		close(j->ns_fd);
	free(j);
	if (next)
		start_del(a, next);
}

static void job_answer(struct pod_job *j, json_t *result)
{
	for (size_t i = 0; i < j->nwaiters; i++)
		rpc_reply(j->waiters[i], json_incref(result));
	j->nwaiters = 0;
	json_decref(result);
	job_end(j);
}

static void job_fail(struct pod_job *j, int code, const struct err *e)
{
	for (size_t i = 0; i < j->nwaiters; i++)
		rpc_fail(j->waiters[i], code, NULL, "%s", e->msg);
	j->nwaiters = 0;
	job_end(j);
}

/* An ADD failed: give back what it took, then say why. */
static void job_mend(struct pod_job *j, int code, const struct err *e)
{
	j->fail = *e;
	j->fail_code = code;
	j->mending = true;
	job_start_del(j);
}

/* ---- what must be true before anything starts ---- */

static bool accept_request(struct agent *a, struct rpc_req *req, enum job_what what, struct cnireq *r)
{
	struct err e = { 0 };
	char reason[ERR_MSG_MAX];
	int code = CNI_FAILED;
	int bad = what == JOB_DEL ? cnireq_decode_id(rpc_params(req), r, &code, &e)
				  : cnireq_decode(rpc_params(req), a->me, r, &code, &e);

	if (bad < 0) {
		rpc_fail(req, code, NULL, "%s", e.msg);
		return false;
	}
	/* A node on its way out can still let pods go. */
	if (what == JOB_DEL ? !agent_synced(a, reason) : !agent_ready(a, reason)) {
		rpc_fail(req, CNI_TRY_AGAIN, NULL, "node %s is not ready for pods: %s", a->me, reason);
		return false;
	}
	if (map_count(a->pods.jobs) >= PODS_JOBS_MAX) {
		rpc_fail(req, CNI_TRY_AGAIN, NULL,
			 "node %s has %d pod requests under way, the most it takes at once", a->me,
			 PODS_JOBS_MAX);
		return false;
	}
	return true;
}

/* The plugin's two descriptors: the pod's namespace and a netlink socket inside it. Neither is taken on
 * trust. */
static int take_descriptors(struct pod_job *j, struct rpc_req *req, struct err *e)
{
	own_fd int nlfd = -1;

	j->ns_fd = rpc_take_fd(req, 0);
	nlfd = rpc_take_fd(req, 1);
	if (j->ns_fd < 0 || nlfd < 0)
		return err_set(e, EINVAL, "the plugin did not pass the pod's network namespace");
	if (!netns_is(j->ns_fd) || netns_is_own(j->ns_fd) != 0)
		return err_set(e, EINVAL, "%s is not a network namespace of a pod", j->req.netns);
	if (nl_adopt(nlfd, &j->nl, e) < 0)
		return -e->code;
	take_fd(nlfd);
	if (nl_is_in(j->nl, j->ns_fd) != 1)
		return err_set(e, EINVAL, "the plugin's netlink socket is not in the namespace %s",
			       j->req.netns);
	return 0;
}

/* ---- ADD ---- */

static void on_allocated(struct alloc_job *aj, enum ipam_answer answer, const struct err *e)
{
	struct pod_job *j = container_of(aj, struct pod_job, alloc);
	struct wep *w = &j->req.wep;

	if (answer != IPAM_OK) {
		job_mend(j, answer == IPAM_WRITE ? CNI_TRY_AGAIN : CNI_FAILED, e);
		return;
	}
	j->blocks[w->naddrs] = aj->block;
	w->addrs[w->naddrs++] = aj->addr;
	j->allocating[aj->addr.family == AF_INET6] = false;
	job_continue_add(j);
}

/* Pools by name become CIDRs here, where the pools are known. */
static int resolve_pools(struct pod_job *j, uint8_t family, struct ipam_request *r, struct err *e)
{
	struct world_pool *p;

	for (size_t i = 0; i < j->req.npools; i++) {
		struct prefix cidr = j->req.pools[i];
		if (j->req.pool_names[i][0]) {
			map_find_str(j->agent->world.pools, j->req.pool_names[i], p);
			if (!p)
				return err_set(e, ENOENT,
					       "the given pool (%s) does not exist, or is not enabled",
					       j->req.pool_names[i]);
			cidr = p->pool.cidr;
		}
		if (cidr.addr.family == family)
			r->pools[r->npools++] = cidr;
	}
	return 0;
}

static void add_attr(struct ipam_request *r, const char *key, const char *value)
{
	r->attrs[r->nattrs++] = (struct block_attr_kv){ key, value };
}

static void allocate(struct pod_job *j, uint8_t family)
{
	struct cnireq *q = &j->req;
	bool given = q->wanted.family == family;
	struct ipam_request r = {
		.what = given ? IPAM_ASSIGN_ADDR : IPAM_ASSIGN,
		.host = j->agent->me,
		.handle = q->handle,
		.family = family,
		.addr = given ? q->wanted : (struct addr){ 0 },
	};
	struct err e = { 0 };

	if (q->wep.pod[0]) {
		add_attr(&r, "namespace", q->wep.namespace);
		add_attr(&r, "node", j->agent->me);
		add_attr(&r, "pod", q->wep.pod);
	} else {
		add_attr(&r, "node", j->agent->me);
	}
	add_attr(&r, "timestamp", clock_format_go(j->agent->io.wall(j->agent->io.arg), j->timestamp));
	if (resolve_pools(j, family, &r, &e) < 0) {
		job_mend(j, CNI_FAILED, &e);
		return;
	}
	alloc_start(&j->agent->alloc, &j->alloc, &r, on_allocated);
}

static void make_link(struct pod_job *j)
{
	struct cnireq *q = &j->req;
	struct podlink p = {
		.ns_fd = j->ns_fd,
		.nl = j->nl,
		.mtu = q->mtu,
		.naddrs = q->wep.naddrs,
		.addrs = q->wep.addrs,
	};
	struct link host;
	struct err e = { 0 };

	snprintf(p.host, sizeof(p.host), "%s", q->wep.interface);
	snprintf(p.ifname, sizeof(p.ifname), "%s", q->ifname);
	if (podlink_make(j->agent->nl, &p, &host, &q->wep.mac, &e) < 0) {
		j->keep_inside = true; /* podlink_make left nothing of ours behind */
		job_mend(j, CNI_FAILED, &e);
		return;
	}
	host.flags |= IFF_UP;
	pods_on_link(j->agent, &host, false);
	write_wep(j);
}

/* The runtime has given it up: what was begun is undone, so that its DEL need not wait for all of it. */
static bool give_up(struct pod_job *j)
{
	struct err e;

	if (!j->next)
		return false;
	err_set(&e, ECANCELED, "container %s was deleted while it was added", j->req.container_id);
	job_mend(j, CNI_TRY_AGAIN, &e);
	return true;
}

static void job_continue_add(struct pod_job *j)
{
	if (give_up(j))
		return;
	if (j->allocating[0])
		allocate(j, AF_INET);
	else if (j->allocating[1])
		allocate(j, AF_INET6);
	else
		make_link(j);
}

static void on_wep_written(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct pod_job *j = arg;
	struct agent *a = j->agent;

	if (rc == 0 || ((rc == STORE_STALE || rc == STORE_EXISTS) && obj && obj->value)) {
		world_learn(&a->world, KIND_WEP, j->req.wep_key, obj->value, obj->rev, NULL);
	} else if (rc == STORE_NOT_FOUND) {
		world_learn(&a->world, KIND_WEP, j->req.wep_key, NULL, INT64_MAX, NULL);
	} else {
		job_mend(j, CNI_TRY_AGAIN, e);
		return;
	}
	if (give_up(j))
		return;
	if (rc != 0) {
		write_wep(j);
		return;
	}
	/* A DEL of this or an earlier sandbox may have begun to take the record down; it is ours now. */
	struct world_wep *p = wep_of(j);
	if (p)
		p->leaving = false;
	j->waiting_routes = true;
	agent_wake(a, DIRTY_PODS);
}

static void write_wep(struct pod_job *j)
{
	struct agent *a = j->agent;
	struct world_wep *old = world_find_wep(&a->world, j->req.wep_key);
	uint8_t uid[16];
	struct err e = { 0 };

	if (++j->store_tries > STORE_TRIES) {
		err_set(&e, EAGAIN,
			"WorkloadEndpoint %s is being changed by somebody else all the time; try again",
			j->req.wep_key);
		job_mend(j, CNI_TRY_AGAIN, &e);
		return;
	}
	a->io.random(a->io.arg, uid, sizeof(uid));
	json_t *doc = wep_encode(&j->req.wep, old ? old->doc : NULL, uid, a->io.wall(a->io.arg));
	own_mem char *text = kind_dump_json(doc);
	json_decref(doc);
	if (old)
		store_update(a->store, KIND_WEP, j->req.wep_key, text, old->seen.rev, on_wep_written, j);
	else
		store_create(a->store, KIND_WEP, j->req.wep_key, text, on_wep_written, j);
}

static json_t *add_result(const struct pod_job *j)
{
	const struct wep *w = &j->req.wep;
	json_t *addrs = json_array(), *routes = json_array(), *sysctls = json_array();
	char mac[MAC_STR_MAX], p[PREFIX_STR_MAX];
	const char *forward = j->req.allow_ip_forwarding ? "1" : "0";
	bool v4 = false, v6 = false;

	for (size_t i = 0; i < w->naddrs; i++) {
		struct prefix host = prefix_host(&w->addrs[i]);
		char a[ADDR_STR_MAX], dst[PREFIX_STR_MAX + 8];
		json_array_append_new(addrs, json_string(prefix_format(&host, p)));
		snprintf(dst, sizeof(dst), "%s/%u", addr_format(&w->addrs[i], a), j->blocks[i].len);
		json_array_append_new(routes, json_pack("{s:s}", "dst", dst));
		v4 |= host.addr.family == AF_INET;
		v6 |= host.addr.family == AF_INET6;
	}
	if (v4)
		json_array_append_new(sysctls, json_pack("[ss]", "net/ipv4/ip_forward", forward));
	if (v6)
		json_array_append_new(sysctls, json_pack("[ss]", "net/ipv6/conf/all/forwarding", forward));
	return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o}", "hostInterface", w->interface, "mac",
			 mac_format(&w->mac, mac), "mtu", (int)j->req.mtu, "addresses", addrs, "routes",
			 routes, "sysctls", sysctls);
}

static void start_add(struct pod_job *j, struct rpc_req *req)
{
	struct err e = { 0 };

	if (take_descriptors(j, req, &e) < 0) {
		job_fail(j, CNI_BAD_NETNS, &e);
		return;
	}
	j->allocating[0] = j->req.v4;
	j->allocating[1] = j->req.v6;
	if (addr_is_set(&j->req.wanted)) {
		j->allocating[0] = j->req.wanted.family == AF_INET || (j->req.v4 && j->req.v6);
		j->allocating[1] = j->req.wanted.family == AF_INET6 || (j->req.v4 && j->req.v6);
	}
	job_continue_add(j);
}

/* The ADD under way that makes the host's interface of this name, other than j's own. */
static struct pod_job *maker_of(struct agent *a, const char *interface, const struct pod_job *j)
{
	struct pod_job *other, *tmp;

	map_each (a->pods.jobs, other, tmp)
		if (other != j && other->what == JOB_ADD && !strcmp(other->req.wep.interface, interface))
			return other;
	return NULL;
}

void pods_on_add(struct agent *a, struct rpc_req *req)
{
	struct cnireq r;
	struct pod_job *j;

	if (!accept_request(a, req, JOB_ADD, &r))
		return;
	j = job_find(a, &r);
	if (!j && maker_of(a, r.wep.interface, NULL)) {
		/* Two sandboxes of one pod share its record: the earlier must not end up with the later's. */
		rpc_fail(req, CNI_TRY_AGAIN, NULL,
			 "an earlier container of the pod of %s is still being added; try again",
			 r.container_id);
	} else if (!j) {
		start_add(job_new(a, JOB_ADD, &r, req), req);
	} else if (j->what == JOB_ADD && !j->mending && j->nwaiters < WAITERS_MAX) {
		j->waiters[j->nwaiters++] = req;
	} else {
		rpc_fail(req, CNI_TRY_AGAIN, NULL, "container %s is being deleted; try again",
			 r.container_id);
	}
}

/* Are all of this pod's routes in the kernel? */
static bool routes_in(const struct agent *a, const struct wep *w)
{
	for (size_t i = 0; i < w->naddrs; i++) {
		struct prefix host = prefix_host(&w->addrs[i]);
		const struct route_entry *en = routes_find(&a->routes, RT_TABLE_MAIN, &host);
		if (!en || delta_op(&en->delta) != DELTA_KEEP)
			return false;
	}
	return true;
}

/* Nothing is left to wait for: a newer sandbox of the pod has taken the record over, or somebody removed the
 * interface. */
static bool is_overtaken(struct pod_job *j)
{
	return !wep_of(j) || !pods_iface(&j->agent->pods, j->req.wep.interface);
}

static void stop_waiting(struct pod_job *j, const char *why)
{
	struct err e;

	j->waiting_routes = false;
	err_set(&e, ECANCELED, "container %s: %s while its routes were being made", j->req.container_id, why);
	job_mend(j, CNI_TRY_AGAIN, &e);
}

void pods_answer(struct agent *a)
{
	struct pod_job *j, *tmp;

	map_each (a->pods.jobs, j, tmp) {
		if (!j->waiting_routes)
			continue;
		if (is_overtaken(j))
			stop_waiting(j, "its interface was removed");
		else if (routes_in(a, &j->req.wep))
			job_answer(j, add_result(j));
	}
}

/* ---- DEL, and undoing an ADD that failed ---- */

static void del_done(struct pod_job *j)
{
	if (j->mending)
		job_fail(j, j->fail_code, &j->fail);
	else
		job_answer(j, json_object());
}

static void del_failed(struct pod_job *j, const struct err *e)
{
	if (j->mending) {
		/* What could not be given back stays recorded under the handle: the next ADD or DEL mends it.
		 */
		job_fail(j, j->fail_code, &j->fail);
		return;
	}
	job_fail(j, CNI_TRY_AGAIN, e);
}

/* The record of exactly this container: a pod of the same name in a newer sandbox is left alone. */
static struct world_wep *wep_of(struct pod_job *j)
{
	struct world_wep *p, *tmp;

	map_each (j->agent->world.weps, p, tmp)
		if (!strcmp(p->wep.container_id, j->req.container_id) &&
		    !strcmp(p->wep.endpoint, j->req.ifname))
			return p;
	return NULL;
}

static void on_wep_deleted(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct pod_job *j = arg;
	struct world *w = &j->agent->world;

	if (rc == STORE_STALE && obj && obj->value) {
		world_learn(w, KIND_WEP, obj->name, obj->value, obj->rev, NULL);
		delete_wep(j);
		return;
	}
	if (rc < 0 && rc != STORE_NOT_FOUND) {
		del_failed(j, e);
		return;
	}
	struct world_wep *p = wep_of(j);
	if (p) {
		own_mem char *name = xstrdup(p->name);
		world_learn(w, KIND_WEP, name, NULL, INT64_MAX, NULL);
	}
	agent_wake(j->agent, DIRTY_PODS);
	del_done(j);
}

static void delete_wep(struct pod_job *j)
{
	struct world_wep *p = wep_of(j);
	struct err e = { 0 };

	if (!p) {
		del_done(j);
		return;
	}
	if (++j->store_tries > 2 * STORE_TRIES) {
		err_set(&e, EAGAIN,
			"WorkloadEndpoint %s is being changed by somebody else all the time; try again",
			p->name);
		del_failed(j, &e);
		return;
	}
	store_delete(j->agent->store, KIND_WEP, p->name, p->seen.rev, on_wep_deleted, j);
}

static void on_released(struct alloc_job *aj, enum ipam_answer answer, const struct err *e)
{
	struct pod_job *j = container_of(aj, struct pod_job, alloc);

	if (answer != IPAM_OK) {
		del_failed(j, e);
		return;
	}
	agent_wake(j->agent, DIRTY_PODS | DIRTY_BLOCKS);
	delete_wep(j);
}

static void job_start_del(struct pod_job *j)
{
	struct agent *a = j->agent;
	struct world_wep *p = wep_of(j);
	struct err e = { 0 };
	int r = 0;

	/* The interface first: an address must not be given away while somebody still has it. Where a newer
	 * sandbox of the pod is being made, the interface of that name is, or will be, its own: making it
	 * removes a stale one. */
	if (p)
		p->leaving = true;
	if (j->nl && !j->keep_inside)
		r = podlink_remove_inside(j->nl, j->req.ifname, &e);
	if (r == 0 && p && !maker_of(a, p->wep.interface, j))
		r = podlink_remove_host(a->nl, p->wep.interface, &e);
	if (r < 0) {
		err_in(&e, "delete the interface of container %s", j->req.container_id);
		if (p)
			p->leaving = false;
		del_failed(j, &e);
		return;
	}
	agent_wake(a, DIRTY_PODS);
	struct ipam_request rel = { .what = IPAM_RELEASE_HANDLE, .host = a->me, .handle = j->req.handle };
	alloc_start(&a->alloc, &j->alloc, &rel, on_released);
}

static void start_del(struct agent *a, struct rpc_req *req)
{
	struct cnireq r;
	struct pod_job *j;
	struct err e = { 0 };

	if (!accept_request(a, req, JOB_DEL, &r))
		return;
	j = job_find(a, &r);
	if (j) {
		if (j->what == JOB_DEL && j->nwaiters < WAITERS_MAX)
			j->waiters[j->nwaiters++] = req;
		else if (!j->next)
			j->next = req;
		else
			rpc_fail(req, CNI_TRY_AGAIN, NULL,
				 "container %s has a DEL waiting already; try again", r.container_id);
		/* An ADD that only waits for the kernel may wait for ever. */
		if (j->next && j->waiting_routes)
			stop_waiting(j, "it was deleted");
		return;
	}
	j = job_new(a, JOB_DEL, &r, req);
	/* The namespace may be gone already; then the kernel has taken the interface with it. */
	if (take_descriptors(j, req, &e) < 0) {
		nl_free(j->nl);
		j->nl = NULL;
	}
	job_start_del(j);
}

void pods_on_del(struct agent *a, struct rpc_req *req)
{
	start_del(a, req);
}

/* ---- CHECK ---- */

static int check_routes(struct agent *a, const struct wep *w, struct err *e)
{
	char p[PREFIX_STR_MAX];

	for (size_t i = 0; i < w->naddrs; i++) {
		struct prefix host = prefix_host(&w->addrs[i]);
		struct route_query q = { .dst = host.addr, .fibmatch = true };
		struct route r;
		const struct pod_iface *f = pods_iface(&a->pods, w->interface);
		if (route_get(a->nl, &q, &r, NULL) < 0 || !prefix_eq(&r.dst, &host) || !f ||
		    r.hops[0].ifindex != f->ifindex)
			return err_set(e, EUCLEAN, "the host's route %s dev %s is missing",
				       prefix_format(&host, p), w->interface);
	}
	return 0;
}

static int check(struct agent *a, struct pod_job *j, struct rpc_req *req, struct err *e)
{
	struct world_wep *p = wep_of(j);
	struct podlink l;

	if (take_descriptors(j, req, e) < 0)
		return -e->code;
	if (!p)
		return err_set(
			e, ENOENT,
			"container %s has no WorkloadEndpoint on node %s: it was never added, or was deleted",
			j->req.container_id, a->me);
	l = (struct podlink){
		.ns_fd = j->ns_fd, .nl = j->nl, .naddrs = p->wep.naddrs, .addrs = p->wep.addrs
	};
	snprintf(l.host, sizeof(l.host), "%s", p->wep.interface);
	snprintf(l.ifname, sizeof(l.ifname), "%s", j->req.ifname);
	if (podlink_check(a->nl, &l, e) < 0)
		return -e->code;
	return check_routes(a, &p->wep, e);
}

void pods_on_check(struct agent *a, struct rpc_req *req)
{
	struct cnireq r;
	struct pod_job *j;
	struct err e = { 0 };

	if (!accept_request(a, req, JOB_ADD, &r))
		return;
	if (job_find(a, &r)) {
		rpc_fail(req, CNI_TRY_AGAIN, NULL, "container %s is being added or deleted; try again",
			 r.container_id);
		return;
	}
	j = job_new(a, JOB_ADD, &r, req);
	if (check(a, j, req, &e) < 0)
		job_fail(j, CNI_CHECK_FAILED, &e);
	else
		job_answer(j, json_object());
}

/* ---- routes ---- */

static void want_route(struct agent *a, const struct addr *addr, uint32_t ifindex)
{
	struct route r = {
		.dst = prefix_host(addr),
		.table = RT_TABLE_MAIN,
		.type = RTN_UNICAST,
		.protocol = RTPROT_BOOT,
		.scope = addr->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.nhops = 1,
	};

	r.hops[0].ifindex = ifindex;
	routes_want(&a->routes, ROUTES_POD, &r);
}

static void want_gateway(struct agent *a)
{
	struct addr gw = podlink_gateway(AF_INET);
	struct route r = {
		.dst = prefix_host(&gw),
		.table = RT_TABLE_LOCAL,
		.type = RTN_UNICAST,
		.protocol = ROUTE_PROTO_BIRD,
		.scope = RT_SCOPE_LINK,
		.nhops = 1,
	};

	r.hops[0].ifindex = a->pods.uplink;
	if (a->pods.uplink)
		routes_want(&a->routes, ROUTES_GATEWAY, &r);
}

void pods_derive(struct agent *a)
{
	struct world_wep *p, *tmp;

	if (!a->world.synced)
		return;
	routes_begin(&a->routes, ROUTES_POD);
	map_each (a->world.weps, p, tmp) {
		const struct pod_iface *f = pods_iface(&a->pods, p->wep.interface);
		if (p->leaving || !f || !f->up)
			continue;
		for (size_t i = 0; i < p->wep.naddrs; i++)
			want_route(a, &p->wep.addrs[i], f->ifindex);
	}
	routes_sweep(&a->routes, ROUTES_POD);
	routes_begin(&a->routes, ROUTES_GATEWAY);
	want_gateway(a);
	routes_sweep(&a->routes, ROUTES_GATEWAY);
}

/* ---- interfaces ---- */

const struct pod_iface *pods_iface(const struct pods *p, const char *name)
{
	struct pod_iface *f;

	map_find_str(p->ifaces, name, f);
	return f;
}

void pods_on_link(struct agent *a, const struct link *l, bool gone)
{
	struct pods *p = &a->pods;
	struct pod_iface *f;
	bool up = l->flags & IFF_UP;

	if (strncmp(l->name, PODLINK_PREFIX, strlen(PODLINK_PREFIX)) != 0)
		return;
	map_find_str(p->ifaces, l->name, f);
	if (gone) {
		/* A late event about an older interface of the same name says nothing about the present one.
		 */
		if (!f || f->ifindex != l->ifindex)
			return;
		map_del(p->ifaces, f);
		free(f);
		agent_wake(a, DIRTY_PODS);
		return;
	}
	if (!f) {
		f = xcalloc(1, sizeof(*f));
		memcpy(f->name, l->name, sizeof(f->name));
		HASH_ADD_STR(p->ifaces, name, f);
	} else if (f->ifindex == l->ifindex && f->up == up) {
		f->stamp = a->pods.stamp;
		return;
	}
	f->stamp = a->pods.stamp;
	f->ifindex = l->ifindex;
	f->up = up;
	agent_wake(a, DIRTY_PODS);
}

static void on_dumped_link(void *arg, const struct link *l)
{
	pods_on_link(arg, l, false);
}

static void on_dumped_addr(void *arg, const struct if_addr *ia)
{
	struct agent *a = arg;
	const struct node *me = world_me(&a->world);
	struct prefix net = prefix_of(&ia->addr, ia->len);

	fib_connected_seen(&a->fib, &net);
	if (me && addr_eq(&ia->addr, &me->ipv4))
		a->pods.uplink = ia->ifindex;
}

/* What the dump did not mention is gone. */
static void sweep_ifaces(struct agent *a)
{
	struct pod_iface *f, *tmp;

	map_each (a->pods.ifaces, f, tmp) {
		if (f->stamp == a->pods.stamp)
			continue;
		map_del(a->pods.ifaces, f);
		free(f);
		agent_wake(a, DIRTY_PODS);
	}
}

int pods_look(struct agent *a, struct err *e)
{
	a->pods.stamp++;
	if (link_dump(a->nl, on_dumped_link, a, e) < 0)
		return -e->code;
	sweep_ifaces(a);
	return 0;
}

int pods_find_uplink(struct agent *a, struct err *e)
{
	uint32_t was = a->pods.uplink;

	/* A Node that was deleted does not say that the interface is another: running pods keep their
	 * gateway.
	 */
	if (!world_me(&a->world))
		return 0;
	a->pods.uplink = 0;
	fib_connected_begin(&a->fib);
	if (ifaddr_dump(a->nl, 0, 0, on_dumped_addr, a, e) < 0) {
		a->pods.uplink = was;
		return -e->code;
	}
	fib_connected_end(&a->fib);
	if (a->pods.uplink != was)
		agent_wake(a, DIRTY_PODS);
	return 0;
}

bool pods_is_iface(const struct pods *p, uint32_t ifindex)
{
	struct pod_iface *f, *tmp;

	map_each (p->ifaces, f, tmp)
		if (f->ifindex == ifindex)
			return true;
	return false;
}

void pods_done(struct agent *a)
{
	struct pod_iface *f, *tf;
	struct pod_job *j, *tj;
	struct err e;

	err_set(&e, ECANCELED, "the agent of node %s is stopping; try again", a->me);
	map_each (a->pods.jobs, j, tj) {
		if (j->next)
			rpc_fail(j->next, CNI_TRY_AGAIN, NULL, "%s", e.msg);
		j->next = NULL;
		job_fail(j, CNI_TRY_AGAIN, &e);
	}
	map_each (a->pods.ifaces, f, tf) {
		map_del(a->pods.ifaces, f);
		free(f);
	}
}

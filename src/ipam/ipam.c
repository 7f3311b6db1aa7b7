/*
 * The next-write machine: every call looks at the view afresh and says the one write that brings the request
 * nearer to its end. Between calls it remembers only what a view cannot tell: which of its own writes it is
 * waiting to see.
 *
 * An address is given out by two writes: the handle's count first, then the block. It is taken back in the
 * opposite order. A crash between them leaves a handle that counts too much, which the next ADD uses up and
 * the next DEL removes; the DEL writes the block in any case, so that an ADD that died with its write under
 * way can no longer succeed.
 */
#include "ipam/ipam.h"

#include "base/check.h"
#include "ipam/claim.h"
#include "ipam/first.h"
#include "ipam/pool.h"

#include <stdio.h>
#include <string.h>

#define WRITES_MAX     1000 /* of one request: more means that we never win */
#define LOST_MAX       2    /* races for blocks that others should give back, before we leave them alone */
#define BLOCKS_DEFAULT 20   /* of one family on one host, if maxBlocksPerHost is not set */

/* One call's arguments, to pass on. */
struct turn {
	const struct ipam_view *v;
	struct ipam_request *req;
	struct ipam_step *s;
	struct err *e;
};

static const char *family_word(uint8_t family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

static void refuse(struct turn *t)
{
	t->s->answer = IPAM_REFUSED;
}

static void answer_addr(struct turn *t, const struct addr *a, const struct prefix *block)
{
	t->s->answer = IPAM_OK;
	t->s->addr = *a;
	t->s->block = *block;
}

/* ---- handles ---- */

static uint32_t handle_count(const struct handle *h, const struct prefix *cidr)
{
	for (size_t i = 0; h && i < h->n; i++)
		if (prefix_eq(&h->blocks[i].cidr, cidr))
			return h->blocks[i].count;
	return 0;
}

/* Makes *w write the handle with at least need addresses of cidr; false if it says so already. */
static bool raise_handle(struct turn *t, const struct prefix *cidr, uint32_t need)
{
	struct ipam_write *w = &t->s->write;
	const struct handle *h = t->v->handle(t->v->arg, t->req->handle, &w->rev);
	uint32_t have = handle_count(h, cidr);

	if (have >= need)
		return false;
	w->op = h ? IPAM_UPDATE : IPAM_CREATE;
	w->kind = KIND_HANDLE;
	snprintf(w->name, sizeof(w->name), "%s", t->req->handle);
	if (h)
		w->handle = *h;
	else
		snprintf(w->handle.id, sizeof(w->handle.id), "%s", t->req->handle);
	w->handle.deleted = false;
	t->s->answer = IPAM_WRITE;
	if (handle_add(&w->handle, cidr, need - have, t->e) < 0)
		refuse(t);
	return true;
}

/* ---- addresses of a block ---- */

struct usable {
	const struct ipam_view *v;
};

static bool is_usable(void *arg, const struct addr *a)
{
	const struct usable *u = arg;

	return !u->v->reserved || !u->v->reserved(u->v->arg, a);
}

static struct block_attr attr_of(const struct ipam_request *req)
{
	return (struct block_attr){ .handle = (char *)req->handle,
				    .kv = (struct block_attr_kv *)req->attrs,
				    .nkv = req->nattrs };
}

static usec_t cooldown(const struct turn *t)
{
	return t->v->config->cooldown_seconds * SEC;
}

/*
 * The next write that gives out an address of block cidr: addr if it is not NULL, else any. False if the
 * block has none (and e says why if addr was wanted).
 */
static bool take_from(struct turn *t, const struct prefix *cidr, const struct addr *addr)
{
	struct block_attr attr = attr_of(t->req);
	struct usable u = { t->v };
	struct addr got;
	int64_t rev;
	const struct block *seen = t->v->block(t->v->arg, cidr, &rev);

	if (!seen)
		return false;
	struct block b;
	block_copy(&b, seen);
	block_gc(&b, t->req->wall, cooldown(t));
	uint32_t have = block_count_handle(&b, t->req->handle);
	bool ok = addr ? block_take(&b, addr, &attr, t->e) == 0
		       : block_take_free(&b, &attr, is_usable, &u, &got);
	if (!ok || raise_handle(t, cidr, have + 1)) {
		block_done(&b);
		return ok;
	}
	b.sequence++;
	t->s->answer = IPAM_WRITE;
	t->s->write.op = IPAM_UPDATE;
	t->s->write.kind = KIND_BLOCK;
	t->s->write.rev = rev;
	t->s->write.block = b;
	block_name(cidr, t->s->write.name);
	return true;
}

/* ---- the host's blocks ---- */

struct held {
	struct prefix *cidr;
	size_t n;
};

static bool add_held(void *arg, const struct affinity *a, int64_t rev)
{
	struct held *h = arg;

	h->cidr = xrealloc(h->cidr, (h->n + 1) * sizeof(h->cidr[0]));
	h->cidr[h->n++] = a->cidr;
	return true;
}

static void list_held(struct turn *t, uint8_t family, struct held *ret)
{
	*ret = (struct held){ 0 };
	t->v->each_affinity(t->v->arg, t->req->host, family, add_held, ret);
}

/* ---- what the handle already has ---- */

static bool found_in(struct turn *t, const struct prefix *cidr)
{
	struct addr a;
	int64_t rev;
	const struct block *b = t->v->block(t->v->arg, cidr, &rev);

	if (!b || !block_first_of_handle(b, t->req->handle, &a))
		return false;
	uint32_t n = block_count_handle(b, t->req->handle);
	if (!raise_handle(t, cidr, n))
		answer_addr(t, &a, cidr);
	return true;
}

/* Asked again for what was given already? Then the answer is the same. */
static bool answer_again(struct turn *t)
{
	int64_t rev;
	const struct handle *seen = t->v->handle(t->v->arg, t->req->handle, &rev);
	struct handle h = { 0 };
	struct held held;
	bool found = false;

	if (seen)
		h = *seen;
	for (size_t i = 0; !found && i < h.n; i++)
		found = h.blocks[i].cidr.addr.family == t->req->family && found_in(t, &h.blocks[i].cidr);
	if (found)
		return true;
	list_held(t, t->req->family, &held);
	for (size_t i = 0; !found && i < held.n; i++)
		found = found_in(t, &held.cidr[i]);
	free(held.cidr);
	return found;
}

/* ---- any address ---- */

/* Gives back what at.host holds of at.cidr, if this was begun. True if there is a write to do. */
static bool go_on_giving(struct turn *t)
{
	struct err unused;

	if (t->req->at.phase != PHASE_GIVE)
		return false;
	switch (claim_give(t->v, t->req, t->req->at.host, &t->req->at.cidr, false, &t->s->write, &unused)) {
	case CLAIM_WRITE:
		t->s->answer = IPAM_WRITE;
		return true;
	case CLAIM_LOST:
		t->req->at.lost++;
		break;
	default:
		break;
	}
	t->req->at.phase = PHASE_NONE;
	return false;
}

static bool start_giving(struct turn *t, const char *host, const struct prefix *cidr)
{
	if (t->req->at.lost >= LOST_MAX)
		return false;
	struct err unused;
	if (claim_give(t->v, t->req, host, cidr, false, &t->s->write, &unused) != CLAIM_WRITE)
		return false;
	t->s->answer = IPAM_WRITE;
	return true;
}

/* An address of one block that the host holds (after its claim is repaired where needed). */
static bool take_held(struct turn *t, const struct prefix *cidr)
{
	switch (claim_take(t->v, t->req, cidr, &t->s->write)) {
	case CLAIM_WRITE:
		t->s->answer = IPAM_WRITE;
		return true;
	case CLAIM_DONE:
		return take_from(t, cidr, NULL);
	default:
		return false;
	}
}

/*
 * Blocks that the handle is already counted in come first: the count is there, and if the view is older than
 * an ADD that died, the write of this block will show it.
 */
static bool take_any_held(struct turn *t, const struct pool_set *pools, const struct held *held)
{
	for (int counted = 1; counted >= 0; counted--)
		for (size_t i = 0; i < held->n; i++) {
			int64_t rev;
			const struct handle *h = t->v->handle(t->v->arg, t->req->handle, &rev);
			if (!pool_covers(pools, &held->cidr[i]) ||
			    (handle_count(h, &held->cidr[i]) > 0) != (counted == 1))
				continue;
			if (take_held(t, &held->cidr[i]))
				return true;
		}
	return false;
}

/* A block whose pool no longer selects this node is given back when it is empty. */
static bool leave_pools(struct turn *t, const struct pool_set *pools, const struct held *held)
{
	for (size_t i = 0; i < held->n; i++)
		if (!pool_covers(pools, &held->cidr[i]) &&
		    pool_left_behind(t->v, t->req->host, &held->cidr[i]) &&
		    start_giving(t, t->req->host, &held->cidr[i]))
			return true;
	return false;
}

static bool at_limit(struct turn *t, const struct pool_set *pools, const struct held *held)
{
	uint32_t limit =
		t->v->config->max_blocks_per_host ? t->v->config->max_blocks_per_host : BLOCKS_DEFAULT;
	uint32_t n = 0;

	for (size_t i = 0; i < held->n; i++)
		n += pool_covers(pools, &held->cidr[i]);
	if (n < limit)
		return false;
	err_set(t->e, ENOSPC,
		"node %s has %u %s blocks, all full, and the limit is %u (maxBlocksPerHost); raise the "
		"limit, use larger "
		"blocks, or delete pods",
		t->req->host, n, family_word(t->req->family), limit);
	refuse(t);
	return true;
}

static bool drop_block(struct turn *t, const struct prefix *cidr)
{
	struct ipam_write *w = &t->s->write;
	const struct block *b = t->v->block(t->v->arg, cidr, &w->rev);

	if (!b || b->affinity[0] || !block_empty(b))
		return false;
	w->op = IPAM_DELETE;
	w->kind = KIND_BLOCK;
	block_copy(&w->block, b);
	block_name(cidr, w->name);
	t->s->answer = IPAM_WRITE;
	return true;
}

static bool claim_new(struct turn *t, const struct pool_set *pools)
{
	struct prefix cidr;
	char host[254];

	switch (pool_pick_block(t->v, t->req, pools, &cidr, host)) {
	case POOL_PICK_CLAIM:
		return take_held(t, &cidr);
	case POOL_PICK_RECLAIM:
		return start_giving(t, host, &cidr);
	case POOL_PICK_DROP:
		return drop_block(t, &cidr);
	default:
		return false;
	}
}

static bool borrow_from(void *arg, const struct prefix *cidr)
{
	return !take_from(arg, cidr, NULL);
}

static bool borrow(struct turn *t, const struct pool_set *pools)
{
	t->s->answer = IPAM_FULL;
	pool_each_foreign(t->v, t->req, pools, borrow_from, t);
	return t->s->answer != IPAM_FULL;
}

static void say_full(struct turn *t, const struct pool_set *pools)
{
	bool strict = t->v->config->strict_affinity;
	char text[400];

	pool_describe(t->v, pools, text, sizeof(text));
	t->s->answer = IPAM_FULL;
	err_set(t->e, ENOSPC,
		"Assigned 0 out of 1 requested %s addresses; %s: %.300s; add an IPPool or delete pods",
		family_word(t->req->family),
		strict ? "No more free affine blocks and strict affinity enabled" : "every address is in use",
		text);
}

static void assign_from(struct turn *t, const struct pool_set *pools, const struct held *held)
{
	if (leave_pools(t, pools, held) || take_any_held(t, pools, held) || at_limit(t, pools, held))
		return;
	if (!t->v->config->auto_allocate) {
		err_set(t->e, ENOSPC,
			"node %s has no block with a free %s address, and blocks are not claimed "
			"automatically "
			"(autoAllocateBlocks is false)",
			t->req->host, family_word(t->req->family));
		refuse(t);
		return;
	}
	if (claim_new(t, pools))
		return;
	if (t->v->config->strict_affinity || !borrow(t, pools))
		say_full(t, pools);
}

static void assign(struct turn *t)
{
	struct pool_set pools;
	struct held held;

	if (go_on_giving(t) || answer_again(t))
		return;
	if (pool_gather(t->v, t->req, &pools, t->e) < 0) {
		refuse(t);
		return;
	}
	list_held(t, t->req->family, &held);
	assign_from(t, &pools, &held);
	free(held.cidr);
	pool_set_done(&pools);
}

/* ---- one given address ---- */

/* Is the address already this handle's, or somebody's? Then the answer is in the step. */
static bool answer_taken(struct turn *t, const struct prefix *cidr)
{
	char text[ADDR_STR_MAX];
	int64_t rev;
	const struct block *b = t->v->block(t->v->arg, cidr, &rev);
	const struct block_attr *attr = b ? block_attr_of(b, &t->req->addr) : NULL;

	if (!attr || (attr->released_at && t->v->config->cooldown_seconds == 0))
		return false;
	if (attr->handle && !strcmp(attr->handle, t->req->handle)) {
		uint32_t n = block_count_handle(b, t->req->handle);
		if (!raise_handle(t, cidr, n))
			answer_addr(t, &t->req->addr, cidr);
		return true;
	}
	if (attr->released_at)
		return false; /* block_gc() decides */
	err_set(t->e, EEXIST, "address %s is already assigned to %s; choose another or release it",
		addr_format(&t->req->addr, text), attr->handle ? attr->handle : "somebody");
	refuse(t);
	return true;
}

static bool is_foreign(struct turn *t, const struct prefix *cidr)
{
	int64_t rev;
	const struct block *b = t->v->block(t->v->arg, cidr, &rev);
	const char *host = b ? block_host(b) : NULL;

	return b && (!host || strcmp(host, t->req->host) != 0);
}

static void assign_addr(struct turn *t)
{
	char text[ADDR_STR_MAX], block[PREFIX_STR_MAX];
	struct ippool pool;

	if (pool_of_addr(t->v, &t->req->addr, &pool, t->e) < 0) {
		refuse(t);
		return;
	}
	struct prefix cidr = ipam_block_of(&pool, &t->req->addr);
	if (answer_taken(t, &cidr))
		return;
	if (is_foreign(t, &cidr)) {
		if (t->v->config->strict_affinity) {
			err_set(t->e, EPERM,
				"address %s is in block %s, which belongs to another node, and "
				"strictAffinity is on; "
				"choose an address of a block of %s",
				addr_format(&t->req->addr, text), prefix_format(&cidr, block), t->req->host);
			refuse(t);
			return;
		}
	} else if (claim_take(t->v, t->req, &cidr, &t->s->write) == CLAIM_WRITE) {
		t->s->answer = IPAM_WRITE;
		return;
	}
	if (!take_from(t, &cidr, &t->req->addr))
		refuse(t);
}

/* ---- giving back ---- */

/* Writes block cidr without the handle's addresses, or unchanged if it has none. */
static void release_in(struct turn *t, const struct prefix *cidr)
{
	struct ipam_write *w = &t->s->write;

	w->kind = KIND_BLOCK;
	block_copy(&w->block, t->v->block(t->v->arg, cidr, &w->rev));
	block_gc(&w->block, t->req->wall, cooldown(t));
	block_release_handle(&w->block, t->req->handle, t->req->wall, cooldown(t));
	w->block.sequence++;
	w->op = block_empty(&w->block) && !w->block.affinity[0] ? IPAM_DELETE : IPAM_UPDATE;
	block_name(cidr, w->name);
	t->req->at.phase = PHASE_RELEASE;
	t->req->at.cidr = *cidr;
	t->req->at.block_rev = w->rev;
	t->s->answer = IPAM_WRITE;
}

/*
 * May a handle forget block cidr? Only if the view of the block is newer than this request: an older one may
 * lack an address that was given out by an ADD that died.
 */
static bool is_released(struct turn *t, const struct prefix *cidr)
{
	int64_t rev;
	const struct block *b = t->v->block(t->v->arg, cidr, &rev);

	if (!b)
		return true;
	return !block_count_handle(b, t->req->handle) && t->req->at.phase == PHASE_RELEASE &&
	       prefix_eq(&t->req->at.cidr, cidr) && rev != t->req->at.block_rev;
}

static void forget_block(struct turn *t, const struct handle *h, int64_t rev)
{
	struct ipam_write *w = &t->s->write;

	w->kind = KIND_HANDLE;
	w->rev = rev;
	w->handle = *h;
	snprintf(w->name, sizeof(w->name), "%s", t->req->handle);
	bool empty = !h->n || handle_sub(&w->handle, &h->blocks[0].cidr, UINT32_MAX);
	w->op = empty ? IPAM_DELETE : IPAM_UPDATE;
	t->s->answer = IPAM_WRITE;
}

struct search {
	const char *handle;
	struct prefix cidr;
	bool found;
};

static bool search_block(void *arg, const struct block *b, int64_t rev)
{
	struct search *s = arg;

	s->found = block_count_handle(b, s->handle) > 0;
	s->cidr = b->cidr;
	return !s->found;
}

/* A block that has an address of the handle, wherever it is. */
static bool search_all(struct turn *t, struct prefix *ret)
{
	static const struct prefix all[] = { { .addr = { .family = AF_INET } },
					     { .addr = { .family = AF_INET6 } } };
	struct search s = { .handle = t->req->handle };

	for (size_t i = 0; !s.found && i < ARRAY_SIZE(all); i++)
		t->v->each_block(t->v->arg, &all[i], search_block, &s);
	*ret = s.cidr;
	return s.found;
}

static void release_handle(struct turn *t)
{
	int64_t rev;
	const struct handle *seen = t->v->handle(t->v->arg, t->req->handle, &rev);
	struct prefix cidr;

	if (seen) {
		struct handle h = *seen;
		if (!h.n || is_released(t, &h.blocks[0].cidr))
			forget_block(t, &h, rev);
		else
			release_in(t, &h.blocks[0].cidr);
	} else if (search_all(t, &cidr)) {
		release_in(t, &cidr);
	} else {
		t->s->answer = IPAM_OK;
	}
}

static void release_affinity(struct turn *t)
{
	switch (claim_give(t->v, t->req, t->req->host, &t->req->cidr, t->req->also_used, &t->s->write,
			   t->e)) {
	case CLAIM_WRITE:
		t->s->answer = IPAM_WRITE;
		break;
	case CLAIM_DONE:
		t->s->answer = IPAM_OK;
		t->s->block = t->req->cidr;
		break;
	default:
		refuse(t);
	}
}

/* ---- the entrance ---- */

static bool check_request(struct turn *t)
{
	const char *host = t->req->host, *handle = t->req->handle;

	if (!host || !*host || strlen(host) >= sizeof(t->req->at.host) || strchr(host, '/'))
		err_set(t->e, EINVAL, "\"%.260s\" is not a node name", host ? host : "");
	else if (t->req->what != IPAM_RELEASE_AFFINITY &&
		 (!handle || !*handle || strlen(handle) >= BLOCK_HANDLE_MAX || strpbrk(handle, "/\r")))
		err_set(t->e, EINVAL, "\"%.200s\" is not a handle: 1 to %d bytes without a slash",
			handle ? handle : "", BLOCK_HANDLE_MAX - 1);
	else if (t->req->what == IPAM_ASSIGN && !addr_bits(t->req->family))
		err_set(t->e, EINVAL, "an address of neither IPv4 nor IPv6 was asked for");
	else if (t->req->nattrs > IPAM_ATTRS_MAX || t->req->npools > IPAM_POOLS_MAX)
		err_set(t->e, EINVAL, "more than %d attributes or %d pools", IPAM_ATTRS_MAX, IPAM_POOLS_MAX);
	else
		return true;
	refuse(t);
	return false;
}

void ipam_step(const struct ipam_view *v, struct ipam_request *req, struct ipam_step *ret, struct err *e)
{
	static void (*const doers[])(struct turn *) = {
		[IPAM_ASSIGN] = assign,
		[IPAM_ASSIGN_ADDR] = assign_addr,
		[IPAM_RELEASE_HANDLE] = release_handle,
		[IPAM_RELEASE_AFFINITY] = release_affinity,
	};
	struct turn t = { v, req, ret, e };

	memset(ret, 0, sizeof(*ret));
	if (!check_request(&t))
		return;
	doers[req->what](&t);
	if (ret->answer == IPAM_WRITE && ++req->at.writes > WRITES_MAX) {
		ipam_step_done(ret);
		err_set(e, EAGAIN,
			"gave up after %d writes: others change the same address blocks all the time; try "
			"again",
			WRITES_MAX);
		refuse(&t);
	}
}

void ipam_step_done(struct ipam_step *s)
{
	block_done(&s->write.block);
}

struct prefix ipam_block_of(const struct ippool *p, const struct addr *a)
{
	return prefix_of(a, p->block_size);
}

struct prefix ipam_first_block(const struct prefix *pool, uint8_t block_len, const char *host, uint64_t seed)
{
	return first_nth(pool, block_len, first_index(host, first_bits(pool, block_len), seed));
}

/*
 * Claiming a block and giving it back: the order of writes that keeps two nodes from owning one block.
 *
 *	take:   affinity pending  ->  block with our name  ->  affinity confirmed
 *	give:   affinity pendingDeletion  ->  block away (or without a name)  ->  affinity away
 *
 * Each side invalidates the other. Who takes a block that exists writes it again after it saw the affinity
 * pending, so a giver that read the block before can no longer delete it. Who gives writes the affinity after
 * it read the block, even if it said pendingDeletion already, and deletes only that revision of the block, so
 * a taker that confirmed since is safe. Our own write of a block is recognised by its sequence number, which
 * is set to the time in nanoseconds (Calico starts it so, and only ever compares it for equality): an answer
 * that was lost on the way does no harm.
 */
#include "ipam/claim.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* What the view says of one block and one host's affinity to it. */
struct facts {
	bool have_affinity, have_block, mine;
	enum affinity_state state;
	int64_t affinity_rev, block_rev;
	uint64_t sequence;
};

static void look(const struct ipam_view *v, const char *host, const struct prefix *cidr, struct facts *f)
{
	*f = (struct facts){ 0 };
	const struct affinity *a = v->affinity(v->arg, host, cidr, &f->affinity_rev);
	if (a) {
		f->have_affinity = true;
		f->state = a->state;
	}
	const struct block *b = v->block(v->arg, cidr, &f->block_rev);
	if (b) {
		const char *owner = block_host(b);
		f->have_block = true;
		f->mine = owner && !strcmp(owner, host);
		f->sequence = b->sequence;
	}
}

static enum claim write_affinity(const struct facts *f, const char *host, const struct prefix *cidr,
				 enum affinity_state state, struct ipam_write *w)
{
	w->op = f->have_affinity ? IPAM_UPDATE : IPAM_CREATE;
	w->kind = KIND_AFFINITY;
	w->rev = f->have_affinity ? f->affinity_rev : 0;
	affinity_name(host, cidr, w->name);
	w->affinity = (struct affinity){ .cidr = *cidr, .state = state };
	snprintf(w->affinity.host, sizeof(w->affinity.host), "%s", host);
	return CLAIM_WRITE;
}

static enum claim delete_affinity(const struct facts *f, const char *host, const struct prefix *cidr,
				  struct ipam_write *w)
{
	write_affinity(f, host, cidr, f->state, w);
	w->op = IPAM_DELETE;
	return CLAIM_WRITE;
}

/* Is this still the claim that the last block write of this request was for? */
static bool same_claim(const struct ipam_request *req, const struct facts *f, const struct prefix *cidr)
{
	return req->at.phase == PHASE_CLAIM && prefix_eq(&req->at.cidr, cidr) &&
	       req->at.affinity_rev == f->affinity_rev;
}

static enum claim write_block(const struct ipam_view *v, struct ipam_request *req, const struct facts *f,
			      const struct prefix *cidr, struct ipam_write *w)
{
	w->op = f->have_block ? IPAM_UPDATE : IPAM_CREATE;
	w->kind = KIND_BLOCK;
	w->rev = f->have_block ? f->block_rev : 0;
	block_name(cidr, w->name);
	if (f->have_block) {
		block_copy(&w->block, v->block(v->arg, cidr, &w->rev));
		w->block.sequence = MAX(w->block.sequence + 1, (uint64_t)req->wall);
		/* A claim that is repaired is a new one: nobody else shall find the block old and empty
		 * meanwhile. */
		clock_format_rfc3339(req->wall, w->block.claim_time);
	} else {
		block_init(&w->block, cidr, req->host, req->wall);
	}
	if (!same_claim(req, f, cidr))
		req->at.changes = 0;
	else if (f->block_rev != req->at.block_rev)
		req->at.changes++;
	req->at.phase = PHASE_CLAIM;
	req->at.cidr = *cidr;
	req->at.affinity_rev = f->affinity_rev;
	req->at.block_rev = f->block_rev;
	req->at.stamp = w->block.sequence;
	return CLAIM_WRITE;
}

/*
 * Was the block written after the affinity became what it is? Our own write was, and so was anybody's that
 * came between two of our attempts: the first attempt showed us the block as it was later than the affinity.
 */
static bool is_fenced(const struct ipam_request *req, const struct facts *f, const struct prefix *cidr)
{
	return f->mine && same_claim(req, f, cidr) && f->block_rev != req->at.block_rev &&
	       (req->at.stamp == f->sequence || req->at.changes > 0);
}

enum claim claim_take(const struct ipam_view *v, struct ipam_request *req, const struct prefix *cidr,
		      struct ipam_write *w)
{
	struct facts f;

	look(v, req->host, cidr, &f);
	if (f.have_block && !f.mine)
		return f.have_affinity ? delete_affinity(&f, req->host, cidr, w) : CLAIM_LOST;
	if (!f.have_affinity || f.state == AFFINITY_PENDING_DELETION)
		return write_affinity(&f, req->host, cidr, AFFINITY_PENDING, w);
	if (is_fenced(req, &f, cidr))
		return write_affinity(&f, req->host, cidr, AFFINITY_CONFIRMED, w);
	if (f.mine && f.state == AFFINITY_CONFIRMED)
		return CLAIM_DONE;
	return write_block(v, req, &f, cidr, w);
}

/* Addresses in use, after those that have cooled down are free again. */
static uint32_t count_used(const struct ipam_view *v, const struct ipam_request *req,
			   const struct prefix *cidr)
{
	struct block b;
	int64_t rev;

	block_copy(&b, v->block(v->arg, cidr, &rev));
	block_gc(&b, req->wall, v->config->cooldown_seconds * SEC);
	uint32_t n = block_empty(&b) ? 0 : b.size - b.nfree;
	block_done(&b);
	return n;
}

static enum claim give_block(const struct ipam_view *v, const struct prefix *cidr, uint32_t used,
			     struct ipam_write *w)
{
	w->op = used ? IPAM_UPDATE : IPAM_DELETE;
	w->kind = KIND_BLOCK;
	block_name(cidr, w->name);
	block_copy(&w->block, v->block(v->arg, cidr, &w->rev));
	w->block.affinity[0] = '\0';
	w->block.claim_time[0] = '\0';
	w->block.sequence++;
	return CLAIM_WRITE;
}

static enum claim give_start(struct ipam_request *req, const struct facts *f, const char *host,
			     const struct prefix *cidr, struct ipam_write *w)
{
	req->at.phase = PHASE_GIVE;
	req->at.cidr = *cidr;
	if (host != req->at.host)
		snprintf(req->at.host, sizeof(req->at.host), "%s", host);
	req->at.block_rev = f->mine ? f->block_rev : 0;
	req->at.affinity_rev = f->affinity_rev;
	return write_affinity(f, host, cidr, AFFINITY_PENDING_DELETION, w);
}

enum claim claim_give(const struct ipam_view *v, struct ipam_request *req, const char *host,
		      const struct prefix *cidr, bool also_used, struct ipam_write *w, struct err *e)
{
	char text[PREFIX_STR_MAX];
	struct facts f;

	look(v, host, cidr, &f);
	if (!f.have_affinity && !f.mine)
		return CLAIM_DONE;
	if (f.have_affinity && f.have_block && !f.mine)
		return delete_affinity(&f, host, cidr, w); /* a stale one: the block is another's */
	uint32_t used = f.mine ? count_used(v, req, cidr) : 0;
	if (used && !also_used) {
		err_set(e, EBUSY, "block %s of %s still has %u addresses in use; release them first",
			prefix_format(cidr, text), host, used);
		return CLAIM_LOST;
	}
	bool started =
		req->at.phase == PHASE_GIVE && prefix_eq(&req->at.cidr, cidr) && !strcmp(req->at.host, host);
	bool written = started && f.have_affinity && f.affinity_rev != req->at.affinity_rev;
	if (written && f.state != AFFINITY_PENDING_DELETION && !also_used) {
		err_set(e, EBUSY, "block %s is being used by %s again; it was not taken away",
			prefix_format(cidr, text), host);
		return CLAIM_LOST;
	}
	if (!written || f.state != AFFINITY_PENDING_DELETION)
		return give_start(req, &f, host, cidr, w);
	if (!f.mine)
		return delete_affinity(&f, host, cidr, w);
	if (f.block_rev != req->at.block_rev)
		return give_start(req, &f, host, cidr, w);
	return give_block(v, cidr, used, w);
}

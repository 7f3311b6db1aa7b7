#include "bgp/trie.h"

#include "base/check.h"

#include <endian.h>

/* A prefix's bits, the first one on top. Of a node's only the first len count. */
struct bits {
	uint64_t hi, lo;
};

/* Below a node is what begins with its first len bits: in child[0] what goes on with 0, in child[1] with 1. A
 * node without a value is there because both of its children are. */
struct trie_node {
	struct bits bits;
	uint32_t child[2];
	uint32_t value;
	uint8_t len;
	bool set; /* it has a value */
};
_Static_assert(sizeof(struct trie_node) == 32, "nodes are counted in millions");

static struct bits bits_of(const struct prefix *p)
{
	struct bits b;

	memcpy(&b, p->addr.b, sizeof(b));
	return (struct bits){ be64toh(b.hi), be64toh(b.lo) };
}

static unsigned bit_at(struct bits b, unsigned i)
{
	return (i < 64 ? b.hi >> (63 - i) : b.lo >> (127 - i)) & 1;
}

static unsigned bits_shared(struct bits a, struct bits b)
{
	if (a.hi != b.hi)
		return (unsigned)__builtin_clzll(a.hi ^ b.hi);
	return a.lo == b.lo ? 128 : 64 + (unsigned)__builtin_clzll(a.lo ^ b.lo);
}

static unsigned side_of(uint8_t family)
{
	return family == AF_INET6;
}

void trie_done(struct trie *t)
{
	free(t->node);
	*t = (struct trie){ 0 };
}

uint32_t trie_count(const struct trie *t)
{
	return t->count;
}

size_t trie_bytes(const struct trie *t)
{
	return t->cap * sizeof(*t->node);
}

/* --- nodes --- */

/* Room for two more, so that links into the array stay good while they are made. */
static void nodes_reserve(struct trie *t)
{
	if (t->cap - t->n >= 2)
		return;
	CHECK(t->cap < UINT32_MAX / 2);
	t->cap = t->cap ? t->cap * 2 : 8;
	t->node = xrealloc(t->node, t->cap * sizeof(*t->node));
	if (!t->n)
		t->n = 1;
}

static uint32_t node_new(struct trie *t, struct bits bits, unsigned len)
{
	uint32_t i = t->free;

	if (i)
		t->free = t->node[i].child[0];
	else
		i = t->n++;
	t->node[i] = (struct trie_node){ .bits = bits, .len = (uint8_t)len };
	return i;
}

/* Takes out a node that is no longer needed: one without a value and with less than two children. */
static void node_prune(struct trie *t, uint32_t *link)
{
	struct trie_node *n = &t->node[*link];
	uint32_t gone = *link;

	if (n->set || (n->child[0] && n->child[1]))
		return;
	*link = n->child[0] ? n->child[0] : n->child[1];
	n->child[0] = t->free;
	t->free = gone;
}

/* Is what begins with these bits, at least len of them, below node i (or i itself)? */
static bool node_covers(const struct trie *t, uint32_t i, struct bits bits, unsigned len)
{
	return t->node[i].len <= len && bits_shared(t->node[i].bits, bits) >= t->node[i].len;
}

/* --- the set --- */

/* The node for exactly these bits where *link leads elsewhere: above what is there, or beside it below a new
 * one. */
static uint32_t node_insert(struct trie *t, uint32_t *link, struct bits bits, unsigned len)
{
	uint32_t old = *link, i = node_new(t, bits, len);

	if (!old)
		return *link = i;
	unsigned shared = bits_shared(t->node[old].bits, bits);
	if (shared >= len) {
		t->node[i].child[bit_at(t->node[old].bits, len)] = old;
		return *link = i;
	}
	uint32_t fork = node_new(t, bits, shared);
	t->node[fork].child[bit_at(bits, shared)] = i;
	t->node[fork].child[!bit_at(bits, shared)] = old;
	*link = fork;
	return i;
}

bool trie_put(struct trie *t, const struct prefix *p, uint32_t value)
{
	struct bits bits = bits_of(p);
	uint32_t *link = &t->root[side_of(p->addr.family)], i;

	nodes_reserve(t);
	while (*link && t->node[*link].len < p->len && node_covers(t, *link, bits, p->len))
		link = &t->node[*link].child[bit_at(bits, t->node[*link].len)];
	if (*link && t->node[*link].len == p->len && node_covers(t, *link, bits, p->len))
		i = *link;
	else
		i = node_insert(t, link, bits, p->len);
	bool fresh = !t->node[i].set;
	t->node[i].set = true;
	t->node[i].value = value;
	t->count += fresh;
	return fresh;
}

bool trie_remove(struct trie *t, const struct prefix *p)
{
	struct bits bits = bits_of(p);
	uint32_t *link = &t->root[side_of(p->addr.family)], *above = NULL;

	while (*link && t->node[*link].len < p->len && node_covers(t, *link, bits, p->len)) {
		above = link;
		link = &t->node[*link].child[bit_at(bits, t->node[*link].len)];
	}
	if (!*link || t->node[*link].len != p->len || !node_covers(t, *link, bits, p->len) ||
	    !t->node[*link].set)
		return false;
	t->node[*link].set = false;
	t->count--;
	node_prune(t, link);
	if (above)
		node_prune(t, above);
	return true;
}

bool trie_get(const struct trie *t, const struct prefix *p, uint32_t *ret)
{
	uint32_t value;
	uint8_t len;

	if (!trie_longest(t, p, &value, &len) || len != p->len)
		return false;
	*ret = value;
	return true;
}

/* --- covering prefixes --- */

struct trie_walk trie_covering(const struct trie *t, const struct prefix *p)
{
	struct bits b = bits_of(p);

	return (struct trie_walk){ t, b.hi, b.lo, t->root[side_of(p->addr.family)], p->len };
}

bool trie_walk_next(struct trie_walk *w, uint32_t *ret_value, uint8_t *ret_len)
{
	struct bits bits = { w->hi, w->lo };

	while (w->at && node_covers(w->t, w->at, bits, w->len)) {
		const struct trie_node *n = &w->t->node[w->at];

		w->at = n->len < w->len ? n->child[bit_at(bits, n->len)] : 0;
		if (!n->set)
			continue;
		*ret_value = n->value;
		if (ret_len)
			*ret_len = n->len;
		return true;
	}
	return false;
}

bool trie_longest(const struct trie *t, const struct prefix *p, uint32_t *ret_value, uint8_t *ret_len)
{
	struct trie_walk w = trie_covering(t, p);
	bool found = false;

	while (trie_walk_next(&w, ret_value, ret_len))
		found = true;
	return found;
}

/* A doubly linked list in one growing array. */
#include "bgp/journal.h"

#include "base/check.h"

struct journal_node {
	uint32_t prev, next;
	uint64_t version; /* 0 = not in the list */
};

void journal_init(struct journal *j)
{
	*j = (struct journal){ .head = JOURNAL_NONE, .tail = JOURNAL_NONE };
	for (size_t i = 0; i < JOURNAL_WALKS; i++)
		j->walks[i].at = JOURNAL_NONE;
}

void journal_done(struct journal *j)
{
	free(j->nodes);
	journal_init(j);
}

/* Memory beyond n stays untouched, so that growing by half does not cost half. */
static void reach(struct journal *j, uint32_t i)
{
	if (i >= j->cap) {
		uint32_t cap = j->cap ? j->cap + j->cap / 2 : 64;
		j->cap = cap > i ? cap : i + 1;
		j->nodes = xrealloc(j->nodes, j->cap * sizeof(*j->nodes));
	}
	while (j->n <= i)
		j->nodes[j->n++].version = 0;
}

void journal_drop(struct journal *j, uint32_t i)
{
	if (i >= j->n || !j->nodes[i].version)
		return;
	struct journal_node *n = &j->nodes[i];
	for (size_t k = 0; k < JOURNAL_WALKS; k++)
		if (j->walks[k].at == i)
			j->walks[k].at = n->next;
	if (n->prev != JOURNAL_NONE)
		j->nodes[n->prev].next = n->next;
	else
		j->head = n->next;
	if (n->next != JOURNAL_NONE)
		j->nodes[n->next].prev = n->prev;
	else
		j->tail = n->prev;
	n->version = 0;
}

void journal_stamp(struct journal *j, uint32_t i, uint64_t version)
{
	reach(j, i);
	journal_drop(j, i);
	j->nodes[i] = (struct journal_node){ j->tail, JOURNAL_NONE, version };
	if (j->tail != JOURNAL_NONE)
		j->nodes[j->tail].next = i;
	else
		j->head = i;
	j->tail = i;
}

uint32_t journal_behind(const struct journal *j, uint32_t i)
{
	return j->nodes[i].next;
}

uint64_t journal_version_of(const struct journal *j, uint32_t i)
{
	return i < j->n ? j->nodes[i].version : 0;
}

bool journal_has_after(const struct journal *j, uint64_t v)
{
	return j->tail != JOURNAL_NONE && j->nodes[j->tail].version > v;
}

uint32_t journal_after(const struct journal *j, uint64_t v)
{
	if (!journal_has_after(j, v))
		return JOURNAL_NONE;
	if (v == 0 || j->nodes[j->head].version > v)
		return j->head;
	for (size_t i = 0; i < JOURNAL_WALKS; i++)
		if (j->walks[i].at != JOURNAL_NONE && j->walks[i].version == v)
			return j->walks[i].at;
	/* Nearly always a few changes from the tail. */
	uint32_t i = j->tail;
	while (j->nodes[i].prev != JOURNAL_NONE && j->nodes[j->nodes[i].prev].version > v)
		i = j->nodes[i].prev;
	return i;
}

/* A remembered place at the end of the list is worth nothing: from the tail it is found at once. */
void journal_remember(struct journal *j, uint64_t v, uint32_t at)
{
	for (size_t i = 0; i < JOURNAL_WALKS; i++)
		if (j->walks[i].at != JOURNAL_NONE && j->walks[i].version == v)
			return;
	if (at != JOURNAL_NONE && v != 0)
		j->walks[j->next_walk++ & (JOURNAL_WALKS - 1)] = (struct journal_walk){ v, at };
}

size_t journal_bytes(const struct journal *j)
{
	return j->cap * sizeof(*j->nodes);
}

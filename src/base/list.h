/*
 * base/list: an intrusive, circular, doubly linked list. The head is a struct list; members embed one.
 * A member that is in no list is "alone" (list_init), and list_del() leaves it so.
 */
#pragma once
#include "base/check.h"

#include <stdbool.h>

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_after(struct list *at, struct list *n)
{
	n->prev = at;
	n->next = at->next;
	at->next->prev = n;
	at->next = n;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
	list_add_after(head->prev, n);
}

static inline void list_add_head(struct list *head, struct list *n)
{
	list_add_after(head, n);
}

static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
/* var is a struct TYPE *; the _safe form allows the current member to be removed. */
#define list_each(var, head, member)                                                           \
	for (var = list_entry((head)->next, __typeof__(*var), member); &var->member != (head); \
	     var = list_entry(var->member.next, __typeof__(*var), member))
#define list_each_safe(var, tmp, head, member)                            \
	for (var = list_entry((head)->next, __typeof__(*var), member),    \
	    tmp = list_entry(var->member.next, __typeof__(*var), member); \
	     &var->member != (head);                                      \
	     var = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

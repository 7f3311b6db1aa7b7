/*
 * base/map: hash tables with embedded handles (uthash), made fatal on an empty heap as everything else.
 * Members embed a UT_hash_handle named hh; keys are raw bytes (zero-padded structs) or C strings.
 */
#pragma once
#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

/* Keyed, differently in every process: what goes into a map may have been chosen by an enemy. Members are
 * walked in the order of their adding, which does not depend on it. */
uint32_t map_hash(const void *bytes, size_t n);
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = map_hash(keyptr, keylen))

#define uthash_malloc(sz)    xmalloc(sz)
#define uthash_free(ptr, sz) free(ptr)
#define uthash_fatal(msg)    check_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* Finds by the bytes of *key (a struct), or by a C string. out is NULL if absent. */
#define map_find(head, key, out)     HASH_FIND(hh, head, key, sizeof(*(key)), out)
#define map_find_str(head, str, out) HASH_FIND_STR(head, str, out)
/* Adds item under its member field (a struct), or under its string pointer member. */
#define map_add(head, field, item)     HASH_ADD(hh, head, field, sizeof((item)->field), item)
#define map_add_str(head, field, item) HASH_ADD_KEYPTR(hh, head, (item)->field, strlen((item)->field), item)
#define map_del(head, item)	       HASH_DEL(head, item)
#define map_count(head)		       HASH_COUNT(head)
/* Walks all members; the current one may be removed. */
#define map_each(head, item, tmp) HASH_ITER(hh, head, item, tmp)

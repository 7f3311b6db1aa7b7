/*
 * Handles: how many addresses of which blocks one owner has. Written before a block gives an address and
 * after it took one back, so a count may be too high after a crash but never too low: following a handle
 * finds everything.
 */
#include "model/handle.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static int decode_blocks(const json_t *map, struct handle *h, struct err *e)
{
	const char *key;
	json_t *v;

	if (!map || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return err_set(e, EINVAL, "handle %s: block is not an object", h->id);
	if (json_object_size(map) > HANDLE_BLOCKS_MAX)
		return err_set(e, EINVAL, "handle %s: more than %d blocks", h->id, HANDLE_BLOCKS_MAX);
	json_object_foreach((json_t *)map, key, v)
	{
		if (!prefix_parse(key, &h->blocks[h->n].cidr))
			return err_set(e, EINVAL, "handle %s: \"%.60s\" is not a block", h->id, key);
		json_int_t n = json_integer_value(v);
		if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
			return err_set(e, EINVAL, "handle %s: the count of %s is not a number of addresses",
				       h->id, key);
		h->blocks[h->n++].count = (uint32_t)n;
	}
	return 0;
}

int handle_decode(const char *name, const json_t *doc, struct handle *ret, struct err *e)
{
	size_t len = strlen(name);

	memset(ret, 0, sizeof(*ret));
	if (!len || len >= sizeof(ret->id) || strchr(name, '/'))
		return err_set(e, EINVAL, "handle \"%.100s\": the name is empty, too long or has a slash",
			       name);
	memcpy(ret->id, name, len + 1);
	if (doc && !json_is_null(doc) && !json_is_object(doc))
		return err_set(e, EINVAL, "handle %s: the value is not a JSON object", name);
	const json_t *deleted = json_object_get(doc, "deleted");
	const char *word = json_string_value(deleted);
	ret->deleted = json_is_true(deleted) || (word && !strcmp(word, "true"));
	return decode_blocks(json_object_get(doc, "block"), ret, e);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

json_t *handle_encode(const struct handle *h)
{
	struct {
		char cidr[PREFIX_STR_MAX];
		uint32_t count;
	} rows[HANDLE_BLOCKS_MAX];
	json_t *doc = json_object(), *map = json_object();

	for (size_t i = 0; i < h->n; i++) {
		prefix_format(&h->blocks[i].cidr, rows[i].cidr);
		rows[i].count = h->blocks[i].count;
	}
	qsort(rows, h->n, sizeof(rows[0]), by_text); /* Calico writes maps in the order of their keys */
	for (size_t i = 0; i < h->n; i++)
		json_object_set_new(map, rows[i].cidr, json_integer(rows[i].count));
	json_object_set_new(doc, "block", map);
	json_object_set_new(doc, "deleted", json_boolean(h->deleted));
	return doc;
}

int handle_add(struct handle *h, const struct prefix *cidr, uint32_t n, struct err *e)
{
	char text[PREFIX_STR_MAX];
	size_t i = 0;

	while (i < h->n && !prefix_eq(&h->blocks[i].cidr, cidr))
		i++;
	if (i == HANDLE_BLOCKS_MAX)
		return err_set(e, E2BIG,
			       "handle %s already has addresses of %d blocks; no room for one of %s", h->id,
			       HANDLE_BLOCKS_MAX, prefix_format(cidr, text));
	if (i == h->n) {
		h->blocks[i].cidr = *cidr;
		h->blocks[i].count = 0;
		h->n++;
	}
	h->blocks[i].count = n > UINT32_MAX - h->blocks[i].count ? UINT32_MAX : h->blocks[i].count + n;
	return 0;
}

bool handle_sub(struct handle *h, const struct prefix *cidr, uint32_t n)
{
	for (size_t i = 0; i < h->n; i++) {
		if (!prefix_eq(&h->blocks[i].cidr, cidr))
			continue;
		if (h->blocks[i].count > n) {
			h->blocks[i].count -= n;
			break;
		}
		memmove(&h->blocks[i], &h->blocks[i + 1], (h->n - i - 1) * sizeof(h->blocks[0]));
		h->n--;
		break;
	}
	return h->n == 0;
}

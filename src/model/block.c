/*
 * Blocks: the record that says which addresses are given out. Whoever changes one compares its revision, so
 * this file only changes copies in memory. Decoding believes nothing: an index that points nowhere or an
 * ordinal that is both free and given out would become a doubly assigned address, so such a block is refused
 * as a whole.
 */
#include "model/block.h"

#include "base/check.h"
#include "base/own.h"

#include <stdio.h>
#include <strings.h>

#define ATTRS_MAX     (2 * BLOCK_SIZE_MAX)
#define ATTR_KV_MAX   64
#define SEQUENCE_MAX  9000000000000000000ll /* leaves room to count up in JSON's signed 64 bits */
#define NSEC_PER_USEC 1000
#define WINDOWS	      "windows-reserved-ipam-handle" /* reserved in each block by Windows nodes: not a use */

/* ---- attributes ---- */

static void attr_done(struct block_attr *a)
{
	for (size_t i = 0; i < a->nkv; i++) {
		free((void *)a->kv[i].key);
		free((void *)a->kv[i].value);
	}
	free(a->kv);
	free(a->handle);
	free(a->released_at);
	json_decref(a->extra);
	*a = (struct block_attr){ 0 };
}

static int kv_cmp(const void *a, const void *b)
{
	return strcmp(((const struct block_attr_kv *)a)->key, ((const struct block_attr_kv *)b)->key);
}

/* Keys are kept sorted: Calico writes maps so, and equal attributes are then equal member by member. */
static void attr_copy(struct block_attr *dst, const struct block_attr *src)
{
	*dst = (struct block_attr){ .nkv = src->nkv };
	dst->handle = src->handle ? xstrdup(src->handle) : NULL;
	dst->released_at = src->released_at ? xstrdup(src->released_at) : NULL;
	dst->extra = src->extra ? json_deep_copy(src->extra) : NULL;
	if (!src->nkv)
		return;
	dst->kv = xcalloc(src->nkv, sizeof(dst->kv[0]));
	for (size_t i = 0; i < src->nkv; i++) {
		dst->kv[i].key = xstrdup(src->kv[i].key);
		dst->kv[i].value = xstrdup(src->kv[i].value);
	}
	qsort(dst->kv, dst->nkv, sizeof(dst->kv[0]), kv_cmp);
}

static bool str_eq(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool attr_eq(const struct block_attr *a, const struct block_attr *b)
{
	if (!str_eq(a->handle, b->handle) || !str_eq(a->released_at, b->released_at) || a->nkv != b->nkv)
		return false;
	for (size_t i = 0; i < a->nkv; i++)
		if (strcmp(a->kv[i].key, b->kv[i].key) != 0 || strcmp(a->kv[i].value, b->kv[i].value) != 0)
			return false;
	return a->extra && b->extra ? json_equal(a->extra, b->extra) : a->extra == b->extra;
}

/* The index of an attribute equal to attr, made if there is none. */
static int32_t attr_intern(struct block *b, const struct block_attr *attr)
{
	struct block_attr copy;

	attr_copy(&copy, attr);
	for (size_t i = 0; i < b->nattrs; i++)
		if (attr_eq(&b->attrs[i], &copy)) {
			attr_done(&copy);
			return (int32_t)i;
		}
	b->attrs = xrealloc(b->attrs, (b->nattrs + 1) * sizeof(b->attrs[0]));
	b->attrs[b->nattrs] = copy;
	b->attrs_null = false;
	return (int32_t)b->nattrs++;
}

/* Drops attributes that no address has; the others keep their order. */
static void attrs_compact(struct block *b)
{
	if (!b->nattrs)
		return;
	own_mem int32_t *map = xcalloc(b->nattrs, sizeof(*map));
	size_t n = 0;

	for (uint32_t o = 0; o < b->size; o++)
		if (b->alloc[o] >= 0)
			map[b->alloc[o]] = 1;
	for (size_t i = 0; i < b->nattrs; i++) {
		if (!map[i]) {
			attr_done(&b->attrs[i]);
			continue;
		}
		map[i] = (int32_t)n;
		b->attrs[n++] = b->attrs[i];
	}
	b->nattrs = n;
	for (uint32_t o = 0; o < b->size; o++)
		if (b->alloc[o] >= 0)
			b->alloc[o] = map[b->alloc[o]];
}

/* ---- life ---- */

static bool size_of(const struct prefix *cidr, uint32_t *ret)
{
	unsigned host_bits = addr_bits(cidr->addr.family) - cidr->len;

	if (host_bits > 12)
		return false;
	*ret = 1u << host_bits;
	return true;
}

static void reserve(struct block *b)
{
	b->alloc = xcalloc(b->size, sizeof(b->alloc[0]));
	b->free = xcalloc(b->size, sizeof(b->free[0]));
	b->alloc_seq = xcalloc(b->size, sizeof(b->alloc_seq[0]));
	for (uint32_t o = 0; o < b->size; o++)
		b->alloc[o] = -1;
}

void block_init(struct block *b, const struct prefix *cidr, const char *host, nsec_t wall)
{
	*b = (struct block){ .cidr = *cidr, .attrs_null = true, .sequence = (uint64_t)wall };
	CHECK(size_of(cidr, &b->size));
	snprintf(b->affinity, sizeof(b->affinity), "host:%.253s", host);
	clock_format_rfc3339(wall, b->claim_time);
	reserve(b);
	for (uint32_t o = 0; o < b->size; o++)
		b->free[b->nfree++] = (uint16_t)o;
}

void block_done(struct block *b)
{
	for (size_t i = 0; i < b->nattrs; i++)
		attr_done(&b->attrs[i]);
	free(b->attrs);
	free(b->alloc);
	free(b->free);
	free(b->alloc_seq);
	json_decref(b->extra);
	*b = (struct block){ 0 };
}

void block_copy(struct block *dst, const struct block *src)
{
	*dst = *src;
	reserve(dst);
	memcpy(dst->alloc, src->alloc, src->size * sizeof(src->alloc[0]));
	memcpy(dst->free, src->free, src->size * sizeof(src->free[0]));
	memcpy(dst->alloc_seq, src->alloc_seq, src->size * sizeof(src->alloc_seq[0]));
	dst->attrs = src->nattrs ? xcalloc(src->nattrs, sizeof(src->attrs[0])) : NULL;
	for (size_t i = 0; i < src->nattrs; i++)
		attr_copy(&dst->attrs[i], &src->attrs[i]);
	dst->extra = src->extra ? json_deep_copy(src->extra) : NULL;
}

/* ---- decoding ---- */

static bool absent(const json_t *v)
{
	return !v || json_is_null(v);
}

static bool listed(const char *key, const char *const *known)
{
	for (; *known; known++)
		if (!strcmp(key, *known))
			return true;
	return false;
}

/* What others put into an object besides the known members, so that a write does not lose it. */
static json_t *extra_of(const json_t *doc, const char *const *known)
{
	json_t *extra = NULL, *v;
	const char *key;

	json_object_foreach((json_t *)doc, key, v)
	{
		if (listed(key, known))
			continue;
		if (!extra)
			extra = json_object();
		json_object_set_new(extra, key, json_deep_copy(v));
	}
	return extra;
}

static int decode_kv(const json_t *map, struct block_attr *a, struct err *e)
{
	const char *key;
	json_t *v;

	if (absent(map))
		return 0;
	if (!json_is_object(map) || json_object_size(map) > ATTR_KV_MAX)
		return err_set(e, EINVAL, "secondary is not an object of at most %d members", ATTR_KV_MAX);
	if (!json_object_size(map))
		return 0;
	a->kv = xcalloc(json_object_size(map), sizeof(a->kv[0]));
	json_object_foreach((json_t *)map, key, v)
	{
		if (!json_is_string(v))
			return err_set(e, EINVAL, "secondary.%.40s is not a string", key);
		a->kv[a->nkv].key = xstrdup(key);
		a->kv[a->nkv++].value = xstrdup(json_string_value(v));
	}
	qsort(a->kv, a->nkv, sizeof(a->kv[0]), kv_cmp);
	return 0;
}

static int decode_attr(const json_t *doc, struct block_attr *a, struct err *e)
{
	static const char *const known[] = { "handle_id", "secondary", "releasedAt", NULL };
	const json_t *handle = json_object_get(doc, "handle_id"),
		     *released = json_object_get(doc, "releasedAt");
	nsec_t at;

	if (!json_is_object(doc))
		return err_set(e, EINVAL, "it is not an object");
	if (!absent(handle) && (!json_is_string(handle) || json_string_length(handle) >= BLOCK_HANDLE_MAX))
		return err_set(e, EINVAL, "handle_id is not a string shorter than %d bytes",
			       BLOCK_HANDLE_MAX);
	if (!absent(handle))
		a->handle = xstrdup(json_string_value(handle));
	if (!absent(released) &&
	    (!json_is_string(released) || clock_parse_rfc3339(json_string_value(released), &at) < 0))
		return err_set(e, EINVAL, "releasedAt is not a time");
	if (!absent(released))
		a->released_at = xstrdup(json_string_value(released));
	a->extra = extra_of(doc, known);
	return decode_kv(json_object_get(doc, "secondary"), a, e);
}

static int decode_attrs(const json_t *list, struct block *b, struct err *e)
{
	size_t n = json_array_size(list);

	b->attrs_null = absent(list);
	if (b->attrs_null)
		return 0;
	if (!json_is_array(list) || n > ATTRS_MAX)
		return err_set(e, EINVAL, "attributes is not a list of at most %d entries", ATTRS_MAX);
	b->attrs = n ? xcalloc(n, sizeof(b->attrs[0])) : NULL;
	for (size_t i = 0; i < n; i++) {
		b->nattrs++;
		if (decode_attr(json_array_get(list, i), &b->attrs[i], e) < 0)
			return err_in(e, "attributes[%zu]", i);
	}
	return 0;
}

static int decode_alloc(const json_t *list, struct block *b, struct err *e)
{
	if (absent(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) != b->size)
		return err_set(e, EINVAL, "allocations is not a list of %u entries", b->size);
	for (uint32_t o = 0; o < b->size; o++) {
		const json_t *v = json_array_get(list, o);
		if (json_is_null(v))
			continue;
		json_int_t i = json_integer_value(v);
		if (!json_is_integer(v) || i < 0 || (size_t)i >= b->nattrs)
			return err_set(e, EINVAL, "allocations[%u] is not an index into the %zu attributes",
				       o, b->nattrs);
		b->alloc[o] = (int32_t)i;
	}
	return 0;
}

static int decode_free(const json_t *list, struct block *b, struct err *e)
{
	own_mem bool *seen = xcalloc(b->size, sizeof(*seen));

	if (!absent(list) && (!json_is_array(list) || json_array_size(list) > b->size))
		return err_set(e, EINVAL, "unallocated is not a list of at most %u entries", b->size);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		json_int_t o = json_integer_value(v);
		if (!json_is_integer(v) || o < 0 || o >= b->size)
			return err_set(e, EINVAL, "unallocated[%zu] is not an ordinal below %u", i, b->size);
		if (seen[o] || b->alloc[o] >= 0)
			return err_set(e, EINVAL, "ordinal %lld is free and in use, or free twice",
				       (long long)o);
		seen[o] = true;
		b->free[b->nfree++] = (uint16_t)o;
	}
	/* An address in neither list is nobody's; it goes back to the end of the queue. */
	for (uint32_t o = 0; o < b->size; o++)
		if (b->alloc[o] < 0 && !seen[o])
			b->free[b->nfree++] = (uint16_t)o;
	return 0;
}

static bool parse_ordinal(const char *s, uint32_t size, uint32_t *ret)
{
	uint32_t n = 0;

	if (!*s || strlen(s) > 4 || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (uint32_t)(*s - '0');
	}
	*ret = n;
	return n < size;
}

static bool is_sequence(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= SEQUENCE_MAX;
}

static int decode_sequences(const json_t *doc, struct block *b, struct err *e)
{
	const json_t *seq = json_object_get(doc, "sequenceNumber");
	const json_t *map = json_object_get(doc, "sequenceNumberForAllocation");
	const char *key;
	json_t *v;
	uint32_t o;

	if (!absent(seq) && !is_sequence(seq))
		return err_set(e, EINVAL, "sequenceNumber is not a number from 0 to %lld", SEQUENCE_MAX);
	b->sequence = (uint64_t)json_integer_value(seq);
	if (absent(map))
		return 0;
	if (!json_is_object(map))
		return err_set(e, EINVAL, "sequenceNumberForAllocation is not an object");
	json_object_foreach((json_t *)map, key, v)
	{
		if (!parse_ordinal(key, b->size, &o) || !is_sequence(v))
			return err_set(e, EINVAL,
				       "sequenceNumberForAllocation[\"%.20s\"] is not a number of an ordinal "
				       "below %u",
				       key, b->size);
		b->alloc_seq[o] = (uint64_t)json_integer_value(v) + 1;
	}
	return 0;
}

static int copy_text(const json_t *doc, const char *key, char *ret, size_t max, struct err *e)
{
	const json_t *v = json_object_get(doc, key);

	if (absent(v))
		return 0;
	if (!json_is_string(v) || json_string_length(v) >= max)
		return err_set(e, EINVAL, "%s is not a string shorter than %zu bytes", key, max);
	memcpy(ret, json_string_value(v), strlen(json_string_value(v)) + 1);
	return 0;
}

static int decode_members(const json_t *doc, struct block *b, struct err *e)
{
	static const char *const known[] = {
		"cidr",	      "affinity",	"affinity_claim_time",	       "allocations", "unallocated",
		"attributes", "sequenceNumber", "sequenceNumberForAllocation", "deleted",     NULL
	};
	int rc;

	if ((rc = copy_text(doc, "affinity", b->affinity, sizeof(b->affinity), e)) < 0 ||
	    (rc = copy_text(doc, "affinity_claim_time", b->claim_time, sizeof(b->claim_time), e)) < 0 ||
	    (rc = decode_attrs(json_object_get(doc, "attributes"), b, e)) < 0 ||
	    (rc = decode_alloc(json_object_get(doc, "allocations"), b, e)) < 0 ||
	    (rc = decode_free(json_object_get(doc, "unallocated"), b, e)) < 0 ||
	    (rc = decode_sequences(doc, b, e)) < 0)
		return rc;
	b->deleted = json_is_true(json_object_get(doc, "deleted"));
	b->extra = extra_of(doc, known);
	return 0;
}

int block_decode(const json_t *doc, struct block *ret, struct err *e)
{
	const char *text = json_string_value(json_object_get(doc, "cidr"));
	struct block b = { 0 };

	*ret = (struct block){ 0 };
	if (!text || !prefix_parse(text, &b.cidr))
		return err_set(e, EINVAL, "block: cidr is not a network like 10.0.0.0/26");
	if (!size_of(&b.cidr, &b.size))
		return err_set(e, EINVAL, "block %s: more than %d addresses", text, BLOCK_SIZE_MAX);
	reserve(&b);
	if (decode_members(doc, &b, e) < 0) {
		block_done(&b);
		return err_in(e, "block %s", text);
	}
	*ret = b;
	return 0;
}

/* ---- encoding ---- */

static json_t *encode_attr(const struct block_attr *a)
{
	json_t *doc = json_object();

	if (a->handle)
		json_object_set_new(doc, "handle_id", json_string(a->handle));
	if (a->nkv) {
		json_t *map = json_object();
		for (size_t i = 0; i < a->nkv; i++)
			json_object_set_new(map, a->kv[i].key, json_string(a->kv[i].value));
		json_object_set_new(doc, "secondary", map);
	}
	if (a->released_at)
		json_object_set_new(doc, "releasedAt", json_string(a->released_at));
	if (a->extra)
		json_object_update(doc, a->extra);
	return doc;
}

static int ordinal_cmp(const void *a, const void *b)
{
	char x[8], y[8];

	snprintf(x, sizeof(x), "%u", *(const uint16_t *)a);
	snprintf(y, sizeof(y), "%u", *(const uint16_t *)b);
	return strcmp(x, y);
}

/* Members in the order of their keys as text: "0", "1", "10", "2". */
static json_t *encode_sequences(const struct block *b)
{
	own_mem uint16_t *order = xcalloc(b->size, sizeof(*order));
	json_t *map = json_object();
	size_t n = 0;

	for (uint32_t o = 0; o < b->size; o++)
		if (b->alloc_seq[o])
			order[n++] = (uint16_t)o;
	qsort(order, n, sizeof(*order), ordinal_cmp);
	for (size_t i = 0; i < n; i++) {
		char key[8];
		snprintf(key, sizeof(key), "%u", order[i]);
		json_object_set_new(map, key, json_integer((json_int_t)(b->alloc_seq[order[i]] - 1)));
	}
	return map;
}

json_t *block_encode(const struct block *b)
{
	json_t *doc = json_object(), *alloc = json_array(), *queue = json_array(), *attrs = json_array();
	char cidr[PREFIX_STR_MAX];

	for (uint32_t o = 0; o < b->size; o++)
		json_array_append_new(alloc, b->alloc[o] < 0 ? json_null() : json_integer(b->alloc[o]));
	for (uint32_t i = 0; i < b->nfree; i++)
		json_array_append_new(queue, json_integer(b->free[i]));
	for (size_t i = 0; i < b->nattrs; i++)
		json_array_append_new(attrs, encode_attr(&b->attrs[i]));
	json_object_set_new(doc, "cidr", json_string(prefix_format(&b->cidr, cidr)));
	json_object_set_new(doc, "affinity", b->affinity[0] ? json_string(b->affinity) : json_null());
	if (b->claim_time[0])
		json_object_set_new(doc, "affinity_claim_time", json_string(b->claim_time));
	json_object_set_new(doc, "allocations", alloc);
	json_object_set_new(doc, "unallocated", queue);
	if (b->attrs_null) {
		json_object_set_new(doc, "attributes", json_null());
		json_decref(attrs);
	} else {
		json_object_set_new(doc, "attributes", attrs);
	}
	json_object_set_new(doc, "sequenceNumber", json_integer((json_int_t)b->sequence));
	json_object_set_new(doc, "sequenceNumberForAllocation", encode_sequences(b));
	json_object_set_new(doc, "deleted", json_boolean(b->deleted));
	if (b->extra)
		json_object_update(doc, b->extra);
	return doc;
}

void block_name(const struct prefix *cidr, char ret[static KIND_NAME_MAX])
{
	char text[PREFIX_STR_MAX];

	prefix_format(cidr, text);
	*strchr(text, '/') = '-';
	snprintf(ret, KIND_NAME_MAX, "%s", text);
}

int block_parse_name(const char *name, struct prefix *ret)
{
	char text[PREFIX_STR_MAX];
	const char *dash = strrchr(name, '-');

	if (!dash || strlen(name) >= sizeof(text))
		return -EINVAL;
	strcpy(text, name);
	text[dash - name] = '/';
	return prefix_parse(text, ret) ? 0 : -EINVAL;
}

const char *block_host(const struct block *b)
{
	return strncmp(b->affinity, "host:", 5) == 0 && b->affinity[5] ? b->affinity + 5 : NULL;
}

/* ---- changes ---- */

static void take_at(struct block *b, uint32_t at, const struct block_attr *attr)
{
	uint32_t o = b->free[at];

	memmove(&b->free[at], &b->free[at + 1], (b->nfree - at - 1) * sizeof(b->free[0]));
	b->nfree--;
	b->alloc[o] = attr_intern(b, attr);
	b->alloc_seq[o] = b->sequence + 1;
}

static void give_back(struct block *b, uint32_t o)
{
	b->alloc[o] = -1;
	b->alloc_seq[o] = 0;
	b->free[b->nfree++] = (uint16_t)o;
}

bool block_take_free(struct block *b, const struct block_attr *attr,
		     bool (*usable)(void *arg, const struct addr *a), void *arg, struct addr *ret)
{
	for (uint32_t i = 0; i < b->nfree; i++) {
		struct addr a = prefix_nth(&b->cidr, b->free[i]);
		if (usable && !usable(arg, &a))
			continue;
		take_at(b, i, attr);
		*ret = a;
		return true;
	}
	return false;
}

int block_take(struct block *b, const struct addr *a, const struct block_attr *attr, struct err *e)
{
	char text[ADDR_STR_MAX], cidr[PREFIX_STR_MAX];

	if (!prefix_has(&b->cidr, a))
		return err_set(e, EINVAL, "%s is not in block %s", addr_format(a, text),
			       prefix_format(&b->cidr, cidr));
	uint64_t o = prefix_ordinal(&b->cidr, a);
	for (uint32_t i = 0; i < b->nfree; i++)
		if (b->free[i] == o) {
			take_at(b, i, attr);
			return 0;
		}
	return err_set(e, EEXIST, "%s is already assigned", addr_format(a, text));
}

/* Old releases left a carriage return and more behind the id; what counts is before it. */
static bool handle_eq(const char *stored, const char *wanted)
{
	size_t n = stored ? strcspn(stored, "\r") : 0;

	return stored && strcspn(wanted, "\r") == n && !strncmp(stored, wanted, n);
}

static bool attr_is(const struct block *b, uint32_t o, const char *handle)
{
	return b->alloc[o] >= 0 && handle_eq(b->attrs[b->alloc[o]].handle, handle);
}

/* RFC 3339 with the fraction, as Go prints it. */
static void format_released(nsec_t wall, char buf[static 48])
{
	char whole[CLOCK_RFC3339_MAX];
	long frac = (long)(wall % 1000000000);

	clock_format_rfc3339(wall, whole);
	whole[strlen(whole) - 1] = '\0';
	int n = snprintf(buf, 48, "%.30s.%09ld", whole, frac);
	while (buf[n - 1] == '0')
		n--;
	if (buf[n - 1] == '.')
		n--;
	strcpy(buf + n, "Z");
}

uint32_t block_release_handle(struct block *b, const char *handle, nsec_t wall, usec_t cooldown)
{
	char now[48];
	uint32_t n = 0;

	format_released(wall, now);
	struct block_attr released = { .released_at = now };
	for (uint32_t o = 0; o < b->size; o++) {
		if (!attr_is(b, o, handle))
			continue;
		if (cooldown > 0)
			b->alloc[o] = attr_intern(b, &released);
		else
			give_back(b, o);
		n++;
	}
	attrs_compact(b);
	return n;
}

void block_gc(struct block *b, nsec_t wall, usec_t cooldown)
{
	for (uint32_t o = 0; o < b->size; o++) {
		nsec_t at;
		const char *released = b->alloc[o] >= 0 ? b->attrs[b->alloc[o]].released_at : NULL;
		if (!released || clock_parse_rfc3339(released, &at) < 0)
			continue;
		if (at / NSEC_PER_USEC + cooldown < wall / NSEC_PER_USEC)
			give_back(b, o);
	}
	attrs_compact(b);
}

bool block_empty(const struct block *b)
{
	for (uint32_t o = 0; o < b->size; o++) {
		if (b->alloc[o] < 0)
			continue;
		const char *handle = b->attrs[b->alloc[o]].handle;
		if (!handle || strcasecmp(handle, WINDOWS) != 0)
			return false;
	}
	return true;
}

uint32_t block_count_handle(const struct block *b, const char *handle)
{
	uint32_t n = 0;
	bool any = false;

	for (size_t i = 0; i < b->nattrs && !any; i++)
		any = handle_eq(b->attrs[i].handle, handle);
	for (uint32_t o = 0; any && o < b->size; o++)
		n += attr_is(b, o, handle);
	return n;
}

const struct block_attr *block_attr_of(const struct block *b, const struct addr *a)
{
	if (!prefix_has(&b->cidr, a))
		return NULL;
	int32_t i = b->alloc[prefix_ordinal(&b->cidr, a)];
	return i < 0 ? NULL : &b->attrs[i];
}

bool block_first_of_handle(const struct block *b, const char *handle, struct addr *ret)
{
	for (uint32_t o = 0; o < b->size; o++)
		if (attr_is(b, o, handle)) {
			*ret = prefix_nth(&b->cidr, o);
			return true;
		}
	return false;
}

int block_check(const struct block *b, struct err *e)
{
	own_mem bool *seen = xcalloc(b->size ? b->size : 1, sizeof(*seen));
	uint32_t size, used = 0;

	if (!size_of(&b->cidr, &size) || size != b->size || b->nfree > b->size)
		return err_set(e, EINVAL, "block: %u addresses, %u free do not fit its cidr", b->size,
			       b->nfree);
	for (uint32_t i = 0; i < b->nfree; i++) {
		uint32_t o = b->free[i];
		if (o >= b->size || seen[o] || b->alloc[o] >= 0)
			return err_set(e, EINVAL, "block: ordinal %u is free and in use, or free twice", o);
		seen[o] = true;
	}
	for (uint32_t o = 0; o < b->size; o++) {
		if (b->alloc[o] >= 0 && (size_t)b->alloc[o] >= b->nattrs)
			return err_set(e, EINVAL, "block: ordinal %u has no attribute", o);
		used += b->alloc[o] >= 0;
	}
	if (used + b->nfree != b->size)
		return err_set(e, EINVAL, "block: %u used and %u free are not %u", used, b->nfree, b->size);
	return 0;
}

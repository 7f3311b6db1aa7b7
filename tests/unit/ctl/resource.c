/* Resources of files: what applying one makes of the stored document, and what several say together. */
#include "base/check.h"
#include "base/own.h"
#include "ctl/resource.h"
#include "model/ippool.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#undef main

static const uint8_t uid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
#define WALL 1700000000000000000ll
#define POOL                                                       \
	"{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/" \
	"v3\",\"metadata\":{\"name\":\"p\"%s},\"spec\":{%s}%s}"

static json_t *json(const char *text)
{
	struct err e = { 0 };
	json_t *doc;

	if (kind_parse_json(text, strlen(text), &doc, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return doc;
}

static json_t *pool(const char *meta, const char *spec, const char *more)
{
	own_mem char *text = xasprintf(POOL, meta, spec, more);

	return json(text);
}

static struct resource given(json_t *doc)
{
	struct resource r = { .kind = kind_info(KIND_IPPOOL), .given = doc, .name = "p" };

	return r;
}

static void drop(struct resource *r)
{
	json_decref(r->given);
	json_decref(r->ready);
}

/* What applying `mine` over `theirs` gives. */
static int prepare(struct resource *r, json_t *mine, const json_t *theirs, struct err *e)
{
	own_mem char *stored = theirs ? kind_dump_json(theirs) : NULL;
	char field[KIND_FIELD_MAX];

	*r = given(mine);
	return resource_prepare(r, stored, 7, uid, WALL, field, e);
}

static const char *text_at(const struct resource *r, const char *path)
{
	return json_string_value(kind_get(r->ready, path));
}

static void test_where(void **state)
{
	assert_string_equal(resource_where("a", "b", true), "a");
	assert_string_equal(resource_where(NULL, "b", true), "b");
	assert_string_equal(resource_where(NULL, "", true), "sqlite:/run/korat/lab/store.db");
	assert_string_equal(resource_where(NULL, NULL, false), "sqlite:/var/lib/korat/korat.db");
}

static void test_kind(void **state)
{
	static const char *const words[] = { "ippool", "IPPools", "POOL", "ipp" };
	own_str struct str title = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_ptr_equal(resource_kind(words[i], &e), kind_info(KIND_IPPOOL));
	assert_null(resource_kind("ipol", &e));
	assert_non_null(strstr(e.msg, "did you mean 'ippools'?"));
	assert_non_null(strstr(e.msg, "bgpconfigurations"));
	resource_title(&title, kind_info(KIND_WEP), "default/x");
	assert_string_equal(title.s, "workloadendpoint/default/x");
}

static void test_create(void **state)
{
	struct resource r;
	struct err e = { 0 };

	assert_int_equal(prepare(&r, pool(",\"uid\":\"mine\"", "\"cidr\":\"10.0.0.0/16\"", ""), NULL, &e), 0);
	assert_int_equal(r.change, RESOURCE_CREATED);
	assert_int_equal(r.rev, 0);
	assert_string_equal(text_at(&r, "spec.nodeSelector"), "all()");
	assert_string_equal(text_at(&r, "metadata.uid"), "01020304-0506-4708-890a-0b0c0d0e0f10");
	/* What was written stays as it was: it is used again when somebody else was faster. */
	assert_null(kind_get(r.given, "spec.nodeSelector"));
	drop(&r);
}

#define THEIRS_META                                                                                  \
	",\"uid\":\"theirs\",\"creationTimestamp\":\"2020-01-01T00:00:00Z\",\"finalizers\":[\"x\"]," \
	"\"labels\":{\"a\":\"b\"}"

static void test_unchanged(void **state)
{
	json_t *old = pool(THEIRS_META, "\"cidr\":\"10.0.0.0/16\"", ",\"status\":{\"conditions\":[]}");
	struct resource r;
	struct err e = { 0 };

	/* Defaults that are written out now are no change. */
	assert_int_equal(
		prepare(&r, pool(",\"labels\":{\"a\":\"b\"}", "\"cidr\":\"10.0.0.0/16\"", ""), old, &e), 0);
	assert_int_equal(r.change, RESOURCE_UNCHANGED);
	drop(&r);
	/* A label that the file leaves out is one. */
	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.0.0.0/16\"", ""), old, &e), 0);
	assert_int_equal(r.change, RESOURCE_CONFIGURED);
	assert_null(kind_get(r.ready, "metadata.labels"));
	drop(&r);
	json_decref(old);
}

static void test_kept(void **state)
{
	json_t *old = pool(
		THEIRS_META, "\"cidr\":\"10.0.0.0/16\",\"disabled\":true,\"newer\":{\"x\":1}",
		",\"status\":{\"conditions\":[{\"type\":\"Allocatable\",\"status\":\"True\",\"newer\":2}]},"
		"\"newest\":[3]");
	struct resource r;
	struct err e = { 0 };

	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.0.0.0/16\"", ""), old, &e), 0);
	assert_int_equal(r.change, RESOURCE_CONFIGURED);
	assert_int_equal(r.rev, 7);
	assert_string_equal(text_at(&r, "metadata.uid"), "theirs");
	assert_string_equal(text_at(&r, "metadata.creationTimestamp"), "2020-01-01T00:00:00Z");
	assert_int_equal(json_array_size(kind_get(r.ready, "metadata.finalizers")), 1);
	assert_int_equal(json_integer_value(kind_get(r.ready, "spec.newer.x")), 1);
	assert_int_equal(json_array_size(json_object_get(r.ready, "newest")), 1);
	assert_null(kind_get(r.ready, "spec.disabled"));
	json_t *condition = json_array_get(kind_get(r.ready, "status.conditions"), 0);
	assert_int_equal(json_integer_value(json_object_get(condition, "newer")), 2);
	drop(&r);
	json_decref(old);
}

static void test_unknown_of_the_file(void **state)
{
	json_t *old = pool("", "\"cidr\":\"10.0.0.0/16\",\"newer\":{\"x\":1}", "");
	struct resource r;
	struct err e = { 0 };

	/* As `korat get` printed it. */
	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.0.0.0/16\",\"newer\":{\"x\":1}", ""), old, &e),
			 0);
	assert_int_equal(json_integer_value(kind_get(r.ready, "spec.newer.x")), 1);
	drop(&r);
	/* Otherwise it is somebody's mistake. */
	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.0.0.0/16\",\"newer\":{\"x\":2}", ""), old, &e),
			 -EINVAL);
	assert_non_null(strstr(e.msg, "spec.newer: there is no such field"));
	drop(&r);
	json_decref(old);
}

static void test_unknown_in_lists(void **state)
{
	static const char *const bgp =
		"{\"kind\":\"BGPConfiguration\",\"apiVersion\":\"projectcalico.org/v3\","
		"\"metadata\":{\"name\":\"default\"},\"spec\":{\"serviceClusterIPs\":[%s]}}";
	own_mem char *mine = xasprintf(bgp, "{\"cidr\":\"10.1.0.0/16\"},{\"cidr\":\"10.2.0.0/16\"}"),
		     *theirs = xasprintf(bgp, "{\"cidr\":\"10.2.0.0/16\",\"newer\":2},"
					      "{\"cidr\":\"10.3.0.0/16\",\"newer\":3}");
	struct resource r = { .kind = kind_info(KIND_BGPCONFIG), .given = json(mine) };
	char field[KIND_FIELD_MAX];
	struct err e = { 0 };

	assert_int_equal(resource_prepare(&r, theirs, 7, uid, WALL, field, &e), 0);
	json_t *list = kind_get(r.ready, "spec.serviceClusterIPs");
	assert_int_equal(json_array_size(list), 2);
	assert_null(json_object_get(json_array_get(list, 0), "newer"));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "newer")), 2);
	drop(&r);
}

static void test_refused(void **state)
{
	json_t *old = pool("", "\"cidr\":\"10.0.0.0/16\",\"blockSize\":26", "");
	struct resource r;
	struct err e = { 0 };

	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.1.0.0/16\"", ""), old, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "spec.cidr: it cannot be changed"));
	drop(&r);
	assert_int_equal(prepare(&r, pool("", "\"cidr\":\"10.0.0.0/16\",\"blockSize\":24", ""), old, &e),
			 -EINVAL);
	assert_non_null(strstr(e.msg, "spec.blockSize"));
	drop(&r);
	assert_int_equal(
		prepare(&r, pool(",\"resourceVersion\":\"6\"", "\"cidr\":\"10.0.0.0/16\"", ""), old, &e),
		-ESTALE);
	assert_non_null(strstr(e.msg, "not the present revision 7"));
	drop(&r);
	assert_int_equal(
		prepare(&r, pool(",\"resourceVersion\":\"7\"", "\"cidr\":\"10.0.0.0/16\"", ""), old, &e), 0);
	assert_null(kind_get(r.ready, "metadata.resourceVersion"));
	drop(&r);
	json_decref(old);
}

static void test_unreadable_is_mended(void **state)
{
	struct resource r = given(pool("", "\"cidr\":\"10.0.0.0/16\"", ""));
	char field[KIND_FIELD_MAX];
	struct err e = { 0 };

	assert_int_equal(resource_prepare(&r, "{not json", 9, uid, WALL, field, &e), 0);
	assert_int_equal(r.change, RESOURCE_CONFIGURED);
	assert_int_equal(r.rev, 9);
	drop(&r);
}

/* ---- files ---- */

/* Reads text as `korat apply -f` would. */
static void read_text(const char *text, struct resources *all)
{
	char path[] = "/tmp/korat-t-resource-XXXXXX", *pos[] = { path };
	const struct verb_args a = { .pos = pos, .npos = 1 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	resources_read(&a, all);
	unlink(path);
}

#define HEAD "apiVersion: projectcalico.org/v3\nkind: IPPool\n"

static void prepare_all(struct resources *all)
{
	for (size_t i = 0; i < all->n; i++) {
		char field[KIND_FIELD_MAX];
		struct err e = { 0 };
		if (resource_prepare(&all->r[i], NULL, 0, uid, WALL, field, &e) < 0)
			resource_fault(all, &all->r[i], field, &e);
	}
}

static void test_files(void **state)
{
	own_resources struct resources all = { 0 }, list = { 0 }, bad = { 0 }, none = { 0 };
	struct err e = { 0 };

	read_text(HEAD "metadata: {name: a}\nspec: {cidr: 10.0.0.0/16}\n---\n---\n" HEAD
		       "metadata: {name: b}\n",
		  &all);
	assert_int_equal(all.n, 2);
	assert_int_equal(all.faults, 0);
	assert_string_equal(all.r[1].name, "b");
	read_text("apiVersion: v1\nkind: List\nitems:\n- apiVersion: projectcalico.org/v3\n  kind: IPPool\n"
		  "  metadata: {name: c}\n  spec:\n    cidr: here\n",
		  &list);
	assert_int_equal(list.n, 1);
	err_set(&e, EINVAL, "spec.cidr: wrong");
	resource_place(&list, &list.r[0], "spec.cidr", &e);
	assert_non_null(strstr(e.msg, ":8:11: spec.cidr: wrong"));
	/* Every document that is wrong is one fault. */
	read_text("kind: IPAMBlock\n---\nkind: Nonsense\n---\n" HEAD "metadata: {}\n---\n[1]\n---\n" HEAD
		  "metadata: {name: d}\n",
		  &bad);
	assert_int_equal(bad.n, 1);
	assert_int_equal(bad.faults, 4);
	read_text("# nothing\n", &none);
	assert_int_equal(none.faults, 1);
}

static void test_together(void **state)
{
	own_resources struct resources all = { 0 }, twice = { 0 };
	struct ippool stored[2] = { { .name = "a" }, { .name = "z" } };

	assert_true(prefix_parse("10.0.0.0/8", &stored[0].cidr));
	assert_true(prefix_parse("10.9.0.0/16", &stored[1].cidr));
	/* The stored "a" is replaced by the file's, so only z counts; b is over z, d over c. */
	read_text(HEAD "metadata: {name: a}\nspec: {cidr: 10.1.0.0/16}\n---\n" HEAD
		       "metadata: {name: b}\nspec: {cidr: 10.9.8.0/24}\n---\n" HEAD
		       "metadata: {name: c}\nspec: {cidr: 10.2.0.0/16}\n---\n" HEAD
		       "metadata: {name: d}\nspec: {cidr: 10.2.1.0/24}\n",
		  &all);
	prepare_all(&all);
	assert_int_equal(all.faults, 0);
	resources_check_together(&all, stored, 2);
	assert_int_equal(all.faults, 2);
	read_text(HEAD "metadata: {name: a}\nspec: {cidr: 10.1.0.0/16}\n---\n" HEAD
		       "metadata: {name: a}\nspec: {cidr: 10.1.0.0/16}\n",
		  &twice);
	prepare_all(&twice);
	resources_check_together(&twice, NULL, 0);
	assert_int_equal(twice.faults, 1);
}

static void test_names(void **state)
{
	static const struct verb verb = { .name = "get", .args = "KIND" };
	char pool_a[] = "ippool/a", pool_b[] = "pool/b", node_b[] = "node/b", kind[] = "wep", plain[] = "a",
	     other[] = "other/b";
	char *kind_name[] = { kind, plain, other }, *titles[] = { pool_a, pool_b },
	     *two[] = { pool_a, node_b };
	struct verb_args a = { .verb = &verb, .pos = kind_name, .npos = 3 };
	struct resource_names n;

	assert_int_equal(resource_names(&a, &n), 0);
	assert_int_equal(n.n, 2);
	assert_string_equal(n.names[0], "default/a");
	assert_string_equal(n.names[1], "other/b");
	resource_names_done(&n);
	a = (struct verb_args){ .verb = &verb, .pos = titles, .npos = 2 };
	assert_int_equal(resource_names(&a, &n), 0);
	assert_ptr_equal(n.kind, kind_info(KIND_IPPOOL));
	assert_string_equal(n.names[1], "b");
	resource_names_done(&n);
	a.pos = two;
	assert_int_equal(resource_names(&a, &n), VERB_USAGE);
	resource_names_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_unchanged),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_unknown_of_the_file),
		cmocka_unit_test(test_unknown_in_lists),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unreadable_is_mended),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The list of kinds is complete, and what all kinds share works. */
#include "check.h"

/* The least that each kind can be; the property tests run over all of them. */
static const char *const minimal[] = {
	[KIND_IPPOOL] = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: p\nspec:\n  "
			"cidr: 10.0.0.0/16\n",
	[KIND_NODE] = "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: n\n",
	[KIND_BGPCONFIG] =
		"apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata:\n  name: default\n",
	[KIND_WEP] = "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {}\nspec:\n  "
		     "orchestrator: k8s\n"
		     "  node: n\n  pod: p\n  endpoint: eth0\n",
	[KIND_CLUSTERINFO] =
		"apiVersion: projectcalico.org/v3\nkind: ClusterInformation\nmetadata:\n  name: default\n",
	[KINDS] = NULL,
};

static void test_table_is_complete(void **state)
{
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		const struct kind_info *i = kind_info(k);
		assert_int_equal(i->kind, k);
		assert_non_null(i->name);
		assert_non_null(i->fields);
		assert_non_null(i->check);
		assert_non_null(i->columns[0].header);
		assert_ptr_equal(kind_find(i->name), i);
		assert_ptr_equal(kind_find(i->plural), i);
		for (size_t a = 0; i->aliases[a]; a++)
			assert_ptr_equal(kind_find(i->aliases[a]), i);
		assert_int_equal(!minimal[k], i->internal);
		for (size_t c = 0; i->columns[c].header; c++)
			assert_non_null(i->columns[c].path);
	}
	assert_null(kind_find("podsecuritypolicy"));
	assert_ptr_equal(kind_find("IPPOOLS"), kind_info(KIND_IPPOOL));
	assert_ptr_equal(kind_find("ipp"), kind_info(KIND_IPPOOL));
}

/* Every row says what it is, in a sentence, and its checking columns fit its form. */
static void test_rows_are_complete(void **state)
{
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		for (const struct kind_field *f = kind_info(k)->fields; f->path; f++) {
			assert_non_null(f->type);
			assert_non_null(f->doc);
			assert_int_equal(f->doc[strlen(f->doc) - 1], '.');
			assert_int_equal(f->form == FORM_WORD, f->words != NULL);
			assert_true(f->form != FORM_INT || f->max > f->min);
			assert_true(!f->fill || f->def);
			assert_true(!f->ok || f->want);
			/* The parent of every member is a row too. */
			const char *dot = strrchr(f->path, '.');
			bool found = !dot;
			for (const struct kind_field *p = kind_info(k)->fields; !found && p->path; p++)
				found = strlen(p->path) == (size_t)(dot - f->path) &&
					strncmp(p->path, f->path, strlen(p->path)) == 0;
			assert_true(found);
		}
	}
}

/* YAML -> JSON -> checked -> stored text -> JSON is the same as checked; checking again changes nothing. */
static void test_minimal_documents_survive(void **state)
{
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		char field[KIND_FIELD_MAX];
		struct err e = { 0 };
		if (!minimal[k])
			continue;
		json_t *doc = doc_of(minimal[k]), *again;
		assert_ptr_equal(kind_of(doc, field, &e), kind_info(k));
		if (kind_info(k)->check(doc, NULL, true, field, &e) < 0)
			fail_msg("%s", e.msg);
		char *stored = kind_dump_json(doc);
		assert_int_equal(kind_parse_json(stored, strlen(stored), &again, &e), 0);
		assert_true(json_equal(doc, again));
		for (int strict = 0; strict < 2; strict++) {
			assert_int_equal(kind_info(k)->check(again, doc, strict, field, &e), 0);
			char *same = kind_dump_json(again);
			assert_string_equal(stored, same);
			free(same);
		}
		char *text = yaml_dump(doc);
		json_t *read = doc_of(text);
		assert_true(json_equal(doc, read));
		json_decref(read);
		free(text);
		free(stored);
		json_decref(again);
		json_decref(doc);
	}
}

/* A member of a later version: an error for its author, kept for everybody else. */
static void test_unknown_members_by_strictness(void **state)
{
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		char field[KIND_FIELD_MAX];
		struct err e;
		if (!minimal[k])
			continue;
		json_t *doc = doc_of(minimal[k]);
		json_object_set_new(doc, "zzzzzzz", json_integer(1));
		json_object_set_new(json_object_get(doc, "metadata"), "yyyyyyy", json_null());
		assert_int_equal(kind_info(k)->check(doc, NULL, false, field, &e), 0);
		assert_non_null(json_object_get(doc, "zzzzzzz"));
		assert_non_null(json_object_get(json_object_get(doc, "metadata"), "yyyyyyy"));
		assert_int_equal(kind_info(k)->check(doc, NULL, true, field, &e), -EINVAL);
		assert_string_equal(field, "zzzzzzz:");
		json_decref(doc);
	}
}

static void test_header(void **state)
{
	refused(doc_of("{apiVersion: projectcalico.org/v3}"), "kind",
		"it is missing: allowed are IPPool, Node");
	refused(doc_of("{kind: 3}"), "kind", "3 is not a kind");
	refused(doc_of("{kind: IPpools}"), "kind", "did you mean IPPool?");
	refused(doc_of("{kind: Deployment}"), "kind", "\"Deployment\" is not a known kind: allowed are");
	refused(doc_of("{kind: BGPPeer}"), "kind", "BGPPeer is not supported yet");
	refused(doc_of("{kind: IPAMBlock}"), "kind", "not written by hand");
	refused(doc_of("{kind: Node, metadata: {name: n}}"), "apiVersion", "it must be projectcalico.org/v3");
	refused(doc_of("{kind: Node, apiVersion: v1, metadata: {name: n}}"), "apiVersion",
		"\"v1\" is not projectcalico.org/v3");
	refused(doc_of("{kind: Node, apiVersion: projectcalico.org/v3}"), "metadata", "it is missing");
	refused(doc_of("{kind: Node, apiVersion: projectcalico.org/v3, metadata: {}}"), "metadata.name",
		"it is missing");
	refused(doc_of("{kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: n, namespace: x}}"),
		"metadata.namespace", "Node is not namespaced");
	refused(doc_of("{kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: 3}}"),
		"metadata.name", "3 is not a string: put it in quotes");
	char field[KIND_FIELD_MAX];
	struct err e;
	json_t *list = json_array();
	assert_null(kind_of(list, field, &e));
	assert_non_null(strstr(e.msg, "map of fields"));
	assert_int_equal(kind_info(KIND_NODE)->check(list, NULL, true, field, &e), -EINVAL);
	assert_int_equal(kind_info(KIND_IPPOOL)->check(list, NULL, true, field, &e), -EINVAL);
	json_decref(list);
}

static json_t *labelled(const char *labels)
{
	char *text = xasprintf(
		"{kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: n, labels: %s}}", labels);
	json_t *doc = doc_of(text);

	free(text);
	return doc;
}

static void test_labels(void **state)
{
	struct str many = { 0 };

	passes(labelled("{a: b, kubernetes.io/arch: amd64, empty: '', x_y.z-1: A}"), NULL);
	refused(labelled("{a: 1}"), "metadata.labels.a", "1 is not a string: put it in quotes");
	refused(labelled("{a: 'b c'}"), "metadata.labels.a", "is not a label value");
	refused(labelled("{-a: b}"), "metadata.labels.-a:", "this is not a label name");
	refused(labelled("{Up.er/a: b}"), "metadata.labels.Up.er/a:", "this is not a label name");
	refused(labelled("[a]"), "metadata.labels", "a list is not a map of strings");
	str_add(&many, "{");
	for (int i = 0; i <= KIND_LABELS_MAX; i++)
		str_addf(&many, "l%d: x, ", i);
	str_add(&many, "}");
	refused(labelled(many.s), "metadata.labels", "at most 64");
	str_done(&many);
}

static void test_annotations(void **state)
{
	json_t *doc = doc_of("{kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: n, "
			     "annotations: {'any thing': x}}}");
	char *big = xmalloc((256 << 10) + 1);

	memset(big, 'x', 256 << 10);
	big[256 << 10] = '\0';
	passes(json_deep_copy(doc), NULL);
	json_object_set_new(kind_get(doc, "metadata.annotations"), "b", json_string(big));
	free(big);
	refused(doc, "metadata.annotations", "at most 262144");
}

static void test_names(void **state)
{
	static const char *const good[] = {
		"a", "0", "a-b", "a.b", "a--b", "node-1.example.com", "10.0.0.1"
	};
	static const char *const bad[] = { "",	"-a",  "a-",   ".a",   "a.",  "a..b",
					   "A", "a_b", "a.-b", "a-.b", "a b", "\xc3\xa4" };
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(kind_name_ok(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(kind_name_ok(bad[i]));
	memset(name, 'a', 255);
	name[254] = name[255] = '\0';
	assert_false(kind_name_ok(name));
	name[253] = '\0';
	assert_true(kind_name_ok(name));
}

static void test_store_names(void **state)
{
	char name[KIND_NAME_MAX];
	struct err e;
	json_t *doc = doc_of("{metadata: {name: x, namespace: ns}}"),
	       *block = doc_of("{cidr: 192.168.166.128/26}"), *none = json_object();

	assert_int_equal(kind_store_name(kind_info(KIND_WEP), doc, name, &e), 0);
	assert_string_equal(name, "ns/x");
	assert_int_equal(kind_store_name(kind_info(KIND_NODE), doc, name, &e), 0);
	assert_string_equal(name, "x");
	assert_int_equal(kind_store_name(kind_info(KIND_BLOCK), block, name, &e), 0);
	assert_string_equal(name, "192.168.166.128-26");
	assert_int_equal(kind_store_name(kind_info(KIND_IPAMCONFIG), none, name, &e), 0);
	assert_string_equal(name, "default");
	assert_int_equal(kind_store_name(kind_info(KIND_NODE), none, name, &e), -EINVAL);
	assert_int_equal(kind_store_name(kind_info(KIND_BLOCK), none, name, &e), -EINVAL);
	json_decref(doc);
	json_decref(block);
	json_decref(none);
}

static void test_meta(void **state)
{
	struct meta m;
	json_t *doc = doc_of(
		"{metadata: {name: x, namespace: ns, uid: u-1, creationTimestamp: null, labels: {a: b, c: 3,"
		" d: e}}}");

	meta_decode(doc, &m);
	assert_string_equal(m.name, "x");
	assert_string_equal(m.namespace, "ns");
	assert_string_equal(m.uid, "u-1");
	assert_string_equal(m.created, "");
	assert_int_equal(m.nlabels, 2);
	assert_string_equal(m.labels[1].key, "d");
	assert_string_equal(m.labels[1].value, "e");
	meta_done(&m);
	json_object_clear(doc);
	meta_decode(doc, &m);
	assert_string_equal(m.name, "");
	meta_done(&m);
	json_decref(doc);
}

static void test_envelope_and_stamp(void **state)
{
	static const uint8_t uid[16] = { 0x12, 0x34, [6] = 0xff, [8] = 0xff, [15] = 0xab };
	json_t *doc = kind_envelope(kind_info(KIND_WEP), "x", "ns", uid, 1787392800000000000);
	char *text = kind_dump_json(doc);

	assert_string_equal(
		text, "{\"kind\":\"WorkloadEndpoint\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		      "\"name\":\"x\",\"namespace\":\"ns\",\"uid\":\"12340000-0000-4f00-bf00-0000000000ab\","
		      "\"creationTimestamp\":\"2026-08-22T10:00:00Z\"}}");
	free(text);
	json_t *user =
		doc_of("{kind: Node, metadata: {name: n, resourceVersion: '7', uid: forged, labels: {a: b},"
		       " managedFields: [{}]}}");
	kind_stamp(user, NULL, uid, 1787392800000000000);
	text = kind_dump_json(user);
	assert_string_equal(
		text,
		"{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"uid\":"
		"\"12340000-0000-4f00-bf00-0000000000ab\",\"creationTimestamp\":\"2026-08-22T10:00:00Z\","
		"\"labels\":{\"a\":\"b\"}}}");
	free(text);
	json_t *next = doc_of("{kind: Node, metadata: {name: n}}");
	uint8_t other[16] = { 0 };
	kind_stamp(next, user, other, 0);
	assert_true(json_equal(kind_get(next, "metadata.uid"), kind_get(user, "metadata.uid")));
	assert_true(json_equal(kind_get(next, "metadata.creationTimestamp"),
			       kind_get(user, "metadata.creationTimestamp")));
	json_decref(next);
	json_decref(user);
	json_decref(doc);
}

static void test_columns(void **state)
{
	json_t *doc = make("IPPool", "p", "{cidr: 10.0.0.0/16, natOutgoing: true}"),
	       *wep = doc_of("{spec: {ipNetworks: [10.0.0.1/32, 'fd00::1/128'], pod: web}}");
	static const char *const want[] = { "p",     "10.0.0.0/16", "true",  "Never",	 "Never",
					    "false", "false",	    "all()", "Automatic" };

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char *text = kind_column(kind_info(KIND_IPPOOL), i, "p", doc);
		assert_string_equal(text, want[i]);
		free(text);
	}
	char *text = kind_column(kind_info(KIND_WEP), 3, "", wep);
	assert_string_equal(text, "10.0.0.1/32,fd00::1/128");
	free(text);
	json_decref(doc);
	json_decref(wep);
}

static void test_items(void **state)
{
	json_t *list = doc_of("{kind: IPPoolList, items: [{}, {}]}"),
	       *other = doc_of("{kind: IPPool, items: []}");

	assert_int_equal(json_array_size(kind_items(list)), 2);
	assert_null(kind_items(other));
	json_decref(list);
	json_decref(other);
}

static int json_rc(const char *text, size_t n, struct err *e)
{
	json_t *doc = NULL;
	int rc = kind_parse_json(text, n, &doc, e);

	json_decref(doc);
	return rc;
}

static void test_json_limits(void **state)
{
	char deep[300];
	struct err e;
	json_t *doc;

	for (int depth = 32; depth <= 33; depth++) {
		int n = snprintf(deep, sizeof(deep), "{\"a\":");
		memset(deep + n, '[', (size_t)depth - 1);
		n += depth - 1;
		memset(deep + n, ']', (size_t)depth - 1);
		n += depth - 1;
		deep[n++] = '}';
		assert_int_equal(json_rc(deep, (size_t)n, &e), depth == 32 ? 0 : -EINVAL);
	}
	char *big = xmalloc(KIND_VALUE_MAX + 1);
	memset(big, ' ', KIND_VALUE_MAX + 1);
	big[0] = '{';
	big[1] = '}';
	assert_int_equal(json_rc(big, KIND_VALUE_MAX, &e), 0);
	assert_int_equal(json_rc(big, KIND_VALUE_MAX + 1, &e), -E2BIG);
	free(big);
	const char *exact = "{\"sequenceNumber\":1787392800000000001,\"o\":{\"b\":2,\"a\":1}}";
	assert_int_equal(kind_parse_json(exact, strlen(exact), &doc, &e), 0);
	char *text = kind_dump_json(doc);
	assert_string_equal(text, exact);
	free(text);
	json_decref(doc);
	assert_int_equal(json_rc("{\"a\":9223372036854775808}", 25, &e), -EINVAL);
	assert_int_equal(json_rc("", 0, &e), 0);
	assert_int_equal(json_rc("[]", 2, &e), -EINVAL);
	assert_int_equal(json_rc("null", 4, &e), -EINVAL);
	assert_int_equal(json_rc("{\"a\":1}x", 8, &e), -EINVAL);
	assert_int_equal(json_rc("{\"a\":\"\\u0000\"}", 14, &e), -EINVAL);
	assert_int_equal(json_rc("{\"a\":\"\xff\"}", 9, &e), -EINVAL);
	const char *quoted = "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}";
	assert_int_equal(json_rc(quoted, strlen(quoted), &e), 0);
	assert_int_equal(json_rc("{\"a\":\"x\\", 8, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_complete),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_minimal_documents_survive),
		cmocka_unit_test(test_unknown_members_by_strictness),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_store_names),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_envelope_and_stamp),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_json_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

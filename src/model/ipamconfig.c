/*
 * How IPAM behaves. The trap of Calico's form: without a record blocks are claimed automatically, but in a
 * record an absent member means false, so {"strict_affinity":true} also turns automatic claiming off.
 */
#include "model/ipamconfig.h"

#include <stdio.h>
#include <string.h>

#define COOLDOWN_MAX 1200

void ipamconfig_default(struct ipamconfig *c)
{
	*c = (struct ipamconfig){ .auto_allocate = true };
}

static int get_bool(const json_t *doc, const char *key, bool *ret, struct err *e)
{
	const json_t *v = json_object_get(doc, key);

	if (v && !json_is_null(v) && !json_is_boolean(v))
		return err_set(e, EINVAL, "IPAM configuration: %s is not true or false", key);
	*ret = json_is_true(v);
	return 0;
}

static int get_count(const json_t *doc, const char *key, json_int_t max, uint32_t *ret, struct err *e)
{
	const json_t *v = json_object_get(doc, key);
	json_int_t n = json_integer_value(v);

	if (v && !json_is_null(v) && (!json_is_integer(v) || n < 0 || n > max))
		return err_set(e, EINVAL, "IPAM configuration: %s is not a number from 0 to %lld", key,
			       (long long)max);
	*ret = (uint32_t)n;
	return 0;
}

int ipamconfig_decode(const json_t *doc, struct ipamconfig *ret, struct err *e)
{
	struct ipamconfig c = { 0 };
	int rc;

	if (!json_is_object(doc))
		return err_set(e, EINVAL, "IPAM configuration: the value is not a JSON object");
	if ((rc = get_bool(doc, "strict_affinity", &c.strict_affinity, e)) < 0 ||
	    (rc = get_bool(doc, "auto_allocate_blocks", &c.auto_allocate, e)) < 0 ||
	    (rc = get_count(doc, "maxBlocksPerHost", INT32_MAX, &c.max_blocks_per_host, e)) < 0 ||
	    (rc = get_count(doc, "ipCooldownSeconds", COOLDOWN_MAX, &c.cooldown_seconds, e)) < 0)
		return rc;
	const char *vm = json_string_value(json_object_get(doc, "kubeVirtVMAddressPersistence"));
	if (vm && strlen(vm) >= sizeof(c.vm_persistence))
		return err_set(e, EINVAL,
			       "IPAM configuration: kubeVirtVMAddressPersistence is not Enabled or Disabled");
	if (vm)
		strcpy(c.vm_persistence, vm);
	*ret = c;
	return 0;
}

json_t *ipamconfig_encode(const struct ipamconfig *c)
{
	json_t *doc = json_object();

	if (c->strict_affinity)
		json_object_set_new(doc, "strict_affinity", json_true());
	if (c->auto_allocate)
		json_object_set_new(doc, "auto_allocate_blocks", json_true());
	if (c->max_blocks_per_host)
		json_object_set_new(doc, "maxBlocksPerHost", json_integer(c->max_blocks_per_host));
	if (c->vm_persistence[0])
		json_object_set_new(doc, "kubeVirtVMAddressPersistence", json_string(c->vm_persistence));
	if (c->cooldown_seconds)
		json_object_set_new(doc, "ipCooldownSeconds", json_integer(c->cooldown_seconds));
	return doc;
}

#include "bgp/policy.h"
#include "base/check.h"
#include "bgp/attr.h"
struct policies {
	int x;
};
struct policies *policies_new(void)
{
	return xcalloc(1, sizeof(struct policies));
}
void policies_free(struct policies *ps)
{
	free(ps);
}
void policies_begin(struct policies *ps, uint16_t id, const char *name, bool otherwise)
{
}
bool policies_add(struct policies *ps, uint16_t id, const struct policy_rule *r)
{
	return false;
}
bool policies_end(struct policies *ps, uint16_t id)
{
	return false;
}
bool policies_drop(struct policies *ps, uint16_t id)
{
	return false;
}
const struct policy *policies_get(const struct policies *ps, uint16_t id)
{
	return NULL;
}
void policies_stamp(struct policies *ps)
{
}
void policies_sweep(struct policies *ps, void (*fn)(void *arg, uint16_t id), void *arg)
{
}
void policy_eval(const struct policy *p, const struct policy_route *r, struct policy_result *ret)
{
}
bool policy_result_eq(const struct policy_result *a, const struct policy_result *b)
{
	return a->nops == b->nops;
}
struct attr_set *policy_apply(struct attr_table *t, struct attr_set *a, const struct policy_result *r)
{
	return attr_ref(a);
}

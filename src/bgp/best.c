/* The decision process as repeated elimination: RFC 4271 9.1.2.2, RFC 4456 9, RFC 9494 4.3. */
#include "bgp/best.h"

#include "base/check.h"

#include <assert.h>
#include <stdio.h>

enum { MANY = 16 }; /* paths; below, sorting them would cost more than it saves */

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Negative if a is better than b in this step. MED is meant for paths of one neighbour AS only. */
static int compare(enum best_step s, const struct best_path *a, const struct best_path *b)
{
	switch (s) {
	case BEST_OWN:
		return order(b->own, a->own);
	case BEST_REACHABLE:
		return order(a->unreachable, b->unreachable);
	case BEST_FRESH:
		return order(a->stale, b->stale);
	case BEST_LOCAL_PREF:
		return order(b->local_pref, a->local_pref);
	case BEST_AS_PATH:
		return order(a->as_path_len, b->as_path_len);
	case BEST_ORIGIN:
		return order(a->origin, b->origin);
	case BEST_MED:
		return order(a->med, b->med);
	case BEST_EBGP:
		return order(b->ebgp, a->ebgp);
	case BEST_IGP_METRIC:
		return order(a->igp_metric, b->igp_metric);
	case BEST_ROUTER_ID:
		return order(a->router_id, b->router_id);
	case BEST_CLUSTER:
		return order(a->cluster_len, b->cluster_len);
	case BEST_PEER:
		return addr_cmp(&a->peer, &b->peer);
	case BEST_PATH_ID:
		return order(a->path_id, b->path_id);
	case BEST_WON:
	case BEST_STEPS:
		break;
	}
	return 0;
}

static const char *const step_names[] = {
	[BEST_WON] = "best",
	[BEST_OWN] = "own origin",
	[BEST_REACHABLE] = "reachable next hop",
	[BEST_FRESH] = "not stale",
	[BEST_LOCAL_PREF] = "local preference",
	[BEST_AS_PATH] = "AS path length",
	[BEST_ORIGIN] = "origin",
	[BEST_MED] = "MED",
	[BEST_EBGP] = "eBGP over iBGP",
	[BEST_IGP_METRIC] = "metric to the next hop",
	[BEST_ROUTER_ID] = "router id",
	[BEST_CLUSTER] = "cluster list length",
	[BEST_PEER] = "peer address",
	[BEST_PATH_ID] = "path identifier",
};
static_assert(ARRAY_SIZE(step_names) == BEST_STEPS, "a name for every step");

const char *best_step_name(enum best_step s)
{
	return s < BEST_STEPS ? step_names[s] : "?";
}

static bool alive(const struct best_path *p)
{
	return p->lost == BEST_WON;
}

/* In the MED step only paths of the same neighbour AS compete. */
static bool compete(enum best_step s, const struct best_path *a, const struct best_path *b)
{
	return s != BEST_MED || a->first_asn == b->first_asn;
}

/* Someone before i stands for i's competition already. */
static bool is_represented(enum best_step s, const struct best_path *p, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if ((alive(&p[j]) || p[j].lost == s) && compete(s, &p[j], &p[i]))
			return true;
	return false;
}

/* Removes whoever is worse than the best of the competition that begins with path i. */
static void eliminate(enum best_step s, struct best_path *p, size_t n, size_t i)
{
	const struct best_path *top = &p[i];

	for (size_t j = i + 1; j < n; j++)
		if (alive(&p[j]) && compete(s, top, &p[j]) && compare(s, &p[j], top) < 0)
			top = &p[j];
	for (size_t j = i; j < n; j++)
		if (alive(&p[j]) && compete(s, top, &p[j]) && compare(s, top, &p[j]) < 0)
			p[j].lost = (uint8_t)s;
}

/* In one competition everybody meets the best of it. */
static void choose_step(enum best_step s, struct best_path *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!alive(&p[i]) || is_represented(s, p, i))
			continue;
		eliminate(s, p, n, i);
		if (s != BEST_MED)
			break;
	}
}

static int med_cmp(const void *va, const void *vb)
{
	const struct best_path *a = *(struct best_path *const *)va, *b = *(struct best_path *const *)vb;

	if (a->first_asn != b->first_asn)
		return order(a->first_asn, b->first_asn);
	return order(a->med, b->med);
}

/* As many competitions as there are neighbour AS: with a thousand paths of one peer (ADD-PATH) everybody must
 * not look at everybody. Sorted, the best of each stands first. */
static void choose_med_of_many(struct best_path *p, size_t n)
{
	struct best_path **sorted = xcalloc(n, sizeof(struct best_path *)), *top = NULL;
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (alive(&p[i]))
			sorted[k++] = &p[i];
	qsort(sorted, k, sizeof(struct best_path *), med_cmp);
	for (size_t i = 0; i < k; i++) {
		if (!top || !compete(BEST_MED, top, sorted[i]))
			top = sorted[i];
		else if (compare(BEST_MED, top, sorted[i]) < 0)
			sorted[i]->lost = BEST_MED;
	}
	free(sorted);
}

size_t best_choose(struct best_path *p, size_t n)
{
	CHECK(n > 0);
	for (size_t i = 0; i < n; i++)
		p[i].lost = BEST_WON;
	for (enum best_step s = BEST_OWN; s < BEST_STEPS; s++) {
		if (s == BEST_MED && n > MANY)
			choose_med_of_many(p, n);
		else
			choose_step(s, p, n);
	}
	for (size_t i = 0; i < n; i++)
		if (alive(&p[i]))
			return i;
	CHECK(!"one path is left");
	return 0;
}

bool best_is_equal(const struct best_path *p)
{
	return p->lost == BEST_WON || p->lost >= BEST_ROUTER_ID;
}

static void format_value(enum best_step s, const struct best_path *p, char *buf, size_t n)
{
	static const char *const origins[] = { "IGP", "EGP", "incomplete" };
	char a[ADDR_STR_MAX];

	switch (s) {
	case BEST_LOCAL_PREF:
		snprintf(buf, n, "%u", p->local_pref);
		break;
	case BEST_AS_PATH:
		snprintf(buf, n, "%u", p->as_path_len);
		break;
	case BEST_ORIGIN:
		snprintf(buf, n, "%s", p->origin < ARRAY_SIZE(origins) ? origins[p->origin] : "?");
		break;
	case BEST_MED:
		snprintf(buf, n, "%u", p->med);
		break;
	case BEST_IGP_METRIC:
		snprintf(buf, n, p->igp_metric == UINT32_MAX ? "unknown" : "%u", p->igp_metric);
		break;
	case BEST_ROUTER_ID:
		snprintf(buf, n, "%u.%u.%u.%u", p->router_id >> 24, p->router_id >> 16 & 255,
			 p->router_id >> 8 & 255, p->router_id & 255);
		break;
	case BEST_CLUSTER:
		snprintf(buf, n, "%u", p->cluster_len);
		break;
	case BEST_PEER:
		snprintf(buf, n, "%s", addr_format(&p->peer, a));
		break;
	case BEST_PATH_ID:
		snprintf(buf, n, "%u", p->path_id);
		break;
	case BEST_WON:
	case BEST_OWN:
	case BEST_REACHABLE:
	case BEST_FRESH:
	case BEST_EBGP:
	case BEST_STEPS:
		*buf = '\0';
		break;
	}
}

/* What the winner has that the other has not. */
static void format_comparison(enum best_step s, const struct best_path *better, const struct best_path *worse,
			      char *buf, size_t n)
{
	char a[ADDR_STR_MAX], b[ADDR_STR_MAX];

	format_value(s, better, a, sizeof(a));
	format_value(s, worse, b, sizeof(b));
	switch (s) {
	case BEST_OWN:
		snprintf(buf, n, "originated by this node");
		break;
	case BEST_REACHABLE:
		snprintf(buf, n, "its next hop can be reached");
		break;
	case BEST_FRESH:
		snprintf(buf, n, "not stale");
		break;
	case BEST_LOCAL_PREF:
		snprintf(buf, n, "higher local preference, %s over %s", a, b);
		break;
	case BEST_AS_PATH:
		snprintf(buf, n, "shorter AS path, %s over %s", a, b);
		break;
	case BEST_ORIGIN:
		snprintf(buf, n, "better origin, %s over %s", a, b);
		break;
	case BEST_EBGP:
		snprintf(buf, n, "learned by eBGP rather than iBGP");
		break;
	case BEST_MED:
	case BEST_IGP_METRIC:
	case BEST_ROUTER_ID:
	case BEST_PEER:
	case BEST_PATH_ID:
	case BEST_CLUSTER:
		snprintf(buf, n, "lower %s, %s over %s", best_step_name(s), a, b);
		break;
	case BEST_WON:
	case BEST_STEPS:
		*buf = '\0';
		break;
	}
}

/* The competitor that held out longest: the step it lost is what made the winner win. */
static size_t runner_up(const struct best_path *p, size_t n, size_t won)
{
	size_t last = won;

	for (size_t i = 0; i < n; i++)
		if (i != won && (last == won || p[i].lost > p[last].lost))
			last = i;
	return last;
}

/* Who removed i. In the MED step that is the best of its own neighbour AS, not necessarily the winner. */
static size_t remover(const struct best_path *p, size_t n, size_t i, size_t won)
{
	enum best_step s = p[i].lost;
	size_t by = won;

	if (s != BEST_MED)
		return won;
	for (size_t j = 0; j < n; j++) {
		bool stood = p[j].lost == BEST_WON || p[j].lost > BEST_MED;
		if (stood && compete(s, &p[j], &p[i]) && compare(s, &p[j], &p[i]) < 0)
			by = j;
	}
	return by;
}

char *best_why(const struct best_path *p, size_t n, size_t i, char buf[static BEST_WHY_MAX])
{
	char text[BEST_WHY_MAX / 2];
	size_t won = 0;

	while (p[won].lost != BEST_WON)
		won++;
	if (i == won && n == 1) {
		snprintf(buf, BEST_WHY_MAX, p[i].own ? "originated by this node" : "the only path");
	} else if (i == won) {
		size_t other = runner_up(p, n, won);
		format_comparison(p[other].lost, &p[remover(p, n, other, won)], &p[other], text,
				  sizeof(text));
		snprintf(buf, BEST_WHY_MAX, "best: %s", text);
	} else {
		format_comparison(p[i].lost, &p[remover(p, n, i, won)], &p[i], text, sizeof(text));
		snprintf(buf, BEST_WHY_MAX, "%s, the other one wins: %s",
			 best_is_equal(&p[i]) ? "equally good" : "not best", text);
	}
	return buf;
}

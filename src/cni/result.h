/*
 * cni/result: the agent's answer to ADD, checked, and printed as the CNI version at hand wants it.
 */
#pragma once
#include "base/addr.h"
#include "cni/args.h"
#include "cni/fault.h"
#include "cni/version.h"

#include <jansson.h>
#include <net/if.h>

#define RESULT_ADDRESSES_MAX 16
#define RESULT_SYSCTLS_MAX   64

struct result {
	const char *host_ifname; /* points into the answer */
	const char *mac;
	uint32_t mtu; /* 0 = the kernel's default, not told */
	size_t naddrs;
	const char *addrs[RESULT_ADDRESSES_MAX]; /* "10.8.112.2/32", IPv4 first */
	bool v6[RESULT_ADDRESSES_MAX];
	size_t nroutes;
	const char *routes[RESULT_ADDRESSES_MAX]; /* "10.8.112.2/26": host bits stay, as Calico prints them */
	size_t nsysctls;
	struct {
		const char *name, *value;
	} sysctls[RESULT_SYSCTLS_MAX]; /* to be written inside the pod, in this order */
};

/* ret points into answer. */
int result_parse(const json_t *answer, struct result *ret, struct fault *f);
/* JSON, indented by 4, without a newline at the end; malloc'd. */
char *result_format(const struct result *r, const struct args *a, const struct version *v);

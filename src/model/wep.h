/* model/wep: WorkloadEndpoint, one interface of one pod. Names and interface names are Calico's
 * (facts 1.6, 1.12). */
#pragma once
#include "model/kinds.h"

#include <net/if.h>

#define WEP_ADDRS_MAX 8

struct wep {
	char name[KIND_NAME_MAX]; /* computed: wep_name() */
	char namespace[64];
	char orchestrator[64]; /* "k8s" or "cni" */
	char node[254], pod[254], container_id[254], endpoint[IFNAMSIZ];
	char interface[IFNAMSIZ]; /* host side, "cali..." */
	struct mac mac;		  /* of the pod's end */
	size_t naddrs;
	struct addr addrs[WEP_ADDRS_MAX];
	char profile[254]; /* network name */
	char netns[256]; /* annotation korat.io/netns: path of the pod's namespace as the runtime gave it, ""
			    if unknown */
};

/* "<node>-k8s-<pod>-<endpoint>" or "<node>-cni-<containerID>-<endpoint>", dashes inside a part doubled.
 * -EINVAL if a part is empty or begins or ends with "-". */
int wep_name(const struct wep *w, char ret[static KIND_NAME_MAX], struct err *e);
/* Host interface: "cali" + 11 hex digits of SHA-1("<namespace>.<pod>") for k8s, "cali" + 11 characters of the
 * container id otherwise. */
void wep_interface(const struct wep *w, char ret[static IFNAMSIZ]);
/* The same with the first word of a comma list of prefixes ("tap,cali") for k8s pods; too long a name is cut.
 */
void wep_interface_prefixed(const char *prefixes, const struct wep *w, char ret[static IFNAMSIZ]);
int wep_decode(const json_t *doc, struct wep *ret, struct err *e);
/* Stored form. base: the document read before (its unknown members are kept), or NULL for a new one. New
 * reference. */
json_t *wep_encode(const struct wep *w, const json_t *base, const uint8_t uid[16], nsec_t wall);

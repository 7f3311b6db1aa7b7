/* model/clusterinfo: ClusterInformation "default": who this cluster is, and whether its datastore may be
 * changed. */
#pragma once
#include "model/kinds.h"

struct clusterinfo {
	char guid[64], type[256], version[64]; /* "" if absent */
	bool ready; /* datastoreReady; absent means true. False: change nothing, CNI must fail (facts 4.4) */
};

int clusterinfo_decode(const json_t *doc, struct clusterinfo *ret, struct err *e);
/* The stored form of a new cluster's record; guid: 16 random bytes. */
json_t *clusterinfo_encode(const uint8_t guid[16], const char *type, const uint8_t uid[16], nsec_t wall);

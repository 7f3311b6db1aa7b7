/* model/affinity: which node holds a block: pending, confirmed or pendingDeletion (facts 2.1, 2.6). */
#pragma once
#include "model/kinds.h"

enum affinity_state { AFFINITY_PENDING, AFFINITY_CONFIRMED, AFFINITY_PENDING_DELETION };

struct affinity {
	char host[254];
	struct prefix cidr;
	enum affinity_state state; /* absent or "" reads as confirmed */
	bool deleted;
};

/* host and cidr are in the name, state in the value; an empty value reads as {}. */
int affinity_decode(const char *name, const json_t *doc, struct affinity *ret, struct err *e);
json_t *affinity_encode(const struct affinity *a); /* {"state":"confirmed","deleted":false} */
/* "<host>/192.168.166.128-26" */
void affinity_name(const char *host, const struct prefix *cidr, char ret[static KIND_NAME_MAX]);

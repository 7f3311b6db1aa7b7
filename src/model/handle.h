/* model/handle: how many addresses of which blocks one owner has. A hint that may over-count, never
 * under-count. */
#pragma once
#include "model/kinds.h"

#define HANDLE_BLOCKS_MAX 64

struct handle {
	char id[512];
	size_t n;
	struct {
		struct prefix cidr;
		uint32_t count;
	} blocks[HANDLE_BLOCKS_MAX];
	bool deleted;
};

int handle_decode(const char *name, const json_t *doc, struct handle *ret, struct err *e);
json_t *handle_encode(const struct handle *h); /* {"block":{"192.168.166.128/26":1},"deleted":false} */
int handle_add(struct handle *h, const struct prefix *cidr, uint32_t n, struct err *e);
/* Takes n off (all of it if fewer); true if the handle is empty afterwards. */
bool handle_sub(struct handle *h, const struct prefix *cidr, uint32_t n);

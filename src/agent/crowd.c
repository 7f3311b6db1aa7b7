/* Nodes against gc_thresh3. */
#include "agent/crowd.h"

#include "agent/agent.h"
#include "base/log.h"
#include "kern/sysctl.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t families[] = { AF_INET, AF_INET6 };

bool crowd_judge(uint8_t family, size_t nodes, unsigned long limit, char text[static CROWD_TEXT_MAX])
{
	const char *dir = family == AF_INET ? "net.ipv4.neigh.default" : "net.ipv6.neigh.default";

	text[0] = '\0';
	if (!limit || nodes * 10 <= limit * 8)
		return false;
	/* Pods are neighbours of their own nodes, hence some room. */
	snprintf(text, CROWD_TEXT_MAX,
		 "the kernel keeps at most %lu %s neighbours (%s.gc_thresh3) and there are %zu nodes; beyond "
		 "the limit "
		 "sessions and pods cannot reach some of them. Set gc_thresh1, gc_thresh2 and gc_thresh3 "
		 "there to "
		 "%zu, %zu and %zu",
		 limit, family == AF_INET ? "IPv4" : "IPv6", dir, nodes, nodes, nodes * 2, nodes * 4);
	return true;
}

/* Only the machine's own network namespace has it. */
static unsigned long limit_of(uint8_t family)
{
	char value[32];

	if (sysctl_read(family == AF_INET ? "net/ipv4/neigh/default/gc_thresh3"
					  : "net/ipv6/neigh/default/gc_thresh3",
			value, sizeof(value), NULL) < 0)
		return 0;
	return strtoul(value, NULL, 10);
}

static size_t count_nodes(const struct agent *a, uint8_t family)
{
	struct world_node *n, *tmp;
	size_t count = 0;

	map_each (a->world.nodes, n, tmp)
		count += addr_is_set(family == AF_INET ? &n->node.ipv4 : &n->node.ipv6);
	return count;
}

void crowd_derive(struct agent *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		bool was = a->crowd.text[i][0];
		if (crowd_judge(families[i], count_nodes(a, families[i]), limit_of(families[i]),
				a->crowd.text[i]) &&
		    !was)
			log_warn("%s", a->crowd.text[i]);
	}
}

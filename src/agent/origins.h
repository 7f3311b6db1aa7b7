/*
 * agent/origins: what this node announces, and the blackholes behind it.
 *
 * Every block that an affinity makes ours (world_holds()) is announced and has a blackhole route, so that
 * packets to addresses nobody has do not follow the default route back into the network; pods' /32s are more
 * specific. An address that a pod of ours took from somebody else's block is announced by itself.
 */
#pragma once

struct agent;

void origins_derive(struct agent *a);
void origins_restate(struct agent *a);

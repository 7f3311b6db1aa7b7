/*
 * bgp/sockopt: what the kernel is told about a BGP socket: who must sign (TCP MD5, RFC 2385), from how far a
 * peer may speak (GTSM, RFC 5082), that small messages do not wait and come first.
 *
 * Invariant: a socket either has everything its peer asks for, or the caller learns that it has not: there is
 * no session without the password, and none from further away than allowed.
 */
#pragma once
#include "bgp/ipc.h"

#define SOCKOPT_TOS	 0xc0 /* CS6, network control (RFC 4271 via RFC 791) */
#define SOCKOPT_GTSM_TTL 255

/* Every socket we open: no delay, CS6; accepted ones inherit it. Errors do not matter. */
void sockopt_all(int fd, uint8_t family);
/* A listening one, too: its SYN-ACKs leave with TTL 255, or a peer that checks it would never hear them. */
void sockopt_listener(int fd, uint8_t family);
/* What comes from remote must be signed with password; "" = must not be signed. On a listening socket this
 * does not touch other peers. 0 or -errno; -EOPNOTSUPP if the kernel cannot. */
int sockopt_key(int fd, const struct addr *remote, const char *password);
/* All that the connection to this peer needs, before connect() or right after accept(). 0 or -errno, as
 * above. */
int sockopt_peer(int fd, const struct ipc_peer *peer, bool accepted);
/* A reset of this peer's host, once the peer is gone, would be dropped as unsigned or from too far. */
bool sockopt_hides_resets(const struct ipc_peer *peer);
/* The connection breaks when the other end's TCP does not answer for so long; 0 = as the kernel would have
 * it.
 */
void sockopt_patience(int fd, int seconds);
/* Closing it will send a reset, and one that arrives however far the other end is. */
void sockopt_reset(int fd);

/*
 * agent/status: what the agent tells people and programs about this node (RPC "status", "trace" and
 * "routes"). JSON only; words are the command line's business, except reasons, which are made where the
 * knowledge is.
 */
#pragma once

struct agent;
struct rpc_req;

/* {"node","ipv4","ipv6","ready","reason","pid","speaker_pid","sessions":{"established","configured"},"peers":[...],"blocks":[...],"pods":[...],
 * "routes":N,"store":{"synced","lost","fault"},"warnings":[sentence,...]} */
void status_on_status(struct agent *a, struct rpc_req *req);

/*
 * The facts on this node about a packet from src to dst: params {"src","dst"}. The kernel is asked (never
 *re-implemented), what BGP and the datastore know is put beside it:
 *
 *	"in", "out"	interfaces
 *{"dev","ifindex","mac","mtu","up","peer","proxy_arp","forwarding","rp_filter","kind"}: where such a packet
 *comes in (the pod's own if src is a pod here, else where the route back to src leads) and goes out; or null
 *	"lookup"	the kernel's decision for a packet that came in there:
 *{"ok":true,"route","prefix","gateway","dev","type", "protocol","nhops"} or {"ok":false,"errno","error"}
 *	"match"		the FIB entry that decided, same members; null if none
 *	"neigh"		{"addr","mac","state"} of the gateway (or of dst); null if there is no entry
 *	"bgp"
 *{"prefix","nexthops":[{"addr","resolved","connected","via","dev","peer_name","session","reason"}]}; null if
 *not BGP's
 *	"owner"		{"block","node","allocated"}: who has the block of dst by the datastore; null if
 *nobody "src_pod","dst_pod"	as in status, if they are pods of this node; else null "ip_forward"	0 or 1
 */
void status_on_trace(struct agent *a, struct rpc_req *req);

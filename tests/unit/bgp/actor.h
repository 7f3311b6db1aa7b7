/*
 * A scripted peer in the net: it offers what the test wants, says what the test says, and remembers what it
 * hears: the routes it was told, and every message in order as words.
 *
 * It dials node `to`; the speaker there has it as a passive peer (actor_conf()). Keepalives go by themselves.
 */
#pragma once
#include "net.h"

#include "base/str.h"
#include "bgp/update.h"

enum { ACTOR_HEARD = 256, ACTOR_AS = 64512 };

struct actor_heard {
	struct prefix prefix;
	uint32_t id;
	struct attr_set *attr;
	struct addr nexthop;
};

struct actor {
	struct net *net;
	struct net_script script;
	int number, to;
	struct msg_open open; /* what it offers: change it before actor_dial() */
	uint64_t conn;	      /* 0: no TCP */
	bool up, silent;      /* silent: sends no keepalives */
	struct msg_open theirs;
	struct caps_agreed agreed;
	struct codec codec;
	struct timer keepalive;
	struct attr_table *attrs;
	struct actor_heard heard[ACTOR_HEARD];
	size_t nheard;
	struct notify notify;	      /* the last it was sent; code 0 = none in this session */
	unsigned updates, keepalives; /* that it was sent in this session */
	struct str log, last;
	uint8_t *partial;
	size_t npartial;
};

/* A net in which node 0 is a speaker with one block of its own. */
struct net *actor_net(uint16_t restart, uint32_t cluster_id);
/* An ordinary one that has a session with node 0 now, with policy that lets everything pass. */
struct actor *actor_up(struct net *t, int number, uint32_t asn);

/* Takes the place of node `number`. Offers 4-byte AS numbers, refresh and IPv4; AS number 0 = the node's own.
 */
struct actor *actor_new(struct net *t, int number, int to, uint32_t asn);
void actor_free(struct actor *a);
/* How the speaker has it configured, to be changed and then said with actor_state(). */
struct ipc_peer actor_conf(const struct actor *a);
void actor_state(const struct actor *a, const struct ipc_peer *conf);
/* Dials and waits a while. */
void actor_dial(struct actor *a);
void actor_hang_up(struct actor *a); /* TCP ends without a word */
void actor_notify(struct actor *a, uint8_t code, uint8_t subcode);

/* Says something, at once; net_run() carries it. ch (may be NULL) is put on top of ORIGIN and, towards
 * another AS, its own AS number; LOCAL_PREF 100 towards its own. nexthop NULL = its own address. */
void actor_announce(struct actor *a, const struct prefix *p, uint32_t id, const struct attr_change *ch,
		    const struct addr *nexthop);
void actor_withdraw(struct actor *a, const struct prefix *p, uint32_t id);
void actor_eor(struct actor *a, uint8_t af);
void actor_refresh(struct actor *a, uint8_t family, uint8_t subtype);
void actor_write(struct actor *a, const struct wr *w);

/* What it has been told. */
const struct actor_heard *actor_has(const struct actor *a,
				    const struct prefix *p); /* the first; NULL: none */
size_t actor_count(const struct actor *a, const struct prefix *p);
/* Everything heard since the last call, in words: "open", "keepalive" (not written), "eor4", "request4",
 * "borr4", "eorr4", "+10.0.0.0/8", "-10.0.0.0/8" (with "#id" if the session has path identifiers), "notify
 * 6/2", "closed". Good until the next call. */
const char *actor_log(struct actor *a);

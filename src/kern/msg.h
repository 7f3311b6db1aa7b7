/*
 * kern/msg: rtnetlink requests being built and sent. Internal to kern/.
 *
 *	struct nlmsghdr *m = nl_msg(nl, RTM_NEWROUTE, NLM_F_CREATE, &rtm, sizeof(rtm));
 *	msg_put_u32(m, RTA_TABLE, table);
 *	return nl_request(nl, m, e);
 *
 * The message is built in one scratch buffer of the socket, so there is one at a time. Requests of this
 *program have bounded sizes: outgrowing NL_MSG_MAX is a mistake of ours and ends the process.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "base/rd.h"
#include "kern/nl.h"

#include <libmnl/libmnl.h>

#define NL_MSG_MAX 2048

/* Starts a request; body is the fixed header of its type. Implemented in kern/nl.c, as are the next two. */
struct nlmsghdr *nl_msg(struct nl *nl, uint16_t type, uint16_t flags, const void *body, size_t n);
/* A change: sent now, or queued if a batch is open. */
int nl_request(struct nl *nl, struct nlmsghdr *m, struct err *e);
/* For kern/writer: from now on requests of a batch are only queued, at most n, until nl_batch_send() or the
 * end of the batch; the former sends them, waits for the results and leaves those to nl_batch_end(). */
void nl_hold(struct nl *nl, size_t n);
void nl_batch_send(struct nl *nl);
/* A question, never part of a batch (what is queued is sent before it). fn hears every answering message of a
 * type and body, once the answer is complete and consistent; a dump that the kernel calls interrupted is
 * asked for again. fn may use nl for requests of its own. */
typedef void nl_answer_fn(void *arg, uint16_t type, struct rd body);
int nl_query(struct nl *nl, struct nlmsghdr *m, nl_answer_fn *fn, void *arg, struct err *e);

void msg_put(struct nlmsghdr *m, uint16_t type, const void *p, size_t n);
void msg_put_u32(struct nlmsghdr *m, uint16_t type, uint32_t v);
void msg_put_str(struct nlmsghdr *m, uint16_t type, const char *s);
void msg_put_addr(struct nlmsghdr *m, uint16_t type, const struct addr *a);
/* RTA_VIA: a gateway of the other family (RFC 8950 next hops). */
void msg_put_via(struct nlmsghdr *m, uint16_t type, const struct addr *a);
/* n zeroed bytes in the middle of the attributes: the fixed headers inside some nests. */
void *msg_put_header(struct nlmsghdr *m, size_t n);
struct nlattr *msg_nest(struct nlmsghdr *m, uint16_t type);
void msg_nest_end(struct nlmsghdr *m, struct nlattr *nest);

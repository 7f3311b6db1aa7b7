/*
 * kern/nl: a request socket to rtnetlink, through libmnl.
 *
 * Requests are synchronous: the kernel carries an rtnetlink request out inside sendmsg(), so an answer is
 * never waited for longer than the work takes. Between nl_batch_begin() and nl_batch_end() the requests of
 * every module of kern/ are collected and sent together (NL_BATCH_MAX messages per sendmsg), each
 * with its own result; outside a batch a request is sent at once. Errors carry the kernel's extended ACK
 * text when it gives one.
 *
 * In a batch of a socket of our own the kernel is asked to acknowledge only the last request of each sendmsg:
 * it carries them out in order and reports every failure by itself, so the rest has succeeded once that
 * acknowledgement is there. (A route takes about 4 us to go in; its acknowledgement would take another one.)
 *
 * needs: CAP_NET_ADMIN in the namespace of the socket for changes; nothing for reading.
 */
#pragma once
#include "base/err.h"
#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

#define NL_BATCH_MAX 64
#define NL_WAIT_MS   1000

struct nl;

int nl_open(struct nl **ret, struct err *e); /* in the calling process's network namespace */
/* Adopts a NETLINK_ROUTE socket opened by somebody else (the CNI plugin, inside a pod); owns fd from then on
 * if it answers 0; else fd is still the caller's. Refuses (-EINVAL) a descriptor that is not such a socket,
 * that is connected or that listens to groups. Whoever else holds it can make requests fail, never block: a
 * missing answer is waited for NL_WAIT_MS once, and the socket is not used again. */
int nl_adopt(int fd, struct nl **ret, struct err *e);
void nl_free(struct nl *nl);
OWN_DEFINE(nl)
/* The number that the kernel knows the socket by; 0 if it is not known. */
uint32_t nl_port(const struct nl *nl);
/* Was it opened in the network namespace nsfd? 1, 0 or -errno. needs: CAP_NET_ADMIN in the socket's
 * namespace. */
int nl_is_in(const struct nl *nl, int nsfd);
/* Opens an unconnected NETLINK_ROUTE socket in the namespace nsfd, with a short-lived helper thread that
 * enters it: the caller's own namespace never changes. needs: CAP_SYS_ADMIN. Returns the descriptor or
 * -errno. */
int nl_socket_in(int nsfd, struct err *e);

/* code 0 = done, else a positive errno; text = the kernel's own words, "" if none. */
typedef void nl_result_fn(void *arg, uint64_t tag, int code, const char *text);
/* In a batch a request function answers 0 once the request is queued; a request that it refuses itself has no
 * result. */
void nl_batch_begin(struct nl *nl);
/* The tag of the next request queued, handed back with its result (0 unless set). */
void nl_tag(struct nl *nl, uint64_t tag);
/* Sends what was queued and calls fn once per request, in order. -errno only if the socket itself failed;
 * then requests without a result may or may not have happened ("unknown": dump and compare). */
int nl_batch_end(struct nl *nl, nl_result_fn *fn, void *arg, struct err *e);

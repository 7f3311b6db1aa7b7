/*
 * rpc/rpc: our programs to the agent. One JSON object on one line there, one back, descriptors beside it.
 *
 *	-> {"method":"cni.add","params":{...}}\n            (descriptors by SCM_RIGHTS with the first byte)
 *	<- {"result":{...}}\n   or   {"error":{"code":11,"message":"...","details":"..."}}\n
 *
 * One call per connection. The socket is a Unix stream socket, mode 0600; the server also asks the kernel who
 * is calling (SO_PEERCRED) and accepts only root and its own user. error.code is an errno value, or the CNI
 *code where the method is a CNI verb (the CNI specification's numbers start at 1 and mean what it says).
 * Limits: see below; a longer line, deeper JSON or more descriptors end the connection with one clear
 *sentence.
 */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RPC_LINE_MAX	 (1u << 20) /* bytes of one request or answer */
#define RPC_FDS_MAX	 4
#define RPC_CONNS_MAX	 256	    /* connections at once; further callers wait in the backlog */
#define RPC_JSON_DEPTH	 32	    /* of what is inside params or result */
#define RPC_READ_TIMEOUT (10 * SEC) /* a caller that sends half a line is closed after this */

/* ---- client: blocking, no loop, nothing but jansson behind it (rpc/client.c) ---- */

struct rpc_error {
	int code; /* from the answer; 0 if the call did not get that far */
	char details[256];
};

/*
 * Calls method on the agent at path. params is borrowed (NULL = {}); fds are borrowed. Waits timeout_ms at
 * most. 0 and *ret (an object, owned by the caller) on success. -errno otherwise: -ECONNREFUSED/-ENOENT when
 * no agent listens, -ECONNRESET when it went away before it answered, -ETIMEDOUT, -EPROTO for nonsense,
 * -EMSGSIZE when the request is too long, -EINVAL when it is not text, -EREMOTEIO when the agent answered
 * with an error (then ret_remote is filled and e->msg is the agent's sentence). ret_remote may be NULL.
 */
int rpc_call(const char *path, const char *method, const json_t *params, const int *fds, size_t nfds,
	     int timeout_ms, json_t **ret, struct rpc_error *ret_remote, struct err *e);

/* ---- server: on the loop (rpc/server.c) ---- */

struct loop;
struct rpc_server;
struct rpc_req; /* lives until answered by rpc_reply() or rpc_fail(), whatever happens to the caller */

typedef void rpc_fn(void *arg, struct rpc_req *req);
struct rpc_method {
	const char *name;
	rpc_fn *fn;
};

/* methods: a table ended by a NULL name; borrowed for the life of the server. The socket file is created (an
 * old one that nobody listens on is replaced; -EADDRINUSE if somebody does; -EEXIST if the path is something
 * else). Errors that the server itself answers with carry these codes: EACCES (wrong user), EBADMSG
 * (nonsense), EMSGSIZE, ENOSYS (no such method), ETIMEDOUT, ECANCELED. None of them is a number of the CNI
 * specification. */
struct rpc_server *rpc_listen(struct loop *l, const char *path, const struct rpc_method *methods, void *arg,
			      struct err *e);
/* Unlinks the socket; the callers of open requests are told ECANCELED. Such requests still have to be ended
 * by rpc_reply() or rpc_fail(), before or after. Not to be called from inside a method. NULL is accepted. */
void rpc_server_free(struct rpc_server *s);
OWN_DEFINE(rpc_server)

const json_t *rpc_params(const struct rpc_req *req); /* an object, borrowed */
/* Takes descriptor i out of the request (the caller then owns it), or -1. What is not taken is closed. */
int rpc_take_fd(struct rpc_req *req, size_t i);
/* The caller hung up: nobody will read the answer. It must still be given. */
bool rpc_gone(const struct rpc_req *req);
/* Takes result (an object, or NULL for {}) and ends the request. */
void rpc_reply(struct rpc_req *req, json_t *result);
void rpc_fail(struct rpc_req *req, int code, const char *details, const char *fmt, ...)
	__attribute__((format(printf, 4, 5))); /* ends the request; details may be NULL */

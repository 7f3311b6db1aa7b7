/*
 * The agent answers with CNI codes; what fails on the way to it, or in the layer that carries the question,
 * is given one here. Whatever may be over in a moment (no agent, a restart, no answer in time) is "try again
 * later", so that the runtime does.
 */
#include "cni/call.h"

#include "base/check.h"
#include "rpc/line.h"
#include "rpc/rpc.h"

static const struct {
	const char *method;
	int timeout_ms;
} methods[] = {
	[VERB_ADD] = { "cni.add", 60000 },
	[VERB_DEL] = { "cni.del", 30000 },
	[VERB_CHECK] = { "cni.check", 30000 },
};

static json_t *params_of(const struct args *a, const struct conf *c)
{
	json_t *p = json_object();

	json_object_set_new(p, "cniVersion", json_string(c->version_text));
	json_object_set_new(p, "containerID", json_string(a->container_id));
	json_object_set_new(p, "ifname", json_string(a->ifname));
	json_object_set_new(p, "netns", json_string(a->netns));
	json_object_set_new(p, "network", json_string(c->name));
	json_object_set(p, "args", a->pairs);
	json_object_set(p, "conf", c->root);
	return p;
}

/* The agent's codes are CNI's already, but for those that the layer between gives itself (rpc/rpc.h). */
static int code_of_answer(int code)
{
	switch (code) {
	case ECANCELED:
	case ETIMEDOUT:
		return FAULT_TRY_AGAIN;
	case EACCES:
	case EBADMSG:
	case EMSGSIZE:
	case ENOSYS:
		return FAULT_PLUGIN;
	default:
		return code;
	}
}

static int explain(const struct conf *c, int r, const struct rpc_error *remote, const struct err *e,
		   struct fault *f)
{
	switch (-r) {
	case EREMOTEIO:
		return fault_set_details(f, code_of_answer(remote->code), remote->details, "%s", e->msg);
	case ENOENT:
	case ECONNREFUSED:
		return fault_set_details(
			f, FAULT_TRY_AGAIN, e->msg,
			"no Korat agent listens on %s; start koratd on this node, or name its socket as "
			"\"agent_socket\" in the network configuration",
			c->socket);
	case ECONNRESET:
		return fault_set_details(
			f, FAULT_TRY_AGAIN, e->msg,
			"the Korat agent went away before it answered; see its log on this node");
	case ETIMEDOUT:
		return fault_set_details(
			f, FAULT_TRY_AGAIN, e->msg,
			"the Korat agent on %s did not answer in time; see its log on this node", c->socket);
	case EMSGSIZE:
		return fault_set(f, FAULT_CONFIG, "the network configuration is too long to be handed on: %s",
				 e->msg);
	case EPROTO:
		return fault_set(f, FAULT_PLUGIN, "%s; are koratd and korat-cni of the same version?",
				 e->msg);
	default:
		return fault_set(f, FAULT_IO, "%s", e->msg);
	}
}

int call_agent(const struct args *a, const struct conf *c, const int *fds, size_t nfds, json_t **ret,
	       struct fault *f)
{
	json_t *params = params_of(a, c);
	struct rpc_error remote;
	struct err e;

	CHECK((size_t)a->verb < ARRAY_SIZE(methods) && methods[a->verb].method);
	int r = rpc_call(c->socket, methods[a->verb].method, params, fds, nfds, methods[a->verb].timeout_ms,
			 ret, &remote, &e);
	json_decref(params);
	return r < 0 ? explain(c, r, &remote, &e, f) : 0;
}

/*
 * cni/call: the question to the agent, and its refusals in the terms of CNI.
 */
#pragma once
#include "cni/args.h"
#include "cni/conf.h"

/* Calls the agent for a verb (ADD, DEL, CHECK) with descriptors (borrowed). *ret is the result; the caller
 * owns it. */
int call_agent(const struct args *a, const struct conf *c, const int *fds, size_t nfds, json_t **ret,
	       struct fault *f);

/*
 * ctl/lab_agent: the koratd of each node: started inside the node's namespace, asked over its socket, ended.
 */
#pragma once
#include "ctl/lab.h"
#include "ctl/lab_proc.h"

/* The directory that our programs are in (that of the running korat). */
#define LAB_PROGRAMS_MAX 512
int lab_agent_programs(char ret[static LAB_PROGRAMS_MAX],
		       struct err *e); /* also checks that koratd and korat-cni are there */
/* Makes the node's run directory and CNI configuration and starts its koratd. */
int lab_agent_start(const struct lab *l, const char *node, const char *programs, struct lab_proc *ret,
		    struct err *e);
/* Waits until it answers that it is ready. -ETIMEDOUT, or -ECHILD if it has ended: e says what it said last
 * about why. */
int lab_agent_wait(const char *node, const struct lab_proc *p, usec_t deadline, struct err *e);
/* What rpc "status" answers; new reference. */
int lab_agent_status(const char *node, int timeout_ms, json_t **ret, struct err *e);
/* The process as recorded, dead or alive; pid 0 if none was. */
struct lab_proc lab_agent_proc(const char *node);
/* Every process inside a namespace: SIGTERM, then SIGKILL. */
int lab_agent_end_all_in(const char *netns, struct err *e);
/* The last lines of the node's log, on standard error. */
void lab_agent_show_log(const char *node);

/*
 * ctl/lab_cni: pods of a lab, made as a container runtime makes them: a namespace, then the CNI plugin as a
 * process, spoken to by environment, standard input and standard output (CNI specification 1.0.0).
 */
#pragma once
#include "base/err.h"
#include "ctl/lab.h"

#include <stdbool.h>

struct lab_cni_job {
	const struct lab_pod *pod;
	/* Outcome: */
	int r; /* 0 or -errno; then e says why */
	struct err e;
	json_t *result; /* of ADD, owned */
};

/* ADD for each job, many at a time but one at a time on each node; namespaces must be there. Results are kept
 * in pods/. Returns the number of failures. */
size_t lab_cni_add(struct lab_cni_job *jobs, size_t n, const char *programs);
/* DEL; the pod's namespace may be gone already. */
int lab_cni_del(const struct lab_pod *pod, const char *programs, struct err *e);
/* "10.8.112.2" of a result (both families, separated by a comma), and the host's interface. */
#define LAB_CNI_TEXT_MAX 160
char *lab_cni_addresses(const json_t *result, char buf[static LAB_CNI_TEXT_MAX]);
const char *lab_cni_interface(const json_t *result);
/* Address i of a result; false after the last. */
bool lab_cni_address(const json_t *result, size_t i, struct addr *ret);
/* The kept result of a pod, or NULL. New reference. */
json_t *lab_cni_result(const char *pod);

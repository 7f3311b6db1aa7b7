/*
 * cni/version: the versions of the CNI specification that this plugin speaks, one row each.
 */
#pragma once
#include <stdbool.h>

#define VERSION_NEWEST	 "1.0.0" /* of the table; named where no version was agreed on */
#define VERSION_ABSENT	 "0.1.0" /* what a configuration without cniVersion means */
#define VERSION_LIST_MAX 64

struct version {
	const char *text;
	bool has_check;	 /* CHECK exists since 0.4.0 */
	bool old_result; /* before 1.0.0 an address carries its family, "dns" is always there, and no MTU is
			    told */
};

/* NULL if it is not spoken. */
const struct version *version_find(const char *text);
/* "0.3.0, 0.3.1, …" */
char *version_list(char buf[static VERSION_LIST_MAX]);
/* The answer to VERSION: one line of JSON without its newline; malloc'd. */
char *version_format(void);

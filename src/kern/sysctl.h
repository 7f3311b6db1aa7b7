/*
 * kern/sysctl: values under /proc/sys/net. Names are given with slashes ("net/ipv4/conf/cali0/proxy_arp"),
 * because interface names may contain dots. Components "..", empty ones and leading slashes are refused.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>

int sysctl_write(const char *name, const char *value, struct err *e);
/* Trailing white space is cut. -ENOENT if this kernel has no such setting. */
int sysctl_read(const char *name, char *buf, size_t cap, struct err *e);
/* The same inside another network namespace (short-lived helper thread). needs: CAP_SYS_ADMIN. */
int sysctl_write_in(int nsfd, const char *name, const char *value, struct err *e);

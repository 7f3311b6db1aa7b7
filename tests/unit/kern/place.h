/*
 * A network namespace of the test's own: the process is inside it while the group runs, so that everything,
 * `ip` in system() included, happens there. *state is NULL without root; NEED_ROOT() then skips the test.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "kern/link.h"
#include "kern/netns.h"
#include "kern/nl.h"

#include <stdio.h>

struct place {
	char name[64];
	int home; /* the namespace we came from */
	int ns;	  /* ours */
	struct nl *nl;
};

#define NEED_ROOT()                                                                            \
	do {                                                                                   \
		if (!*state) {                                                                 \
			print_message("skipped: needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN)\n"); \
			skip();                                                                \
		}                                                                              \
	} while (0)

/* Fails the test with the message of e. */
#define OK(call)                                                  \
	do {                                                      \
		struct err e = { 0 };                             \
		int r_ = (call);                                  \
		if (r_ < 0)                                       \
			fail_msg("%s: %d: %s", #call, r_, e.msg); \
	} while (0)

static inline int place_enter(void **state)
{
	*state = NULL;
	if (geteuid() != 0)
		return 0;
	struct place *p = xcalloc(1, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "korat-t-kern-%d", getpid());
	p->home = netns_open("/proc/self/ns/net", NULL);
	assert_true(p->home >= 0);
	OK(netns_add(p->name, &e));
	p->ns = netns_open_name(p->name, NULL);
	assert_true(p->ns >= 0);
	OK(netns_enter(p->ns, &e));
	OK(nl_open(&p->nl, &e));
	*state = p;
	return 0;
}

static inline int place_leave(void **state)
{
	struct place *p = *state;

	if (!p)
		return 0;
	nl_free(p->nl);
	OK(netns_enter(p->home, &e));
	OK(netns_del(p->name, &e));
	close(p->home);
	close(p->ns);
	free(p);
	*state = NULL;
	return 0;
}

/* Runs a command here: what it printed, without blanks at the ends of its lines. The caller frees it. */
static inline char *place_run(const char *cmd)
{
	FILE *f = popen(cmd, "re");
	char *out = xcalloc(1, 1 << 20);
	size_t n, k = 0;

	assert_non_null(f);
	n = fread(out, 1, (1 << 20) - 1, f);
	assert_int_equal(pclose(f), 0);
	for (size_t i = 0; i < n; i++) {
		while (out[i] == '\n' && k && out[k - 1] == ' ')
			k--;
		out[k++] = out[i];
	}
	out[k] = '\0';
	return out;
}

static inline void place_do(const char *cmd)
{
	free(place_run(cmd));
}

/* A veth pair whose ends are both here and up. */
static inline void place_veth(struct place *p, const char *a, const char *b)
{
	struct link_veth v = { .ns_fd = -1, .peer_ns_fd = -1, .up = true };
	struct link l;

	snprintf(v.name, sizeof(v.name), "%s", a);
	snprintf(v.peer_name, sizeof(v.peer_name), "%s", b);
	OK(link_add_veth(p->nl, &v, &e));
	OK(link_get(p->nl, b, &l, &e));
	OK(link_set_up(p->nl, l.ifindex, true, &e));
}

static inline uint32_t place_index(struct place *p, const char *name)
{
	struct link l = { 0 };

	OK(link_get(p->nl, name, &l, &e));
	return l.ifindex;
}

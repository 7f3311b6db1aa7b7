/*
 * What a request does, from its first write to its last: Calico's rules for choosing, borrowing, limits and
 * refusal (facts 2.3 to 2.9, rows 14, 15, 24-32, 49-54), and that every claim and release goes on after it
 * was broken off at any write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "world.h"

#include <stdio.h>

#define NOW    ((nsec_t)1787392800000000000)
#define MIN_NS ((nsec_t)60 * 1000000000)

struct fixture {
	struct world w;
	struct cell cur[WORLD_SLOTS];
	nsec_t now;
	struct err e;
	struct addr got;
	int writes; /* of the last request */
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	world_init(&f->w);
	f->w.through_json = true;
	f->now = NOW;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_done(&f->w);
	free(f);
	return 0;
}

static enum ipam_answer run(struct fixture *f, struct ipam_request *r)
{
	f->now += 1000000;
	r->wall = f->now;
	enum ipam_answer a = world_run(&f->w, f->cur, r, 2000, &f->got, &f->e);
	f->writes = (int)r->at.writes;
	assert_null(world_wrong(&f->w, f->cur, true));
	return a;
}

static enum ipam_answer assign(struct fixture *f, const char *host, const char *handle)
{
	struct ipam_request r = world_request(IPAM_ASSIGN, host, handle, 0);

	return run(f, &r);
}

static enum ipam_answer assign_addr(struct fixture *f, const char *host, const char *handle, const char *addr)
{
	struct ipam_request r = world_request(IPAM_ASSIGN_ADDR, host, handle, 0);

	assert_true(addr_parse(addr, &r.addr));
	return run(f, &r);
}

static enum ipam_answer release(struct fixture *f, const char *host, const char *handle)
{
	struct ipam_request r = world_request(IPAM_RELEASE_HANDLE, host, handle, 0);

	return run(f, &r);
}

static enum ipam_answer give(struct fixture *f, const char *host, const char *cidr, bool also_used)
{
	struct ipam_request r = world_request(IPAM_RELEASE_AFFINITY, host, NULL, 0);

	assert_true(prefix_parse(cidr, &r.cidr));
	r.also_used = also_used;
	return run(f, &r);
}

static void assert_got(struct fixture *f, const char *want)
{
	char text[ADDR_STR_MAX];

	assert_string_equal(addr_format(&f->got, text), want);
}

static void assert_says(struct fixture *f, const char *what)
{
	if (!strstr(f->e.msg, what))
		fail_msg("\"%s\" lacks \"%s\"", f->e.msg, what);
}

static const char *host_of(struct fixture *f, const char *cidr)
{
	const struct block *b = world_block(&f->w, f->cur, cidr);

	return b && block_host(b) ? block_host(b) : "";
}

/* Rows 14, 15, 24, 28, 29, 30, 31, 32 in one life. */
static void one_host(void **state)
{
	struct fixture *f = *state;
	char handle[32];

	world_pool(&f->w, "default-ipv4-ippool", "192.168.0.0/16", 26);
	assert_int_equal(assign(f, "node1", "net.c0"), IPAM_OK);
	assert_got(f, "192.168.166.128");
	assert_int_equal(f->writes, 5); /* affinity, block, affinity, handle, block */
	const struct block *b = world_block(&f->w, f->cur, "192.168.166.128/26");
	assert_int_equal(b->alloc_seq[0] - 1, f->now);
	assert_int_equal(b->sequence, f->now + 1);
	assert_string_equal(b->affinity, "host:node1");
	assert_int_equal(world_affinity(&f->w, f->cur, "node1", "192.168.166.128/26")->state,
			 AFFINITY_CONFIRMED);
	assert_int_equal(world_handle(&f->w, f->cur, "net.c0")->blocks[0].count, 1);
	for (int i = 1; i < 64; i++) {
		snprintf(handle, sizeof(handle), "net.c%d", i);
		assert_int_equal(assign(f, "node1", handle), IPAM_OK);
		assert_int_equal(f->writes, 2); /* handle, block */
	}
	assert_got(f, "192.168.166.191");
	assert_int_equal(assign(f, "node1", "net.next"), IPAM_OK);
	assert_got(f, "192.168.166.192");
	for (int i = 0; i < 64; i++) {
		snprintf(handle, sizeof(handle), "net.c%d", i);
		assert_int_equal(release(f, "node1", handle), IPAM_OK);
		assert_int_equal(f->writes, 2); /* block, handle */
		assert_null(world_handle(&f->w, f->cur, handle));
	}
	b = world_block(&f->w, f->cur, "192.168.166.128/26");
	assert_int_equal(b->nfree, 64);
	assert_int_equal(b->free[63], 63);
	assert_false(b->attrs_null);
	assert_int_equal(b->nattrs, 0);
	assert_int_equal(world_affinity(&f->w, f->cur, "node1", "192.168.166.128/26")->state,
			 AFFINITY_CONFIRMED);
}

static void asked_again(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/24", 28);
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_OK);
	struct addr first = f->got;
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_OK);
	assert_true(addr_eq(&f->got, &first));
	assert_int_equal(f->writes, 0);
	assert_int_equal(assign_addr(f, "node1", "net.b", "10.0.0.5"), IPAM_OK);
	assert_int_equal(assign_addr(f, "node1", "net.b", "10.0.0.5"), IPAM_OK);
	assert_int_equal(f->writes, 0);
	assert_got(f, "10.0.0.5");
	assert_int_equal(assign_addr(f, "node2", "net.c", "10.0.0.5"), IPAM_REFUSED);
	assert_int_equal(f->e.code, EEXIST);
	assert_says(f, "10.0.0.5 is already assigned to net.b");
	assert_int_equal(release(f, "node1", "net.unknown"), IPAM_OK);
	assert_int_equal(f->writes, 0);
}

static void both_families(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "node1", "net.a", 0);

	world_pool(&f->w, "v4", "10.0.0.0/24", 28);
	world_pool(&f->w, "v6", "fd00:10:244::/112", 122);
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_OK);
	r.family = AF_INET6;
	assert_int_equal(run(f, &r), IPAM_OK);
	assert_got(f, "fd00:10:244::a680");
	assert_int_equal(world_handle(&f->w, f->cur, "net.a")->n, 2);
	r.at.writes = 0;
	assert_int_equal(run(f, &r), IPAM_OK);
	assert_int_equal(f->writes, 0);
	assert_int_equal(release(f, "node1", "net.a"), IPAM_OK);
	assert_int_equal(f->writes, 4);
	assert_null(world_handle(&f->w, f->cur, "net.a"));
	assert_int_equal(give(f, "node1", "fd00:10:244::a680/122", false), IPAM_OK);
	assert_int_equal(give(f, "node1", "10.0.0.112/28", false), IPAM_OK);
	assert_int_equal(world_count(&f->w, f->cur), 0);
}

static void attributes(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "node1", "net.a", 0);

	world_pool(&f->w, "v4", "10.0.0.0/24", 28);
	r.attrs[r.nattrs++] = (struct block_attr_kv){ "pod", "nginx" };
	r.attrs[r.nattrs++] = (struct block_attr_kv){ "namespace", "default" };
	assert_int_equal(run(f, &r), IPAM_OK);
	const struct block_attr *a = block_attr_of(world_block(&f->w, f->cur, "10.0.0.112/28"), &f->got);
	assert_string_equal(a->handle, "net.a");
	assert_int_equal(a->nkv, 2);
	assert_string_equal(a->kv[0].key, "namespace");
}

/* 2.3 and row 50. */
static void pools(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "node1", "net.a", 0);

	assert_int_equal(assign(f, "node1", "net.a"), IPAM_REFUSED);
	assert_says(f, "there is no enabled IPv4 pool");
	struct ippool *p = world_pool(&f->w, "p", "10.0.0.0/28", 28);
	p->uses = POOL_USE_TUNNEL;
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_REFUSED);
	assert_says(f, "allowedUses");
	assert_int_equal(assign_addr(f, "node1", "net.a", "10.0.0.1"), IPAM_REFUSED);
	assert_says(f, "allowedUses");
	p->uses = POOL_USE_WORKLOAD;
	f->w.unselected = "node1";
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_REFUSED);
	assert_says(f, "node1");
	f->w.unselected = NULL;
	p->manual = true;
	assert_int_equal(assign(f, "node1", "net.a"), IPAM_REFUSED);
	struct ippool *off = world_pool(&f->w, "off", "10.1.0.0/16", 26);
	off->disabled = true;
	r.npools = 1;
	assert_true(prefix_parse("10.1.0.0/16", &r.pools[0]));
	assert_int_equal(run(f, &r), IPAM_REFUSED);
	assert_says(f, "the given pool (10.1.0.0/16) does not exist, or is not enabled");
	/* A pool that is asked for need neither be automatic nor select the node. */
	f->w.unselected = "node1";
	assert_true(prefix_parse("10.0.0.0/28", &r.pools[0]));
	assert_int_equal(run(f, &r), IPAM_OK);
	assert_got(f, "10.0.0.0");
	assert_int_equal(assign_addr(f, "node1", "net.b", "10.9.0.1"), IPAM_REFUSED);
	assert_says(f, "The provided IP address is not in a configured pool");
	assert_int_equal(assign_addr(f, "node1", "net.b", "10.1.0.1"), IPAM_REFUSED);
	assert_int_equal(assign_addr(f, "node1", "net.b", "10.0.0.9"), IPAM_OK);
}

/* Pools are used in their order, and the next one when one is full. */
static void pool_order(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "a", "10.0.0.0/31", 31);
	world_pool(&f->w, "b", "10.0.1.0/31", 31);
	assert_int_equal(assign(f, "n", "1"), IPAM_OK);
	assert_int_equal(assign(f, "n", "2"), IPAM_OK);
	assert_got(f, "10.0.0.1");
	assert_int_equal(assign(f, "n", "3"), IPAM_OK);
	assert_got(f, "10.0.1.0");
}

/* Rows 51 and 52. */
static void borrowing(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "small", "10.0.0.0/30", 30);
	assert_int_equal(assign(f, "node1", "1"), IPAM_OK);
	f->w.config.strict_affinity = true;
	assert_int_equal(assign(f, "node2", "2"), IPAM_FULL);
	assert_says(f, "Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks and strict "
		       "affinity enabled");
	assert_says(f, "pool small (10.0.0.0/30): 1 blocks, 3 of their 4 addresses free");
	assert_int_equal(assign_addr(f, "node2", "2", "10.0.0.3"), IPAM_REFUSED);
	assert_says(f, "strictAffinity");
	assert_null(world_handle(&f->w, f->cur, "2"));
	f->w.config.strict_affinity = false;
	assert_int_equal(assign(f, "node2", "2"), IPAM_OK);
	assert_got(f, "10.0.0.1");
	assert_string_equal(host_of(f, "10.0.0.0/30"), "node1");
	assert_null(world_affinity(&f->w, f->cur, "node2", "10.0.0.0/30"));
	assert_int_equal(assign_addr(f, "node2", "3", "10.0.0.3"), IPAM_OK);
	assert_int_equal(assign(f, "node2", "4"), IPAM_OK);
	assert_int_equal(assign(f, "node2", "5"), IPAM_FULL);
	assert_says(f, "every address is in use");
	assert_int_equal(assign(f, "node2", "4"), IPAM_OK); /* what it has, it has */
	assert_int_equal(f->writes, 0);
	/* Borrowed addresses go back, and what was node1's stays node1's. */
	assert_int_equal(release(f, "node2", "2"), IPAM_OK);
	assert_int_equal(release(f, "node2", "3"), IPAM_OK);
	assert_int_equal(release(f, "node2", "4"), IPAM_OK);
	assert_string_equal(host_of(f, "10.0.0.0/30"), "node1");
	assert_int_equal(world_block(&f->w, f->cur, "10.0.0.0/30")->nfree, 3);
}

/* Row 53. */
static void block_limit(void **state)
{
	struct fixture *f = *state;
	char handle[16];

	world_pool(&f->w, "p", "10.0.0.0/16", 32);
	world_pool(&f->w, "q", "10.1.0.0/24", 30);
	assert_int_equal(assign(f, "other", "o"), IPAM_OK);
	for (int i = 0; i < 20; i++) {
		snprintf(handle, sizeof(handle), "h%d", i);
		assert_int_equal(assign(f, "n", handle), IPAM_OK);
	}
	assert_int_equal(assign(f, "n", "more"), IPAM_REFUSED); /* and nothing is borrowed */
	assert_says(f, "20 IPv4 blocks");
	f->w.config.max_blocks_per_host = 21;
	assert_int_equal(assign(f, "n", "more"), IPAM_OK);
	assert_int_equal(assign(f, "n", "most"), IPAM_REFUSED);
	/* A given address may claim beyond the limit. */
	assert_int_equal(assign_addr(f, "n", "most", "10.1.0.77"), IPAM_OK);
	assert_string_equal(host_of(f, "10.1.0.76/30"), "n");
}

/* Row 54: an empty block of another is taken when it is old enough, not before. */
static void reclaiming(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	f->w.config.strict_affinity = true;
	assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.0"), IPAM_OK);
	assert_int_equal(assign_addr(f, "node1", "2", "10.0.0.2"), IPAM_OK);
	assert_int_equal(release(f, "node1", "2"), IPAM_OK);
	assert_int_equal(assign(f, "node2", "3"), IPAM_FULL);
	f->now += MIN_NS + 1000000000;
	assert_int_equal(assign(f, "node2", "3"), IPAM_OK);
	assert_got(f, "10.0.0.2");
	assert_string_equal(host_of(f, "10.0.0.2/31"), "node2");
	assert_null(world_affinity(&f->w, f->cur, "node1", "10.0.0.2/31"));
	assert_string_equal(host_of(f, "10.0.0.0/31"), "node1");
}

static void not_automatic(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.0"), IPAM_OK);
	f->w.config.auto_allocate = false;
	assert_int_equal(assign(f, "node1", "2"), IPAM_OK);
	assert_int_equal(assign(f, "node1", "3"), IPAM_REFUSED);
	assert_says(f, "autoAllocateBlocks");
}

static void reservations(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/29", 30);
	assert_true(prefix_parse("10.0.0.0/31", &f->w.reserved));
	for (int i = 0; i < 6; i++) {
		char handle[8];
		snprintf(handle, sizeof(handle), "%d", i);
		assert_int_equal(assign(f, "n", handle), IPAM_OK);
		assert_false(prefix_has(&f->w.reserved, &f->got));
	}
	assert_int_equal(assign(f, "n", "x"), IPAM_FULL);
	assert_int_equal(assign_addr(f, "n", "x", "10.0.0.0"), IPAM_OK); /* said by name: allowed */
	/* A block that is reserved as a whole is not claimed. */
	world_pool(&f->w, "q", "10.0.1.0/29", 30);
	assert_true(prefix_parse("10.0.0.0/15", &f->w.reserved));
	assert_int_equal(assign(f, "n", "y"), IPAM_FULL);
	assert_null(world_block(&f->w, f->cur, "10.0.1.0/30"));
}

static void cooling_down(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/31", 31);
	f->w.config.cooldown_seconds = 60;
	assert_int_equal(assign(f, "n", "1"), IPAM_OK);
	assert_int_equal(assign(f, "n", "2"), IPAM_OK);
	assert_int_equal(release(f, "n", "1"), IPAM_OK);
	assert_null(world_handle(&f->w, f->cur, "1"));
	assert_int_equal(assign(f, "n", "3"), IPAM_FULL);
	assert_int_equal(assign_addr(f, "n", "3", "10.0.0.0"), IPAM_REFUSED);
	assert_int_equal(give(f, "n", "10.0.0.0/31", false), IPAM_REFUSED);
	f->now += MIN_NS + 1000000;
	assert_int_equal(assign(f, "n", "3"), IPAM_OK);
	assert_got(f, "10.0.0.0");
}

/* A node that its pool no longer selects lets go of empty blocks and keeps the used ones. */
static void left_behind(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "node1", "3", 0);

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	world_pool(&f->w, "q", "10.0.1.0/30", 31);
	assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.0"), IPAM_OK);
	assert_int_equal(assign_addr(f, "node1", "2", "10.0.0.2"), IPAM_OK);
	assert_int_equal(release(f, "node1", "2"), IPAM_OK);
	f->w.unselected = "node1";
	r.npools = 1;
	assert_true(prefix_parse("10.0.1.0/30", &r.pools[0]));
	assert_int_equal(run(f, &r), IPAM_OK);
	assert_string_equal(host_of(f, "10.0.0.0/31"), "node1");
	assert_null(world_block(&f->w, f->cur, "10.0.0.2/31"));
	assert_null(world_affinity(&f->w, f->cur, "node1", "10.0.0.2/31"));
}

static void giving_back(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.0"), IPAM_OK);
	assert_int_equal(give(f, "node1", "10.0.0.0/31", false), IPAM_REFUSED);
	assert_int_equal(f->e.code, EBUSY);
	assert_says(f, "still has 1 addresses in use");
	assert_int_equal(give(f, "node2", "10.0.0.0/31", false), IPAM_OK); /* has none to give */
	assert_int_equal(f->writes, 0);
	/* Node removal: the block stays for its addresses, without an owner, and goes with the last of them.
	 */
	assert_int_equal(give(f, "node1", "10.0.0.0/31", true), IPAM_OK);
	assert_string_equal(host_of(f, "10.0.0.0/31"), "");
	assert_string_equal(world_block(&f->w, f->cur, "10.0.0.0/31")->claim_time, "");
	assert_null(world_affinity(&f->w, f->cur, "node1", "10.0.0.0/31"));
	assert_int_equal(release(f, "node2", "1"), IPAM_OK);
	assert_int_equal(world_count(&f->w, f->cur), 0);
}

/* Addresses of small blocks: /32, /128, the first and the last of all. */
static void small_blocks(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "n", "6", 0);

	world_pool(&f->w, "p", "10.0.0.0/31", 32);
	world_pool(&f->w, "v6", "fd00::/127", 128);
	assert_int_equal(assign(f, "n", "1"), IPAM_OK);
	assert_int_equal(assign(f, "n", "2"), IPAM_OK);
	assert_int_equal(assign(f, "n", "3"), IPAM_FULL);
	r.family = AF_INET6;
	assert_int_equal(run(f, &r), IPAM_OK);
	world_pool(&f->w, "whole", "10.0.2.0/24", 24);
	assert_int_equal(assign_addr(f, "n", "4", "10.0.2.255"), IPAM_OK);
}

/* An old block of another size is neither overlapped nor lost. */
static void other_sizes(void **state)
{
	struct fixture *f = *state;
	struct ippool *p = world_pool(&f->w, "p", "10.0.0.0/28", 28);

	assert_int_equal(assign(f, "old", "1"), IPAM_OK);
	p->block_size = 30;
	f->w.config.strict_affinity = true;
	assert_int_equal(assign(f, "new", "2"), IPAM_FULL);
	assert_int_equal(release(f, "old", "1"), IPAM_OK);
	assert_int_equal(give(f, "old", "10.0.0.0/28", false), IPAM_OK);
	assert_int_equal(assign(f, "new", "2"), IPAM_OK);
	p->block_size = 28;
	assert_int_equal(assign(f, "old", "3"), IPAM_FULL);
}

static void bad_requests(void **state)
{
	struct fixture *f = *state;
	struct ipam_request r = world_request(IPAM_ASSIGN, "n", "h", 0);
	char longest[600];

	world_pool(&f->w, "p", "10.0.0.0/28", 28);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(assign(f, "n", ""), IPAM_REFUSED);
	assert_int_equal(assign(f, "n", NULL), IPAM_REFUSED);
	assert_int_equal(assign(f, "n", "a/b"), IPAM_REFUSED);
	assert_int_equal(assign(f, "n", "a\rb"), IPAM_REFUSED);
	assert_int_equal(assign(f, "n", longest), IPAM_REFUSED);
	assert_int_equal(assign(f, "", "h"), IPAM_REFUSED);
	assert_int_equal(assign(f, NULL, "h"), IPAM_REFUSED);
	assert_int_equal(assign(f, "a/b", "h"), IPAM_REFUSED);
	assert_int_equal(assign(f, longest, "h"), IPAM_REFUSED);
	r.family = 0;
	assert_int_equal(run(f, &r), IPAM_REFUSED);
	assert_int_equal(world_count(&f->w, f->cur), 0);
}

/* ---- broken off ---- */

enum { RESUME_SAME, RESUME_OTHER, RESUME_DEL, RESUME_KINDS };

/*
 * A request that died after any number of writes: the same again, another node's request, or a DEL mend it,
 * and after giving everything back nothing is left.
 */
static void broken_off_assign(void **state)
{
	for (int addr = 0; addr < 2; addr++)
		for (int k = 0; k <= 5; k++)
			for (int how = 0; how < RESUME_KINDS; how++) {
				struct fixture *f;
				setup((void **)&f);
				world_pool(&f->w, "p", "10.0.0.0/30", 30);
				struct ipam_request r = world_request(addr ? IPAM_ASSIGN_ADDR : IPAM_ASSIGN,
								      "node1", "1", f->now);
				assert_true(addr_parse("10.0.0.2", &r.addr));
				world_run(&f->w, f->cur, &r, k, NULL, NULL);
				assert_null(world_wrong(&f->w, f->cur, true));
				if (how == RESUME_SAME) {
					assert_int_equal(addr ? assign_addr(f, "node1", "1", "10.0.0.2")
							      : assign(f, "node1", "1"),
							 IPAM_OK);
					assert_got(f, addr ? "10.0.0.2" : "10.0.0.0");
					assert_int_equal(world_handle(&f->w, f->cur, "1")->blocks[0].count,
							 1);
				} else if (how == RESUME_OTHER) {
					assert_int_equal(assign(f, "node2", "2"), IPAM_OK);
					assert_int_equal(assign(f, "node1", "3"), IPAM_OK);
				}
				for (int h = 1; h <= 3; h++) {
					char handle[4];
					snprintf(handle, sizeof(handle), "%d", h);
					assert_int_equal(release(f, "node1", handle), IPAM_OK);
					assert_null(world_handle(&f->w, f->cur, handle));
				}
				assert_int_equal(give(f, "node1", "10.0.0.0/30", false), IPAM_OK);
				assert_int_equal(give(f, "node2", "10.0.0.0/30", false), IPAM_OK);
				assert_int_equal(world_count(&f->w, f->cur), 0);
				teardown((void **)&f);
			}
}

static void broken_off_release(void **state)
{
	for (int k = 0; k <= 4; k++)
		for (int how = 0; how < RESUME_KINDS; how++) {
			struct fixture *f;
			setup((void **)&f);
			world_pool(&f->w, "p", "10.0.0.0/30", 31);
			assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.1"), IPAM_OK);
			assert_int_equal(assign_addr(f, "node1", "1", "10.0.0.2"), IPAM_OK);
			struct ipam_request r = world_request(IPAM_RELEASE_HANDLE, "node1", "1", f->now);
			world_run(&f->w, f->cur, &r, k, NULL, NULL);
			assert_null(world_wrong(&f->w, f->cur, true));
			if (how == RESUME_OTHER)
				assert_int_equal(assign(f, "node2", "2"), IPAM_OK);
			else if (how == RESUME_SAME) /* the ADD comes again instead */
				assert_int_equal(assign(f, "node1", "1"), IPAM_OK);
			assert_int_equal(release(f, "node2", "1"), IPAM_OK);
			assert_null(world_handle(&f->w, f->cur, "1"));
			assert_int_equal(world_block(&f->w, f->cur, "10.0.0.0/31")->nfree +
						 world_block(&f->w, f->cur, "10.0.0.2/31")->nfree,
					 how == RESUME_OTHER ? 3 : 4);
			teardown((void **)&f);
		}
}

static void broken_off_give(void **state)
{
	for (int used = 0; used < 2; used++)
		for (int k = 0; k <= 3; k++)
			for (int how = 0; how < RESUME_KINDS; how++) {
				struct fixture *f;
				setup((void **)&f);
				world_pool(&f->w, "p", "10.0.0.0/30", 30);
				assert_int_equal(assign(f, "node1", "1"), IPAM_OK);
				if (!used)
					assert_int_equal(release(f, "node1", "1"), IPAM_OK);
				struct ipam_request r =
					world_request(IPAM_RELEASE_AFFINITY, "node1", NULL, f->now);
				r.also_used = used;
				assert_true(prefix_parse("10.0.0.0/30", &r.cidr));
				world_run(&f->w, f->cur, &r, k, NULL, NULL);
				assert_null(world_wrong(&f->w, f->cur, true));
				if (how == RESUME_OTHER) {
					assert_int_equal(assign(f, "node2", "2"), IPAM_OK);
				} else if (how == RESUME_SAME) { /* the owner goes on using it */
					assert_int_equal(assign(f, "node1", "2"), IPAM_OK);
					const struct affinity *a =
						world_affinity(&f->w, f->cur, "node1", "10.0.0.0/30");
					assert_true(!a || a->state == AFFINITY_CONFIRMED ||
						    !*host_of(f, "10.0.0.0/30"));
				}
				assert_int_equal(give(f, "node1", "10.0.0.0/30", true), IPAM_OK);
				assert_int_equal(release(f, "node1", "1"), IPAM_OK);
				assert_int_equal(release(f, "node1", "2"), IPAM_OK);
				assert_int_equal(give(f, "node2", "10.0.0.0/30", false), IPAM_OK);
				assert_int_equal(world_count(&f->w, f->cur), 0);
				teardown((void **)&f);
			}
}

/* An allocation whose handle record is missing is found by the DEL and mended by the ADD. */
static void handle_lost(void **state)
{
	struct fixture *f = *state;

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	assert_int_equal(assign(f, "node1", "1"), IPAM_OK);
	struct addr first = f->got;
	for (size_t i = 0; i < f->w.nslots; i++)
		if (f->w.slots[i].kind == KIND_HANDLE)
			f->cur[i].content = 0;
	assert_int_equal(assign(f, "node1", "1"), IPAM_OK);
	assert_int_equal(f->writes, 1);
	assert_true(addr_eq(&f->got, &first));
	assert_int_equal(world_handle(&f->w, f->cur, "1")->blocks[0].count, 1);
	for (size_t i = 0; i < f->w.nslots; i++)
		if (f->w.slots[i].kind == KIND_HANDLE)
			f->cur[i].content = 0;
	assert_int_equal(release(f, "node2", "1"), IPAM_OK);
	assert_int_equal(f->writes, 1);
	assert_null(world_owner(&f->w, f->cur, &first));
}

/* Whoever always loses gives up with a sentence. */
static void never_wins(void **state)
{
	struct fixture *f = *state;
	struct cell seen[WORLD_SLOTS] = { 0 };
	struct world_view arg;
	struct ipam_view v = world_view(&f->w, seen, &arg);
	struct ipam_request r = world_request(IPAM_ASSIGN, "n", "1", NOW);
	struct ipam_step s;
	int n = 0;

	world_pool(&f->w, "p", "10.0.0.0/30", 31);
	do {
		ipam_step(&v, &r, &s, &f->e);
		ipam_step_done(&s);
	} while (s.answer == IPAM_WRITE && ++n < 5000);
	assert_int_equal(s.answer, IPAM_REFUSED);
	assert_int_equal(f->e.code, EAGAIN);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_host),
		TEST(asked_again),
		TEST(both_families),
		TEST(attributes),
		TEST(pools),
		TEST(pool_order),
		TEST(borrowing),
		TEST(block_limit),
		TEST(reclaiming),
		TEST(not_automatic),
		TEST(reservations),
		TEST(cooling_down),
		TEST(left_behind),
		TEST(giving_back),
		TEST(small_blocks),
		TEST(other_sizes),
		TEST(bad_requests),
		TEST(handle_lost),
		TEST(never_wins),
		cmocka_unit_test(broken_off_assign),
		cmocka_unit_test(broken_off_release),
		cmocka_unit_test(broken_off_give),
	};

	return cmocka_run_group_tests_name("ipam/steps", tests, NULL, NULL);
}

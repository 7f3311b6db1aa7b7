/* Telling everything again: asked for (RFC 2918), and between a beginning and an end (RFC 7313); both
 * directions. */
#include "actor.h"

static struct prefix wide(int i)
{
	uint8_t b[16] = { 0xfd, 0x10, 0, 0, 0, (uint8_t)i };
	struct addr a = addr_from_bytes(AF_INET6, b);

	return prefix_of(&a, 64);
}

static bool there(struct net *t, const struct prefix *p)
{
	return net_route(&t->nodes[0], p);
}

/* One that knows enhanced refresh, or not even refresh, and both families. */
static struct actor *joined(struct net *t, bool refresh, bool enhanced)
{
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	a->open.caps.refresh = refresh;
	a->open.caps.enhanced_refresh = enhanced;
	a->open.caps.families = conf.families = CAPS_V4 | CAPS_V6;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	return a;
}

static void done(struct net *t, struct actor *a)
{
	actor_free(a);
	net_free(t);
}

static void asked_for(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);

	net_run(t, 5 * SEC);
	assert_string_equal(actor_log(a), "open +10.8.0.0/26 eor4 eor6");
	actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 100 * MSEC);
	assert_string_equal(actor_log(a), "borr4 +10.8.0.0/26 eorr4");
	net_run(t, 5 * SEC);
	/* Both families: each has its own beginning and end. */
	actor_refresh(a, CAPS_V6, MSG_REFRESH_REQUEST);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 3 * SEC);
	const char *log = actor_log(a);
	assert_non_null(strstr(log, "borr4"));
	assert_non_null(strstr(log, "borr6"));
	assert_non_null(strstr(log, "eorr4"));
	assert_non_null(strstr(log, "eorr6"));
	assert_true(strstr(log, "borr4") < strstr(log, "eorr4") &&
		    strstr(log, "borr6") < strstr(log, "eorr6"));
	/* The IPv4 routes stand between the marks of IPv4. */
	assert_non_null(strstr(strstr(log, "borr4"), "+10.8.0.0/26"));
	done(t, a);
}

/* A peer that does not know the marks gets the routes only. */
static void asked_for_plainly(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, false);

	net_run(t, 5 * SEC);
	actor_log(a);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 3 * SEC);
	assert_string_equal(actor_log(a), "+10.8.0.0/26");
	done(t, a);
}

/* Not before our first End-of-RIB (RFC 7313 4); it is answered afterwards. */
static void asked_for_early(void **state)
{
	struct net *t = net_new(1);
	struct actor *a;

	net_config(t, 0, 120);
	a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);
	a->open.caps.enhanced_refresh = true;
	actor_state(a, &conf);
	net_origin(t, 0, 0, true);
	net_stated(t, 0);
	actor_dial(a);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 3 * SEC);
	assert_string_equal(actor_log(a), "open +10.8.0.0/26");
	actor_eor(a, AF_INET);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "eor4 borr4 +10.8.0.0/26 eorr4");
	done(t, a);
}

/* A storm costs one walk a second, and a request that ends with its session leaves nothing behind. */
static void storm(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);

	net_run(t, 5 * SEC);
	actor_log(a);
	for (int i = 0; i < 500; i++)
		actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 500 * MSEC);
	assert_string_equal(actor_log(a), "borr4 +10.8.0.0/26 eorr4");
	net_run(t, 5 * SEC);
	assert_string_equal(actor_log(a), "borr4 +10.8.0.0/26 eorr4");
	for (int i = 0; i < 2; i++) {
		actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
		net_run(t, 10 * MSEC);
	}
	actor_log(a);
	actor_hang_up(a);
	net_run(t, 5 * SEC);
	actor_dial(a);
	net_run(t, 5 * SEC);
	assert_string_equal(actor_log(a), "open +10.8.0.0/26 eor4 eor6");
	done(t, a);
}

/* The end is told after the last route, also to one that reads slowly; what changes meanwhile is told, too.
 */
static void slow_reader(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a;

	t->window = 50;
	a = joined(t, true, true);
	for (int i = 1; i < 30; i++)
		net_origin(t, 0, i, true);
	net_run(t, 5 * SEC);
	assert_int_equal(a->nheard, 30);
	actor_log(a);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
	net_run(t, 5);
	net_origin(t, 0, 7, false);
	net_run(t, SEC);
	const char *log = actor_log(a), *end = strstr(log, "eorr4");
	assert_memory_equal(log, "borr4 ", 6);
	assert_non_null(end);
	assert_null(strchr(end, '+'));
	assert_int_equal(a->nheard, 29);
	struct prefix p = net_block(0, 7);
	assert_null(actor_has(a, &p));
	done(t, a);
}

/* It asks again and again and reads so slowly that an answer takes longer than that: each one is finished. */
static void asks_faster_than_it_reads(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);
	struct net_pipe *p = &t->pipes[t->npipes - 1];
	bool answering = false;
	unsigned answers = 0;

	for (int i = 1; i < 60; i++)
		net_origin(t, 0, i, true);
	net_run(t, 5 * SEC);
	actor_log(a);
	p->window[0] = 40;
	p->pace[0] = 300 * MSEC;
	for (int i = 0; i < 60; i++) {
		actor_refresh(a, CAPS_V4, MSG_REFRESH_REQUEST);
		net_run(t, 1100 * MSEC);
		const char *at = actor_log(a);
		while ((at = strpbrk(at, "be"))) { /* borr, eorr */
			assert_int_equal(answering, *at == 'e');
			answers += answering;
			answering = !answering;
			at += 4;
		}
	}
	assert_true(answers >= 3);
	assert_true(a->up);
	done(t, a);
}

static void told_again(struct actor *a, uint8_t family)
{
	actor_refresh(a, family, MSG_REFRESH_BEGIN);
	net_run(a->net, SEC);
}

/* What the peer does not repeat between its beginning and its end is gone; other families are not concerned.
 */
static void told_by_the_peer(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);
	struct prefix p[] = { net_block(1, 0), net_block(1, 1), net_block(1, 2), wide(1) };

	for (size_t i = 0; i < 4; i++)
		if (i != 2)
			actor_announce(a, &p[i], 0, NULL, NULL);
	actor_eor(a, AF_INET);
	actor_eor(a, AF_INET6);
	net_run(t, SEC);
	told_again(a, CAPS_V4);
	actor_announce(a, &p[1], 0, NULL, NULL);
	actor_announce(a, &p[2], 0, NULL, NULL);
	net_run(t, SEC);
	for (size_t i = 0; i < 4; i++)
		assert_true(there(t, &p[i])); /* nothing is lost on the way */
	actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	net_run(t, SEC);
	assert_false(there(t, &p[0]));
	assert_true(there(t, &p[1]) && there(t, &p[2]) && there(t, &p[3]));
	/* An end without a beginning means nothing. */
	actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	actor_refresh(a, CAPS_V6, MSG_REFRESH_END);
	net_run(t, 300 * SEC);
	assert_true(there(t, &p[1]) && there(t, &p[2]) && there(t, &p[3]));
	assert_int_equal(t->nodes[0].peers[1].flaps, 0);
	assert_int_equal(t->nodes[0].peers[1].stale, 0);
	done(t, a);
}

/* Each beginning costs us a walk through the table, so a storm of them is one; no route is lost by it. */
static void storm_of_beginnings(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);
	struct prefix p[] = { net_block(1, 0), net_block(1, 1), wide(1) };

	for (size_t i = 0; i < 3; i++)
		actor_announce(a, &p[i], 0, NULL, NULL);
	net_run(t, 2 * SEC);
	for (int i = 0; i < 100; i++) {
		actor_refresh(a, CAPS_V4, MSG_REFRESH_BEGIN);
		if (i == 50)
			actor_announce(a, &p[1], 0, NULL, NULL);
	}
	actor_refresh(a, CAPS_V6, MSG_REFRESH_BEGIN); /* for itself */
	actor_refresh(a, CAPS_V6, MSG_REFRESH_END);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	net_run(t, 100 * MSEC);
	assert_false(there(t, &p[0]) || there(t, &p[2]));
	assert_true(there(t, &p[1]));
	for (int i = 0; i < 100; i++) {
		actor_refresh(a, CAPS_V4, MSG_REFRESH_BEGIN);
		actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	}
	net_run(t, 100 * MSEC);
	assert_true(there(t, &p[1]));
	/* After a while it may again. */
	net_run(t, SEC);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_BEGIN);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	net_run(t, 100 * MSEC);
	assert_false(there(t, &p[1]));
	done(t, a);
}

/* It begins and never ends: after a while what it has not repeated goes all the same. */
static void told_without_end(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);
	struct prefix p[] = { net_block(1, 0), net_block(1, 1) };

	for (size_t i = 0; i < 2; i++)
		actor_announce(a, &p[i], 0, NULL, NULL);
	net_run(t, SEC);
	told_again(a, CAPS_V4);
	actor_announce(a, &p[1], 0, NULL, NULL);
	net_run(t, 110 * SEC);
	assert_true(there(t, &p[0]) && there(t, &p[1]));
	net_run(t, 15 * SEC);
	assert_false(there(t, &p[0]));
	assert_true(there(t, &p[1]));
	/* The session ends in the middle of it: no timer, no route is left. */
	told_again(a, CAPS_V4);
	actor_hang_up(a);
	net_run(t, SEC);
	assert_false(there(t, &p[1]));
	done(t, a);
}

/* Marks that were not agreed upon are only words. */
static void told_without_agreement(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, false);
	struct prefix p = net_block(1, 0);

	actor_announce(a, &p, 0, NULL, NULL);
	net_run(t, SEC);
	told_again(a, CAPS_V4);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_END);
	net_run(t, 300 * SEC);
	assert_true(there(t, &p));
	done(t, a);
}

static void agent_asks(struct net *t, bool out)
{
	struct ipc_msg m = { .type = IPC_REFRESH, .refresh = { net_addr(1), out } };

	net_say(t, 0, &m);
	net_run(t, 3 * SEC);
}

/* The agent wants a peer to be asked, or to be told everything again. */
static void by_the_agent(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, true, true);

	net_run(t, 5 * SEC);
	actor_log(a);
	agent_asks(t, false);
	assert_string_equal(actor_log(a), "request4 request6");
	agent_asks(t, true);
	assert_non_null(strstr(actor_log(a), "+10.8.0.0/26"));
	actor_hang_up(a);
	agent_asks(t, false); /* nobody is there */
	a->open.caps.refresh = false;
	actor_dial(a);
	net_run(t, 3 * SEC);
	actor_log(a);
	agent_asks(t, false); /* it would not understand */
	assert_string_equal(actor_log(a), "");
	assert_true(a->up);
	done(t, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_for),
		cmocka_unit_test(asked_for_plainly),
		cmocka_unit_test(asked_for_early),
		cmocka_unit_test(storm),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(told_by_the_peer),
		cmocka_unit_test(told_without_end),
		cmocka_unit_test(told_without_agreement),
		cmocka_unit_test(by_the_agent),
		cmocka_unit_test(storm_of_beginnings),
		cmocka_unit_test(asks_faster_than_it_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

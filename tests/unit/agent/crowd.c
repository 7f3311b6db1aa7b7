/* When the kernel's table of neighbours is said to be too small. */
#include "agent/crowd.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>

static void four_fifths_are_fine_and_more_are_not(void **state)
{
	char text[CROWD_TEXT_MAX];

	assert_false(crowd_judge(AF_INET, 819, 1024, text));
	assert_string_equal(text, "");
	assert_true(crowd_judge(AF_INET, 820, 1024, text));
	assert_non_null(strstr(text, "at most 1024 IPv4 neighbours (net.ipv4.neigh.default.gc_thresh3)"));
	assert_non_null(strstr(text, "820 nodes"));
	assert_non_null(strstr(text, "to 820, 1640 and 3280"));
	assert_true(crowd_judge(AF_INET6, 1000000, 1024, text));
	assert_non_null(strstr(text, "net.ipv6.neigh.default"));
	assert_true(strlen(text) + 1 < CROWD_TEXT_MAX);
	/* Advice that is followed is the end of it; where the limit cannot be read nothing is said. */
	assert_false(crowd_judge(AF_INET, 820, 3280, text));
	assert_false(crowd_judge(AF_INET, 820, 0, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(four_fifths_are_fine_and_more_are_not) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

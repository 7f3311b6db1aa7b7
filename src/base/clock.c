/* Printing and reading time. Reading the clock itself belongs to loop/. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000

static void to_tm(nsec_t wall, struct tm *tm, long *nsec)
{
	nsec_t sub = wall % NSEC_PER_SEC;
	time_t secs = (time_t)(wall / NSEC_PER_SEC);

	if (sub < 0) {
		sub += NSEC_PER_SEC;
		secs--;
	}
	gmtime_r(&secs, tm);
	*nsec = (long)sub;
}

char *clock_format_rfc3339(nsec_t wall, char buf[static CLOCK_RFC3339_MAX])
{
	struct tm tm;
	long nsec;

	to_tm(wall, &tm, &nsec);
	strftime(buf, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

char *clock_format_go(nsec_t wall, char buf[static CLOCK_GO_MAX])
{
	struct tm tm;
	long nsec;
	char frac[16] = "";

	to_tm(wall, &tm, &nsec);
	if (nsec) {
		int n = snprintf(frac, sizeof(frac), ".%09ld", nsec);
		while (n > 0 && frac[n - 1] == '0')
			frac[--n] = '\0';
	}
	size_t n = strftime(buf, CLOCK_GO_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf + n, CLOCK_GO_MAX - n, "%s +0000 UTC", frac);
	return buf;
}

int clock_parse_rfc3339(const char *s, nsec_t *ret)
{
	struct tm tm = { 0 };
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	nsec_t frac = 0, zone = 0;

	if (!p)
		return -EINVAL;
	if (*p == '.') {
		nsec_t unit = NSEC_PER_SEC;
		for (p++; *p >= '0' && *p <= '9'; p++) {
			unit /= 10;
			frac += (*p - '0') * unit;
		}
	}
	if (*p == '+' || *p == '-') {
		int h, m, len = 0;
		if (sscanf(p + 1, "%2d:%2d%n", &h, &m, &len) != 2 || p[1 + len])
			return -EINVAL;
		zone = (nsec_t)(h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
	} else if (strcmp(p, "Z") != 0) {
		return -EINVAL;
	}
	if (__builtin_mul_overflow((nsec_t)timegm(&tm) - zone, (nsec_t)NSEC_PER_SEC, ret) ||
	    __builtin_add_overflow(*ret, frac, ret))
		return -EINVAL; /* before 1678 or after 2261 */
	return 0;
}

char *clock_format_span(usec_t span, char buf[static CLOCK_SPAN_MAX])
{
	long long s = span / SEC;

	if (s < 60)
		snprintf(buf, CLOCK_SPAN_MAX, "%llds", s);
	else if (s < 3600)
		snprintf(buf, CLOCK_SPAN_MAX, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, CLOCK_SPAN_MAX, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(buf, CLOCK_SPAN_MAX, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return buf;
}

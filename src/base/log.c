/* Log lines on standard error. */
#include "base/log.h"

#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
static const int syslog_priority[] = {
	[LOG_LEVEL_ERROR] = 3,
	[LOG_LEVEL_WARN] = 4,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_DEBUG] = 7,
};

static struct {
	const char *program;
	enum log_level level;
	bool journal;
} setting = { "korat", LOG_LEVEL_INFO, false };

void log_setup(const char *program, enum log_level level)
{
	setting.program = program;
	setting.level = level;
	setting.journal = getenv("JOURNAL_STREAM") != NULL;
	setvbuf(stderr, NULL, _IOLBF, 0);
}

int log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(s, level_names[i])) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

static void emit(enum log_level level, const char *text)
{
	char stamp[32] = "";
	struct timespec ts;
	struct tm tm;

	if (setting.journal) {
		fprintf(stderr, "<%d>%s: %s\n", syslog_priority[level], setting.program, text);
		return;
	}
	/* The one place outside loop/ that reads a clock: a log line without a time is worth little. */
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld %s %s: %s\n", stamp, ts.tv_nsec / 1000000, setting.program,
		level_names[level], text);
}

/* Bytes from outside must not be able to start a line of their own or move the cursor. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (level > setting.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_printable(text);
	emit(level, text);
}

void log_err(const struct err *e, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_at(LOG_LEVEL_ERROR, "%.500s: %s", text, e->msg);
}

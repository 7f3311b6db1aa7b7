/*
 * base/log: one line per event on standard error, for journald and people.
 *
 * Only agent/, cni/, ctl/ and main functions log. Under systemd (JOURNAL_STREAM set) lines carry the "<N>"
 * priority prefix; elsewhere a time and a level word. The level is the one process-wide setting we have.
 */
#pragma once
#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: "koratd/agent" and the like, printed in each line; must outlive the process. */
void log_setup(const char *program, enum log_level level);
/* "error", "warn", "info", "debug"; -EINVAL otherwise. */
int log_level_parse(const char *s, enum log_level *ret);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
/* "context: message of e" at level error. */
void log_err(const struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

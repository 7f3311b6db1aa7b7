/* A parent that only waits. It holds no socket, no datastore and no loop. */
#include "agent/supervise.h"

#include "base/own.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 5000
#define STEADY_S     10	   /* having run this long, the next death is a first one again */
#define STOP_MS	     10000 /* after SIGTERM, before SIGKILL */

struct child {
	const char *name;
	int (*run)(const struct options *);
	pid_t pid;    /* 0 = not running */
	bool adopted; /* not our child: started by a supervisor that was killed */
	time_t started;
	long pause_ms;
	long due_ms; /* when to start it again */
	bool proven; /* has run steadily: what keeps it from starting now (a locked file) may pass */
};

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The process that listens on the speaker's socket, 0 if none does. */
static pid_t find_speaker(const struct options *o)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	own_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.90s/speaker.sock", o->run_dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return 0;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.pid : 0;
}

static void start(struct child *c, const struct options *o, const sigset_t *old)
{
	pid_t parent = getpid();

	c->started = time(NULL);
	c->pid = fork();
	if (c->pid < 0) {
		log_error("start the %s: %s", c->name, strerror(errno));
		c->pid = 0;
		c->due_ms = now_ms() + PAUSE_MAX_MS;
		return;
	}
	if (c->pid > 0)
		return;
	sigprocmask(SIG_SETMASK, old, NULL);
	/* The agent goes with its parent; the speaker gives this up when it changes user, and stays. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	_exit(c->run(o));
}

/* Returns false if it must not be started again. */
static bool on_death(struct child *c, int status)
{
	bool steady = time(NULL) - c->started >= STEADY_S;

	c->pid = 0;
	c->proven |= steady;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CONFIG && !c->proven)
		return false;
	c->pause_ms = steady || !c->pause_ms ? PAUSE_MIN_MS : c->pause_ms * 2;
	if (c->pause_ms > PAUSE_MAX_MS)
		c->pause_ms = PAUSE_MAX_MS;
	c->due_ms = now_ms() + c->pause_ms;
	if (WIFSIGNALED(status))
		log_warn("the %s was killed by signal %d; starting it again in %ld ms", c->name,
			 WTERMSIG(status), c->pause_ms);
	else
		log_warn("the %s ended with code %d; starting it again in %ld ms", c->name,
			 WEXITSTATUS(status), c->pause_ms);
	return true;
}

static bool reap(struct child *cs, size_t n)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < n; i++)
			if (cs[i].pid == pid && !on_death(&cs[i], status))
				return false;
	for (size_t i = 0; i < n; i++)
		if (cs[i].adopted && cs[i].pid && kill(cs[i].pid, 0) < 0 && errno == ESRCH) {
			cs[i].pid = 0;
			cs[i].adopted = false;
			cs[i].due_ms = 0;
		}
	return true;
}

static void stop_all(struct child *cs, size_t n)
{
	long deadline = now_ms() + STOP_MS;
	bool alive = true;

	for (size_t i = 0; i < n; i++)
		if (cs[i].pid)
			kill(cs[i].pid, SIGTERM);
	while (alive) {
		struct timespec ts = { 0, 10000000 };
		alive = false;
		reap(cs, n);
		for (size_t i = 0; i < n; i++) {
			alive |= cs[i].pid != 0;
			if (cs[i].pid && now_ms() > deadline)
				kill(cs[i].pid, SIGKILL);
		}
		if (alive)
			nanosleep(&ts, NULL);
	}
}

static void start_due(struct child *cs, size_t n, const struct options *o, const sigset_t *old)
{
	for (size_t i = 0; i < n; i++)
		if (!cs[i].pid && now_ms() >= cs[i].due_ms)
			start(&cs[i], o, old);
}

int supervise(const struct options *o, int (*agent)(const struct options *),
	      int (*speaker)(const struct options *))
{
	struct child cs[] = { { .name = "speaker", .run = speaker }, { .name = "agent", .run = agent } };
	const size_t n = sizeof(cs) / sizeof(cs[0]);
	sigset_t set, old;

	log_setup("koratd", o->log_level);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (mkdir(o->run_dir, 0755) < 0 && errno != EEXIST) {
		log_error("make the run directory %s: %s", o->run_dir, strerror(errno));
		return 1;
	}
	cs[0].pid = find_speaker(o);
	cs[0].adopted = cs[0].pid != 0;
	for (;;) {
		struct timespec wait = { 0, 50000000 };
		start_due(cs, n, o, &old);
		bool idle = cs[0].pid && !cs[0].adopted && cs[1].pid;
		int signo = idle ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
		if (signo == SIGTERM || signo == SIGINT) {
			stop_all(cs, n);
			return 0;
		}
		if (!reap(cs, n)) {
			stop_all(cs, n);
			return 1;
		}
	}
}

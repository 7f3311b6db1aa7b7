/* The runtime's side of CNI. The plugin's configuration is small enough for a pipe, so it is written in one
 * go. */
#include "ctl/lab_cni.h"

#include "base/check.h"
#include "base/str.h"
#include "ctl/lab_state.h"
#include "ctl/lab_time.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define AT_ONCE	    16
#define PLUGIN_TIME (60 * SEC)
#define OUTPUT_MAX  (1u << 20)
#define ENV_MAX	    8

enum { STDOUT, STDERR, STREAMS };

struct run {
	pid_t pid;
	usec_t start;
	int fd[STREAMS]; /* -1 once at its end */
	struct str text[STREAMS];
	bool killed;
};

/* ---- one process ---- */

static void child(const char *program, char *const *env, int in, int out, int err)
{
	/* A plugin without the one who asked for it is of no use. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	char *const argv[] = { (char *)"korat-cni", NULL };
	execve(program, argv, env);
	dprintf(STDERR_FILENO, "cannot run %s: %m", program);
	_exit(127);
}

static int start(struct run *run, const char *program, char *const *env, const char *conf, struct err *e)
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };

	for (size_t i = 0; i < 3; i++) {
		if (pipe2(p[i], O_CLOEXEC) < 0) {
			err_set(e, errno, "run korat-cni: pipe: %m");
			for (size_t k = 0; k < i; k++) {
				close(p[k][0]);
				close(p[k][1]);
			}
			return -e->code;
		}
	}
	own_fd int in = p[0][0], feed = p[0][1], out = p[1][1], err = p[2][1];
	*run = (struct run){ .start = lab_now(), .fd = { p[1][0], p[2][0] } };
	size_t n = strlen(conf);
	if (n > PIPE_BUF || write(feed, conf, n) != (ssize_t)n)
		err_set(e, E2BIG, "run korat-cni: its configuration is longer than %d bytes", PIPE_BUF);
	else if ((run->pid = fork()) < 0)
		err_set(e, errno, "run korat-cni: fork: %m");
	else if (run->pid == 0)
		child(program, env, in, out, err);
	else
		return 0;
	close(run->fd[STDOUT]);
	close(run->fd[STDERR]);
	*run = (struct run){ 0 };
	return -e->code;
}

static void drain(struct run *run, int stream)
{
	char buf[4096];
	ssize_t n = read(run->fd[stream], buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0 && run->text[stream].n < OUTPUT_MAX) {
		str_addn(&run->text[stream], buf, (size_t)n);
		return;
	}
	close(run->fd[stream]);
	run->fd[stream] = -1;
}

static void end_late(struct run *run)
{
	if (run->killed || lab_now() - run->start < PLUGIN_TIME)
		return;
	kill(run->pid, SIGKILL);
	run->killed = true;
}

/* Waits for something to happen in any of the runs. */
static void attend(struct run *runs, size_t n)
{
	struct pollfd fds[AT_ONCE * STREAMS];
	int *who[AT_ONCE * STREAMS];
	size_t nfds = 0;

	for (size_t i = 0; i < n; i++) {
		for (int s = 0; runs[i].pid && s < STREAMS; s++) {
			if (runs[i].fd[s] < 0)
				continue;
			fds[nfds] = (struct pollfd){ .fd = runs[i].fd[s], .events = POLLIN };
			who[nfds++] = &runs[i].fd[s];
		}
	}
	poll(fds, nfds, 200);
	for (size_t k = 0; k < nfds; k++) {
		for (size_t i = 0; i < n && fds[k].revents; i++) {
			for (int s = 0; s < STREAMS; s++) {
				if (who[k] == &runs[i].fd[s])
					drain(&runs[i], s);
			}
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (runs[i].pid)
			end_late(&runs[i]);
	}
}

static bool ended(const struct run *run)
{
	return run->pid && run->fd[STDOUT] < 0 && run->fd[STDERR] < 0;
}

/* What went wrong, in the plugin's own words if it has any. */
static int explain(const struct run *run, int status, struct err *e)
{
	json_t *answer = json_loads(run->text[STDOUT].s ? run->text[STDOUT].s : "", 0, NULL);
	const char *msg = json_string_value(json_object_get(answer, "msg"));
	const char *details = json_string_value(json_object_get(answer, "details"));

	if (run->killed)
		err_set(e, ETIMEDOUT, "korat-cni has not answered within %d s", (int)(PLUGIN_TIME / SEC));
	else if (msg)
		err_set(e, EREMOTEIO, "%s%s%s", msg, details && *details ? ": " : "", details ? details : "");
	else if (WIFSIGNALED(status))
		err_set(e, EREMOTEIO, "korat-cni was ended by signal %d", WTERMSIG(status));
	else
		err_set(e, EREMOTEIO, "korat-cni ended with code %d: %.300s", WEXITSTATUS(status),
			run->text[STDERR].s ? run->text[STDERR].s : "it said nothing");
	json_decref(answer);
	return -e->code;
}

/* 0 and what it printed, or why it failed. Ends the run. */
static int reap(struct run *run, char **ret, struct err *e)
{
	int status = 0, r = 0;

	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		r = explain(run, status, e);
	else
		*ret = str_take(&run->text[STDOUT]);
	str_done(&run->text[STDOUT]);
	str_done(&run->text[STDERR]);
	*run = (struct run){ 0 };
	return r;
}

/* ---- the protocol ---- */

static int command(struct run *run, const char *verb, const struct lab_pod *pod, const char *programs,
		   struct err *e)
{
	char ip[ADDR_STR_MAX], path[LAB_PATH_MAX], netns[LAB_NETNS_MAX];
	own_mem char *conf = NULL, *program = xasprintf("%s/korat-cni", programs);
	int r = lab_read_text(lab_path_node(pod->node, "cni.conf", path), &conf, e);

	if (r < 0)
		return r;
	char *env[ENV_MAX + 1] = {
		xasprintf("CNI_COMMAND=%s", verb),
		xasprintf("CNI_CONTAINERID=%s", pod->id),
		xasprintf("CNI_NETNS=/run/netns/%s", lab_netns(pod->name, netns)),
		xstrdup("CNI_IFNAME=eth0"),
		xasprintf("CNI_PATH=%s", programs),
		addr_is_set(&pod->ip) ? xasprintf("CNI_ARGS=IgnoreUnknown=1;IP=%s", addr_format(&pod->ip, ip))
				      : xstrdup("CNI_ARGS=IgnoreUnknown=1"),
		xasprintf("PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/sbin:/usr/bin:/sbin:/bin"),
		/* Sanitizers are told about through the environment. */
		getenv("ASAN_OPTIONS") ? xasprintf("ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS")) : NULL,
	};
	r = start(run, program, env, conf, e);
	for (size_t i = 0; i < ENV_MAX; i++)
		free(env[i]);
	return r;
}

static void finish(struct lab_cni_job *j, struct run *run)
{
	char path[LAB_PATH_MAX];
	own_mem char *text = NULL;

	j->r = reap(run, &text, &j->e);
	if (!j->r)
		j->result = json_loads(text, 0, NULL);
	if (!j->r && !j->result)
		j->r = err_set(&j->e, EPROTO, "korat-cni answered with something other than JSON: %.100s",
			       text);
	if (!j->r)
		j->r = lab_write_file(lab_path_pod(j->pod->name, path), text, false, &j->e);
}

/* The next job whose node has none under way; -1 if there is none now. */
static ssize_t next_job(const struct lab_cni_job *jobs, size_t n, const bool *begun,
			struct lab_cni_job *const *of)
{
	for (size_t i = 0; i < n; i++) {
		bool busy = begun[i];
		for (size_t k = 0; k < AT_ONCE && !busy; k++)
			busy = of[k] && strcmp(of[k]->pod->node, jobs[i].pod->node) == 0;
		if (!busy)
			return (ssize_t)i;
	}
	return -1;
}

size_t lab_cni_add(struct lab_cni_job *jobs, size_t n, const char *programs)
{
	struct run runs[AT_ONCE] = { 0 };
	struct lab_cni_job *of[AT_ONCE] = { 0 };
	own_mem bool *begun = xcalloc(n, sizeof(*begun));
	size_t done = 0, failed = 0;

	while (done < n) {
		for (size_t k = 0; k < AT_ONCE; k++) {
			ssize_t i = of[k] ? -1 : next_job(jobs, n, begun, of);
			if (i < 0)
				continue;
			begun[i] = true;
			jobs[i].r = command(&runs[k], "ADD", jobs[i].pod, programs, &jobs[i].e);
			if (jobs[i].r == 0)
				of[k] = &jobs[i];
			else
				done++;
		}
		attend(runs, AT_ONCE);
		for (size_t k = 0; k < AT_ONCE; k++) {
			if (!ended(&runs[k]))
				continue;
			finish(of[k], &runs[k]);
			of[k] = NULL;
			done++;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].r < 0)
			err_in(&jobs[i].e, "pod %s on %s", jobs[i].pod->name, jobs[i].pod->node);
		failed += jobs[i].r < 0;
	}
	return failed;
}

int lab_cni_del(const struct lab_pod *pod, const char *programs, struct err *e)
{
	char path[LAB_PATH_MAX];
	own_mem char *text = NULL;
	struct run run = { 0 };
	int r = command(&run, "DEL", pod, programs, e);

	if (!r) {
		while (!ended(&run))
			attend(&run, 1);
		r = reap(&run, &text, e);
	}
	if (r < 0) {
		err_in(e, "pod %s on %s", pod->name, pod->node);
		return r;
	}
	unlink(lab_path_pod(pod->name, path));
	return 0;
}

bool lab_cni_address(const json_t *result, size_t i, struct addr *ret)
{
	const json_t *ip = json_array_get(json_object_get(result, "ips"), i);
	const char *text = json_string_value(json_object_get(ip, "address"));

	return text && addr_parse_cidr(text, ret, NULL);
}

char *lab_cni_addresses(const json_t *result, char buf[static LAB_CNI_TEXT_MAX])
{
	struct addr a;
	size_t at = 0;

	*buf = '\0';
	for (size_t i = 0; i < 3 && lab_cni_address(result, i, &a); i++) {
		char text[ADDR_STR_MAX];
		at += (size_t)snprintf(buf + at, LAB_CNI_TEXT_MAX - at, "%s%s", i ? "," : "",
				       addr_format(&a, text));
	}
	return buf;
}

const char *lab_cni_interface(const json_t *result)
{
	const json_t *host = json_array_get(json_object_get(result, "interfaces"), 0);
	const char *name = json_string_value(json_object_get(host, "name"));

	return name ? name : "";
}

json_t *lab_cni_result(const char *pod)
{
	char path[LAB_PATH_MAX];

	return json_load_file(lab_path_pod(pod, path), 0, NULL);
}

/*
 * Starting a koratd that a dying `korat lab up` cannot lose: the child waits on a pipe until its pid is on
 * record; if its parent dies before that, the pipe ends and so does the child.
 */
#include "ctl/lab_agent.h"

#include "base/check.h"
#include "ctl/lab_state.h"
#include "ctl/lab_time.h"
#include "ctl/out.h"
#include "kern/netns.h"
#include "model/ippool.h"
#include "rpc/rpc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define ASK_MS	  1000
#define LOG_LINES 12
#define PIDS_MAX  4096

int lab_agent_programs(char ret[static LAB_PROGRAMS_MAX], struct err *e)
{
	static const char *const needed[] = { "koratd", "korat-cni" };
	char self[LAB_PROGRAMS_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_set(e, errno, "find the directory of korat: %m");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	memcpy(ret, self, sizeof(self));
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		own_mem char *path = xasprintf("%s/%s", ret, needed[i]);
		if (access(path, X_OK) < 0)
			return err_set(
				e, ENOENT,
				"%s is not beside korat in %s: build it (ninja), or install all of korat",
				needed[i], *ret ? ret : "/");
	}
	return 0;
}

/* The families that the lab's pools have, as the assign_ipv4 and assign_ipv6 that IPAM expects. */
static json_t *ipam_of(const struct lab *l)
{
	bool v4 = false, v6 = false;
	struct ippool p;
	size_t i;
	json_t *doc;

	json_array_foreach(l->resources, i, doc)
	{
		const char *kind = json_string_value(json_object_get(doc, "kind"));
		if (!kind || strcmp(kind, "IPPool") != 0 || ippool_decode(doc, &p, NULL) < 0)
			continue;
		v4 |= p.cidr.addr.family == AF_INET;
		v6 |= p.cidr.addr.family == AF_INET6;
	}
	return json_pack("{s:s, s:s, s:s}", "type", "calico-ipam", "assign_ipv4",
			 v4 || !v6 ? "true" : "false", "assign_ipv6", v6 ? "true" : "false");
}

static int write_cni(const struct lab *l, const char *node, struct err *e)
{
	char path[LAB_PATH_MAX], sock[LAB_PATH_MAX];
	json_t *conf = json_pack("{s:s, s:s, s:s, s:s, s:o}", "cniVersion", "1.0.0", "name", "korat", "type",
				 "korat-cni", "agent_socket", lab_path_node(node, "agent.sock", sock), "ipam",
				 ipam_of(l));

	CHECK(conf && json_object_update(conf, l->cni) == 0);
	own_mem char *text = json_dumps(conf, JSON_INDENT(2));
	json_decref(conf);
	return lab_write_file(lab_path_node(node, "cni.conf", path), text, false, e);
}

/* In the child: becomes koratd, or leaves the reason in its log. */
static void child(const char *node, const char *programs, int ns, int go)
{
	char log[LAB_PATH_MAX], dir[LAB_PATH_MAX], byte;
	struct err e;

	own_mem char *program = xasprintf("%s/koratd", programs);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out =
		open(lab_path_node(node, "koratd.log", log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (read(go, &byte, 1) != 1 || null < 0 || out < 0)
		_exit(127);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (netns_enter(ns, &e) < 0) {
		dprintf(STDERR_FILENO, "korat lab: %s\n", e.msg);
		_exit(127);
	}
	/* Its log is a file, whatever our own output is. */
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	execl(program, program, "--node", node, "--datastore", LAB_STORE, "--run-dir",
	      lab_path_node(node, "", dir), "--log-level", "info", NULL);
	dprintf(STDERR_FILENO, "korat lab: cannot run %s: %m\n", program);
	_exit(127);
}

static int record(const char *node, const struct lab_proc *p, struct err *e)
{
	char path[LAB_PATH_MAX], text[64];

	snprintf(text, sizeof(text), "%d %llu\n", p->pid, (unsigned long long)p->start);
	return lab_write_file(lab_path_node(node, "koratd.pid", path), text, false, e);
}

static int spawn(const char *node, const char *programs, int ns, struct lab_proc *ret, struct err *e)
{
	int go[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_set(e, errno, "start koratd: pipe: %m");
	own_fd int wait = go[0], tell = go[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_set(e, errno, "start koratd: fork: %m");
	if (pid == 0) {
		close(go[1]);
		child(node, programs, ns, wait);
	}
	if (lab_proc_of(pid, ret) < 0)
		return err_set(e, ECHILD, "start koratd: it ended at once");
	int r = record(node, ret, e);
	if (!r && write(tell, "", 1) != 1)
		r = err_set(e, errno, "start koratd: %m");
	return r;
}

int lab_agent_start(const struct lab *l, const char *node, const char *programs, struct lab_proc *ret,
		    struct err *e)
{
	char path[LAB_PATH_MAX], netns[LAB_NETNS_MAX];
	int r;

	if ((r = lab_mkdir(lab_path_node(node, "", path), e)) || (r = write_cni(l, node, e)))
		return r;
	own_fd int ns = netns_open_name(lab_netns(node, netns), e);
	return ns < 0 ? ns : spawn(node, programs, ns, ret, e);
}

int lab_agent_status(const char *node, int timeout_ms, json_t **ret, struct err *e)
{
	char sock[LAB_PATH_MAX];

	return rpc_call(lab_path_node(node, "agent.sock", sock), "status", NULL, NULL, 0, timeout_ms, ret,
			NULL, e);
}

/* 1 ready, 0 not yet; why is what is missing. */
static int ask_ready(const char *node, char why[static 256])
{
	struct err e = { 0 };
	json_t *status = NULL;

	if (lab_agent_status(node, ASK_MS, &status, &e) < 0) {
		snprintf(why, 256, "%.255s", e.msg);
		return 0;
	}
	int ready = json_is_true(json_object_get(status, "ready"));
	const char *reason = json_string_value(json_object_get(status, "reason"));
	snprintf(why, 256, "it says: %.200s", reason && *reason ? reason : "not ready");
	json_decref(status);
	return ready;
}

int lab_agent_wait(const char *node, const struct lab_proc *p, usec_t deadline, struct err *e)
{
	char why[256] = "";

	for (;;) {
		waitpid(p->pid, NULL, WNOHANG);
		if (!lab_proc_lives(p))
			return err_set(e, ECHILD, "koratd of %s has ended", node);
		if (ask_ready(node, why))
			return 0;
		if (lab_now() > deadline)
			return err_set(e, ETIMEDOUT, "koratd of %s is not ready in time: %s", node, why);
		lab_pause(10 * MSEC);
	}
}

struct lab_proc lab_agent_proc(const char *node)
{
	char path[LAB_PATH_MAX];
	own_mem char *text = NULL;
	unsigned long long start;
	int pid;

	if (lab_read_text(lab_path_node(node, "koratd.pid", path), &text, NULL) < 0 ||
	    sscanf(text, "%d %llu", &pid, &start) != 2 || pid <= 1)
		return (struct lab_proc){ 0 };
	return (struct lab_proc){ pid, start };
}

struct pids {
	int ns;
	size_t n;
	struct lab_proc v[PIDS_MAX];
};

static void take_pid(void *arg, pid_t pid)
{
	struct pids *p = arg;

	if (pid != getpid() && p->n < PIDS_MAX && lab_proc_of(pid, &p->v[p->n]) == 0)
		p->n++;
}

/* Ends once what lives there now; true if that was nobody. */
static int end_once(struct pids *p, int signo, struct err *e)
{
	p->n = 0;
	int r = netns_pids(p->ns, take_pid, p, e);
	for (size_t i = 0; i < p->n && !r; i++)
		lab_proc_signal_in(p->v[i].pid, p->ns, signo);
	return r ? r : p->n == 0;
}

int lab_agent_end_all_in(const char *netns, struct err *e)
{
	own_fd int ns = netns_open_name(netns, e);
	/* Absent, or the bare file that a killed up or down leaves: nobody lives there. */
	if (ns == -ENOENT || ns == -EINVAL)
		return 0;
	if (ns < 0)
		return ns;
	if (netns_is_own(ns) != 0)
		return err_set(e, EBUSY, "korat itself runs inside %s: leave the lab first", netns);
	own_mem struct pids *p = xcalloc(1, sizeof(*p));
	p->ns = ns;
	usec_t start = lab_now();
	for (;;) {
		/* New ones may be born while we look, so look until nobody is left. */
		usec_t waited = lab_now() - start;
		int r = end_once(p, waited > 2 * SEC ? SIGKILL : SIGTERM, e);
		if (r != 0)
			return r < 0 ? r : 0;
		if (waited > 8 * SEC)
			return err_set(e, EBUSY, "%zu processes in %s do not end, not even by SIGKILL", p->n,
				       netns);
		lab_pause(20 * MSEC);
	}
}

void lab_agent_show_log(const char *node)
{
	char path[LAB_PATH_MAX], text[4096];

	own_fd int fd = open(lab_path_node(node, "koratd.log", path), O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, from);
	text[MAX(n, 0)] = '\0';
	char *p = text + strlen(text);
	for (int lines = 0; p > text; p--) {
		if (p[-1] == '\n' && p[0] && ++lines == LOG_LINES)
			break;
	}
	out_note("the last lines of %s:\n%s", path, *p ? p : "(it is empty)");
}

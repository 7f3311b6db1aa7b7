/*
 * koratd: the node daemon. Two processes, each restartable without the other:
 *
 *	koratd speaker	BGP only; no privilege, no files, no netlink (bgp/main.c)
 *	koratd agent	everything else; CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE
 *	koratd		starts both and restarts whichever dies (agent/supervise.c)
 *
 * This file is the agent's edge: options, privileges, the one-agent lock, and the loop under agent/agent.c.
 */
#include "agent/agent.h"
#include "agent/options.h"
#include "agent/speakerlink.h"
#include "agent/status.h"
#include "agent/supervise.h"
#include "base/log.h"
#include "bgp/main.h"
#include "kern/writer.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

struct daemon {
	const struct options *opt;
	struct loop *loop;
	struct store *store;
	struct nl *nl;
	struct writer *writer;
	struct monitor *monitor;
	struct agent *agent;
	struct speakerlink *link;
	struct rpc_server *rpc;
	struct task settle;
	int lock;
	bool listened; /* the speaker has had its sockets once */
	int exit_code;
};

/* ---- struct agent_io on the loop ---- */

static usec_t io_now(void *arg)
{
	return loop_now(((struct daemon *)arg)->loop);
}

static nsec_t io_wall(void *arg)
{
	return loop_wall(((struct daemon *)arg)->loop);
}

static void io_random(void *arg, void *bytes, size_t n)
{
	CHECK(getrandom(bytes, n, 0) == (ssize_t)n);
}

static void io_soon(void *arg)
{
	struct daemon *d = arg;

	loop_soon(d->loop, &d->settle);
}

static void io_to_speaker(void *arg, const struct ipc_msg *m)
{
	speakerlink_send(((struct daemon *)arg)->link, m);
}

static uint32_t io_speaker_pid(void *arg)
{
	return speakerlink_pid(((struct daemon *)arg)->link);
}

static int io_listen(void *arg, const struct ipc_listen *where, size_t n, struct err *e)
{
	struct daemon *d = arg;
	int r = speakerlink_listen(d->link, where, n, e);

	/* A daemon that cannot do its work from the start had better say so and end. */
	d->listened |= r == 0;
	if (r < 0 && !d->listened) {
		d->exit_code = EXIT_CONFIG;
		loop_stop(d->loop);
	}
	return r;
}

static void on_settle(struct task *t)
{
	agent_settle(container_of(t, struct daemon, settle)->agent);
}

static void on_speaker_state(void *arg, bool connected, bool fresh)
{
	agent_on_speaker(((struct daemon *)arg)->agent, connected, fresh);
}

static void on_speaker_message(void *arg, const struct ipc_msg *m)
{
	agent_on_ipc(((struct daemon *)arg)->agent, m);
}

static void on_kernel(void *arg, const struct monitor_event *ev)
{
	agent_on_kernel(((struct daemon *)arg)->agent, ev);
}

static void on_written(void *arg)
{
	agent_on_written(((struct daemon *)arg)->agent);
}

/* What routes are changed through: the writer's sockets, and the one for everything else. */
static int start_writing(struct daemon *d, uint32_t ports[static WRITER_BATCHES + 1], struct err *e)
{
	if (nl_open(&d->nl, e) < 0)
		return -e->code;
	d->writer = writer_new(d->loop, on_written, d, e);
	if (!d->writer)
		return -e->code;
	for (size_t i = 0; i < WRITER_BATCHES; i++)
		ports[i] = writer_port(d->writer, i);
	ports[WRITER_BATCHES] = nl_port(d->nl);
	return 0;
}

static void on_term(void *arg, int signo)
{
	struct daemon *d = arg;

	log_info("stopping; routes and pods stay as they are");
	loop_stop(d->loop);
}

/* ---- RPC: one row a method ---- */

static void rpc_add(void *arg, struct rpc_req *req)
{
	pods_on_add(((struct daemon *)arg)->agent, req);
}

static void rpc_del(void *arg, struct rpc_req *req)
{
	pods_on_del(((struct daemon *)arg)->agent, req);
}

static void rpc_check(void *arg, struct rpc_req *req)
{
	pods_on_check(((struct daemon *)arg)->agent, req);
}

static void rpc_status(void *arg, struct rpc_req *req)
{
	status_on_status(((struct daemon *)arg)->agent, req);
}

static void rpc_trace(void *arg, struct rpc_req *req)
{
	status_on_trace(((struct daemon *)arg)->agent, req);
}

static const struct rpc_method methods[] = {
	{ "cni.add", rpc_add },	  { "cni.del", rpc_del }, { "cni.check", rpc_check },
	{ "status", rpc_status }, { "trace", rpc_trace }, { NULL, NULL },
};

/* ---- starting ---- */

/* One agent per run directory (and, by the BGP port, per network namespace). The lock ends with the process.
 */
static int lock_run_dir(struct daemon *d, struct err *e)
{
	char path[256], who[32] = "";

	if (mkdir(d->opt->run_dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make the run directory %s: %m", d->opt->run_dir);
	snprintf(path, sizeof(path), "%s/agent.lock", d->opt->run_dir);
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return err_set(e, errno, "open %s: %m", path);
	if (flock(d->lock, LOCK_EX | LOCK_NB) < 0) {
		ssize_t n = pread(d->lock, who, sizeof(who) - 1, 0);
		who[n > 0 ? n : 0] = '\0';
		return err_set(e, EBUSY,
			       "an agent is already running on this node (pid %s, run directory %s); stop it "
			       "first, or give this one another --run-dir",
			       who, d->opt->run_dir);
	}
	int n = snprintf(who, sizeof(who), "%d", getpid());
	if (ftruncate(d->lock, 0) < 0 || pwrite(d->lock, who, (size_t)n, 0) != n)
		return err_set(e, errno, "write %s: %m", path);
	return 0;
}

/* Keeps what the agent needs and gives up the rest, for itself and anything it might execute. */
static int drop_privileges(struct err *e)
{
	static const struct {
		int cap;
		const char *name, *why;
	} needs[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "to set up interfaces and routes" },
		{ CAP_NET_RAW, "CAP_NET_RAW", "to look at packets" },
		{ CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "to listen on TCP port 179" },
	};

	capng_get_caps_process();
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, (unsigned)needs[i].cap))
			return err_set(e, EPERM,
				       "koratd agent needs %s %s; run it as root, or with "
				       "AmbientCapabilities= in its systemd unit",
				       needs[i].name, needs[i].why);
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, needs[i].cap,
			      -1);
	if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0)
		return err_set(e, EPERM, "give up privileges");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "give up privileges: %m");
	return 0;
}

static int start(struct daemon *d, struct err *e)
{
	const struct options *o = d->opt;
	char path[256];
	struct agent_io io = { .arg = d,
			       .now = io_now,
			       .wall = io_wall,
			       .random = io_random,
			       .soon = io_soon,
			       .to_speaker = io_to_speaker,
			       .speaker_pid = io_speaker_pid,
			       .listen = io_listen,
			       .nexthop_objects = o->nexthop_objects };
	uint32_t ports[WRITER_BATCHES + 1];
	struct speakerlink_events ev = { .arg = d, .state = on_speaker_state, .message = on_speaker_message };

	task_init(&d->settle, on_settle);
	if (lock_run_dir(d, e) < 0 || drop_privileges(e) < 0)
		return -e->code;
	d->loop = loop_new(e);
	if (!d->loop || !(d->store = store_open(d->loop, o->datastore, true, e)) ||
	    start_writing(d, ports, e) < 0)
		return -e->code;
	snprintf(path, sizeof(path), "%s/speaker.sock", o->run_dir);
	d->link = speakerlink_new(d->loop, path, &ev);
	/* The events are asked for before the agent looks: nothing happens unseen in between. They are told
	 * from the loop, when there is an agent. */
	d->monitor = monitor_new(
		d->loop, 1 << MONITOR_LINK | 1 << MONITOR_ADDR | 1 << MONITOR_ROUTE | 1 << MONITOR_NEXTHOP,
		ports, ARRAY_SIZE(ports), on_kernel, d, e);
	if (!d->monitor)
		return -e->code;
	d->agent = agent_new(o->node, &io, loop_timers(d->loop), d->store, d->nl, e);
	if (!d->agent)
		return -e->code;
	d->agent->writer = d->writer;
	snprintf(path, sizeof(path), "%s/agent.sock", o->run_dir);
	d->rpc = rpc_listen(d->loop, path, methods, d, e);
	if (!d->rpc)
		return -e->code;
	if (loop_on_signal(d->loop, SIGTERM, on_term, d, e) < 0)
		return -e->code;
	return loop_on_signal(d->loop, SIGINT, on_term, d, e);
}

static void stop(struct daemon *d)
{
	rpc_server_free(d->rpc);
	monitor_free(d->monitor);
	agent_free(d->agent);
	speakerlink_free(d->link);
	writer_free(d->writer);
	nl_free(d->nl);
	store_free(d->store);
	task_cancel(&d->settle);
	loop_free(d->loop);
	if (d->lock >= 0)
		close(d->lock);
}

static int agent_main(const struct options *o)
{
	struct daemon d = { .opt = o, .lock = -1 };
	struct err e = { 0 };

	log_setup("koratd/agent", o->log_level);
	signal(SIGPIPE, SIG_IGN);
	if (start(&d, &e) < 0) {
		log_error("%s", e.msg);
		stop(&d);
		return EXIT_CONFIG;
	}
	log_info("node %s, datastore %s", o->node, o->datastore);
	loop_run(d.loop);
	stop(&d);
	return d.exit_code;
}

static int speaker_process(const struct options *o)
{
	struct speaker_opts so;

	log_setup("koratd/speaker", o->log_level);
	signal(SIGPIPE, SIG_IGN);
	options_speaker(o, &so);
	return speaker_main(&so);
}

int main(int argc, char **argv)
{
	struct options o;
	int code = options_parse(argc, argv, &o);

	if (code >= 0)
		return code;
	switch (o.role) {
	case ROLE_AGENT:
		return agent_main(&o);
	case ROLE_SPEAKER:
		return speaker_process(&o);
	case ROLE_BOTH:
		return supervise(&o, agent_main, speaker_process);
	}
	return EXIT_CONFIG;
}

/* The speaker's process: socket, confinement, loop, and the speaker's core on its edges. */
#include "bgp/main.h"

#include "bgp/confine.h"
#include "bgp/ipc_server.h"
#include "bgp/listen.h"
#include "bgp/session.h"

#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct edge {
	struct loop *loop;
	struct task turn;
	struct speaker *speaker;
	struct sessions *sessions;
	struct listeners *listeners;
	struct ipc_server *server;
	uint64_t epoch;
};

static void on_turn(struct task *t)
{
	struct edge *g = container_of(t, struct edge, turn);

	speaker_turn(g->speaker, loop_now(g->loop));
	ipc_server_flush(g->server);
}

/* struct speaker_io; arg is the edge. */

static int io_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	return sessions_dial(((struct edge *)arg)->sessions, conn, peer);
}

static ssize_t io_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more)
{
	return sessions_send(((struct edge *)arg)->sessions, conn, bytes, n, more);
}

static void io_close(void *arg, uint64_t conn)
{
	sessions_close(((struct edge *)arg)->sessions, conn);
}

static void io_up(void *arg, const struct ipc_msg *m)
{
	ipc_server_send(((struct edge *)arg)->server, m);
}

static bool io_up_ready(void *arg)
{
	return ipc_server_ready(((struct edge *)arg)->server);
}

static void io_wake(void *arg)
{
	struct edge *g = arg;

	loop_soon(g->loop, &g->turn);
}

static void io_note(void *arg, const char *line)
{
	log_info("%s", line);
}

static void io_key(void *arg, const struct addr *remote, const char *password)
{
	listeners_key(((struct edge *)arg)->listeners, remote, password);
}

static void on_refused_key(const char *sentence)
{
	log_error("%s", sentence);
}

/* struct ipc_server_events */

static void on_hello(void *arg, struct ipc_hello *ret)
{
	struct edge *g = arg;

	ret->pid = (uint32_t)getpid();
	ret->epoch = g->epoch;
	ret->nlisten = listeners_list(g->listeners, ret->listen);
}

static void on_agent(void *arg, bool connected)
{
	struct edge *g = arg;

	log_info(connected ? "the agent is connected" : "the agent is gone; sessions and routes stay");
	speaker_on_agent(g->speaker, connected, loop_now(g->loop));
	io_wake(g);
}

static void on_message(void *arg, const struct ipc_msg *m, int fd_taken)
{
	struct edge *g = arg;
	struct err e = { 0 };
	own_fd int fd = fd_taken;

	if (m->type == IPC_LISTEN) {
		if (listeners_add(g->listeners, &m->listen, take_fd(fd), &e) < 0)
			log_error("%s", e.msg);
	} else if (m->type == IPC_UNLISTEN) {
		listeners_del(g->listeners, &m->listen);
	} else {
		speaker_on_ipc(g->speaker, m, loop_now(g->loop));
	}
	io_wake(g);
}

static void on_signal(void *arg, int signo)
{
	struct edge *g = arg;

	log_info("stopping; peers may keep our routes until we are back");
	loop_stop(g->loop);
}

/* A socket file that nobody listens on is a dead speaker's and is replaced. */
static int open_socket(const char *path, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	own_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, errno, "open the agent's socket: %m");
	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, ENAMETOOLONG, "the path of the agent's socket is too long: %s", path);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 || errno == EAGAIN)
		return err_set(e, EADDRINUSE, "another speaker is running on %s; stop it first", path);
	if (errno == ECONNREFUSED)
		unlink(path);
	mode_t old = umask(0177);
	int r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	int error = errno;
	umask(old);
	if (r < 0)
		return err_set(e, error, "make the agent's socket %s: %m", path);
	return take_fd(fd);
}

static int make_core(struct edge *g)
{
	struct speaker_io io = { .arg = g,
				 .dial = io_dial,
				 .send = io_send,
				 .close = io_close,
				 .up = io_up,
				 .up_ready = io_up_ready,
				 .wake = io_wake,
				 .note = io_note,
				 .key = io_key };
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	g->epoch = (uint64_t)loop_wall(g->loop);
	g->sessions = sessions_new(g->loop, &g->turn);
	g->listeners = listeners_new(g->loop, &g->turn, g->sessions, on_refused_key);
	g->speaker = speaker_new(&io, loop_timers(g->loop), seed, loop_now(g->loop));
	sessions_set_speaker(g->sessions, g->speaker);
	listeners_set_speaker(g->listeners, g->speaker);
	return 0;
}

static int start(struct edge *g, const struct speaker_opts *o, struct err *e)
{
	struct ipc_server_events ev = { g, on_hello, on_agent, on_message, io_wake, io_note };
	uid_t starter = geteuid();
	own_fd int fd = -1;

	task_init(&g->turn, on_turn);
	confine_begin();
	if ((fd = open_socket(o->path, e)) < 0 || confine_user(o->uid, o->gid, e) < 0)
		return -e->code;
	g->loop = loop_new(e);
	if (!g->loop)
		return -e->code;
	if (make_core(g) < 0)
		return err_set(e, EIO, "read random bytes: %m");
	g->server = ipc_server_new(g->loop, take_fd(fd), starter, &ev, e);
	if (!g->server || loop_on_signal(g->loop, SIGTERM, on_signal, g, e) < 0 ||
	    loop_on_signal(g->loop, SIGINT, on_signal, g, e) < 0)
		return -e->code;
	return confine_finish(o->confine_always, e);
}

static void stop(struct edge *g)
{
	speaker_free(g->speaker);
	ipc_server_free(g->server);
	listeners_free(g->listeners);
	sessions_free(g->sessions);
	task_cancel(&g->turn);
	loop_free(g->loop);
}

int speaker_main(const struct speaker_opts *o)
{
	struct edge g = { 0 };
	struct err e = { 0 };

	log_setup("koratd/speaker", o->log_level);
	signal(SIGPIPE, SIG_IGN);
	if (start(&g, o, &e) < 0) {
		log_error("%s", e.msg);
		stop(&g);
		return 1;
	}
	log_info("waiting for the agent on %s", o->path);
	loop_run(g.loop);
	stop(&g);
	return 0;
}

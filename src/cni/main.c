/*
 * korat-cni: the CNI plugin. It holds no credentials and decides nothing: it checks what the runtime says,
 * opens the pod's namespace, hands two descriptors to the agent of this node, and prints the agent's answer.
 *
 * The order of the checks is Calico's: environment, configuration, version, and only then anything that acts.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/own.h"
#include "cni/args.h"
#include "cni/call.h"
#include "cni/conf.h"
#include "cni/fault.h"
#include "cni/pod.h"
#include "cni/result.h"
#include "cni/version.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct plugin {
	struct args args;
	struct conf conf;
	int fds[2];	/* the pod's namespace and a netlink socket inside it, or -1 */
	bool hosts_own; /* the path names the namespace of the host, and that is not meant */
	struct fault fault;
};

static int print(const char *text)
{
	size_t n = strlen(text), at = 0;

	while (at < n) {
		ssize_t k = write(STDOUT_FILENO, text + at, n - at);
		if (k < 0 && errno != EINTR)
			return -1;
		at += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

/* One of the standard descriptors may be missing; a namespace must not take its number and be printed into.
 */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int open_pod(struct plugin *p)
{
	struct fault *f = &p->fault;
	bool own;

	if (pod_open(p->args.netns, &p->fds[0], &own, f) < 0)
		return -1;
	p->hosts_own = own && !p->args.own_netns_ok;
	if (p->hosts_own)
		return fault_set(f, FAULT_NETNS, "CNI_NETNS=%s is the network namespace of the host itself",
				 p->args.netns);
	if (pod_enter(p->fds[0], f) < 0)
		return -1;
	return pod_socket(&p->fds[1], f);
}

/* The agent cannot tell us in time: it needs this to be so when it makes the interface. */
static bool wants_ipv6(const struct conf *c)
{
	const char *s = json_string_value(json_object_get(json_object_get(c->root, "ipam"), "assign_ipv6"));

	return s && !strcmp(s, "true");
}

static int finish_add(struct plugin *p, const json_t *answer)
{
	struct result r;

	if (result_parse(answer, &r, &p->fault) < 0)
		return -1;
	for (size_t i = 0; i < r.nsysctls; i++)
		if (pod_sysctl(r.sysctls[i].name, r.sysctls[i].value, &p->fault) < 0)
			return -1;
	own_mem char *text = result_format(&r, &p->args, p->conf.version);
	return print(text) < 0 ? fault_set(&p->fault, FAULT_IO, "print the result: %s", strerror(errno)) : 0;
}

static int run_add(struct plugin *p)
{
	json_t *answer;

	if (open_pod(p) < 0 || (wants_ipv6(&p->conf) && pod_allow_ipv6(&p->fault) < 0))
		return -1;
	if (call_agent(&p->args, &p->conf, p->fds, 2, &answer, &p->fault) < 0)
		return -1;
	int r = finish_add(p, answer);
	json_decref(answer);
	return r;
}

/*
 * A namespace that is gone is no reason to fail: the agent takes the host's side away by what it remembers.
 * If the path has come to name the host's own namespace, that is done too, and only then complained of.
 */
static int run_del(struct plugin *p)
{
	struct fault about_ns = { 0 };
	json_t *answer;
	size_t nfds = 0;

	if (*p->args.netns && open_pod(p) == 0)
		nfds = 2;
	else if (*p->args.netns && p->fault.code != FAULT_NETNS)
		return -1;
	if (p->fault.code) {
		about_ns = p->fault;
		log_info("%s; the host's side is taken away without it", about_ns.msg);
	}
	if (call_agent(&p->args, &p->conf, p->fds, nfds, &answer, &p->fault) < 0)
		return -1;
	json_decref(answer);
	if (!p->hosts_own)
		return 0;
	p->fault = about_ns;
	return -1;
}

static int run_check(struct plugin *p)
{
	json_t *answer;

	if (open_pod(p) < 0 || call_agent(&p->args, &p->conf, p->fds, 2, &answer, &p->fault) < 0)
		return -1;
	json_decref(answer);
	return 0;
}

static int read_conf(struct plugin *p)
{
	own_mem char *text = NULL;
	size_t n;

	if (conf_read(STDIN_FILENO, CONF_READ_MS, &text, &n, &p->fault) < 0)
		return -1;
	return conf_parse(text, n, &p->conf, &p->fault);
}

/* Calico's words for the levels; ours differ in one. */
static void set_log_level(const char *level)
{
	enum log_level l = LOG_LEVEL_INFO;

	if (!strcmp(level, "warning"))
		l = LOG_LEVEL_WARN;
	else
		log_level_parse(level, &l);
	log_setup("korat-cni", l);
}

static int run_version(struct plugin *p)
{
	own_mem char *json = version_format();
	own_mem char *line = xasprintf("%s\n", json);

	return print(line) < 0 ? fault_set(&p->fault, FAULT_IO, "print the versions: %s", strerror(errno))
			       : 0;
}

static int run(struct plugin *p)
{
	struct args_env env = args_env();

	if (args_parse(&env, &p->args, &p->fault) < 0)
		return -1;
	if (p->args.verb == VERB_VERSION)
		return run_version(p);
	if (read_conf(p) < 0)
		return -1;
	set_log_level(p->conf.log_level);
	if (p->args.verb == VERB_UNKNOWN)
		return fault_set(&p->fault, FAULT_ENV,
				 "CNI_COMMAND=%.40s is none of ADD, DEL, CHECK and VERSION", p->args.command);
	if (conf_check(&p->conf, p->args.verb, &p->fault) < 0)
		return -1;
	switch (p->args.verb) {
	case VERB_ADD:
		return run_add(p);
	case VERB_DEL:
		return run_del(p);
	default:
		return run_check(p);
	}
}

/* Standard output is the runtime's, standard error is for people. */
static int report(const struct plugin *p)
{
	const struct version *v = p->conf.version;
	own_mem char *text = fault_format(&p->fault, v ? v->text : VERSION_NEWEST);

	log_error("%s %s: %s%s%s (code %d)", p->args.command ? p->args.command : "",
		  p->args.container_id ? p->args.container_id : "", p->fault.msg,
		  p->fault.details[0] ? ": " : "", p->fault.details, p->fault.code);
	print(text);
	return 1;
}

static int about(void)
{
	char list[VERSION_LIST_MAX];

	fprintf(stderr,
		"korat-cni %s: the CNI plugin of Korat. A container runtime runs it with CNI_COMMAND set.\n"
		"CNI versions spoken: %s\n",
		KORAT_VERSION, version_list(list));
	return 0;
}

static int run_flags(int argc, char **argv, struct plugin *p)
{
	if (argc == 2 && (!strcmp(argv[1], "-v") || !strcmp(argv[1], "--version"))) {
		puts(KORAT_VERSION);
		return 0;
	}
	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return about();
	fault_set(&p->fault, FAULT_FLAGS,
		  "unknown argument %.80s: a CNI plugin takes its orders from the environment", argv[1]);
	return report(p);
}

int main(int argc, char **argv)
{
	struct plugin p = { .fds = { -1, -1 } };
	int status;

	fill_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	/* With it no function that makes JSON can fail for lack of memory. */
	json_set_alloc_funcs(xmalloc, free);
	log_setup("korat-cni", LOG_LEVEL_INFO);
	if (argc > 1)
		status = run_flags(argc, argv, &p);
	else if (!getenv("CNI_COMMAND") || !*getenv("CNI_COMMAND"))
		status = about();
	else
		status = run(&p) < 0 ? report(&p) : 0;
	args_done(&p.args);
	conf_done(&p.conf);
	for (size_t i = 0; i < ARRAY_SIZE(p.fds); i++)
		if (p.fds[i] >= 0)
			close(p.fds[i]);
	return status;
}

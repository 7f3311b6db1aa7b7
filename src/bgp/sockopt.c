/* Options of BGP sockets. Nothing here needs a privilege. */
#include "bgp/sockopt.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73 /* linux/in6.h, which cannot be included beside netinet/in.h */
#endif

static_assert(IPC_PASS_MAX == TCP_MD5SIG_MAXKEYLEN + 1, "a password is a key");

/* syscalls: setsockopt */
static int set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == 0)
		return 0;
	return errno == ENOPROTOOPT ? -EOPNOTSUPP : -errno;
}

void sockopt_all(int fd, uint8_t family)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (family == AF_INET)
		set_int(fd, IPPROTO_IP, IP_TOS, SOCKOPT_TOS);
	else
		set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, SOCKOPT_TOS);
}

/* -1 = the kernel's default. */
static int set_ttl(int fd, uint8_t family, int ttl)
{
	return family == AF_INET ? set_int(fd, IPPROTO_IP, IP_TTL, ttl)
				 : set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl);
}

static int set_min_ttl(int fd, uint8_t family, int ttl)
{
	return family == AF_INET ? set_int(fd, IPPROTO_IP, IP_MINTTL, ttl)
				 : set_int(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, ttl);
}

void sockopt_listener(int fd, uint8_t family)
{
	sockopt_all(fd, family);
	set_ttl(fd, family, SOCKOPT_GTSM_TTL);
}

int sockopt_key(int fd, const struct addr *remote, const char *password)
{
	struct tcp_md5sig sig = { .tcpm_keylen = (uint16_t)strlen(password) };

	addr_to_sockaddr(remote, 0, &sig.tcpm_addr);
	memcpy(sig.tcpm_key, password, sig.tcpm_keylen);
	int r = setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)) < 0 ? -errno : 0;
	explicit_bzero(&sig, sizeof(sig));
	if (r < 0 && !password[0])
		return 0; /* there was none to remove */
	return r == -ENOPROTOOPT ? -EOPNOTSUPP : r;
}

/*
 * A listening socket serves all peers and cannot ask for a TTL; an accepted one asks from its first moment
 * on. What had arrived before is at most one flight of somebody who completed the handshake, and a session
 * needs two. The accepted socket has inherited the listener's TTL, so also the kernel's default has to be
 * set.
 */
static int set_distance(int fd, const struct ipc_peer *p, bool accepted)
{
	int ttl = p->ttl_security ? SOCKOPT_GTSM_TTL : p->ttl ? p->ttl : -1;
	int r = ttl > 0 || accepted ? set_ttl(fd, p->remote.family, ttl) : 0;

	if (r < 0 || !p->ttl_security)
		return r;
	return set_min_ttl(fd, p->remote.family, SOCKOPT_GTSM_TTL + 1 - p->ttl_security);
}

/* An accepted socket has its key already if the listener had it; if it could not, or the key has changed
 * since the handshake began, the peer must know it from here on. */
int sockopt_peer(int fd, const struct ipc_peer *p, bool accepted)
{
	int r = p->password[0] ? sockopt_key(fd, &p->remote, p->password) : 0;

	return r < 0 ? r : set_distance(fd, p, accepted);
}

bool sockopt_hides_resets(const struct ipc_peer *p)
{
	return p->password[0] || p->ttl_security;
}

void sockopt_patience(int fd, int seconds)
{
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, seconds * 1000);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
	if (!seconds)
		return;
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (seconds + 2) / 3);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (seconds + 2) / 3);
}

void sockopt_reset(int fd)
{
	struct linger none = { .l_onoff = 1 };

	set_ttl(fd, AF_INET, SOCKOPT_GTSM_TTL);
	set_ttl(fd, AF_INET6, SOCKOPT_GTSM_TTL); /* refused if it is none of IPv6 */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

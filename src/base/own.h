/*
 * base/own: owners are marked, escapes are marked.
 *
 *	own(session) struct session *s = session_new();   freed by session_free() at the end of the scope
 *	own_fd int fd = socket(...);                       closed at the end of the scope
 *	return take(s);                                    handed on: the scope no longer owns it
 *
 * own(x) needs OWN_DEFINE(x) once, in x's header, after x_free() (which must accept NULL).
 */
#pragma once
#include <stdlib.h>
#include <unistd.h>

#define OWN_DEFINE(name)                                       \
	static inline void name##_own_cleanup(struct name **p) \
	{                                                      \
		name##_free(*p);                               \
	}
#define own(name) __attribute__((cleanup(name##_own_cleanup)))
#define own_mem	  __attribute__((cleanup(own_mem_cleanup)))
#define own_fd	  __attribute__((cleanup(own_fd_cleanup)))

#define take(p)                            \
	({                                 \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})
#define take_fd(fd)               \
	({                        \
		int take_ = (fd); \
		(fd) = -1;        \
		take_;            \
	})

static inline void own_mem_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void own_fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

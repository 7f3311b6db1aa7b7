/*
 * bgp/msg: framing of the byte stream, and every message but UPDATE (RFC 4271 section 4; RFC 2918, 7313,
 *8654, 9072).
 *
 *	while ((k = msg_next(bytes, n, max, &m, &notify)) > 0) { handle(m.type, m.body); bytes += k; n -= k; }
 *	if (k < 0) send notify and hang up;
 */
#pragma once
#include "base/rd.h"
#include "base/wr.h"
#include "bgp/caps.h"
#include "bgp/notify.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MSG_HEADER   19
#define MSG_MAX	     4096
#define MSG_MAX_EXT  65535 /* UPDATE, NOTIFICATION and ROUTE-REFRESH after RFC 8654 was agreed */
#define MSG_VERSION  4
#define MSG_AS_TRANS 23456

enum msg_type {
	MSG_OPEN = 1,
	MSG_UPDATE,
	MSG_NOTIFICATION,
	MSG_KEEPALIVE,
	MSG_REFRESH,
};

struct msg {
	uint8_t type;	/* enum msg_type */
	struct rd body; /* what follows the header; points into the caller's bytes */
};

/*
 * Takes the first message off the stream. Returns its length in bytes, 0 if more bytes are needed, or
 * -EBADMSG with the NOTIFICATION: marker, length (per type, and against max, which is MSG_MAX or MSG_MAX_EXT)
 * or type is wrong. A wrong header is reported as soon as the header is there.
 */
ssize_t msg_next(const void *bytes, size_t n, size_t max, struct msg *ret, struct notify *ret_notify);
/* "OPEN", ... or "unknown". */
const char *msg_type_name(uint8_t type);

struct msg_open {
	uint16_t asn16;	    /* the two-byte field; set by msg_open_encode() itself */
	uint32_t asn;	    /* from the AS4 capability if present, else the field */
	uint16_t hold_time; /* seconds: 0 or >= 3 */
	uint32_t router_id; /* never 0 */
	struct caps caps;
};

/* 0, or -EBADMSG with the NOTIFICATION. Checks what needs no configuration: version, AS 0, hold time 1 or 2,
 * identifier 0, optional parameters, capabilities. That AS and identifier are the expected ones is the
 * session's question. */
int msg_open_decode(struct rd body, struct msg_open *ret, struct notify *n);
/* The whole message. o->caps.asn is taken from o->asn when caps.as4 is set. Optional parameters longer than
 * 255 bytes use the form of RFC 9072. */
void msg_open_encode(const struct msg_open *o, struct wr *w);

void msg_keepalive_encode(struct wr *w);

enum { MSG_REFRESH_REQUEST, MSG_REFRESH_BEGIN, MSG_REFRESH_END }; /* RFC 7313 subtypes */

struct msg_refresh {
	uint8_t family; /* CAPS_V4, CAPS_V6 */
	uint8_t subtype;
};

/* 1: take it. 0: ignore it (a family or subtype we do not know, or an ORF we never offered). -EBADMSG with
 * the NOTIFICATION 7/1: wrong length. */
int msg_refresh_decode(struct rd body, struct msg_refresh *ret, struct notify *n);
void msg_refresh_encode(const struct msg_refresh *r, struct wr *w);

/* Header with a hole for the length, and its filling: for encoders of whole messages. */
size_t msg_begin(struct wr *w, uint8_t type);
void msg_end(struct wr *w, size_t start);

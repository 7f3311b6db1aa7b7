/*
 * bgp/notify: NOTIFICATION as a value (RFC 4271, 4486, 6608, 7313, 7606, 8203, 9003, 9234, 9384).
 *
 * Every decoder that refuses a message fills one; the session only has to send it. It also is what the peer's
 * own NOTIFICATION decodes into.
 */
#pragma once
#include "base/rd.h"
#include "base/wr.h"

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_DATA_MAX 256  /* bytes of data kept or sent; the rest of a longer one is cut off */
#define NOTIFY_STR_MAX	1152 /* room for notify_format(): names, and the data escaped */

enum notify_code {
	NOTIFY_HEADER = 1,
	NOTIFY_OPEN = 2,
	NOTIFY_UPDATE = 3,
	NOTIFY_HOLD_TIMER = 4,
	NOTIFY_FSM = 5,
	NOTIFY_CEASE = 6,
	NOTIFY_REFRESH = 7,
	NOTIFY_SEND_HOLD = 8, /* RFC 9687 */
};

enum { /* NOTIFY_HEADER */
       HEADER_NOT_SYNCHRONIZED = 1,
       HEADER_BAD_LENGTH,
       HEADER_BAD_TYPE,
};

enum { /* NOTIFY_OPEN */
       OPEN_UNSPECIFIC = 0,
       OPEN_BAD_VERSION = 1,
       OPEN_BAD_PEER_AS = 2,
       OPEN_BAD_ID = 3,
       OPEN_BAD_PARAMETER = 4,
       OPEN_BAD_HOLD_TIME = 6,
       OPEN_BAD_CAPABILITY = 7,
       OPEN_ROLE_MISMATCH = 11,
};

enum { /* NOTIFY_UPDATE */
       UPDATE_MALFORMED_LIST = 1,
       UPDATE_UNKNOWN_WELL_KNOWN = 2,
       UPDATE_MISSING_WELL_KNOWN = 3,
       UPDATE_BAD_FLAGS = 4,
       UPDATE_BAD_LENGTH = 5,
       UPDATE_BAD_ORIGIN = 6,
       UPDATE_BAD_NEXT_HOP = 8,
       UPDATE_BAD_OPTIONAL = 9,
       UPDATE_BAD_NETWORK = 10,
       UPDATE_BAD_AS_PATH = 11,
};

enum { /* NOTIFY_FSM, RFC 6608 */
       FSM_UNSPECIFIC = 0,
       FSM_IN_OPENSENT = 1,
       FSM_IN_OPENCONFIRM = 2,
       FSM_IN_ESTABLISHED = 3,
};

enum { /* NOTIFY_CEASE, RFC 4486, 8538, 9384 */
       CEASE_MAX_PREFIXES = 1,
       CEASE_SHUTDOWN = 2, /* data: RFC 9003 text */
       CEASE_DECONFIGURED = 3,
       CEASE_RESET = 4, /* data: RFC 9003 text */
       CEASE_REJECTED = 5,
       CEASE_CONFIG_CHANGE = 6,
       CEASE_COLLISION = 7,
       CEASE_OUT_OF_RESOURCES = 8,
       CEASE_HARD_RESET = 9,
       CEASE_BFD_DOWN = 10,
};

enum { /* NOTIFY_REFRESH, RFC 7313 */
       REFRESH_BAD_LENGTH = 1,
};

struct notify {
	uint8_t code, subcode; /* code 0 = none */
	uint16_t len;
	uint8_t data[NOTIFY_DATA_MAX];
};

/* Fills n (which may be NULL) and returns -EBADMSG, so that a decoder can end with it. data longer than
 * NOTIFY_DATA_MAX is cut. */
int notify_set(struct notify *n, uint8_t code, uint8_t subcode, const void *data, size_t len);
/* Cease with a shutdown text (CEASE_SHUTDOWN, CEASE_RESET); text may be NULL and is cut at 255 bytes. */
void notify_set_text(struct notify *n, uint8_t subcode, const char *text);

/* "Cease", "Administrative Shutdown"; never NULL ("unknown"). */
const char *notify_code_name(uint8_t code);
const char *notify_subcode_name(uint8_t code, uint8_t subcode);
/* One line for people: "Cease/Administrative Shutdown: rebooting". Shutdown text is escaped to printable
 * ASCII; other data is shown as hex. Returns buf. */
char *notify_format(const struct notify *n, char buf[static NOTIFY_STR_MAX]);

/* The body of a NOTIFICATION. msg_next() has made sure of the two fixed bytes; a shorter body gives code 0.
 * Cannot fail: a NOTIFICATION is never answered. */
void notify_decode(struct rd body, struct notify *ret);
/* The whole message with its header. */
void notify_encode(const struct notify *n, struct wr *w);

/* NOTIFICATION messages: the registered codes as tables, and the message itself (RFC 4271 4.5 and 6, RFC
 * 9003). */
#include "bgp/notify.h"

#include "base/check.h"
#include "bgp/msg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const header_names[] = {
	[0] = "Unspecific",
	[HEADER_NOT_SYNCHRONIZED] = "Connection Not Synchronized",
	[HEADER_BAD_LENGTH] = "Bad Message Length",
	[HEADER_BAD_TYPE] = "Bad Message Type",
};

static const char *const open_names[] = {
	[OPEN_UNSPECIFIC] = "Unspecific",
	[OPEN_BAD_VERSION] = "Unsupported Version Number",
	[OPEN_BAD_PEER_AS] = "Bad Peer AS",
	[OPEN_BAD_ID] = "Bad BGP Identifier",
	[OPEN_BAD_PARAMETER] = "Unsupported Optional Parameter",
	[5] = "Authentication Failure",
	[OPEN_BAD_HOLD_TIME] = "Unacceptable Hold Time",
	[OPEN_BAD_CAPABILITY] = "Unsupported Capability",
	[OPEN_ROLE_MISMATCH] = "Role Mismatch",
};

static const char *const update_names[] = {
	[0] = "Unspecific",
	[UPDATE_MALFORMED_LIST] = "Malformed Attribute List",
	[UPDATE_UNKNOWN_WELL_KNOWN] = "Unrecognized Well-known Attribute",
	[UPDATE_MISSING_WELL_KNOWN] = "Missing Well-known Attribute",
	[UPDATE_BAD_FLAGS] = "Attribute Flags Error",
	[UPDATE_BAD_LENGTH] = "Attribute Length Error",
	[UPDATE_BAD_ORIGIN] = "Invalid ORIGIN Attribute",
	[7] = "AS Routing Loop",
	[UPDATE_BAD_NEXT_HOP] = "Invalid NEXT_HOP Attribute",
	[UPDATE_BAD_OPTIONAL] = "Optional Attribute Error",
	[UPDATE_BAD_NETWORK] = "Invalid Network Field",
	[UPDATE_BAD_AS_PATH] = "Malformed AS_PATH",
};

static const char *const fsm_names[] = {
	[FSM_UNSPECIFIC] = "Unspecified",
	[FSM_IN_OPENSENT] = "Unexpected Message in OpenSent",
	[FSM_IN_OPENCONFIRM] = "Unexpected Message in OpenConfirm",
	[FSM_IN_ESTABLISHED] = "Unexpected Message in Established",
};

static const char *const cease_names[] = {
	[0] = "Unspecific",
	[CEASE_MAX_PREFIXES] = "Maximum Number of Prefixes Reached",
	[CEASE_SHUTDOWN] = "Administrative Shutdown",
	[CEASE_DECONFIGURED] = "Peer De-configured",
	[CEASE_RESET] = "Administrative Reset",
	[CEASE_REJECTED] = "Connection Rejected",
	[CEASE_CONFIG_CHANGE] = "Other Configuration Change",
	[CEASE_COLLISION] = "Connection Collision Resolution",
	[CEASE_OUT_OF_RESOURCES] = "Out of Resources",
	[CEASE_HARD_RESET] = "Hard Reset",
	[CEASE_BFD_DOWN] = "BFD Down",
};

static const char *const refresh_names[] = {
	[0] = "Unspecific",
	[REFRESH_BAD_LENGTH] = "Invalid Message Length",
};

static const struct notify_row {
	const char *name;
	const char *const *sub;
	size_t nsub;
} rows[] = {
	[NOTIFY_HEADER] = { "Message Header Error", header_names, ARRAY_SIZE(header_names) },
	[NOTIFY_OPEN] = { "OPEN Message Error", open_names, ARRAY_SIZE(open_names) },
	[NOTIFY_UPDATE] = { "UPDATE Message Error", update_names, ARRAY_SIZE(update_names) },
	[NOTIFY_HOLD_TIMER] = { "Hold Timer Expired" },
	[NOTIFY_FSM] = { "Finite State Machine Error", fsm_names, ARRAY_SIZE(fsm_names) },
	[NOTIFY_CEASE] = { "Cease", cease_names, ARRAY_SIZE(cease_names) },
	[NOTIFY_REFRESH] = { "ROUTE-REFRESH Message Error", refresh_names, ARRAY_SIZE(refresh_names) },
	[NOTIFY_SEND_HOLD] = { "Send Hold Timer Expired" },
};

int notify_set(struct notify *n, uint8_t code, uint8_t subcode, const void *data, size_t len)
{
	if (!n)
		return -EBADMSG;
	n->code = code;
	n->subcode = subcode;
	n->len = (uint16_t)MIN(len, (size_t)NOTIFY_DATA_MAX);
	if (n->len)
		memcpy(n->data, data, n->len);
	return -EBADMSG;
}

void notify_set_text(struct notify *n, uint8_t subcode, const char *text)
{
	uint8_t data[1 + UINT8_MAX];
	size_t len = text ? strnlen(text, UINT8_MAX) : 0;

	data[0] = (uint8_t)len;
	if (len)
		memcpy(data + 1, text, len);
	notify_set(n, NOTIFY_CEASE, subcode, data, 1 + len);
}

const char *notify_code_name(uint8_t code)
{
	return code < ARRAY_SIZE(rows) && rows[code].name ? rows[code].name : "unknown";
}

const char *notify_subcode_name(uint8_t code, uint8_t subcode)
{
	const struct notify_row *row = code < ARRAY_SIZE(rows) ? &rows[code] : NULL;

	return row && subcode < row->nsub && row->sub[subcode] ? row->sub[subcode] : "unknown";
}

/* A bounded text under construction; what does not fit is left out. */
struct text {
	char *at;
	size_t left; /* with room for the NUL */
};

static void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	size_t k = MIN((size_t)n, t->left - 1);
	t->at += k;
	t->left -= k;
}

static void text_add_escaped(struct text *t, struct rd r)
{
	while (rd_left(&r)) {
		uint8_t c = rd_u8(&r);

		text_add(t, c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
	}
}

static void text_add_names(struct text *t, uint8_t code, uint8_t subcode)
{
	text_add(t, "%s", notify_code_name(code));
	if (code >= ARRAY_SIZE(rows) || !rows[code].name)
		text_add(t, " %u", code);
	if (code < ARRAY_SIZE(rows) && rows[code].name && !rows[code].sub && !subcode)
		return; /* a code without subcodes */
	text_add(t, "/%s", notify_subcode_name(code, subcode));
	if (!strcmp(notify_subcode_name(code, subcode), "unknown"))
		text_add(t, " %u", subcode);
}

/* RFC 9003: one byte of length, then UTF-8. A length beyond the data means the text is what is there. */
static void text_add_shutdown(struct text *t, struct rd r)
{
	size_t len = rd_u8(&r);
	struct rd text = rd_sub(&r, MIN(len, rd_left(&r)));

	if (!rd_left(&text))
		return;
	text_add(t, ": ");
	text_add_escaped(t, text);
}

char *notify_format(const struct notify *n, char buf[static NOTIFY_STR_MAX])
{
	struct text t = { buf, NOTIFY_STR_MAX };
	struct rd data = rd_of(n->data, MIN(n->len, NOTIFY_DATA_MAX));
	uint8_t code = n->code, subcode = n->subcode;

	text_add_names(&t, code, subcode);
	if (code == NOTIFY_CEASE && subcode == CEASE_HARD_RESET && rd_left(&data) >= 2) {
		/* RFC 8538: the real reason is inside. */
		code = rd_u8(&data);
		subcode = rd_u8(&data);
		text_add(&t, " (");
		text_add_names(&t, code, subcode);
		text_add(&t, ")");
	}
	if (code == NOTIFY_CEASE && (subcode == CEASE_SHUTDOWN || subcode == CEASE_RESET)) {
		text_add_shutdown(&t, data);
		return buf;
	}
	if (rd_left(&data))
		text_add(&t, ": data");
	while (rd_left(&data))
		text_add(&t, " %02x", rd_u8(&data));
	return buf;
}

void notify_decode(struct rd body, struct notify *ret)
{
	uint8_t code = rd_u8(&body), subcode = rd_u8(&body);

	notify_set(ret, rd_ok(&body) ? code : 0, rd_ok(&body) ? subcode : 0, body.at, rd_left(&body));
}

void notify_encode(const struct notify *n, struct wr *w)
{
	size_t start = msg_begin(w, MSG_NOTIFICATION);

	wr_u8(w, n->code);
	wr_u8(w, n->subcode);
	wr_bytes(w, n->data, MIN(n->len, NOTIFY_DATA_MAX));
	msg_end(w, start);
}

/*
 * Framing of the stream and the short messages. A message is only handed on when its length fits its type, so
 * that the decoders behind it see exactly one body. RFC 4271 section 4 and 6.1, 6.2; RFC 2918, 7313, 8654,
 * 9072.
 */
#include "bgp/msg.h"

#include "base/check.h"

static const struct msg_row {
	const char *name;
	uint16_t min, max; /* of the whole message; max 0 = what the session agreed on */
} rows[] = {
	[MSG_OPEN] = { "OPEN", 29, MSG_MAX },		[MSG_UPDATE] = { "UPDATE", 23, 0 },
	[MSG_NOTIFICATION] = { "NOTIFICATION", 21, 0 }, [MSG_KEEPALIVE] = { "KEEPALIVE", 19, 19 },
	[MSG_REFRESH] = { "ROUTE-REFRESH", 23, 0 },
};

static const struct msg_row *row_of(uint8_t type)
{
	return type < ARRAY_SIZE(rows) && rows[type].name ? &rows[type] : NULL;
}

const char *msg_type_name(uint8_t type)
{
	const struct msg_row *row = row_of(type);

	return row ? row->name : "unknown";
}

static bool marker_ok(struct rd r)
{
	uint64_t a = rd_be64(&r), b = rd_be64(&r);

	return (a & b) == UINT64_MAX;
}

ssize_t msg_next(const void *bytes, size_t n, size_t max, struct msg *ret, struct notify *ret_notify)
{
	struct rd r = rd_of(bytes, n);

	if (n < MSG_HEADER)
		return 0;
	struct rd marker = rd_sub(&r, 16);
	const uint8_t *length_at = r.at;
	uint16_t len = rd_be16(&r);
	uint8_t type = rd_u8(&r);
	const struct msg_row *row = row_of(type);

	if (!marker_ok(marker))
		return notify_set(ret_notify, NOTIFY_HEADER, HEADER_NOT_SYNCHRONIZED, NULL, 0);
	if (len < MSG_HEADER || len > max)
		return notify_set(ret_notify, NOTIFY_HEADER, HEADER_BAD_LENGTH, length_at, 2);
	if (!row)
		return notify_set(ret_notify, NOTIFY_HEADER, HEADER_BAD_TYPE, &type, 1);
	if (len < row->min || (row->max && len > row->max))
		return notify_set(ret_notify, NOTIFY_HEADER, HEADER_BAD_LENGTH, length_at, 2);
	if (n < len)
		return 0;
	ret->type = type;
	ret->body = rd_sub(&r, len - MSG_HEADER);
	return len;
}

size_t msg_begin(struct wr *w, uint8_t type)
{
	size_t start = w->len;

	wr_be64(w, UINT64_MAX);
	wr_be64(w, UINT64_MAX);
	wr_be16(w, 0);
	wr_u8(w, type);
	return start;
}

void msg_end(struct wr *w, size_t start)
{
	if (w->bad)
		return;
	size_t len = w->len - start;
	if (len > MSG_MAX_EXT) {
		w->bad = true;
		return;
	}
	w->buf[start + 16] = (uint8_t)(len >> 8);
	w->buf[start + 17] = (uint8_t)len;
}

void msg_keepalive_encode(struct wr *w)
{
	msg_end(w, msg_begin(w, MSG_KEEPALIVE));
}

/* --- OPEN --- */

enum { PARAM_CAPABILITIES = 2, PARAM_EXTENDED = 255 };

static int params_decode(struct rd r, bool extended, struct caps *c, struct notify *n)
{
	while (rd_left(&r)) {
		uint8_t type = rd_u8(&r);
		struct rd value = rd_sub(&r, extended ? rd_be16(&r) : rd_u8(&r));

		if (!rd_ok(&value))
			return notify_set(n, NOTIFY_OPEN, OPEN_UNSPECIFIC, NULL, 0);
		if (type != PARAM_CAPABILITIES)
			return notify_set(n, NOTIFY_OPEN, OPEN_BAD_PARAMETER, NULL, 0);
		int k = caps_decode(value, c, n);
		if (k < 0)
			return k;
	}
	return 0;
}

/* RFC 9072: a first parameter of type 255 announces two-byte lengths; the one-byte length before it says
 * nothing then, except that it is not 0. */
static int open_decode_params(struct rd r, struct caps *c, struct notify *n)
{
	uint8_t len = rd_u8(&r);
	bool extended = rd_ok(&r) && len && rd_left(&r) && r.at[0] == PARAM_EXTENDED;
	struct rd params;

	if (extended) {
		rd_u8(&r);
		params = rd_sub(&r, rd_be16(&r));
	} else {
		params = rd_sub(&r, len);
	}
	if (!rd_end(&r))
		return notify_set(n, NOTIFY_OPEN, OPEN_UNSPECIFIC, NULL, 0);
	return params_decode(params, extended, c, n);
}

int msg_open_decode(struct rd body, struct msg_open *ret, struct notify *n)
{
	static const uint8_t version_wanted[2] = { 0, MSG_VERSION };
	uint8_t version = rd_u8(&body);
	struct msg_open o = { 0 };

	o.asn16 = rd_be16(&body);
	o.hold_time = rd_be16(&body);
	o.router_id = rd_be32(&body);
	if (!rd_ok(&body))
		return notify_set(n, NOTIFY_OPEN, OPEN_UNSPECIFIC, NULL, 0);
	if (version != MSG_VERSION)
		return notify_set(n, NOTIFY_OPEN, OPEN_BAD_VERSION, version_wanted, 2);
	caps_init(&o.caps);
	int k = open_decode_params(body, &o.caps, n);
	if (k < 0)
		return k;
	o.asn = o.caps.as4 ? o.caps.asn : o.asn16;
	if (!o.asn)
		return notify_set(n, NOTIFY_OPEN, OPEN_BAD_PEER_AS, NULL, 0);
	if (o.hold_time == 1 || o.hold_time == 2)
		return notify_set(n, NOTIFY_OPEN, OPEN_BAD_HOLD_TIME, NULL, 0);
	if (!o.router_id)
		return notify_set(n, NOTIFY_OPEN, OPEN_BAD_ID, NULL, 0);
	*ret = o;
	return 0;
}

/* One Capabilities parameter around the capabilities already encoded, in the short form if it fits. */
static void open_encode_params(struct rd caps, struct wr *w)
{
	size_t n = rd_left(&caps);

	if (!n) {
		wr_u8(w, 0);
	} else if (n + 2 <= UINT8_MAX - 1) {
		wr_u8(w, (uint8_t)(n + 2));
		wr_u8(w, PARAM_CAPABILITIES);
		wr_u8(w, (uint8_t)n);
	} else {
		wr_u8(w, UINT8_MAX);
		wr_u8(w, PARAM_EXTENDED);
		wr_be16(w, (uint16_t)(n + 3));
		wr_u8(w, PARAM_CAPABILITIES);
		wr_be16(w, (uint16_t)n);
	}
	wr_bytes(w, caps.at, n);
}

void msg_open_encode(const struct msg_open *o, struct wr *w)
{
	uint8_t bytes[1024]; /* all rows at their longest take about 300 */
	struct wr cw = wr_to(bytes, sizeof(bytes));
	struct caps caps = o->caps;

	caps.asn = o->asn;
	caps_encode(&caps, &cw);
	CHECK(wr_ok(&cw));

	size_t start = msg_begin(w, MSG_OPEN);
	wr_u8(w, MSG_VERSION);
	wr_be16(w, o->asn > UINT16_MAX ? MSG_AS_TRANS : (uint16_t)o->asn);
	wr_be16(w, o->hold_time);
	wr_be32(w, o->router_id);
	open_encode_params(rd_of(bytes, cw.len), w);
	msg_end(w, start);
}

/* --- ROUTE-REFRESH --- */

/* RFC 7313 section 5: the data is the whole message, its header too. */
static int refresh_refuse(struct rd body, struct notify *n)
{
	uint8_t whole[NOTIFY_DATA_MAX];
	struct wr w = wr_to(whole, sizeof(whole));
	size_t len = rd_left(&body);

	wr_be64(&w, UINT64_MAX);
	wr_be64(&w, UINT64_MAX);
	wr_be16(&w, (uint16_t)(MSG_HEADER + len));
	wr_u8(&w, MSG_REFRESH);
	wr_bytes(&w, body.at, MIN(len, sizeof(whole) - w.len));
	return notify_set(n, NOTIFY_REFRESH, REFRESH_BAD_LENGTH, whole, w.len);
}

int msg_refresh_decode(struct rd body, struct msg_refresh *ret, struct notify *n)
{
	struct rd whole = body;
	uint16_t afi = rd_be16(&body);
	uint8_t subtype = rd_u8(&body), family = caps_family(afi, rd_u8(&body));

	if (!rd_ok(&body) || ((subtype == MSG_REFRESH_BEGIN || subtype == MSG_REFRESH_END) && !rd_end(&body)))
		return refresh_refuse(whole, n);
	if (!rd_end(&body) || !family || subtype > MSG_REFRESH_END)
		return 0;
	*ret = (struct msg_refresh){ .family = family, .subtype = subtype };
	return 1;
}

void msg_refresh_encode(const struct msg_refresh *r, struct wr *w)
{
	size_t start = msg_begin(w, MSG_REFRESH);

	wr_be16(w, caps_afi(r->family));
	wr_u8(w, r->subtype);
	wr_u8(w, 1);
	msg_end(w, start);
}

/* The body of a ROUTE-REFRESH: taken and the same after encoding, ignored, or refused with itself as data. */
#include "base/check.h"
#include "bgp/msg.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_taken(const struct msg_refresh *r)
{
	uint8_t buf[64];
	struct wr w = wr_to(buf, sizeof(buf));
	struct msg_refresh back;
	struct notify notify;
	struct msg m;

	CHECK((r->family == CAPS_V4 || r->family == CAPS_V6) && r->subtype <= MSG_REFRESH_END);
	msg_refresh_encode(r, &w);
	CHECK(msg_next(buf, w.len, MSG_MAX, &m, &notify) == (ssize_t)w.len && m.type == MSG_REFRESH);
	CHECK(msg_refresh_decode(m.body, &back, &notify) == 1);
	CHECK(back.family == r->family && back.subtype == r->subtype);
}

/* RFC 7313 section 5: the data is the message, as far as it fits. */
static void check_refused(const struct notify *notify, const uint8_t *data, size_t n)
{
	size_t head = MIN(n, (size_t)NOTIFY_DATA_MAX - MSG_HEADER);

	CHECK(notify->code == NOTIFY_REFRESH && notify->subcode == REFRESH_BAD_LENGTH);
	CHECK(notify->len == MSG_HEADER + head && notify->data[MSG_HEADER - 1] == MSG_REFRESH);
	CHECK(!head || !memcmp(notify->data + MSG_HEADER, data, head));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct msg_refresh r;
	struct notify notify;

	if (n > MSG_MAX_EXT - MSG_HEADER)
		return 0;
	int k = msg_refresh_decode(rd_of(data, n), &r, &notify);
	CHECK(k == 1 || k == 0 || k == -EBADMSG);
	CHECK(k != 1 || n == 4);
	if (k == 1)
		check_taken(&r);
	else if (k < 0)
		check_refused(&notify, data, n);
	return 0;
}

/* The body of an OPEN: what is accepted comes back the same after encoding. */
#include "base/check.h"
#include "bgp/msg.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What an encoder of ours does not say again: what it did not know, and that it speaks no family at all. */
static void forget(struct msg_open *o)
{
	o->asn16 = 0;
	o->caps.unknown = 0;
	o->caps.mp = o->caps.families != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct msg_open o, back;
	struct notify notify;
	uint8_t buf[MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	own_str struct str text = { 0 };
	struct msg m;

	if (msg_open_decode(rd_of(data, n), &o, &notify) < 0) {
		CHECK(notify.code == NOTIFY_OPEN);
		return 0;
	}
	CHECK(o.asn && o.router_id && o.hold_time != 1 && o.hold_time != 2);
	caps_format(&o.caps, &text);
	msg_open_encode(&o, &w);
	CHECK(wr_ok(&w));
	CHECK(msg_next(buf, w.len, MSG_MAX, &m, &notify) == (ssize_t)w.len && m.type == MSG_OPEN);
	CHECK(msg_open_decode(m.body, &back, &notify) == 0);
	forget(&o);
	forget(&back);
	CHECK(!memcmp(&o, &back, sizeof(o)));
	return 0;
}

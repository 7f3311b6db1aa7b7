/* The body of a NOTIFICATION: always understood, shown in printable ASCII, and the same after encoding. */
#include "base/check.h"
#include "bgp/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[NOTIFY_STR_MAX];
	struct notify notify, back;
	uint8_t buf[MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	struct msg m;

	notify_decode(rd_of(data, n), &notify);
	notify_format(&notify, text);
	for (const char *p = text; *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
	if (n < 2)
		return 0;
	CHECK(notify.code == data[0] && notify.subcode == data[1]);
	notify_encode(&notify, &w);
	CHECK(msg_next(buf, w.len, MSG_MAX, &m, NULL) == (ssize_t)w.len);
	notify_decode(m.body, &back);
	CHECK(back.code == notify.code && back.subcode == notify.subcode && back.len == notify.len);
	CHECK(!memcmp(back.data, notify.data, back.len));
	return 0;
}

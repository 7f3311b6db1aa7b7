/* Datagrams between agent and speaker: what decodes must encode to the same bytes and decode again, message
 * by message. */
#include "base/check.h"
#include "bgp/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_message(const struct ipc_msg *m, const uint8_t *bytes, size_t n)
{
	static uint8_t out[IPC_MSG_MAX];
	struct wr w = wr_to(out, sizeof(out));
	struct ipc_msg again;
	struct err e;

	ipc_encode(m, &w);
	CHECK(wr_ok(&w) && w.len == n && memcmp(out, bytes, n) == 0);
	CHECK(ipc_decode(out, w.len, &again, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct rd r = rd_of(bytes, n);
	struct ipc_msg m;
	struct err e;

	while (rd_left(&r)) {
		const uint8_t *at = r.at;

		if (ipc_next(&r, &m, &e) < 0) {
			CHECK(e.code == EPROTO && e.msg[0]);
			break;
		}
		CHECK(r.at > at);
		check_message(&m, at, (size_t)(r.at - at));
	}
	if (ipc_decode(bytes, n, &m, &e) == 0)
		check_message(&m, bytes, n);
	return 0;
}

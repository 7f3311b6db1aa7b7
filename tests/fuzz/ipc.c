/* Messages between agent and speaker: what decodes must encode and decode again to the same bytes. */
#include "base/check.h"
#include "bgp/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t out[IPC_MSG_MAX];
	struct ipc_msg m, again;
	struct err e;
	struct wr w = wr_to(out, sizeof(out));

	if (ipc_decode(bytes, n, &m, &e) < 0) {
		CHECK(e.code == EPROTO && e.msg[0]);
		return 0;
	}
	ipc_encode(&m, &w);
	CHECK(wr_ok(&w) && w.len == n && memcmp(out, bytes, n) == 0);
	CHECK(ipc_decode(out, w.len, &again, &e) == 0);
	return 0;
}

/* Any bytes as a stream: framing says the same however the stream is cut, and no body upsets its decoder. */
#include "base/check.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct codec codec = {
	.as4 = true,
	.families = CAPS_V4 | CAPS_V6,
	.add_path_in = CAPS_V6,
	.max = MSG_MAX_EXT,
};

static void check_body(const struct msg *m)
{
	static struct update u;
	struct msg_open o;
	struct msg_refresh r;
	struct notify n;
	char text[NOTIFY_STR_MAX];
	int k;

	switch (m->type) {
	case MSG_OPEN:
		k = msg_open_decode(m->body, &o, &n);
		CHECK(k == 0 || (k == -EBADMSG && n.code == NOTIFY_OPEN));
		break;
	case MSG_UPDATE:
		CHECK(update_decode(m->body, &codec, &u) <= ATTR_RESET);
		break;
	case MSG_NOTIFICATION:
		notify_decode(m->body, &n);
		notify_format(&n, text);
		break;
	case MSG_REFRESH:
		k = msg_refresh_decode(m->body, &r, &n);
		CHECK(k == 0 || k == 1 || (k == -EBADMSG && n.code == NOTIFY_REFRESH));
		break;
	default:
		CHECK(m->type == MSG_KEEPALIVE && !rd_left(&m->body));
	}
}

/* With fewer bytes the answer is "more", or the same refusal. */
static void check_cut(const uint8_t *data, size_t n, size_t max, ssize_t whole)
{
	struct notify notify;
	struct msg m;
	ssize_t k = msg_next(data, n, max, &m, &notify);

	CHECK(k == 0 || (k == -EBADMSG && whole == -EBADMSG));
}

static void stream(const uint8_t *data, size_t n, size_t max)
{
	struct notify notify;
	struct msg m;
	ssize_t k;

	while ((k = msg_next(data, n, max, &m, &notify)) > 0) {
		CHECK((size_t)k <= n && k >= MSG_HEADER && (size_t)k <= max);
		CHECK(rd_left(&m.body) == (size_t)k - MSG_HEADER && m.body.at == data + MSG_HEADER);
		check_cut(data, (size_t)k - 1, max, k);
		check_cut(data, MSG_HEADER - 1, max, k);
		check_body(&m);
		data += k;
		n -= (size_t)k;
	}
	CHECK(k == 0 || (k == -EBADMSG && notify.code == NOTIFY_HEADER));
	if (n)
		check_cut(data, n - 1, max, k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	stream(data, n, MSG_MAX);
	stream(data, n, MSG_MAX_EXT);
	return 0;
}

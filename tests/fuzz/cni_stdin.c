/* The network configuration as any bytes: parsed, checked for every verb, and every refusal printable. */
#include "base/check.h"
#include "base/own.h"
#include "cni/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void refuse(const struct fault *f)
{
	CHECK(f->code == FAULT_JSON || f->code == FAULT_CONFIG || f->code == FAULT_VERSION);
	own_mem char *text = fault_format(f, VERSION_NEWEST);
	json_t *j = json_loads(text, 0, NULL);
	CHECK(j);
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf c;
	struct fault f;

	if (n > CONF_BYTES_MAX)
		return 0;
	if (conf_parse((const char *)data, n, &c, &f) < 0) {
		refuse(&f);
		return 0;
	}
	CHECK(args_id_ok(c.name));
	for (enum verb v = VERB_ADD; v <= VERB_STATUS; v++) {
		if (conf_check(&c, v, &f) < 0)
			refuse(&f);
		else
			CHECK(c.version && c.socket[0] == '/');
	}
	conf_done(&c);
	return 0;
}

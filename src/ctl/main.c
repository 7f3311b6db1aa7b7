/* korat: the table of its verbs. Each is a file of this folder. */
#include "ctl/verb.h"

extern const struct verb verb_lab, verb_path;

static const struct verb *const verbs[] = { &verb_lab, &verb_path, NULL };

int main(int argc, char **argv)
{
	return verb_main(verbs, argc, argv);
}

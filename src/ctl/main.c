/* korat: the table of its verbs. Each is a file of this folder. */
#include "ctl/verb.h"

extern const struct verb verb_apply, verb_delete, verb_get_resources, verb_lab, verb_path;

static const struct verb *const verbs[] = { &verb_lab,		 &verb_path,   &verb_apply,
					    &verb_get_resources, &verb_delete, NULL };

int main(int argc, char **argv)
{
	return verb_main(verbs, argc, argv);
}

#include "actor.h"
int main(void)
{
	return 0;
}

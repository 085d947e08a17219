/* ctl/control_main.c -- postern-control: the process. */
#include "ctl/control.h"

int
main(int argc, char **argv)
{
	static struct control control;

	return room_main(argc, argv, &control_ops, &control);
}

/* deliver/mailbox_main.c -- postern-mailbox: the process. */
#include "deliver/mailbox.h"

int
main(int argc, char **argv)
{
	static struct mailbox mailbox;

	return room_main(argc, argv, &mailbox_ops, &mailbox);
}

/* smtpd/smtpd_main.c -- postern-smtpd: the process. */
#include "smtpd/smtpd.h"

int
main(int argc, char **argv)
{
	static struct smtpd smtpd;

	return room_main(argc, argv, &smtpd_ops, &smtpd);
}

/* smtpd/pressure.h -- when sessions run out: first everybody gets less time, then somebody must go so that a better client
 * can come in. Under a flood from many networks those whose mail was taken lately, and those that are listed, go on being
 * served; nobody is served at the cost of a message that is being promised. */
#ifndef POSTERN_SMTPD_PRESSURE_H
#define POSTERN_SMTPD_PRESSURE_H

#include "smtpd/smtpd.h"

enum {
	PRESSURE_CLIENTS = 256,	/* networks that are looked at to find one that gives way, */
	PRESSURE_SESSIONS = 64,	/* and sessions of it */
};

/* Sessions have come or gone: begins or ends the time of stress. */
void pressure_check(struct smtpd *smtpd);

/* Has this process as many connections as it may hold? */
bool pressure_is_full(const struct smtpd *smtpd);

/* Ends somebody else's session for this newcomer. False: nobody has to make way for it. */
bool pressure_make_room(struct smtpd *smtpd, const struct client *newcomer);

#endif

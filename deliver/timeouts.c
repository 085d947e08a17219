/* deliver/timeouts.c -- see timeouts.h. */
#include "deliver/timeouts.h"

enum { RCPTS_A_MINUTE = 60 };	/* slower servers than one recipient a second are given up in the end */

uint64_t
timeout_of(const struct conf_deliver *conf, enum stage stage)
{
	switch (stage) {
	case STAGE_RESOLVE: return TIMEOUT_RESOLVE_MS;
	case STAGE_CONNECT: return conf->timeout_connect;
	case STAGE_BANNER: return conf->timeout_banner;
	case STAGE_EHLO:
	case STAGE_HELO: return conf->timeout_helo;
	case STAGE_RSET:
	case STAGE_MAIL: return conf->timeout_mail;
	case STAGE_RCPT: return conf->timeout_rcpt;
	case STAGE_DATA: return conf->timeout_data;
	case STAGE_CONTENT: return conf->timeout_block;
	case STAGE_DOT: return conf->timeout_dot;
	case STAGE_QUIT: return conf->timeout_quit;
	case STAGE_IDLE: break;
	}
	return 0;
}

uint64_t
timeout_setup(const struct conf_deliver *conf)
{
	return conf->max_addresses * conf->timeout_connect + conf->timeout_banner + 2 * conf->timeout_helo;
}

uint64_t
timeout_message(const struct conf_deliver *conf, uint64_t size, size_t n_rcpts)
{
	uint64_t minutes = 1 + n_rcpts / RCPTS_A_MINUTE;

	if (size > UINT64_MAX / 2000)
		size = UINT64_MAX / 2000;
	return 2 * conf->timeout_mail + conf->timeout_rcpt + minutes * 60 * 1000 + conf->timeout_data + conf->timeout_block +
	    size / CONTENT_RATE_MIN * 1000 + conf->timeout_dot;
}

/* judge: whether a service is well, in a word and a note. */
#ifndef FLEXI_CLI_JUDGE_H
#define FLEXI_CLI_JUDGE_H

#include "services.h"

enum { JUDGEMENT_NOTE_BYTES = 80 };

struct judgement {
	bool unwell;
	const char *state;
	char note[JUDGEMENT_NOTE_BYTES];
};

struct judgement judge_service(const struct service *s);

#endif

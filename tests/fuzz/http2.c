/*
 * http2, under a fuzzer: whatever a peer of the gRPC server sends after its
 * greeting, the session ends or goes on, and frees everything.
 *
 * The first byte says how: the size of the pieces that the rest comes in.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../../listener/grpc/health.h"
#include "../../listener/grpc/session.h"
#include "../unit/held_writer.h"
#include "core/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM_BYTES = 2 * SESSION_ROOM_BYTES, PIECES_OF_A_ROUND = 8 };

static void wake(void *owner)
{
	*(bool *)owner = true;
}

static bool drain(struct session *s)
{
	static char room[ROOM_BYTES];
	ssize_t n;
	while ((n = session_produce(s, room, sizeof(room))) > 0)
		;
	return n == 0 && !session_is_over(s);
}

/* What else happens while bytes come in. */
static void happen(struct session *s, unsigned round)
{
	if (round % PIECES_OF_A_ROUND == 3)
		held_settle(round % 3 ? ERROR_NONE : ERROR_PEER_DOWN);
	if (round % PIECES_OF_A_ROUND == 5)
		health_set(round / PIECES_OF_A_ROUND % 2);
	if (round % PIECES_OF_A_ROUND == 7)
		session_expire(s, s->due_ms);
	if (round == PIECES_OF_A_ROUND * 2)
		session_announce_end(s);
	if (round == PIECES_OF_A_ROUND * 4)
		session_refuse_more(s);
}

static void play(struct session *s, struct text bytes, size_t piece)
{
	static const char greeting[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0";
	if (session_receive(s, (struct text){ greeting, sizeof(greeting) - 1 }))
		abort();
	for (unsigned round = 0; bytes.n > 0 && drain(s); round++) {
		size_t n = piece < bytes.n ? piece : bytes.n;
		if (session_receive(s, (struct text){ bytes.s, n }))
			return;
		bytes.s += n;
		bytes.n -= n;
		happen(s, round);
	}
	drain(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s;
	bool woken = false;
	if (size < 1)
		return 0;
	log_init("http2", LOG_LEVEL_ERROR);
	if (!session_init(&s, wake, &woken))
		return 0;
	play(&s, (struct text){ (const char *)data + 1, size - 1 }, data[0] + 1U);
	if (size % 2) /* either may come first */
		held_settle(ERROR_NONE);
	session_finish(&s);
	held_settle(ERROR_NONE);
	return 0;
}

/*
 * floor: the least that a FastCGI worker can do: read a small POST, answer ten bytes. What the
 * handlers reach is measured as a share of what this one does behind the same front door.
 */
#include <fcgiapp.h>

int main(void)
{
	static const char answer[] = "Content-Length: 10\r\nStatus: 200\r\n\r\n0123456789";
	FCGX_Request rq;
	char body[4096];
	if (FCGX_Init() != 0 || FCGX_InitRequest(&rq, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&rq) >= 0) {
		while (FCGX_GetStr(body, sizeof(body), rq.in) > 0)
			;
		FCGX_PutStr(answer, sizeof(answer) - 1, rq.out);
		FCGX_Finish_r(&rq);
	}
	return 0;
}

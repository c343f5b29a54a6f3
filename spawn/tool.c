/* tool: a child of libuv's with a timer beside it. */
#include "tool.h"

#include <signal.h>
#include <stdlib.h>

#include "core/log.h"

struct tool {
	uv_process_t process;
	uv_timer_t timer;
	tool_done done;
	void *context;
	const char *name;
	bool good;
	int open; /* handles */
};

static void on_closed(uv_handle_t *handle)
{
	struct tool *t = handle->data;
	if (--t->open > 0)
		return;
	if (t->done)
		t->done(t->context, t->good);
	free(t);
}

static void on_ended(uv_process_t *process, int64_t status, int signal_number)
{
	struct tool *t = process->data;
	t->good = status == 0 && signal_number == 0;
	uv_close((uv_handle_t *)&t->process, on_closed);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer)
{
	struct tool *t = timer->data;
	log_error("a tool does not end and is killed", LOG_TEXT("tool", t->name));
	uv_process_kill(&t->process, SIGKILL);
}

void tool_run(uv_loop_t *loop, const char *const *argv, tool_done done, void *context)
{
	struct tool *t = calloc(1, sizeof(*t));
	if (!t) {
		log_error("out of memory");
		if (done)
			done(context, false);
		return;
	}
	*t = (struct tool){ .done = done, .context = context, .name = argv[0], .open = 2 };
	uv_stdio_container_t stdio[3];
	for (int fd = 0; fd < 3; fd++)
		stdio[fd] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = fd };
	uv_process_options_t options = {
		.file = argv[0],
		.args = (char **)(uintptr_t)argv,
		.stdio = stdio,
		.stdio_count = 3,
		.exit_cb = on_ended,
	};
	uv_timer_init(loop, &t->timer);
	t->timer.data = t->process.data = t;
	int failed = uv_spawn(loop, &t->process, &options);
	if (failed) {
		log_error("a tool cannot be started", LOG_TEXT("tool", argv[0]),
			  LOG_TEXT("reason", uv_strerror(failed)));
		uv_close((uv_handle_t *)&t->process, on_closed);
		uv_close((uv_handle_t *)&t->timer, on_closed);
		return;
	}
	uv_timer_start(&t->timer, on_timeout, TOOL_TIMEOUT_MS, 0);
}

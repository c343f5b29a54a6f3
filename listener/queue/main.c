/*
 * listener: feeds queues into handlers, as TRIGGERS_FILE says.
 *
 * SIGTERM: takes nothing more, lets calls under way finish for
 * DRAIN_TIMEOUT_MS, gives back the rest, ends with 0. SIGHUP: reads the file
 * anew. A newline on descriptor 3, if that is open, tells that all consumers
 * have been established.
 */
#include "core/log.h"
#include "daemon/daemon.h"
#include "deliver.h"
#include "feed.h"
#include "feeds.h"
#include "publish.h"

static uv_loop_t *loop;

static const struct publish_events publish_events = {
	.holds = feed_holds,
	.settled = feed_settled,
	.missing = feed_missing,
};

static void ready(void)
{
	log_info("all consumers are established");
	daemon_ready();
}

static void all_drained(void)
{
	log_info("drained");
	publish_close(deliver_finish);
	daemon_end();
}

static void stop(void)
{
	feeds_stop(all_drained);
}

static void reload(void)
{
	struct error e;
	if (feeds_load(loop, NULL, &e))
		log_error("the triggers stay as they were", LOG_REASON(&e));
	else
		log_info("triggers read anew");
}

static enum error_code start(uv_loop_t *on, struct error *e)
{
	loop = on;
	enum error_code code = deliver_init(loop, e);
	if (code)
		return code;
	publish_open(loop, &publish_events);
	return feeds_load(loop, ready, e);
}

int main(void)
{
	return daemon_run(&(struct daemon){
		.name = "listener",
		.start = start,
		.stop = stop,
		.reload = reload,
		.gave_up = "calls are still under way: what they were for will be delivered again",
	});
}

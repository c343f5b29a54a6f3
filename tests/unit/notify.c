/* What systemd is told, and where. */
#include "suite.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/config.h"
#include "daemon/notify.h"

/* A socket as systemd has it, bound to the first n bytes of name. */
static int listen_as_systemd(const char *name, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	memcpy(address.sun_path, name, n);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	return fd;
}

static void tell(const char *where)
{
	setenv("NOTIFY_SOCKET", where, 1);
	assert_int_equal(config_load(NULL), ERROR_NONE);
	notify_systemd("READY=1");
}

static void assert_told(int fd)
{
	char state[64] = "";
	assert_int_equal(recv(fd, state, sizeof(state) - 1, 0), 7);
	assert_string_equal(state, "READY=1");
	assert_int_equal(recv(fd, state, sizeof(state) - 1, 0), -1);
	close(fd);
}

static void it_is_told_by_a_socket_in_the_file_system(void **state)
{
	(void)state;
	char directory[] = "/tmp/flexi-notify-XXXXXX";
	char path[64];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/notify", directory);
	int fd = listen_as_systemd(path, strlen(path));
	tell(path);
	assert_told(fd);
	unlink(path);
	rmdir(directory);
}

static void it_is_told_by_a_socket_of_the_kernels_own(void **state)
{
	(void)state;
	char name[64];
	int n = snprintf(name, sizeof(name), "@flexi-notify-%d", (int)getpid());
	name[0] = '\0';
	int fd = listen_as_systemd(name, (size_t)n);
	name[0] = '@';
	tell(name);
	assert_told(fd);
}

static void without_systemd_nothing_is_told(void **state)
{
	(void)state;
	char long_name[300] = { 0 };
	memset(long_name, 'x', sizeof(long_name) - 1);
	tell("");
	tell("/nonexistent/notify");
	tell(long_name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_told_by_a_socket_in_the_file_system),
		cmocka_unit_test(it_is_told_by_a_socket_of_the_kernels_own),
		cmocka_unit_test(without_systemd_nothing_is_told),
	};
	return RUN_SUITE(tests);
}

/* Addresses in settings. */
#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/endpoint.h"

static void an_address_and_a_port_are_read(void **state)
{
	(void)state;
	struct sockaddr_storage at;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
	memset(&at, 0, sizeof(at));
	assert_int_equal(endpoint_read("X", "127.0.0.1:50001", &at, NULL), ERROR_NONE);
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 50001);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(endpoint_read("X", "[::1]:80", &at, NULL), ERROR_NONE);
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6->sin6_port), 80);
	assert_memory_equal(&v6->sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
}

static void anything_else_names_the_setting(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",	    "127.0.0.1",   ":80",	"127.0.0.1:",	 "127.0.0.1:0",
		"1.2.3:80", "127.0.0.1:x", "::1:80",	"[::1]",	 "[::1:80",
		"::1]:80",  "[]:80",	   "host.x:80", "1.2.3.4:65536", "[127.0.0.1]:80",
		"]:80",	    "[:80",	   ":",		"1.2.3.4:-1",	 "1.2.3.4:80 ",
	};
	struct sockaddr_storage at;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error e = { 0 };
		assert_int_equal(endpoint_read("LISTEN", bad[i], &at, &e), ERROR_CONFIG);
		assert_non_null(strstr(e.text, "LISTEN: must be"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_and_a_port_are_read),
		cmocka_unit_test(anything_else_names_the_setting),
	};
	return RUN_SUITE(tests);
}

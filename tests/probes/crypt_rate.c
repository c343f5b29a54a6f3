/* crypt_rate SECONDS: how many bcrypt hashes of cost 12 all cores make in a second, with nothing
 * else to do. */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const char setting[] = "$2b$12$abcdefghijklmnopqrstuu";
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int ends[2];
	if (pipe(ends) != 0)
		return 1;
	for (long i = 0; i < cores; i++) {
		if (fork() != 0)
			continue;
		double start = now();
		double rate = 0;
		for (int made = 1; now() - start < seconds; made++) {
			static struct crypt_data data;
			if (!crypt_r("verysecret", setting, &data))
				_exit(1);
			rate = made / (now() - start);
		}
		_exit(write(ends[1], &rate, sizeof(rate)) == sizeof(rate) ? 0 : 1);
	}
	double sum = 0;
	for (long i = 0; i < cores; i++) {
		double rate;
		int status;
		if (wait(&status) < 0 || status != 0 ||
		    read(ends[0], &rate, sizeof(rate)) != sizeof(rate))
			return 1;
		sum += rate;
	}
	printf("%.2f\n", sum);
	return 0;
}

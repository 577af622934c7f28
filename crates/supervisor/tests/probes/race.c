// SPDX-License-Identifier: MIT OR Apache-2.0
// A thread points descriptor 10 now at a file that may be used, now at one (3 at the start) that may not, while
// another uses it. Prints how often the second file was reached.
// argv[1]: write, read, mmap or ioctl. argv[2]: swap, or hide: the second file is never where it is looked for.
// argv[3]: how often to try, for minutes.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { USED = 10, LOW = 5, HIGH = 30, SIZE = 7777 };
static atomic_int started, done;
static int good, hides;

static void *attack(void *unused)
{
	while (!done) {
		dup2(good, USED);
		if (hides) {
			// Moves from place to place: whoever looks at the places one by one may never meet it.
			dup2(3, LOW), close(3), dup2(LOW, HIGH), close(LOW);
			dup2(HIGH, USED), close(HIGH);
			dup2(USED, 3);
		} else {
			dup2(3, USED);
		}
		started++;
	}
	return unused;
}

static int reaches(const char *how)
{
	char byte = 0;
	int left = 0;
	if (!strcmp(how, "write"))
		return pwrite(USED, "E", 1, SIZE) == 1, 0;
	if (!strcmp(how, "read"))
		return pread(USED, &byte, 1, 0) == 1 && byte == 'm';
	if (!strcmp(how, "ioctl"))
		return ioctl(USED, FIONREAD, &left) == 0 && left == SIZE;
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, USED, 0);
	int reached = map != MAP_FAILED && map[0] == 'm';
	if (map != MAP_FAILED)
		munmap(map, SIZE);
	return reached;
}

// Only a write leaves a trace, and only there; who may not look at it is told nothing.
static int has_grown(void)
{
	struct stat st;
	return stat("marked", &st) == 0 && st.st_size > SIZE;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int hits = 0;
	time_t start = time(NULL);
	if (argc < 4)
		return 2;
	hides = !strcmp(argv[2], "hide");
	good = open("good", O_RDWR);
	pthread_create(&thread, NULL, attack, NULL);
	while (started < 100)
		;
	for (int i = 0; !hits && i < atoi(argv[3]) && time(NULL) - start < 200; i++) {
		hits += reaches(argv[1]);
		hits += i % 256 == 0 && has_grown();
	}
	done = 1;
	pthread_join(thread, NULL);
	hits += has_grown();
	printf("%s\n", hits ? "reached" : "not reached");
	return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Races against a check: one thread keeps changing what the syscalls of the
 * other are about. Descriptor 3 is the secret, open for reading and writing.
 *
 *	races NAME SECONDS thread|process [once]
 *
 * prints how often the secret was got at, and whether the same call ever went
 * through about something ordinary. The changer is a thread, or a process that
 * shares memory and descriptors. "once": until the secret was got at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Alignas(8) char path[16] = "ordinary";
static const char token[] = "the crown jewels";
static int ordinary, target = 9;
static _Atomic int stop;
static long wins, harmless;

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(2);
	}
}

/* The swappers. */
static void swap_descriptor(void)
{
	dup2(3, target);
	dup2(ordinary, target);
}

static void swap_path(void)
{
	static const _Alignas(8) char names[2][8] = { "secret", { 'o', 'r', 'd', 'i', 'n', 'a', 'r', 'y' } };

	for (int i = 0; i < 2; i++)
		atomic_store((_Atomic long *)path, *(const long *)names[i]);
}

static void swap_link(void)
{
	renameat2(AT_FDCWD, "to-secret", AT_FDCWD, "link", RENAME_EXCHANGE);
}

static void swap_file(void)
{
	renameat2(AT_FDCWD, "alias", AT_FDCWD, "exchanged", RENAME_EXCHANGE);
}

static void swap_directory(void)
{
	renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_EXCHANGE);
}

/* The victims. */
static void got(int fd)
{
	char buffer[32] = "";

	if (fd < 0)
		return;
	if (pread(fd, buffer, sizeof(buffer) - 1, 0) > 0 && !strncmp(buffer, token, sizeof(token) - 1))
		wins++;
	else
		harmless++;
	close(fd);
}

static void open_path(void)
{
	got(open(path, O_RDONLY));
}

static void open_link(void)
{
	got(open("link", O_RDONLY));
}

static void open_exchanged(void)
{
	got(open("exchanged", O_RDONLY));
}

static void open_directory(void)
{
	got(open("one/file", O_RDONLY));
}

static int secret_is(char first)
{
	char now = 0;

	/* The check itself must not be denied: the rule is about writing. */
	return pread(3, &now, 1, 0) == 1 && now == first;
}

static void settle(int done)
{
	if (!secret_is('t')) {
		wins++;
		stop = 1;
	} else if (done) {
		harmless++;
	}
}

static void write_descriptor(void)
{
	settle(pwrite(target, "F", 1, 0) == 1);
}

static void writev_descriptor(void)
{
	struct iovec vector = { "F", 1 };

	settle(pwritev(target, &vector, 1, 0) == 1);
}

static void truncate_descriptor(void)
{
	settle(ftruncate(target, 0) == 0);
}

static void map_descriptor(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, target, 0);

	if (page != MAP_FAILED) {
		/* Writing tells which file it is. */
		page[0] = page[0] == 't' ? 'F' : page[0];
		settle(1);
		munmap(page, 4096);
	}
}

static void protect_descriptor(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, target, 0);

	if (page == MAP_FAILED)
		return;
	if (!mprotect(page, 4096, PROT_READ | PROT_WRITE)) {
		page[0] = page[0] == 't' ? 'F' : page[0];
		settle(1);
	}
	munmap(page, 4096);
}

/* Only to be read, as programs and libraries are. */
static void look_descriptor(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, target, 0);

	if (page == MAP_FAILED)
		return;
	if (!strncmp(page, token, sizeof(token) - 1))
		wins++;
	else
		harmless++;
	munmap(page, 4096);
}

static void read_descriptor(void)
{
	char buffer[32] = "";

	if (pread(target, buffer, 31, 0) <= 0)
		return;
	if (strstr(buffer, "crown"))
		wins++;
	else
		harmless++;
}

static void chmod_descriptor(void)
{
	struct stat stat;

	int done = fchmod(target, 0600) == 0;
	if (fstat(3, &stat) == 0 && (stat.st_mode & 01000) == 0) {
		wins++;
		stop = 1;
	} else if (done) {
		harmless++;
	}
}

static void exec_path(void)
{
	int status;
	pid_t child = vfork();

	if (child == 0) {
		execl("exchanged", "exchanged", NULL);
		_exit(99);
	}
	check(child > 0 && waitpid(child, &status, 0) == child, "wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
		wins++;
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 8)
		harmless++;
}

static const struct race {
	const char *name;
	void (*swap)(void), (*act)(void);
} races[] = {
	{ "path", swap_path, open_path },
	{ "link", swap_link, open_link },
	{ "file", swap_file, open_exchanged },
	{ "directory", swap_directory, open_directory },
	{ "read", swap_descriptor, read_descriptor },
	{ "write", swap_descriptor, write_descriptor },
	{ "writev", swap_descriptor, writev_descriptor },
	{ "truncate", swap_descriptor, truncate_descriptor },
	{ "map", swap_descriptor, map_descriptor },
	{ "protect", swap_descriptor, protect_descriptor },
	{ "look", swap_descriptor, look_descriptor },
	{ "chmod", swap_descriptor, chmod_descriptor },
	{ "exec", swap_file, exec_path },
};

static const struct race *race;

static void *swapper(void *unused)
{
	while (!stop)
		race->swap();
	return unused;
}

static int swapping_process(void *unused)
{
	swapper(unused);
	_exit(0);
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, text, strlen(text)) > 0, name);
	close(fd);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	struct timespec now, end;
	int shared, once = argc > 4;

	check(argc > 3, "usage");
	shared = !strcmp(argv[3], "process");
	for (race = races; strcmp(race->name, argv[1]); race++)
		check(race < races + sizeof(races) / sizeof(*races) - 1, "name");
	ordinary = open("ordinary", O_RDWR);
	check(ordinary >= 0 && dup2(ordinary, target) == target, "ordinary");
	check(!symlink("ordinary", "link") && !symlink("secret", "to-secret"), "symlink");
	if (race->act == open_directory) {
		check(!mkdir("one", 0700) && !mkdir("two", 0700), "mkdir");
		put("one/file", "ordinary");
		check(!link("secret", "two/file"), "link");
	}
	if (race->act == open_exchanged) {
		put("exchanged", "ordinary");
		check(!link("secret", "alias"), "link");
	}
	if (race->act == exec_path)
		check(!rename("denied", "alias") && !rename("allowed", "exchanged"), "programs");
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += atoi(argv[2]);
	if (shared) {
		char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		check(clone(swapping_process, stack + 65536, CLONE_VM | CLONE_FILES | SIGCHLD, NULL) > 0, "clone");
	} else {
		check(!pthread_create(&thread, NULL, swapper, NULL), "thread");
	}
	do {
		for (int i = 0; i < 20 && !stop; i++)
			race->act();
		stop |= once && wins;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!stop && (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec)));
	stop = 1;
	if (shared)
		wait(NULL);
	else
		pthread_join(thread, NULL);
	printf("%ld wins, %s\n", wins, harmless ? "the race is on" : "nothing went through");
	return 0;
}

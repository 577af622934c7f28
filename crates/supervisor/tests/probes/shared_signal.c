// SPDX-License-Identifier: MIT OR Apache-2.0
// Two threads wait in read when a signal for the process comes: one is interrupted, the other goes on waiting.
// argv[1]: leader, or other: the only thread that does not block the signal.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipes[2][2];
static long results[2];
static int errors[2];

static void nothing(int number) { (void)number; }

static void block(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(how, &set, NULL);
}

static void *wait_in(void *which)
{
	char byte;
	long n = (long)which;
	errno = 0;
	results[n] = read(pipes[n][0], &byte, 1);
	errors[n] = errno;
	return NULL;
}

static void *other(void *which)
{
	block(SIG_UNBLOCK);
	return wait_in(which);
}

// Whether two threads of our parent are in read(2), which is system call 0.
static int both_wait(void)
{
	char path[300], what[2];
	int waiting = 0;
	snprintf(path, sizeof path, "/proc/%d/task", getppid());
	DIR *tasks = opendir(path);
	for (struct dirent *task; tasks && (task = readdir(tasks));) {
		snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", getppid(), task->d_name);
		int file = open(path, O_RDONLY);
		waiting += task->d_name[0] != '.' && read(file, what, 2) == 2 && !memcmp(what, "0 ", 2);
		close(file);
	}
	closedir(tasks);
	return waiting == 2;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	struct sigaction action = { .sa_handler = nothing };
	int only_other = argc > 1 && !strcmp(argv[1], "other");
	sigaction(SIGUSR1, &action, NULL);
	if (pipe(pipes[0]) || pipe(pipes[1]))
		return 2;
	if (only_other)
		block(SIG_BLOCK);
	pthread_create(&thread, NULL, other, (void *)1);
	if (!fork()) {
		while (!both_wait())
			usleep(1000);
		kill(getppid(), SIGUSR1);
		usleep(100000);
		_exit(write(pipes[only_other ? 0 : 1][1], "x", 1) != 1);
	}
	wait_in((void *)0);
	pthread_join(thread, NULL);
	wait(NULL);
	printf("%ld %d, %ld %d\n", results[0], errors[0], results[1], errors[1]);
	return 0;
}

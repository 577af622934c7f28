// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Threads that map a file again and again while their process is in turmoil.
 * Descriptor 3 is a secret, so that no mapping may just go on.
 *
 *	crowd storm	threads come and go, a timer fires all the time, and every
 *			mapping thread gets numbered signals: prints "all there" if
 *			no mapping failed and no signal was lost, doubled or late
 *	crowd exec	another thread than the first becomes /bin/echo meanwhile
 *	crowd exit	another thread ends the process meanwhile, with code 7
 *	crowd stop	the process is stopped and continued meanwhile
 *	crowd fork	children are made meanwhile, and map too
 *	crowd protect	makes the secret writable that it mapped to read
 *	crowd late	makes memory writable where meanwhile the secret is mapped
 *	crowd traced	one thread is traced by another process when it maps
 *	crowd filtered	it is not allowed by a filter of its own to make threads
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAPPERS = 4, MAPPINGS = 60, SIGNALS = 300 };

static int file;
static _Atomic int stop, alarms, ready;
static _Thread_local int mapper = -1;
static _Atomic int taken[MAPPERS], wrong;

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(2);
	}
}

static void map(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	check(page != MAP_FAILED, "mmap");
	check(!memcmp(page, "before!", 7), "content");
	check(!munmap(page, 4096), "munmap");
}

static void on_number(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	/* In the order they were sent. */
	if (mapper < 0 || info->si_code != SI_QUEUE || info->si_value.sival_int != taken[mapper])
		wrong++;
	else
		taken[mapper]++;
}

static void on_alarm(int signal)
{
	alarms += signal == SIGALRM;
}

static void *maps(void *number)
{
	mapper = (int)(long)number;
	ready++;
	for (int i = 0; i < MAPPINGS; i++)
		map();
	while (!stop && taken[mapper] + wrong < SIGNALS)
		map();
	return NULL;
}

static void *nothing(void *unused)
{
	return unused;
}

static void *spawns(void *unused)
{
	pthread_t thread;

	while (!stop) {
		check(!pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
		pthread_join(thread, NULL);
	}
	return unused;
}

static void storm(pthread_t *mappers)
{
	const struct itimerval timer = { { 0, 300 }, { 0, 300 } };
	pthread_t spawner;

	check(!pthread_create(&spawner, NULL, spawns, NULL), "pthread_create");
	check(!setitimer(ITIMER_REAL, &timer, NULL), "setitimer");
	for (int number = 0; number < SIGNALS; number++) {
		for (int i = 0; i < MAPPERS; i++) {
			int error;

			while ((error = pthread_sigqueue(mappers[i], SIGRTMIN, (union sigval){ number })) == EAGAIN)
				usleep(100);
			errno = error;
			check(!error, "pthread_sigqueue");
		}
		usleep(200);
	}
	for (int i = 0; i < MAPPERS; i++)
		pthread_join(mappers[i], NULL);
	stop = 1;
	pthread_join(spawner, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	for (int i = 0; i < MAPPERS; i++)
		wrong += taken[i] != SIGNALS;
	if (wrong || !alarms)
		printf("%d wrong, %d alarms\n", wrong, alarms);
	else
		puts("all there");
}

static void *becomes_another(void *unused)
{
	usleep(10000);
	execl("/bin/echo", "echo", "another", NULL);
	return unused;
}

static void *ends(void *unused)
{
	usleep(10000);
	_exit(7);
	return unused;
}

static void run(const char *what);

/* What the command itself does, landlock would tell its parent. */
static void stopped(void)
{
	int status;
	pid_t child = fork();

	check(child >= 0, "fork");
	if (child == 0) {
		run("nothing");
		_exit(0);
	}
	for (int i = 0; i < 40; i++) {
		usleep(1000);
		kill(child, SIGSTOP);
		usleep(1000);
		kill(child, SIGCONT);
	}
	kill(child, SIGUSR1);
	check(waitpid(child, &status, 0) == child && status == 0, "child");
	puts("all there");
}

static void forked(void)
{
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child = fork();

		check(child >= 0, "fork");
		if (child == 0) {
			map();
			_exit(0);
		}
		check(waitpid(child, &status, 0) == child && status == 0, "child");
	}
}

static void tell_map(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);

	puts(page == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	fflush(stdout);
	_exit(0);
}

/* Descriptor 3 is open for writing. */
static void protects(void)
{
	pthread_t other;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);

	check(page != MAP_FAILED, "mmap");
	check(!pthread_create(&other, NULL, maps, (void *)0), "pthread_create");
	check(!mprotect(page, 4096, PROT_READ | PROT_WRITE), "mprotect");
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0);
	check(page != MAP_FAILED, "mmap");
	puts(mprotect(page, 4096, PROT_READ | PROT_WRITE) ? strerrorname_np(errno) : "writable");
	fflush(stdout);
	_exit(0);
}

static void stay_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	check(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static char *place;
static _Atomic int begun, protected;

static void *hogs(void *unused)
{
	stay_on(0);
	while (!stop)
		;
	return unused;
}

/* Runs only now and then, so that it is late once it was let go. */
static void *protects_late(void *unused)
{
	struct sched_param none = { 0 };

	stay_on(0);
	check(!sched_setscheduler(0, SCHED_IDLE, &none), "sched_setscheduler");
	begun = 1;
	mprotect(place, 4096, PROT_READ | PROT_WRITE);
	protected = 1;
	return unused;
}

static int is_writable(char *page)
{
	/* The kernel writes, so that nothing faults. */
	return ioctl(file, FIONREAD, page) == 0;
}

static void late(void)
{
	pthread_t hog, protector;

	place = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(place != MAP_FAILED, "mmap");
	stay_on(1);
	check(!pthread_create(&hog, NULL, hogs, NULL), "pthread_create");
	check(!pthread_create(&protector, NULL, protects_late, NULL), "pthread_create");
	while (!begun)
		;
	usleep(getpid() % 16 * 60);
	if (mmap(place, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, 3, 0) == MAP_FAILED)
		puts(strerrorname_np(errno));
	while (!protected)
		usleep(100);
	puts(is_writable(place) ? "writable" : "safe");
	fflush(stdout);
	_exit(0);
}

static void traced(void)
{
	int status;
	pid_t child = fork();

	check(child >= 0, "fork");
	if (child == 0) {
		pthread_t other;

		check(!pthread_create(&other, NULL, maps, (void *)0), "pthread_create");
		check(!ptrace(PTRACE_TRACEME, 0, NULL, NULL), "ptrace");
		tell_map();
	}
	while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status))
		check(!ptrace(PTRACE_CONT, child, NULL, NULL), "ptrace");
}

static void filtered(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, filter };
	pthread_t other;

	check(!pthread_create(&other, NULL, maps, (void *)0), "pthread_create");
	check(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	check(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter");
	tell_map();
}

static void on_end(int signal)
{
	stop = signal;
}

static void run(const char *what)
{
	pthread_t mappers[MAPPERS], other;

	for (long i = 0; i < MAPPERS; i++)
		check(!pthread_create(&mappers[i], NULL, maps, (void *)i), "pthread_create");
	while (ready < MAPPERS)
		usleep(100);
	if (!strcmp(what, "storm")) {
		storm(mappers);
		return;
	}
	if (!strcmp(what, "exec") || !strcmp(what, "exit")) {
		check(!pthread_create(&other, NULL, strcmp(what, "exec") ? ends : becomes_another, NULL), "thread");
		for (;;)
			map();
	}
	if (!strcmp(what, "fork")) {
		forked();
		stop = 1;
		puts("all there");
	}
	for (int i = 0; i < MAPPERS; i++)
		pthread_join(mappers[i], NULL);
}

int main(int argc, char **argv)
{
	struct sigaction number = { .sa_sigaction = on_number, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction alarm = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct sigaction end = { .sa_handler = on_end, .sa_flags = SA_RESTART };

	file = open("ordinary", O_RDWR);
	check(argc > 1 && file >= 0, "ordinary");
	check(!sigaction(SIGRTMIN, &number, NULL) && !sigaction(SIGALRM, &alarm, NULL), "sigaction");
	check(!sigaction(SIGUSR1, &end, NULL), "sigaction");
	if (!strcmp(argv[1], "traced"))
		traced();
	else if (!strcmp(argv[1], "late"))
		late();
	else if (!strcmp(argv[1], "protect"))
		protects();
	else if (!strcmp(argv[1], "filtered"))
		filtered();
	else if (!strcmp(argv[1], "stop"))
		stopped();
	else
		run(argv[1]);
	return 0;
}

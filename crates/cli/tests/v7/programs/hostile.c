// SPDX-License-Identifier: MIT OR Apache-2.0
// hostile: prepending while signals come, threads run, debuggers look on, and somebody dies.
#include "v7.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/time.h>

/* How often, and how many rules on a thread. An emulated kernel is slow at taking rules. */
static int rounds = 8, deep = 6;

static volatile sig_atomic_t taken;

static void take(int signal)
{
	(void)signal;
	taken++;
}

static void signals(int microseconds)
{
	// As in any call that waits: without SA_RESTART a signal can end it, with EINTR, before it is looked at.
	struct sigaction action = {.sa_handler = take, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, microseconds}, {0, microseconds}}, never = {0};
	sigset_t before, after;
	int rule = denying(LANDLOCK_ACTION_FS_NEW);
	IS(sigaction(SIGALRM, &action, NULL) == 0);
	sigemptyset(&before), sigaddset(&before, SIGUSR2);
	IS(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
	for (int round = 0; round < rounds; round++)
		IN_CHILD({
			IS(setitimer(ITIMER_REAL, &often, NULL) == 0);
			while (!taken)
				;
			for (int i = 0; i < deep; i++)
				IS(prepend(0, &rule) == 0);
			int so_far = taken;
			// Signals go on coming: none is left blocked.
			while (taken == so_far)
				;
			IS(setitimer(ITIMER_REAL, &never, NULL) == 0);
			IS(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
			IS(sigismember(&after, SIGUSR2) && !sigismember(&after, SIGALRM) && !sigismember(&after, SIGTERM));
			FAILS(open("signals", O_CREAT | O_RDWR, 0600), EPERM);
		});
	close(rule);
}

// Whoever is stopped in the middle goes on afterwards, and is stopped.
static void stops(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW), status;
	for (int round = 0; round < rounds; round++) {
		pid_t child = fork();
		if (child == 0) {
			for (int i = 0; i < deep; i++)
				IS(prepend(0, &rule) == 0);
			FAILS(open("stops", O_CREAT | O_RDWR, 0600), EPERM);
			_exit(0);
		}
		for (;;) {
			kill(child, SIGSTOP);
			IS(waitpid(child, &status, WUNTRACED) == child);
			if (!WIFSTOPPED(status))
				break;
			IS(kill(child, SIGCONT) == 0);
			sched_yield();
		}
		IS(status == 0);
	}
	close(rule);
}

static void *prepends(void *rule)
{
	for (int i = 0; i < deep; i++)
		IS(prepend(0, rule) == 0);
	FAILS(open("threads", O_CREAT | O_RDWR, 0600), EPERM);
	return NULL;
}

static void threads(void)
{
	pthread_t all[6];
	int rule = denying(LANDLOCK_ACTION_FS_NEW);
	for (unsigned int i = 0; i < COUNT(all); i++)
		IS(pthread_create(&all[i], NULL, prepends, &rule) == 0);
	for (unsigned int i = 0; i < COUNT(all); i++)
		IS(pthread_join(all[i], NULL) == 0);
	IS(makes("by-the-first"));
	// What made it possible is not left behind.
	int lowest = open("/dev/null", O_RDONLY);
	IS(lowest == rule + 1);
	close(lowest), close(rule);
}

// Somebody who debugs a thread would see it do what it did not say: refused, and nothing has changed.
static void debugger(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW), status;
	pid_t child = fork();
	if (child == 0) {
		IS(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		FAILS(prepend(0, &rule), EBUSY);
		IS(makes("debugged"));
		raise(SIGSTOP);
		IS(prepend(0, &rule) == 0);
		IS(!makes("not-debugged"));
		_exit(0);
	}
	IS(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	IS(ptrace(PTRACE_CONT, child, 0, 0) == 0);
	IS(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	IS(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
	IS(waitpid(child, &status, 0) == child && status == 0);
	close(rule);
}

static void deaths(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW), status;
	for (int round = 0; round < 8 * rounds; round++) {
		pid_t child = fork();
		if (child == 0)
			for (;;)
				(void)prepend(0, &rule);
		usleep((unsigned int)round * 50);
		IS(kill(child, SIGKILL) == 0);
		IS(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	}
	close(rule);
}

static void *forever(void *rule)
{
	for (;;)
		(void)prepend(0, rule);
	return NULL;
}

// An exec by another thread ends the one that prepends, and by the prepending one the others.
static void execs(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW);
	pthread_t thread;
	for (int round = 0; round < 3 * rounds; round++)
		IN_CHILD({
			IS(pthread_create(&thread, NULL, forever, &rule) == 0);
			usleep((unsigned int)round * 50);
			execlp("true", "true", NULL);
			IS(!"executed");
		});
	close(rule);
}

// A filter of the program's own that forbids what entering takes: refused, and the program goes on.
static void forbidden(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 446 /* landlock_restrict_self */, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {COUNT(code), code};
	IN_CHILD({
		IS(prctl(PR_SET_SECCOMP, 2, &program) == 0);
		FAILS(prepend(0, &rule), EXDEV);
		IS(makes("forbidden"));
	});
	close(rule);
}

static void no_descriptors(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW), fd;
	IN_CHILD({
		while ((fd = dup(rule)) >= 0)
			;
		IS(errno == EMFILE);
		FAILS(prepend(0, &rule), EMFILE);
		close(rule + 1);
		IS(makes("no-descriptors"));
	});
	close(rule);
}

static void test(const char *part)
{
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (strcmp(part, "supervisor"))
		rounds = 2, deep = 2;
	// Signals that come faster than a call begins never let it begin.
	signals(strcmp(part, "supervisor") ? 20000 : 500);
	stops();
	threads();
	debugger();
	deaths();
	execs();
	if (!strcmp(part, "supervisor")) {
		forbidden();
		no_descriptors();
	}
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// prepend: the errors of prepending, in v7's order, and on whom a rule is then.
#include "v7.h"

static void errors(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW), closed = 99, other = open("/dev/null", O_RDWR);
	FAILS(prepend(0, NULL), EFAULT);
	FAILS(prepend(1, NULL), EFAULT);
	FAILS(prepend(1, &rule), EINVAL);
	FAILS(prepend(0, (int *)8), EFAULT);
	FAILS(prepend(1, (int *)8), EINVAL);
	FAILS(prepend(0, &closed), EBADF);
	FAILS(prepend(0, &other), EINVAL);
	int negative = -1;
	FAILS(prepend(0, &negative), EBADF);
	int made_up = memfd_create("made up", MFD_ALLOW_SEALING);
	IS(made_up >= 0 && write(made_up, "{}", 2) == 2);
	FAILS(prepend(0, &made_up), EINVAL);
	IS(fcntl(made_up, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
	FAILS(prepend(0, &made_up), EINVAL);
	// The whole number counts, not its lowest byte.
	int high = fcntl(rule, F_DUPFD_CLOEXEC, 300);
	IS(high >= 300);
	IN_CHILD(IS(prepend(0, &high) == 0 && !makes("high")));
	// Nothing of all this is in force here.
	IS(makes("errors"));
	close(made_up), close(rule), close(other), close(high);
}

static void *in_thread(void *rule)
{
	IS(makes("thread-before"));
	IS(prepend(0, rule) == 0);
	FAILS(open("thread-after", O_CREAT | O_RDWR, 0600), EPERM);
	return NULL;
}

static void *inherits(void *nothing)
{
	FAILS(open("inherited", O_CREAT | O_RDWR, 0600), EPERM);
	return nothing;
}

// One thread at a time; what it starts later has the rule, what was there before has not.
static void threads(void)
{
	int rule = denying(LANDLOCK_ACTION_FS_NEW);
	pthread_t thread;
	IS(pthread_create(&thread, NULL, in_thread, &rule) == 0);
	IS(pthread_join(thread, NULL) == 0);
	IS(makes("thread-other"));
	IN_CHILD({
		IS(prepend(0, &rule) == 0);
		IS(pthread_create(&thread, NULL, inherits, NULL) == 0);
		IS(pthread_join(thread, NULL) == 0);
	});
	close(rule);
}

static void children(void)
{
	// A rule of the child is not the parent's, and one the parent adds later not the child's.
	int ready[2], go[2];
	char byte = 0;
	IS(pipe(ready) == 0 && pipe(go) == 0);
	int no_new = denying(LANDLOCK_ACTION_FS_NEW), no_remove = denying(LANDLOCK_ACTION_FS_REMOVE);
	IN_CHILD({
		pid_t child = fork();
		if (child == 0) {
			IS(prepend(0, &no_new) == 0);
			IS(write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1);
			FAILS(open("child", O_CREAT | O_RDWR, 0600), EPERM);
			IS(unlink("kept-by-parent") == 0);
			_exit(0);
		}
		int status;
		IS(makes("kept-by-parent") && makes("removed"));
		IS(read(ready[0], &byte, 1) == 1);
		IS(makes("parent"));
		IS(prepend(0, &no_remove) == 0);
		FAILS(unlink("removed"), EPERM);
		IS(write(go[1], &byte, 1) == 1);
		IS(waitpid(child, &status, 0) == child && status == 0);
		IS(makes("parent-after"));
	});
	close(no_new), close(no_remove);
}

// It stays when its descriptor is closed, over exec, and when its maker is gone.
static void for_ever(void)
{
	IN_CHILD({
		deny(LANDLOCK_ACTION_FS_NEW);
		IS(!makes("closed"));
		int status;
		pid_t child = fork();
		if (child == 0) {
			execlp("touch", "touch", "by-another-program", NULL);
			_exit(0);
		}
		IS(waitpid(child, &status, 0) == child && status != 0);
	});
	IS(access("by-another-program", F_OK) == -1);
}

// Newest first, each for itself, the same as often as one likes; all must agree.
static void several(void)
{
	IN_CHILD({
		int rule = denying(LANDLOCK_ACTION_FS_NEW);
		IS(makes("several"));
		IS(prepend(0, &rule) == 0 && prepend(0, &rule) == 0);
		deny(LANDLOCK_ACTION_FS_REMOVE);
		FAILS(open("another", O_CREAT | O_RDWR, 0600), EPERM);
		FAILS(unlink("several"), EPERM);
		IS(open("several", O_RDWR) >= 0);
	});
}

static void until_too_many(void)
{
	IN_CHILD({
		int rule = denying(LANDLOCK_ACTION_FS_NEW), count = 0;
		while (prepend(0, &rule) == 0)
			count++;
		IS(errno == E2BIG && count > 8 && count <= 64);
		IS(!makes("too-many"));
		// What was refused has taken nothing away.
		FAILS(prepend(0, &rule), E2BIG);
		IS(!makes("too-many"));
	});
}

static void test(const char *part)
{
	(void)part;
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	errors();
	threads();
	children();
	for_ever();
	several();
	until_too_many();
}

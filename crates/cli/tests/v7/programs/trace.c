// SPDX-License-Identifier: MIT OR Apache-2.0
// trace: v7's table of who may trace whom, by who has a rule: both from before the fork, the parent, the child.
#include "v7.h"

static int rule;

static void landlocked(void)
{
	IS(prepend(0, &rule) == 0);
}

static void pair(int both, int parent_has, int child_has, int may)
{
	int told[2], go[2], status;
	char byte = 0;
	IS(pipe(told) == 0 && pipe(go) == 0);
	if (both)
		landlocked();
	pid_t parent = getpid(), child = fork();
	IS(child >= 0);
	// Whoever fails ends the other's waiting.
	close(child == 0 ? told[0] : told[1]), close(child == 0 ? go[1] : go[0]);
	if (child == 0) {
		if (child_has)
			landlocked();
		IS(write(told[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1);
		errno = 0;
		int traced = ptrace(PTRACE_TRACEME, 0, 0, 0);
		IS(may ? traced == 0 : traced == -1 && errno == EPERM);
		if (may)
			raise(SIGSTOP);
		IS(write(told[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1);
		_exit(getppid() != parent);
	}
	if (parent_has)
		landlocked();
	IS(read(told[0], &byte, 1) == 1 && write(go[1], &byte, 1) == 1);
	if (may) {
		IS(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
		IS(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
	}
	IS(read(told[0], &byte, 1) == 1);
	errno = 0;
	int attached = (int)ptrace(PTRACE_ATTACH, child, 0, 0);
	IS(may ? attached == 0 : attached == -1 && errno == EPERM);
	if (may) {
		IS(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
		IS(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
	}
	IS(write(go[1], &byte, 1) == 1);
	IS(waitpid(child, &status, 0) == child && status == 0);
}

static void test(const char *part)
{
	const struct insn allow[] = {MOV(0, 0), EXIT};
	(void)part;
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	IS((rule = load(attr_of(allow, COUNT(allow)))) >= 0);
	IN_CHILD(pair(0, 0, 0, 1));
	IN_CHILD(pair(0, 0, 1, 1));
	IN_CHILD(pair(1, 0, 0, 1));
	IN_CHILD(pair(1, 0, 1, 1));
	IN_CHILD(pair(0, 1, 0, 0));
	IN_CHILD(pair(1, 1, 0, 0));
	IN_CHILD(pair(1, 1, 1, 0));
	IN_CHILD(pair(0, 1, 1, 0));
}

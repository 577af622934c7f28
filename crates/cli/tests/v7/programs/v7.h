/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a program needs that was written from v7's documentation, before any
 * kernel had it: its own declarations and the two system calls. With WITH_API
 * the same program uses our header and library instead.
 *
 * A program defines test(part). It runs in a child: its parent, on which no
 * rule is, tells the line that is not as it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* An instruction, as every kernel since 3.18 takes it. */
struct insn {
	__u8 code;
	__u8 registers; /* destination in the low half, source in the high one */
	__s16 offset;
	__s32 number;
};

#define MOV(dst, value) ((struct insn){0xb7, dst, 0, value})
#define ADD(dst, value) ((struct insn){0x07, dst, 0, value})
#define LOAD(dst, at) ((struct insn){0x79, 1 << 4 | (dst), at, 0})
#define IF_ANY(reg, bits, over) ((struct insn){0x45, reg, over, bits})
#define CALL(helper) ((struct insn){0x85, 0, 0, helper})
#define EXIT ((struct insn){0x95, 0, 0, 0})

#ifdef WITH_API
#include <landlock/landlock.h>
typedef struct landlock_load_attr load_attr;
#define load_of(attr, size) landlock_load(attr, size)
#define prepend(flags, rule) landlock_prepend(flags, rule)
#define RULE_TYPE LANDLOCK_PROG_TYPE_RULE
#else
/* uapi/linux/bpf.h of v7 */
#define LANDLOCK_SUBTYPE_EVENT_FS 1
#define LANDLOCK_SUBTYPE_EVENT_FS_IOCTL 2
#define LANDLOCK_SUBTYPE_EVENT_FS_LOCK 3
#define LANDLOCK_SUBTYPE_EVENT_FS_FCNTL 4
#define LANDLOCK_ACTION_FS_EXEC (1 << 0)
#define LANDLOCK_ACTION_FS_WRITE (1 << 1)
#define LANDLOCK_ACTION_FS_READ (1 << 2)
#define LANDLOCK_ACTION_FS_NEW (1 << 3)
#define LANDLOCK_ACTION_FS_GET (1 << 4)
#define LANDLOCK_ACTION_FS_REMOVE (1 << 5)
#define LANDLOCK_SUBTYPE_ABILITY_DEBUG (1 << 0)
union bpf_prog_subtype {
	struct {
		__u32 abi;
		__u32 event;
		__aligned_u64 ability;
		__aligned_u64 option;
	} landlock_rule;
} __attribute__((aligned(8)));
typedef struct {
	__u32 prog_type;
	__u32 insn_cnt;
	__aligned_u64 insns;
	__aligned_u64 license;
	__u32 log_level;
	__u32 log_size;
	__aligned_u64 log_buf;
	__u32 kern_version;
	__u32 prog_flags;
	__aligned_u64 prog_subtype;
	__u32 prog_subtype_size;
} __attribute__((aligned(8))) load_attr;
#define RULE_TYPE 15
#define SECCOMP_PREPEND_LANDLOCK_RULE 2
#define PROG_LOAD 5
#define load_of(attr, size) (int)syscall(SYS_bpf, PROG_LOAD, attr, size)
#define prepend(flags, rule) (int)syscall(SYS_seccomp, SECCOMP_PREPEND_LANDLOCK_RULE, flags, rule)
#endif

#define ADDRESS(pointer) ((__u64)(uintptr_t)(pointer))
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct failure {
	volatile int line, error;
	char text[200];
} *failure;

static void fail(int line, const char *text)
{
	if (!failure->line) {
		failure->error = errno;
		strncpy(failure->text, text, sizeof failure->text - 1);
		failure->line = line;
	}
	_exit(1);
}

#define IS(what) ((what) ? (void)0 : fail(__LINE__, #what))
#define FAILS(call, with) (errno = 0, IS((call) == -1 && errno == (with)))

static union bpf_prog_subtype fs_subtype = {
	.landlock_rule = {.abi = 1, .event = LANDLOCK_SUBTYPE_EVENT_FS},
};

static load_attr attr_of(const struct insn *code, unsigned int count)
{
	load_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.prog_type = RULE_TYPE;
	attr.insn_cnt = count;
	attr.insns = ADDRESS(code);
	attr.license = ADDRESS("GPL");
	attr.prog_subtype = ADDRESS(&fs_subtype);
	attr.prog_subtype_size = sizeof fs_subtype;
	return attr;
}

static int load(load_attr attr)
{
	return load_of(&attr, sizeof attr);
}

/* Denies what has one of the actions. */
static int denying(int actions)
{
	struct insn code[] = {
		LOAD(2, 24), MOV(0, 0), IF_ANY(2, actions, 1), EXIT, MOV(0, 1), EXIT,
	};
	int rule = load(attr_of(code, COUNT(code)));
	IS(rule >= 0);
	return rule;
}

/* Prepends a rule of this kind, as the documentation says to. */
static inline void deny(int actions)
{
	int rule = denying(actions);
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, NULL, 0, 0) == 0);
	IS(prepend(0, &rule) == 0);
	IS(close(rule) == 0);
}

static inline int makes(const char *name)
{
	int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 && close(fd) == 0;
}

/* Runs in a child of its own, and comes back with its exit code. */
#define IN_CHILD(...)                                                          \
	do {                                                                   \
		int in_child_status;                                           \
		pid_t in_child = fork();                                       \
		IS(in_child >= 0);                                             \
		if (in_child == 0) {                                           \
			__VA_ARGS__;                                           \
			_exit(0);                                              \
		}                                                              \
		IS(waitpid(in_child, &in_child_status, 0) == in_child);        \
		IS(in_child_status == 0);                                      \
	} while (0)

static void test(const char *part);

int main(int argc, char **argv)
{
	int status;
	failure = mmap(NULL, sizeof *failure, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (failure == MAP_FAILED)
		return 2;
	pid_t child = fork();
	if (child == 0) {
		test(argc > 1 ? argv[1] : "");
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		return 2;
	if (failure->line)
		fprintf(stderr, "%s, line %d: %s (errno %d, %s)\n", argv[0], failure->line, failure->text,
			failure->error, strerror(failure->error));
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: killed by signal %d\n", argv[0], WTERMSIG(status));
	return failure->line || status;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// load: the errors of loading, in v7's order.
#include "v7.h"

static const struct insn allow[] = {MOV(0, 0), EXIT};

static load_attr valid(void)
{
	return attr_of(allow, COUNT(allow));
}

// Loads what `valid` gives after a change.
#define WITH(change, check)                                                    \
	do {                                                                   \
		load_attr attr = valid();                                      \
		change;                                                        \
		check;                                                         \
	} while (0)
#define REFUSED(change, with) WITH(change, FAILS(load(attr), with))
#define ACCEPTED(change) WITH(change, { int fd = load(attr); IS(fd >= 0); close(fd); })

static int of(const struct insn *code, unsigned int count)
{
	return load(attr_of(code, count));
}
#define CODE(...) of((struct insn[]){__VA_ARGS__}, COUNT(((struct insn[]){__VA_ARGS__})))

static void attributes(void)
{
	int rule = load(valid());
	IS(rule >= 0);
	IS(fcntl(rule, F_GETFD) & FD_CLOEXEC);
	IS(write(rule, "x", 1) == -1);
	close(rule);

	load_attr attr = valid();
	FAILS(load_of(&attr, 5000), E2BIG);
	char longer[120] = {0};
	memcpy(longer, &attr, sizeof attr);
	rule = load_of((void *)longer, sizeof longer);
	IS(rule >= 0);
	close(rule);
	// Without the padding behind the last field.
	rule = load_of((void *)longer, 60);
	IS(rule >= 0);
	close(rule);
	longer[119] = 1;
	FAILS(load_of((void *)longer, sizeof longer), E2BIG);
	longer[119] = 0, longer[61] = 1;
	FAILS(load_of((void *)longer, sizeof attr), EINVAL);

	ACCEPTED(attr.prog_flags = 1);
	REFUSED(attr.prog_flags = 2, EINVAL);
	ACCEPTED(attr.kern_version = 99);
	REFUSED(attr.license = 8, EFAULT);
	REFUSED((attr.license = 8, attr.insn_cnt = 0), EFAULT);
	REFUSED((attr.prog_flags = 2, attr.license = 8), EINVAL);
	REFUSED(attr.insn_cnt = 0, E2BIG);
	REFUSED(attr.insn_cnt = 4097, E2BIG);
	REFUSED(attr.insns = 8, EFAULT);
	REFUSED((attr.insns = 8, attr.prog_subtype_size = 5000), EFAULT);
	static struct insn many[4096];
	for (unsigned int i = 0; i < COUNT(many) - 1; i++)
		many[i] = MOV(0, 0);
	many[COUNT(many) - 1] = EXIT;
	rule = of(many, COUNT(many));
	IS(rule >= 0);
	close(rule);
#ifdef WITH_API
	FAILS(landlock_load(NULL, sizeof attr), EFAULT);
	REFUSED(attr.prog_type = 1, EINVAL);
#endif
}

static void subtypes(void)
{
	REFUSED((attr.prog_subtype = 0, attr.prog_subtype_size = 0), EINVAL);
	REFUSED(attr.prog_subtype = 0, EINVAL);
	REFUSED(attr.prog_subtype_size = 0, EINVAL);
	REFUSED(attr.prog_subtype = 8, EFAULT);
	REFUSED(attr.prog_subtype = ~0ULL, EFAULT);
	REFUSED(attr.prog_subtype_size = 5000, E2BIG);
	// Short ones are continued by 0: abi and event are enough, abi alone is not.
	ACCEPTED(attr.prog_subtype_size = 8);
	REFUSED(attr.prog_subtype_size = 4, EINVAL);
	struct {
		union bpf_prog_subtype known;
		__u64 unknown;
	} larger = {fs_subtype, 0};
	ACCEPTED((attr.prog_subtype = ADDRESS(&larger), attr.prog_subtype_size = sizeof larger));
	larger.unknown = 1;
	REFUSED((attr.prog_subtype = ADDRESS(&larger), attr.prog_subtype_size = sizeof larger), E2BIG);

	struct {
		__u32 abi, event;
		__u64 ability, option;
		int error;
	} cases[] = {
		{1, 1, 0, 0, 0},	{1, 2, 0, 0, 0},      {1, 3, 0, 0, 0},	{1, 4, 0, 0, 0},
		{0, 1, 0, 0, EINVAL},	{2, 1, 0, 0, EINVAL}, {1, 0, 0, 0, EINVAL}, {1, 5, 0, 0, EINVAL},
		{1, 1, 2, 0, EINVAL},	{1, 1, 1ULL << 63, 0, EINVAL}, {1, 1, 0, 1, EINVAL},
		{1, 1, 0, 1ULL << 63, EINVAL}, {1, 1ULL << 31 | 1, 0, 0, EINVAL},
	};
	for (unsigned int i = 0; i < COUNT(cases); i++) {
		union bpf_prog_subtype subtype = {
			.landlock_rule = {cases[i].abi, cases[i].event, cases[i].ability, cases[i].option}};
		if (cases[i].error)
			REFUSED(attr.prog_subtype = ADDRESS(&subtype), cases[i].error);
		else
			ACCEPTED(attr.prog_subtype = ADDRESS(&subtype));
	}
	// A subtype that is none is refused before the program is looked at, and without a word.
	union bpf_prog_subtype none = {.landlock_rule = {1, 0, 0, 0}};
	char log[4096] = "unchanged";
	REFUSED((attr.prog_subtype = ADDRESS(&none), attr.log_level = 1, attr.log_buf = ADDRESS(log),
		 attr.log_size = sizeof log), EINVAL);
	IS(strcmp(log, "unchanged") == 0);
}

static void verifier(void)
{
	enum { GET_MODE = 54, TRACE_PRINTK = 6, PID_TGID = 14, MAP_LOOKUP = 1, TAIL_CALL = 12 };
	IS(CODE(MOV(0, 0), EXIT) >= 0);
	// v7's "read context": all four fields, arithmetic on the three numbers.
	IS(CODE(LOAD(5, 0), ADD(5, 1), LOAD(5, 8), ADD(5, 1), LOAD(5, 16), LOAD(5, 24), ADD(5, 1), MOV(0, 0), EXIT) >= 0);
	// Narrow loads from a field's start; not of the handle, not from its middle.
	IS(CODE((struct insn){0x61, 0x12, 24, 0}, (struct insn){0x71, 0x12, 8, 0}, MOV(0, 0), EXIT) >= 0);
	FAILS(CODE((struct insn){0x61, 0x12, 16, 0}, MOV(0, 0), EXIT), EACCES);
	FAILS(CODE((struct insn){0x61, 0x12, 28, 0}, MOV(0, 0), EXIT), EACCES);
	FAILS(CODE(LOAD(2, 4), MOV(0, 0), EXIT), EACCES);
	// Context writes, looking into the handle, another register for it, arithmetic on it.
	FAILS(CODE((struct insn){0x7a, 1, 0, 7}, MOV(0, 0), EXIT), EACCES);
	FAILS(CODE(LOAD(2, 16), (struct insn){0x79, 2 << 4 | 3, 0, 0}, MOV(0, 0), EXIT), EACCES);
	IS(CODE(LOAD(1, 16), CALL(GET_MODE), EXIT) >= 0);
	FAILS(CODE(LOAD(1, 24), CALL(GET_MODE), EXIT), EACCES);
	FAILS(CODE(LOAD(1, 16), ADD(1, 8), CALL(GET_MODE), EXIT), EACCES);
	// Helpers: the one there is, only under the GPL; others are unknown or need ability DEBUG.
	const struct insn mode[] = {LOAD(1, 16), CALL(GET_MODE), EXIT};
	load_attr attr = attr_of(mode, COUNT(mode));
	attr.license = ADDRESS("proprietary");
	FAILS(load(attr), EINVAL);
	FAILS(CODE(CALL(PID_TGID), EXIT), EINVAL);
	FAILS(CODE(CALL(MAP_LOOKUP), EXIT), EINVAL);
	FAILS(CODE(CALL(TAIL_CALL), EXIT), EINVAL);
	// Loops, what is never reached, jumps out of the program, no end.
	FAILS(CODE(MOV(0, 0), (struct insn){0x05, 0, -2, 0}, EXIT), EINVAL);
	FAILS(CODE(MOV(0, 0), EXIT, MOV(0, 0), EXIT), EINVAL);
	FAILS(CODE(MOV(0, 0), (struct insn){0x05, 0, 9, 0}, EXIT), EINVAL);
	FAILS(CODE(MOV(0, 0)), EINVAL);
	// The sub-events have the same context, as documented.
	union bpf_prog_subtype lock = {.landlock_rule = {1, LANDLOCK_SUBTYPE_EVENT_FS_LOCK, 0, 0}};
	attr = attr_of(mode, COUNT(mode));
	attr.prog_subtype = ADDRESS(&lock);
	IS(load(attr) >= 0);
}

static void log_buffer(void)
{
	const struct insn wrong[] = {(struct insn){0x7a, 1, 0, 7}, MOV(0, 0), EXIT};
	char log[4096] = "unchanged";
	load_attr attr = attr_of(wrong, COUNT(wrong));
	attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = sizeof log;
	FAILS(load(attr), EACCES);
	IS(strlen(log) > 0 && strcmp(log, "unchanged"));
	attr.log_size = 128;
	FAILS(load(attr), ENOSPC);
	IS(strlen(log) == 127);
	attr.log_size = 127;
	FAILS(load(attr), EINVAL);
	attr.log_size = sizeof log, attr.log_buf = 0;
	FAILS(load(attr), EINVAL);
	attr.log_level = 0, attr.log_buf = ADDRESS(log);
	FAILS(load(attr), EINVAL);
	attr.log_level = 1, attr.log_buf = 8;
	FAILS(load(attr), EFAULT);
	attr = valid();
	attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = sizeof log;
	IS(load(attr) >= 0 && !*log);
}

// Ability DEBUG is for who may administer the system.
static void debugging(int privileged)
{
	union bpf_prog_subtype debug = {
		.landlock_rule = {1, LANDLOCK_SUBTYPE_EVENT_FS, LANDLOCK_SUBTYPE_ABILITY_DEBUG, 0}};
	const struct insn code[] = {CALL(14), CALL(15), MOV(0, 0), EXIT};
	load_attr attr = attr_of(code, COUNT(code));
	attr.prog_subtype = ADDRESS(&debug);
	if (privileged)
		IS(load(attr) >= 0);
	else
		FAILS(load(attr), EPERM);
}

static void test(const char *part)
{
	attributes();
	subtypes();
	verifier();
	log_buffer();
	debugging(!strcmp(part, "root"));
}

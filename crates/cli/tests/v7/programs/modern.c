// SPDX-License-Identifier: MIT OR Apache-2.0
// modern: prints what the kernel of today says to calls that share v7's numbers. Where nobody answers for v7 it must be
// the same. `modern zero` asks what number 0 is that is a rule's descriptor, and SECCOMP_RET_KILL_THREAD.
#include "v7.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
	if (result > 2)
		close((int)result);
}

static long bpf_load(unsigned int type, const char *name, unsigned int size, const void *subtype)
{
	const struct insn code[] = {MOV(0, 1), EXIT};
	union bpf_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.prog_type = type;
	attr.insns = ADDRESS(code);
	attr.insn_cnt = COUNT(code);
	attr.license = ADDRESS("GPL");
	strcpy(attr.prog_name, name);
	if (subtype) {
		__u64 address = ADDRESS(subtype);
		__u32 length = 24;
		memcpy((char *)&attr + 48, &address, sizeof address);
		memcpy((char *)&attr + 56, &length, sizeof length);
	}
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, size);
}

static void actions(void)
{
	const unsigned int known[] = {
		SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
		SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 0x12340000,
	};
	for (unsigned int i = 0; i < COUNT(known); i++)
		say("action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &known[i]));
	say("flags", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &known[0]));
	say("address", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8));
	say("nothing", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL));
}

static void filters(void)
{
	struct seccomp_notif_sizes sizes;
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {1, code};
	say("sizes", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
	say("privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
	say("no operation", syscall(SYS_seccomp, 99, 0, NULL));
}

static void programs(void)
{
	// Kernels take the address for a name, and some addresses are one.
	char *place = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	IS(place != MAP_FAILED);
	union bpf_prog_subtype *subtype = (void *)(place + 8);
	subtype->landlock_rule.abi = subtype->landlock_rule.event = 1;
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
	say("map", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
	say("socket filter", bpf_load(BPF_PROG_TYPE_SOCKET_FILTER, "", sizeof attr, NULL));
	say("superfluous subtype", bpf_load(BPF_PROG_TYPE_SOCKET_FILTER, "", 64, subtype));
	say("devices", bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, "sd_devices", sizeof attr, NULL));
	say("devices, by an old loader", bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, "sd_devices", 64, NULL));
	say("devices without a name", bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, "", 72, NULL));
	say("devices of old", bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, "", 48, NULL));
	say("no attributes", syscall(SYS_bpf, BPF_PROG_LOAD, 8, 64));
	say("too many", syscall(SYS_bpf, BPF_PROG_LOAD, &attr, 5000));
	say("no command", syscall(SYS_bpf, 999, &attr, sizeof attr));
}

static void zero(void)
{
	const unsigned int kill_thread = SECCOMP_RET_KILL_THREAD;
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	IS(close(0) == 0);
	IS(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_thread) == 0 && makes("asked"));
	IS(denying(LANDLOCK_ACTION_FS_NEW) == 0);
	IS(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_thread) == 0);
	IS(!makes("prepended"));
}

static void test(const char *part)
{
	if (!strcmp(part, "zero")) {
		zero();
		return;
	}
	actions();
	programs();
	filters();
	fflush(stdout);
}

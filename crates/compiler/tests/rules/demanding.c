// SPDX-License-Identifier: MIT OR Apache-2.0
// Rules that make clang use what the simple ones do not: jump chains, spills, buffers on the stack,
// unrolled loops, 32-bit and signed comparisons, every helper.
#include <landlock/rule.h>

static __always_inline __u64 file_type(struct landlock_context *ctx)
{
	return bpf_handle_fs_get_mode((void *)ctx->arg1) & S_IFMT;
}

LANDLOCK_RULE(by_type, FS, 0)
{
	switch (file_type(ctx)) {
	case S_IFREG:
		return !!(ctx->arg2 & LANDLOCK_ACTION_FS_EXEC);
	case S_IFDIR:
		return !!(ctx->arg2 & LANDLOCK_ACTION_FS_NEW);
	case S_IFCHR:
	case S_IFBLK:
		return 1;
	case S_IFLNK:
		return !!(ctx->arg2 & LANDLOCK_ACTION_FS_REMOVE);
	default:
		return 0;
	}
}

LANDLOCK_RULE(under_pressure, FS, 0)
{
	volatile __u64 kept[6];
	__u64 a = ctx->arg2, b = ctx->status, c = ctx->event, d = ctx->arch, e = ctx->syscall_nr;
	__u64 first = bpf_handle_fs_get_mode((void *)ctx->arg1);
	__u64 second = bpf_handle_fs_get_mode((void *)ctx->arg1);
	__u64 third = bpf_handle_fs_get_mode((void *)ctx->arg1);

#pragma clang loop unroll(full)
	for (int i = 0; i < 6; i++)
		kept[i] = first ^ (a << i);
	return ((a ^ b ^ c ^ d ^ e ^ first ^ second ^ third ^ kept[1] ^ kept[4]) & 1) &&
	       (int)a > (int)e;
}

LANDLOCK_RULE(no_object, FS, 0)
{
	long long mode = bpf_handle_fs_get_mode((void *)ctx->arg1);

	if (mode < 0)
		return (ctx->arg2 & LANDLOCK_ACTION_FS_NEW) && ctx->arch == 0xc000003e && ctx->syscall_nr == 83;
	return (__u16)mode == (S_IFREG | 0777);
}

LANDLOCK_RULE(requests, FS_IOCTL, 0)
{
	__u32 request = (__u32)ctx->arg2;

	return ((request >> 8) & 0xff) == 'T' && (__u8)request >= 0x10 && (request & 0xff) / 3 % 5 != 2;
}

LANDLOCK_RULE(who_asks, FS_FCNTL, LANDLOCK_SUBTYPE_ABILITY_DEBUG)
{
	char comm[16];
	char format[] = "uid %d command %llu\n";
	int same = 1;

	bpf_get_current_comm(comm, sizeof(comm));
	bpf_trace_printk(format, sizeof(format), (__u32)bpf_get_current_uid_gid(), ctx->arg2);
#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++)
		same &= comm[i] == "evil"[i];
	return same || (__u32)bpf_get_current_pid_tgid() == 1;
}

LANDLOCK_LICENSE("GPL");

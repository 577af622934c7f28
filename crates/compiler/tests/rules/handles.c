// SPDX-License-Identifier: MIT OR Apache-2.0
// Two maps, shared by rules of hooks and of a file system; one of them static, one defined by numbers.
#include <landlock/rule.h>

LANDLOCK_HANDLES(allowed, FS, 10);
static LANDLOCK_HANDLES(sandboxed, CGROUP, 4);
SEC("maps") struct landlock_map_def trusted = {
	.type = BPF_MAP_TYPE_LANDLOCK_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(struct landlock_handle),
	.max_entries = 2,
	.array_type = BPF_MAP_ARRAY_TYPE_LANDLOCK_FS,
};

#define ENOENT 2
#define EACCES 13

static __always_inline int decide(struct landlock_data *ctx)
{
	long long beneath;

	if (ctx->cookie != 5)
		return 0;
	beneath = bpf_landlock_cmp_fs_beneath(0, &allowed, BPF_MAP_ARRAY_OP_OR, (void *)ctx->args[0]);
	if (!beneath || beneath == -ENOENT)
		return 0;
	if (bpf_landlock_cmp_cgroup_beneath(0, &sandboxed, BPF_MAP_ARRAY_OP_OR))
		return 0;
	return EACCES;
}

LANDLOCK_HOOK(opened, FILE_OPEN)
{
	return decide(ctx);
}

LANDLOCK_HOOK(accessed, FILE_PERMISSION)
{
	return decide(ctx);
}

LANDLOCK_HOOK(mapped, MMAP_FILE)
{
	if (!ctx->args[0])
		return 0;
	return decide(ctx);
}

LANDLOCK_RULE_ABI2(written, FS, 0)
{
	if (!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE))
		return 0;
	if (!bpf_landlock_cmp_fs_prop(LANDLOCK_FLAG_FS_DENTRY | LANDLOCK_FLAG_FS_INODE, &trusted,
				      BPF_MAP_ARRAY_OP_OR, (void *)ctx->arg1))
		return 0;
	return bpf_landlock_cmp_fs_beneath(0, &allowed, BPF_MAP_ARRAY_OP_OR, (void *)ctx->arg1) != 0;
}

LANDLOCK_LICENSE("Dual MIT/GPL");

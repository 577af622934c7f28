// SPDX-License-Identifier: MIT OR Apache-2.0
// Several rules in one object: two with their own subtypes, two in one section sharing another.
#include <landlock/rule.h>

static __always_inline int has(struct landlock_context *ctx, __u64 actions)
{
	return (ctx->arg2 & actions) != 0;
}

LANDLOCK_RULE(no_removal, FS, 0)
{
	return has(ctx, LANDLOCK_ACTION_FS_REMOVE);
}

LANDLOCK_RULE(no_locks, FS_LOCK, LANDLOCK_SUBTYPE_ABILITY_DEBUG)
{
	return bpf_get_current_uid_gid() != 0;
}

SEC("landlock_pair")
static int no_exec(struct landlock_context *ctx)
{
	return has(ctx, LANDLOCK_ACTION_FS_EXEC);
}

SEC("landlock_pair")
int no_read(struct landlock_context *ctx)
{
	return has(ctx, LANDLOCK_ACTION_FS_READ);
}

SEC("subtype")
static const union bpf_prog_subtype subtype = {
	.landlock_rule = { .abi = 1, .event = LANDLOCK_SUBTYPE_EVENT_FS },
};

LANDLOCK_LICENSE("GPL");

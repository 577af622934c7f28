// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * read-only.c with a line in the kernel's trace log for each refusal, as
 * Landlock v7's sample `landlock1` had it.
 *
 * Ability DEBUG: loading it needs CAP_SYS_ADMIN. Meant for trying things out,
 * not for production.
 */
#include <landlock/rule.h>

SEC("landlock1")
static int landlock_fs_prog1(struct landlock_context *ctx)
{
	char no_mode[] = "landlock1: error: get_mode: %lld\n";
	char denied[] = "landlock1: access denied\n";
	long long mode;

	if (!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE))
		return 0;
	mode = bpf_handle_fs_get_mode((void *)ctx->arg1);
	if (mode < 0) {
		bpf_trace_printk(no_mode, sizeof(no_mode), mode);
		return 1;
	}
	if (S_ISCHR(mode) || S_ISFIFO(mode))
		return 0;
	bpf_trace_printk(denied, sizeof(denied));
	return 1;
}

SEC("subtype")
static const union bpf_prog_subtype subtype = {
	.landlock_rule = {
		.abi = 1,
		.event = LANDLOCK_SUBTYPE_EVENT_FS,
		.ability = LANDLOCK_SUBTYPE_ABILITY_DEBUG,
	}
};

SEC("license")
static const char license[] = "Dual MIT/GPL";

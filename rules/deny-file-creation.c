// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Forbids creating files, whatever the system call: open(2) with O_CREAT,
 * mkdir, mknod, link, symlink, and rename (the new name is created).
 *
 * It does not forbid writing to files that exist, nor an unnamed file made
 * with O_TMPFILE: no name is created (linking it into place is forbidden).
 *
 * The rule printed in Landlock v7's user documentation.
 */
#include <landlock/rule.h>

SEC("landlock1")
static int deny_file_creation(struct landlock_context *ctx)
{
	if (ctx->event != LANDLOCK_SUBTYPE_EVENT_FS)
		return 1;
	if (ctx->arg2 & LANDLOCK_ACTION_FS_NEW)
		return 1;
	return 0;
}

SEC("subtype")
static union bpf_prog_subtype subtype = {
	.landlock_rule = {
		.abi = 1,
		.event = LANDLOCK_SUBTYPE_EVENT_FS,
	}
};

SEC("license")
static const char license[] = "Dual MIT/GPL";

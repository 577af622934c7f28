// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Forbids every write: file content, names, attributes, mounts, also to
 * terminals and pipes, and through descriptors opened before.
 *
 * Harsh on purpose (even `echo` fails): it is the rule Landlock v7's tests
 * call fs_read_only. For daily use take read-only.c.
 */
#include <landlock/rule.h>

LANDLOCK_RULE(deny_write, FS, 0)
{
	return !!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE);
}

LANDLOCK_LICENSE("Dual MIT/GPL");

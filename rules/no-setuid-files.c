// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Forbids executing or opening files that have the set-user-ID bit, or are
 * set-group-ID and executable by their group (a directory's set-group-ID bit
 * means something else and is left alone).
 *
 * It does not stop anybody from setting such a bit on a file of their own.
 */
#include <landlock/rule.h>

#define S_IXGRP 00010

LANDLOCK_RULE(no_setuid_files, FS, 0)
{
	long long mode;

	if (!(ctx->arg2 & (LANDLOCK_ACTION_FS_EXEC | LANDLOCK_ACTION_FS_GET)))
		return 0;
	mode = bpf_handle_fs_get_mode((void *)ctx->arg1);
	if (mode < 0)
		return 1;
	if (!S_ISREG(mode))
		return 0;
	if (mode & S_ISUID)
		return 1;
	return (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

LANDLOCK_LICENSE("Dual MIT/GPL");

// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Read-only except these directories, and no ioctl on terminals: forbids every
 * modification of the file system (content, names, attributes, mounts) that is
 * not at or beneath a handle of `writable`, except writing to character devices
 * and pipes; and ioctl on character devices other than those that programs need
 * to find out that they talk to a terminal, and how wide it is.
 *
 *   landlock run --rule rules/read-only-except.c --handle writable=build -- make
 *
 * A name that is made, moved or removed is in its directory: both directories of
 * a rename must be writable, and so must what is moved. Sockets are writable.
 */
#include <landlock/rule.h>

#define TCGETS 0x5401
#define TIOCGPGRP 0x540f
#define TIOCGWINSZ 0x5413
#define FIONREAD 0x541b
#define FIONCLEX 0x5450
#define FIOCLEX 0x5451

LANDLOCK_HANDLES(writable, FS, 16);

LANDLOCK_RULE_ABI2(writes, FS, 0)
{
	long long mode;

	if (!(ctx->arg2 & (LANDLOCK_ACTION_FS_WRITE | LANDLOCK_ACTION_FS_NEW | LANDLOCK_ACTION_FS_REMOVE)))
		return 0;
	mode = bpf_handle_fs_get_mode((void *)ctx->arg1);
	if (mode >= 0 && (S_ISCHR(mode) || S_ISFIFO(mode) || S_ISSOCK(mode)))
		return !!(ctx->arg2 & LANDLOCK_ACTION_FS_REMOVE) &&
		       bpf_landlock_cmp_fs_beneath(0, &writable, BPF_MAP_ARRAY_OP_OR, (void *)ctx->arg1);
	return !!bpf_landlock_cmp_fs_beneath(0, &writable, BPF_MAP_ARRAY_OP_OR, (void *)ctx->arg1);
}

LANDLOCK_RULE(terminals, FS_IOCTL, 0)
{
	if (!S_ISCHR(bpf_handle_fs_get_mode((void *)ctx->arg1)))
		return 0;
	switch (ctx->arg2) {
	case TCGETS:
	case TIOCGPGRP:
	case TIOCGWINSZ:
	case FIONREAD:
	case FIONCLEX:
	case FIOCLEX:
		return 0;
	default:
		return 1;
	}
}

LANDLOCK_LICENSE("Dual MIT/GPL");

// SPDX-License-Identifier: MIT OR Apache-2.0
// Lists of cases: clang shifts them to start at zero, compares the length, and looks a bit up.
#include <landlock/rule.h>

LANDLOCK_RULE(terminal, FS_IOCTL, 0)
{
	switch ((__u32)ctx->arg2) {
	case 0x5401: case 0x5402: case 0x5403: case 0x5404:
	case 0x540f: case 0x5410: case 0x5413: case 0x541b:
		return 0;
	default:
		return 1;
	}
}

LANDLOCK_RULE(duplicates, FS_FCNTL, 0)
{
	return ctx->arg2 == 0 || ctx->arg2 == 1030;
}

LANDLOCK_RULE(types, FS, 0)
{
	long long mode;

	if (!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE))
		return 0;
	mode = bpf_handle_fs_get_mode((void *)ctx->arg1);
	if (mode < 0)
		return 1;
	switch (mode & S_IFMT) {
	case S_IFCHR: case S_IFIFO: case S_IFSOCK: case S_IFDIR:
		return 0;
	default:
		return 1;
	}
}

LANDLOCK_LICENSE("Dual MIT/GPL");

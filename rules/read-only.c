// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A read-only world: forbids every modification of the file system (content,
 * names, attributes, mounts), also through descriptors opened before, except
 * writing to character devices (the terminal, /dev/null) and pipes.
 *
 * It does not hide anything, does not restrict sockets used with send(2) and
 * recv(2), and does not restrict what a program on the far end of a pipe or a
 * device does with what it is sent.
 *
 * Landlock v7's sample without its debug output, so that anybody may load it.
 */
#include <landlock/rule.h>

LANDLOCK_RULE(read_only, FS, 0)
{
	long long mode;

	if (!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE))
		return 0;
	mode = bpf_handle_fs_get_mode((void *)ctx->arg1);
	if (mode < 0)
		return 1;
	return !(S_ISCHR(mode) || S_ISFIFO(mode));
}

LANDLOCK_LICENSE("Dual MIT/GPL");

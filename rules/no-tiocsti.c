// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Forbids pushing characters into a terminal's input (TIOCSTI) and the
 * console's selection and paste calls (TIOCLINUX): the two ways a confined
 * program has typed commands into the shell that started it.
 *
 * Every other ioctl is allowed, and writing to the terminal is as well. The
 * numbers are those of every architecture but alpha, mips, parisc, powerpc
 * and sparc.
 */
#include <landlock/rule.h>

#define TIOCSTI 0x5412
#define TIOCLINUX 0x541c

LANDLOCK_RULE(no_tiocsti, FS_IOCTL, 0)
{
	__u32 request = (__u32)ctx->arg2;

	return request == TIOCSTI || request == TIOCLINUX;
}

LANDLOCK_LICENSE("Dual MIT/GPL");

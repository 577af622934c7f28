// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Forbids opening anything, and receiving a descriptor over a socket. It thus
 * forbids starting programs as well: it is for a program that confines itself.
 *
 * Descriptors that are open already go on working, reading, writing and
 * mapping included. The rule Landlock v7's tests call fs_no_open.
 */
#include <landlock/rule.h>

LANDLOCK_RULE(deny_get, FS, 0)
{
	return !!(ctx->arg2 & LANDLOCK_ACTION_FS_GET);
}

LANDLOCK_LICENSE("Dual MIT/GPL");

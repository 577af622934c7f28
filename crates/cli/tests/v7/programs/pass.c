// SPDX-License-Identifier: MIT OR Apache-2.0
// pass: a rule that one process makes and another prepends, after the first is gone.
#include "v7.h"

static void test(const char *part)
{
	int pair[2], rule;
	char byte = 0;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec data = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	(void)part;
	IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	IN_CHILD({
		rule = denying(LANDLOCK_ACTION_FS_NEW);
		memcpy(CMSG_DATA(&control.header), &rule, sizeof rule);
		IS(sendmsg(pair[1], &message, 0) == 1);
	});
	IS(recvmsg(pair[0], &message, 0) == 1);
	memcpy(&rule, CMSG_DATA(&control.header), sizeof rule);
	IS(makes("before"));
	IS(prepend(0, &rule) == 0);
	FAILS(open("after", O_CREAT | O_RDWR, 0600), EPERM);
}

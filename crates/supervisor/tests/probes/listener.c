// SPDX-License-Identifier: MIT OR Apache-2.0
// listener COMMAND...: runs a command under a seccomp listener that is none of ours and hears of nothing.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    // Closed on exec, it would be no listener any more.
    if (fd < 0 || fcntl(fd, F_SETFD, 0))
        perror("seccomp");
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 126;
}

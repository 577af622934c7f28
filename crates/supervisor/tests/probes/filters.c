// SPDX-License-Identifier: MIT OR Apache-2.0
// A program with seccomp filters of its own, none with a listener.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void install(int nr, unsigned action) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        perror("seccomp");
}

int main(void) {
    install(SYS_getppid, SECCOMP_RET_ERRNO | 99);
    printf("getppid: %ld, errno %d\n", syscall(SYS_getppid), errno);
    install(SYS_openat, SECCOMP_RET_ERRNO | 98);
    printf("openat: %d, errno %d\n", openat(AT_FDCWD, "/dev/null", O_RDONLY), errno);
    printf("open: %d\n", syscall(SYS_open, "/dev/null", O_RDONLY) >= 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        install(SYS_open, SECCOMP_RET_KILL_PROCESS);
        _exit((int)syscall(SYS_open, "/dev/null", O_RDONLY));
    }
    int status;
    waitpid(child, &status, 0);
    printf("child: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// boundary PID...: reaches for the memory, descriptors and place of other processes in every way, and prints what
// worked, one `NAME of PID` per line; `child` stands for a child of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *who;

static void say(const char *what, int reached) {
    if (reached)
        printf("%s of %s\n", what, who);
}

static int opens(int at, const char *path, int flags) {
    int fd = openat(at, path, flags);
    if (fd < 0)
        return 0;
    char byte;
    // Some files check at the open, others at the read.
    int reached = flags == O_PATH || pread(fd, &byte, 1, 0) >= 0 || errno == EIO || errno == EISDIR;
    close(fd);
    return reached;
}

static void through_proc(int pid) {
    static const char *const files[] = {"maps", "environ", "auxv", "cwd/.", "root/.", "root/etc", "fd/0"};
    char path[200], name[200], own[200];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        snprintf(name, sizeof name, "file %s", files[i]);
        say(name, opens(AT_FDCWD, path, strchr(files[i], '/') ? O_PATH : O_RDONLY));
    }
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    say("memory by path", opens(AT_FDCWD, path, O_RDWR));
    snprintf(own, sizeof own, "/proc/self/root/proc/%d/mem", pid);
    say("memory by own root", opens(AT_FDCWD, own, O_RDWR));
    snprintf(own, sizeof own, "/proc/self/../%d/mem", pid);
    say("memory by a way around", opens(AT_FDCWD, own, O_RDWR));
    snprintf(own, sizeof own, "/proc/%d/task/%d/mem", pid, pid);
    say("memory of the thread", opens(AT_FDCWD, own, O_RDWR));
    unlink("way");
    say("memory by a link", symlink(path, "way") == 0 && opens(AT_FDCWD, "way", O_RDWR));
    snprintf(path, sizeof path, "/proc/%d", pid);
    int folder = open(path, O_PATH | O_DIRECTORY);
    say("memory by a folder", opens(folder, "mem", O_RDWR));
    snprintf(own, sizeof own, "/proc/self/fd/%d/mem", folder);
    say("memory by a descriptor of the folder", opens(AT_FDCWD, own, O_RDWR));
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    say("program", readlink(path, own, sizeof own) >= 0);
    close(folder);
}

static void through_calls(int pid) {
    char byte;
    struct iovec local = {&byte, 1}, remote = {&byte, 1};
    // Its memory differs from ours: no page there is as good as one.
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    say("reading memory", got >= 0 || errno == EFAULT);
    got = process_vm_writev(pid, &local, 1, &(struct iovec){(void *)8, 1}, 1, 0);
    say("writing memory", got >= 0 || errno == EFAULT);
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    say("descriptor", syscall(SYS_pidfd_getfd, handle, 0, 0) >= 0);
    say("comparing", syscall(SYS_kcmp, getpid(), pid, 1, 0, 0) >= 0);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
        say("tracing", 1);
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        who = argv[i];
        int pid = atoi(who);
        if (!strcmp(who, "child") && (pid = fork()) == 0)
            for (;;)
                pause();
        through_proc(pid);
        through_calls(pid);
        fflush(stdout);
        if (!strcmp(who, "child"))
            kill(pid, SIGKILL);
    }
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// Executes good and bad files in every way there is and prints what came of it. Run plain and confined by a
// rule that forbids nothing, it must print the same.
//
// Arguments: FOLDER, and optionally a user id to become first.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static char *ARGV[] = {"argv0", "argument", NULL};
static char *ENVP[] = {"PATH=/usr/bin:/bin", NULL};

static void report(const char *what, int status) {
    if (WIFSIGNALED(status))
        printf("%s: signal %d\n", what, WTERMSIG(status));
    else
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    fflush(stdout);
}

#define IN_CHILD(what, call)                                                                                   \
    do {                                                                                                       \
        fflush(stdout);                                                                                        \
        pid_t child = fork();                                                                                  \
        if (!child) {                                                                                          \
            long result = (call);                                                                              \
            printf("%s: %ld, errno %d\n", what, result, errno);                                                \
            fflush(stdout);                                                                                    \
            _exit(0);                                                                                          \
        }                                                                                                      \
        int status;                                                                                            \
        waitpid(child, &status, 0);                                                                            \
        report(what, status);                                                                                  \
    } while (0)

static void plain(const char *path) { IN_CHILD(path, execve(path, ARGV, ENVP)); }
static long at(int fd, const char *path, int flags) { return syscall(SYS_execveat, fd, path, ARGV, ENVP, flags); }

static pthread_barrier_t all_there;

// No thread can be made while another one executes.
static void *exec_in_thread(void *path) {
    pthread_barrier_wait(&all_there);
    execve(path, ARGV, ENVP);
    return NULL;
}

static long threaded(const char *path) {
    pthread_t thread[8];
    pthread_barrier_init(&all_there, NULL, 8);
    for (int i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, exec_in_thread, (void *)path);
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    return -1;
}

static long vforked(const char *path) {
    pid_t child = vfork();
    if (!child) {
        execve(path, ARGV, ENVP);
        _exit(100);
    }
    int status;
    waitpid(child, &status, 0);
    return status;
}

static long spawned(char *path) {
    pid_t child;
    int error = posix_spawn(&child, path, NULL, NULL, ARGV, ENVP), status = 0;
    if (!error)
        waitpid(child, &status, 0);
    return error ? error : status;
}

static volatile int alarms;
static void on_alarm(int signal) { alarms++; }

// The same file in vain, over and over, while signals arrive: every result must be the kernel's. (Without
// SA_RESTART, the kernel itself lets a signal end the wait for a supervisor that has not looked yet.)
static long under_signals(const char *path) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &often, NULL);
    int results[200] = {0}, other = 0;
    for (int i = 0; i < 300 || alarms < 5; i++) {
        execve(path, ARGV, ENVP);
        results[errno < 200 ? errno : 0]++;
    }
    for (int error = 0; error < 200; error++)
        if (results[error] && error != ENOEXEC)
            other += results[error];
    return other;
}

// A child that is stopped and continued while it executes a program.
static long under_stops(const char *path) {
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (!child) {
            execve("/dev/null", ARGV, ENVP);
            execve(path, ARGV, ENVP);
            _exit(101);
        }
        usleep(i * 50);
        kill(child, SIGSTOP);
        int status;
        if (waitpid(child, &status, WUNTRACED) != child)
            return -1;
        if (WIFSTOPPED(status)) {
            kill(child, SIGCONT);
            waitpid(child, &status, 0);
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return status;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (chdir(argv[1]))
        return 1;
    if (argc > 2 && (setgid(atoi(argv[2])) || setuid(atoi(argv[2]))))
        return 1;
    static char deep[6000];
    memset(deep, 'a', sizeof deep - 1);
    static char *big[] = {"argv0", NULL, NULL};
    big[1] = calloc(1, 4 << 20);
    memset(big[1], 'b', (4 << 20) - 1);

    const char *files[] = {"program", "./program", "program/", "none", "none/program", "", "directory", "plain",
                           "link", "dangling", "loop", "fifo", "/dev/null", "script", "script-argument",
                           "script-unfinished", "script-without", "script-to-none", "script-to-plain",
                           "script-to-directory", "script-blank", "script-long", "script-cut", "script-relative", "itself",
                           "depth1", "depth4", "depth5", "depth6", "depth7", "empty", "text", "elf-cut",
                           "elf-other-machine", "elf-no-loader", "elf-plain-loader", "private/program", "read-only",
                           "static"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        plain(files[i]);
    // Who changed its user id has no /proc of its own through a supervisor.
    if (argc == 2)
        plain("/proc/self/cwd/program");
    IN_CHILD("path too long", execve(deep, ARGV, ENVP));
    IN_CHILD("no path", execve(NULL, ARGV, ENVP));
    IN_CHILD("bad path", execve((char *)-4096, ARGV, ENVP));
    IN_CHILD("bad argv", execve("program", (char **)8, ENVP));
    IN_CHILD("bad envp", execve("program", ARGV, (char **)8));
    IN_CHILD("argument too long", execve("program", big, ENVP));
    IN_CHILD("bad argv and no file", execve("none", (char **)8, ENVP));

    int writer = open("busy", O_RDWR);
    plain("busy");
    close(writer);

    int here = open(".", O_RDONLY | O_DIRECTORY), file = open("program", O_RDONLY), path = open("program", O_PATH);
    int script = open("script", O_RDONLY), closed = open("script", O_RDONLY | O_CLOEXEC);
    IN_CHILD("at folder", at(here, "program", 0));
    IN_CHILD("at file", at(file, "program", 0));
    IN_CHILD("at nothing", at(-1, "program", 0));
    IN_CHILD("at nothing, absolute", at(-1, "/bin/true", 0));
    IN_CHILD("file itself", at(file, "", AT_EMPTY_PATH));
    IN_CHILD("file itself by path descriptor", at(path, "", AT_EMPTY_PATH));
    IN_CHILD("folder itself", at(here, "", AT_EMPTY_PATH));
    IN_CHILD("working directory itself", at(AT_FDCWD, "", AT_EMPTY_PATH));
    IN_CHILD("nothing itself", at(-1, "", AT_EMPTY_PATH));
    IN_CHILD("empty without flag", at(file, "", 0));
    IN_CHILD("script itself", at(script, "", AT_EMPTY_PATH));
    IN_CHILD("script itself, closed on exec", at(closed, "", AT_EMPTY_PATH));
    IN_CHILD("link itself", at(here, "link", AT_SYMLINK_NOFOLLOW));
    IN_CHILD("program, links not followed", at(here, "program", AT_SYMLINK_NOFOLLOW));
    IN_CHILD("unknown flag", at(here, "program", 0x40));
    IN_CHILD("only asked", at(here, "program", 0x10000));
    IN_CHILD("only asked, plain file", at(here, "plain", 0x10000));

    int memory = memfd_create("memory", MFD_CLOEXEC), from = open("static", O_RDONLY);
    static char copy[1 << 16];
    for (ssize_t n; (n = read(from, copy, sizeof copy)) > 0;)
        if (write(memory, copy, n) != n)
            return 1;
    IN_CHILD("memfd open for writing", at(memory, "", AT_EMPTY_PATH));
    snprintf(copy, sizeof copy, "/proc/self/fd/%d", memory);
    if (argc == 2) {
        int again = open(copy, O_RDONLY | O_CLOEXEC);
        close(memory);
        IN_CHILD("memfd", at(again, "", AT_EMPTY_PATH));
    }

    IN_CHILD("from a thread", threaded("program"));
    IN_CHILD("from a thread, script", threaded("script"));
    IN_CHILD("from a thread, in vain", threaded("empty"));
    printf("vfork: %ld\n", vforked("program"));
    printf("vfork in vain: %ld\n", vforked("empty"));
    printf("posix_spawn: %ld\n", spawned("program"));
    printf("posix_spawn in vain: %ld\n", spawned("none"));
    printf("shell: %d\n", system("echo a b | tr a-z A-Z | cat; (exit 3)"));
    fflush(stdout);
    IN_CHILD("under signals", under_signals("empty"));
    printf("under stops: %ld\n", under_stops("quiet"));
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// swap GOOD BAD NAME ROUNDS [PROGRAM]: executes a path that a thread rewrites, and a link that another process
// swaps; or a program whose loader is that link. More often than that, for minutes, as long as it was neither won (then there
// is a file `mark`) nor lost in every way.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *good, *bad, path[4096];
static volatile int over;

static void *rewrite(void *nothing) {
    while (!over) {
        strcpy(path, good);
        strcpy(path, bad);
    }
    return nothing;
}

static void swap(const char *name) {
    char other[4096];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(other, sizeof other, "%s.other", name);
    for (;;) {
        for (int i = 0; i < 2; i++) {
            unlink(other);
            if (symlink(i ? good : bad, other) == 0)
                rename(other, name);
        }
    }
}

int main(int argc, char **argv) {
    good = argv[1], bad = argv[2];
    pid_t swapper = fork();
    if (!swapper)
        swap(argv[3]);
    pthread_t rewriter;
    pthread_create(&rewriter, NULL, rewrite, NULL);
    long ran = 0, refused = 0, killed = 0;
    extern char **environ;
    char *arguments[] = {"swapped", NULL};
    time_t start = time(NULL);
    for (long i = 0; i < atol(argv[4]) || !(ran && refused && killed); i++) {
        if (i >= atol(argv[4]) && (access("mark", F_OK) == 0 || time(NULL) - start > 200))
            break;
        pid_t child = vfork();
        if (!child) {
            execve(argc > 5 ? argv[5] : i % 2 ? path : argv[3], arguments, environ);
            _exit(errno == EPERM ? 77 : 78);
        }
        int status;
        waitpid(child, &status, 0);
        killed += WIFSIGNALED(status);
        ran += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        refused += WIFEXITED(status) && WEXITSTATUS(status) == 77;
    }
    over = 1;
    kill(swapper, SIGKILL);
    waitpid(swapper, NULL, 0);
    printf("ran %ld, refused %ld, killed %ld%s\n", ran, refused, killed, ran && refused && killed ? ": both ways" : "");
    return 0;
}

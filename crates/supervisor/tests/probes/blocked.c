// SPDX-License-Identifier: MIT OR Apache-2.0
// Opens of FIFOs that nobody opens the other end of, in the working directory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 300 };

static void nothing(int signal) {}

static void many(void) {
    static pid_t blocked[MANY];
    for (int i = 0; i < MANY; i++)
        if ((blocked[i] = fork()) == 0)
            _exit(open("fifo", O_RDONLY) < 0);
    int opened = 0;
    for (int i = 0; i < 200; i++) {
        int fd = open("file", O_RDWR | O_CREAT, 0600);
        opened += fd >= 0;
        close(fd);
    }
    printf("%d opens beside blocked ones\n", opened);
    int terminated = 0, ended = 0, status;
    for (int i = 0; i < MANY; i += 2)
        kill(blocked[i], SIGTERM);
    for (int i = 0; i < MANY; i += 2) {
        waitpid(blocked[i], &status, 0);
        terminated += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    }
    int writer = open("fifo", O_WRONLY);
    for (int i = 1; i < MANY; i += 2) {
        waitpid(blocked[i], &status, 0);
        ended += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    close(writer);
    printf("%d ended by a signal, %d opened\n", terminated, ended);
}

static void interrupted(void) {
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &soon, NULL);
    int result = open("fifo", O_RDONLY);
    printf("with a handler: %d, %s\n", result, strerror(errno));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    pid_t writer = fork();
    if (!writer) {
        usleep(100000);
        _exit(open("fifo", O_WRONLY) < 0);
    }
    result = open("fifo", O_RDONLY);
    setitimer(ITIMER_REAL, &never, NULL);
    waitpid(writer, NULL, 0);
    printf("with a restarting handler: %s\n", result >= 0 ? "opened" : strerror(errno));
}

int main(void) {
    if (mkfifo("fifo", 0600))
        return 1;
    many();
    interrupted();
    return 0;
}

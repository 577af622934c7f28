// SPDX-License-Identifier: MIT OR Apache-2.0
// persona VALUE...: sets each personality in turn, in hexadecimal, `+` before it meaning in addition to the present one;
// prints what came of each, then whether a thread and a child of its own still cannot make a file here.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int makes_a_file(void) {
    int fd = open("made", O_CREAT | O_RDWR, 0600);
    if (fd < 0)
        return 0;
    close(fd);
    unlink("made");
    return 1;
}

static void *in_thread(void *made) {
    *(int *)made = makes_a_file();
    return NULL;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        unsigned long base = *argv[i] == '+' ? syscall(SYS_personality, 0xffffffffUL) : 0;
        long before = syscall(SYS_personality, base | strtoul(argv[i] + (*argv[i] == '+'), NULL, 16));
        printf("%s: %s\n", argv[i], before < 0 ? (errno == EPERM ? "EPERM" : "error") : "set");
    }
    int made;
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, &made);
    pthread_join(thread, NULL);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(makes_a_file());
    int status;
    waitpid(child, &status, 0);
    printf("made: %d %d %d\n", makes_a_file(), made, WEXITSTATUS(status));
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// terminal PROGRAM STEP...: runs a program on a terminal of its own. A step is `>TEXT`, typed into it (^C, ^Z and
// ^D stand for themselves, and a line ends in \n), or `<TEXT`, waited for in what it prints.
#define _GNU_SOURCE
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char seen[1 << 20];
static size_t have;

static const char *expected = "";

// A terminal that stays silent is a failure.
static void give_up(int signal) {
    printf("never saw: %s; but: %.*s\n", expected, (int)have, seen);
    fflush(stdout);
    _exit(1);
}

static int wait_for(int terminal, const char *text) {
    for (expected = text;;) {
        char *found = memmem(seen, have, text, strlen(text));
        if (found) {
            found += strlen(text);
            have -= (size_t)(found - seen);
            memmove(seen, found, have);
            return 1;
        }
        ssize_t got = read(terminal, seen + have, sizeof seen - have);
        if (got <= 0)
            return 0;
        have += (size_t)got;
    }
}

static void type(int terminal, const char *text) {
    for (; *text; text++) {
        char key = *text;
        if (key == '^')
            key = *++text & 0x1f;
        else if (key == '\\')
            key = *++text == 'n' ? '\n' : *text;
        if (write(terminal, &key, 1) != 1)
            perror("write");
    }
}

int main(int argc, char **argv) {
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    if (!child) {
        // Whoever runs the tests in the background may have had them ignored.
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        execlp("sh", "sh", "-c", argv[1], NULL);
        _exit(127);
    }
    signal(SIGALRM, give_up);
    alarm(300);
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '>') {
            type(terminal, argv[i] + 1);
        } else if (!wait_for(terminal, argv[i] + 1)) {
            give_up(0);
        }
    }
    close(terminal);
    int status;
    waitpid(child, &status, 0);
    printf("all seen\n");
    return 0;
}

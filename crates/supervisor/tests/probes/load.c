// SPDX-License-Identifier: MIT OR Apache-2.0
// load ALLOWED DENIED: eight processes open both files until an open fails for another reason than EACCES or EPERM.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int work(const char *allowed, const char *denied) {
    for (;;) {
        int fd = open(denied, O_RDONLY);
        if (fd >= 0)
            return 1;
        if (errno != EPERM)
            return 0;
        fd = open(allowed, O_RDONLY);
        if (fd < 0)
            return errno == EPERM;
        close(fd);
    }
}

int main(int argc, char **argv) {
    for (int i = 0; i < 8; i++)
        if (fork() == 0)
            _exit(work(argv[1], argv[2]));
    write(1, "ready\n", 6);
    int opened = 0, status;
    while (wait(&status) > 0)
        opened += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    int after = open(argv[2], O_RDONLY);
    char text[100];
    snprintf(text, sizeof text, "%d opened, then %s\n", opened, after < 0 ? strerror(errno) : "opened");
    write(1, text, strlen(text));
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// `call NUMBER ARGUMENT…`: one syscall, its errno as the exit code. An argument is a number, `s:TEXT` (its address),
// `o:PATH` (a descriptor, open for reading and writing), `d:PATH` (a directory's), `w:` (an inotify instance),
// `b:N` (a buffer of N zeroes) or `h:N` (room for a file handle of N bytes).
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static long argument(char *text) {
    if (text[0] == 0 || text[1] != ':')
        return strtol(text, NULL, 0);
    char *value = text + 2;
    switch (text[0]) {
    case 's':
        return (long)value;
    case 'o':
        return open(value, O_RDWR);
    case 'd':
        return open(value, O_RDONLY | O_DIRECTORY);
    case 'w':
        return inotify_init1(0);
    case 'b':
        return (long)calloc(1, strtol(value, NULL, 0));
    case 'h': {
        unsigned *handle = calloc(1, 8 + strtol(value, NULL, 0));
        handle[0] = strtol(value, NULL, 0);
        return (long)handle;
    }
    }
    exit(255);
}

int main(int argc, char **argv) {
    long arguments[6] = {0};
    for (int i = 2; i < argc && i < 8; i++)
        arguments[i - 2] = argument(argv[i]);
    long result = syscall(strtol(argv[1], NULL, 0), arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
    return result < 0 ? errno : 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// `meanings WAY ROUNDS [won]`: tries to get `guarded/x`, a socket, changed or removed instead of `free/x`, a regular file, by
// swapping what a path means while the syscall is decided. Ways: `link` swaps the link `door` between the two
// directories, `exchange` swaps the directories themselves, `memory` rewrites the path. The directories are kept
// open, so that `free/x` can be put back. `won`: more often than that, for minutes, until it has happened.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int over;
static char path[64];
static const char *way;

static void *swap(void *nothing) {
    while (!over) {
        if (!strcmp(way, "link")) {
            for (int i = 0; i < 2; i++) {
                symlink(i ? "free" : "guarded", "other");
                rename("other", "door");
            }
        } else if (!strcmp(way, "exchange")) {
            syscall(SYS_renameat2, AT_FDCWD, "door", AT_FDCWD, "guarded", RENAME_EXCHANGE);
        } else {
            strcpy(path, "free/x");
            strcpy(path, "guarded/x");
        }
    }
    return nothing;
}

// Whether the socket is no more where it was, in a directory that may have been exchanged, or not as it was.
static int is_won(int guarded, const struct stat *before) {
    struct stat now;
    return fstatat(guarded, "x", &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != before->st_ino ||
           now.st_nlink != before->st_nlink || now.st_mode != before->st_mode;
}

int main(int argc, char **argv) {
    way = argv[1];
    int rounds = atoi(argv[2]);
    struct stat before;
    int guarded = open("guarded", O_RDONLY | O_DIRECTORY);
    if (argc > 3 && fstatat(guarded, "x", &before, AT_SYMLINK_NOFOLLOW))
        return 2;
    time_t start = time(NULL);
    int free_fd = open("free", O_RDONLY | O_DIRECTORY);
    strcpy(path, !strcmp(way, "memory") ? "free/x" : "door/x");
    if (!strcmp(way, "exchange"))
        rename("free", "door");
    pthread_t thread;
    pthread_create(&thread, NULL, swap, NULL);
    for (int i = 0; i < rounds || (argc > 3 && !is_won(guarded, &before) && time(NULL) - start < 200); i++) {
        close(openat(free_fd, "x", O_CREAT | O_WRONLY, 0600));
        chmod(path, 0611);
        truncate(path, 3);
        link(path, "linked");
        unlink("linked");
        rename(path, "moved");
        unlink("moved");
        unlink(path);
    }
    over = 1;
    pthread_join(thread, NULL);
    return 0;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// `namespace FILE`: as user 1000, enters a user namespace, which gives all capabilities there, and tries them on a
// file outside of it. Prints what came of each call.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define T(call) (errno = 0, printf("%s: %d, errno %d\n", #call, (int)(call), errno))

int main(int argc, char **argv) {
    const char *file = argv[1];
    T(setgid(1000));
    T(setuid(1000));
    T(unshare(CLONE_NEWUSER));
    T(chmod(file, 0666));
    T(open(file, O_RDONLY) >= 0);
    T(access(file, R_OK));
    T(truncate(file, 0));
    T(rename(file, "moved"));
    T(unlink(file));
    return 0;
}

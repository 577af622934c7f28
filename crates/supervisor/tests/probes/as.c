// SPDX-License-Identifier: MIT OR Apache-2.0
// as UID PROGRAM...: executes a program as another user, without capabilities from before.
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
        return 1;
    execv(argv[2], argv + 2);
    return 126;
}

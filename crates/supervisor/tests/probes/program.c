// SPDX-License-Identifier: MIT OR Apache-2.0
// Prints how it was called; leaves a mark if MARK names a file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (getenv("MARK"))
        close(open(getenv("MARK"), O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < argc; i++)
        printf("[%s]", argv[i]);
    printf(" as %s, main thread: %d\n", (char *)getauxval(AT_EXECFN), getpid() == gettid());
    return 0;
}

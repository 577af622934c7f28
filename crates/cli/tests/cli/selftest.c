// SPDX-License-Identifier: MIT OR Apache-2.0
// What Landlock v7's tests of file rules try. Standard input is a socket, which is told each call and how it
// ended: send(2) is not what rules about files are asked about. Descriptors 3, 4 and 5 were opened before the
// rules came into force: read-only, read-write, write-only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RO = 3, RW = 4, WO = 5, PAGE = 4096 };
#define RDWR (PROT_READ | PROT_WRITE)

static void tell(const char *call, int failed)
{
	char line[200];
	int len = snprintf(line, sizeof(line), "%s: %s\n", call, failed ? strerrorname_np(errno) : "ok");

	send(0, line, len, 0);
}
#define TRY(CALL) tell(#CALL, (long)(CALL) == -1)

static void file(void)
{
	char two[2];

	TRY(open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600));
	TRY(open("file", O_RDONLY));
	TRY(open("file", O_RDWR));
	TRY(open("file", O_WRONLY));
	TRY(open("new", O_CREAT | O_EXCL | O_RDWR, 0600));
	TRY(write(RO, "x", 1));
	TRY(read(RO, two, 2));
	TRY(write(RW, "x", 1));
	TRY(read(RW, two, 2));
	TRY(write(WO, "x", 1));
	TRY(read(WO, two, 2));
	TRY(unlink("file"));
	TRY(rmdir("folder"));
	TRY(close(RO));
	TRY(close(RW));
	TRY(close(WO));
}

static void memory(void)
{
	void *page;

	TRY(page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, RW, 0));
	TRY(mprotect(page, PAGE, PROT_WRITE));
	TRY(munmap(page, PAGE));
	TRY(mmap(NULL, PAGE, RDWR, MAP_SHARED, RW, 0));
	TRY(mmap(NULL, PAGE, RDWR, MAP_PRIVATE, RW, 0));
}

static void mounts(void)
{
	TRY(mount(".", "folder", NULL, MS_BIND, NULL));
	TRY(umount("folder"));
}

static void hierarchy(void)
{
	void *page;

	TRY(open(".", O_RDONLY | O_DIRECTORY));
	TRY(page = mmap(NULL, PAGE, RDWR, MAP_SHARED, RW, 0));
	TRY(munmap(page, PAGE));
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "file"))
		file();
	else if (!strcmp(what, "memory"))
		memory();
	else if (!strcmp(what, "mounts"))
		mounts();
	else if (!strcmp(what, "hierarchy")) {
		hierarchy();
		if (fork() == 0) {
			hierarchy();
			return 0;
		}
		return wait(NULL) == -1;
	} else
		return 2;
	return 0;
}

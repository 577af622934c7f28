// SPDX-License-Identifier: MIT OR Apache-2.0
// fs read|memory|open|mount: what v7's own tests of the file system look at, before a rule and after.
#include "v7.h"
#include <sys/mount.h>

static int read_only, read_write, write_only;

static void layout(void)
{
	IS((write_only = open("made", O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0);
	IS(write(write_only, "fs_read_only", 13) == 13 && lseek(write_only, 0, SEEK_SET) == 0);
	IS(mkdir("folder", 0700) == 0);
	IS((read_only = open("made", O_RDONLY)) >= 0);
	IS((read_write = open("made", O_RDWR)) >= 0);
}

static void reading(void)
{
	char two[2];
	layout();
	FAILS(write(read_only, two, 1), EBADF);
	FAILS(read(write_only, two, 1), EBADF);
	IS(write(read_write, "f", 1) == 1 && lseek(read_write, 0, SEEK_SET) == 0);
	IS(mkdir("twin", 0700) == 0 && rmdir("twin") == 0);
	int unnamed = open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600);
	IS(unnamed >= 0 || errno == EOPNOTSUPP);

	deny(LANDLOCK_ACTION_FS_WRITE);
	FAILS(open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600), EPERM);
	IS(open("made", O_RDONLY) >= 0);
	FAILS(open("made", O_RDWR), EPERM);
	FAILS(open("made", O_WRONLY), EPERM);
	FAILS(open("new", O_CREAT | O_EXCL | O_RDWR, 0600), EPERM);
	FAILS(write(read_only, two, 1), EBADF);
	IS(read(read_only, two, 2) == 2);
	FAILS(write(read_write, two, 1), EPERM);
	IS(read(read_write, two, 2) == 2);
	FAILS(write(write_only, two, 1), EPERM);
	FAILS(read(write_only, two, 1), EBADF);
	FAILS(unlink("made"), EPERM);
	FAILS(rmdir("folder"), EPERM);
	FAILS(mkdir("another", 0700), EPERM);
	FAILS(rename("made", "other"), EPERM);
	FAILS(link("made", "other"), EPERM);
	FAILS(symlink("made", "other"), EPERM);
	FAILS(truncate("made", 0), EPERM);
	FAILS(chmod("made", 0644), EPERM);
	IS(close(read_only) == 0 && close(read_write) == 0 && close(write_only) == 0);
}

static void *shared(int protection)
{
	return mmap(NULL, 13, protection, MAP_SHARED, read_write, 0);
}

static void memory(void)
{
	layout();
	void *map = shared(PROT_READ | PROT_WRITE);
	IS(map != MAP_FAILED && munmap(map, 13) == 0);

	deny(LANDLOCK_ACTION_FS_WRITE);
	IS((map = shared(PROT_READ)) != MAP_FAILED);
	FAILS(mprotect(map, 13, PROT_READ | PROT_WRITE), EPERM);
	IS(munmap(map, 13) == 0);
	errno = 0;
	IS(shared(PROT_READ | PROT_WRITE) == MAP_FAILED && errno == EPERM);
	map = mmap(NULL, 13, PROT_READ | PROT_WRITE, MAP_PRIVATE, read_write, 0);
	IS(map != MAP_FAILED && munmap(map, 13) == 0);
}

static void opens_nothing(void)
{
	FAILS(open(".", O_DIRECTORY), EPERM);
	void *map = shared(PROT_READ | PROT_WRITE);
	IS(map != MAP_FAILED && munmap(map, 13) == 0);
}

static void opening(void)
{
	layout();
	IS(open(".", O_DIRECTORY) >= 0);
	deny(LANDLOCK_ACTION_FS_GET);
	opens_nothing();
	IN_CHILD(opens_nothing());
}

static void mounting(void)
{
	layout();
	IS(mount(".", "folder", NULL, MS_BIND, NULL) == 0);
	IS(umount2("folder", MNT_FORCE) == 0);
	deny(LANDLOCK_ACTION_FS_WRITE);
	FAILS(mount(".", "folder", NULL, MS_BIND, NULL), EPERM);
	FAILS(umount("/"), EPERM);
}

static void test(const char *part)
{
	if (!strcmp(part, "read"))
		reading();
	else if (!strcmp(part, "memory"))
		memory();
	else if (!strcmp(part, "open"))
		opening();
	else if (!strcmp(part, "mount"))
		mounting();
	else
		IS(!"a part");
}

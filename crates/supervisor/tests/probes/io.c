// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads and writes in every way, with good and bad arguments, and prints what each call returned.
// argv[1]: alone; or threads: a second thread idles; or denied: and the table holds a file the rules deny.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH 34
#include "calls.h"

static char buffer[1 << 20];

static void count(int number)
{
	signals += number == SIGPIPE || number == SIGXFSZ || number == SIGUSR1;
	*alarms += number == SIGALRM;
}
static void *idle(void *unused) { for (;;) pause(); return unused; }

static void on(int number, int flags)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };
	sigaction(number, &action, NULL);
}

static unsigned long sum(const char *bytes, long n)
{
	unsigned long h = 5381;
	for (long i = 0; i < n; i++)
		h = h * 33 + (unsigned char)bytes[i];
	return h;
}

static int temporary(void)
{
	char name[] = "probe-XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	return fd;
}

static void regular(void)
{
	int rw = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644);
	int ro = open("data", O_RDONLY), wo = open("data", O_WRONLY), path = open("data", O_PATH);
	int append = open("data", O_WRONLY | O_APPEND);
	CALL(write(rw, "hello, world", 12));
	CALL(write(ro, "x", 1));
	CALL(write(path, "x", 1));
	CALL(write(99, "x", 1));
	CALL(write(-1, "x", 1));
	CALL(write(rw, NULL, 1));
	CALL(write(rw, (void *)1, 4096));
	CALL(write(rw, (void *)-1, 1));
	CALL(write(rw, buffer, 0));
	CALL(write(rw, NULL, 0));
	CALL(write(append, "!!", 2));
	CALL(lseek(append, 0, SEEK_CUR));
	CALL(pwrite(rw, "J", 1, 0));
	CALL(pwrite(rw, "J", 1, -1));
	CALL(pwrite(rw, "J", 1, INT64_MAX));
	CALL(pwrite(append, "?", 1, 0));
	CALL(lseek(rw, 0, SEEK_CUR));
	CALL(read(wo, buffer, 1));
	CALL(read(path, buffer, 1));
	CALL(read(ro, buffer, 5));
	CALL(read(ro, buffer, sizeof buffer));
	CALL(read(ro, buffer, 5));
	CALL(pread(ro, buffer, 5, 3));
	CALL(pread(ro, buffer, 5, -3));
	CALL(pread(ro, buffer, 5, 1000));
	CALL(pread(ro, (void *)8, 5, 0));
	CALL(pread(ro, buffer, INT64_MAX, 0));
	CALL(pread(ro, buffer, SIZE_MAX, 0));
	struct iovec parts[3] = { { buffer, 3 }, { buffer + 10, 0 }, { buffer + 20, 4 } };
	CALL(preadv(ro, parts, 3, 2));
	printf("    %.3s %.4s\n", buffer, buffer + 20);
	CALL(readv(ro, parts, 0));
	CALL(readv(ro, parts, -1));
	CALL(readv(ro, parts, 1025));
	CALL(readv(ro, (void *)16, 1));
	CALL(readv(ro, NULL, 0));
	CALL(writev(rw, parts, 3));
	CALL(writev(ro, parts, 3));
	CALL(pwritev(rw, parts, 3, 100));
	CALL(pwritev(rw, parts, 3, -100));
	CALL(preadv2(ro, parts, 3, -1, 0));
	CALL(preadv2(ro, parts, 3, 0, 0));
	CALL(preadv2(ro, parts, 3, 0, RWF_HIPRI));
	CALL(preadv2(ro, parts, 3, 0, 0x40000000));
	CALL(pwritev2(rw, parts, 3, -1, RWF_APPEND));
	CALL(pwritev2(rw, parts, 3, 4, RWF_DSYNC));
	CALL(pwritev2(rw, parts, 3, -2, 0));
	struct iovec bad[2] = { { buffer, 4 }, { (void *)16, 4 } };
	CALL(pwritev(rw, bad, 2, 0));
	CALL(preadv(ro, bad, 2, 0));
	struct iovec huge[2] = { { buffer, 4 }, { buffer, SIZE_MAX } };
	CALL(preadv(ro, huge, 2, 0));
	struct iovec kernel[2] = { { buffer, 4 }, { (void *)0xffff800000000000, 4 } };
	CALL(preadv(ro, kernel, 2, 0));
	// Memory that ends: two pages, the second one gone.
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + 4096, 4096);
	memset(pages, 'p', 4096);
	CALL(pwrite(rw, pages + 4000, 200, 200));
	CALL(pread(ro, pages + 4090, 100, 0));
	CALL(fallocate(rw, 0, 0, 1 << 16));
	CALL(fallocate(ro, 0, 0, 1 << 16));
	CALL(fallocate(rw, 0, 0, 0));
	CALL(fallocate(rw, 0, -1, 5));
	CALL(fallocate(rw, 0x4000, 0, 5));
	CALL(fallocate(rw, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096));
	CALL(fallocate(99, 0, 0, 5));
	CALL(lseek(rw, 0, SEEK_END));
	// Much data: in order, complete.
	for (size_t i = 0; i < sizeof buffer; i++)
		buffer[i] = (char)(i * 7 + i / 251);
	CALL(pwrite(rw, buffer, sizeof buffer, 5));
	memset(buffer, 0, sizeof buffer);
	CALL(pread(ro, buffer, sizeof buffer, 5));
	printf("    %lx\n", sum(buffer, sizeof buffer));
	close(rw), close(ro), close(wo), close(path), close(append);
}

static void copies(void)
{
	int a = temporary(), b = temporary(), p[2], q[2];
	loff_t at = 3, to = 1;
	off_t from = 2;
	CALL(pipe(p));
	CALL(pipe(q));
	CALL(write(a, "0123456789", 10));
	CALL(sendfile(b, a, &from, 5));
	CALL(from);
	CALL(lseek(a, 0, SEEK_SET));
	CALL(sendfile(b, a, NULL, 100));
	CALL(sendfile(p[1], a, &from, 100));
	CALL(sendfile(a, p[0], NULL, 100));
	CALL(sendfile(a, p[0], &from, 100));
	CALL(sendfile(b, a, (void *)8, 5));
	CALL(sendfile(99, a, NULL, 5));
	CALL(sendfile(b, 99, NULL, 5));
	CALL(copy_file_range(a, &at, b, &to, 4, 0));
	CALL(at);
	CALL(to);
	CALL(copy_file_range(a, NULL, b, NULL, 4, 1));
	CALL(copy_file_range(a, NULL, p[1], NULL, 4, 0));
	CALL(copy_file_range(p[0], NULL, b, NULL, 4, 0));
	CALL(copy_file_range(a, (void *)8, b, NULL, 4, 0));
	CALL(copy_file_range(99, NULL, b, NULL, 4, 0));
	at = 0;
	CALL(splice(a, &at, p[1], NULL, 6, 0));
	CALL(at);
	CALL(splice(p[0], NULL, q[1], NULL, 3, 0));
	CALL(splice(p[0], NULL, b, &to, 100, 0));
	CALL(to);
	CALL(splice(q[0], &at, b, NULL, 100, 0));
	CALL(splice(a, NULL, b, NULL, 100, 0));
	CALL(splice(a, NULL, p[1], NULL, 100, 0x100));
	CALL(splice(a, NULL, p[0], NULL, 100, 0));
	CALL(splice(99, NULL, p[1], NULL, 0, 0x100));
	CALL(splice(p[0], NULL, b, NULL, 5, SPLICE_F_NONBLOCK));
	close(a), close(b), close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

static void pipes(void)
{
	int p[2];
	CALL(pipe2(p, O_NONBLOCK));
	CALL(read(p[0], buffer, 5));
	CALL(write(p[0], buffer, 5));
	CALL(read(p[1], buffer, 5));
	CALL(write(p[1], "abcdef", 6));
	CALL(read(p[0], buffer, 0));
	CALL(read(p[0], buffer, 4));
	CALL(read(p[0], (void *)8, 4));
	CALL(read(p[0], buffer, sizeof buffer));
	CALL(pread(p[0], buffer, 5, 0));
	CALL(pwrite(p[1], buffer, 5, 0));
	CALL(write(p[1], buffer, sizeof buffer));
	CALL(write(p[1], buffer, 1));
	CALL(read(p[0], buffer, sizeof buffer));
	on(SIGPIPE, 0);
	close(p[0]);
	CALL(write(p[1], "x", 1));
	CALL(write(p[1], "x", 0));
	signal(SIGPIPE, SIG_IGN);
	CALL(write(p[1], "x", 1));
	close(p[1]);
	CALL(pipe(p));
	fflush(stdout);
	// Blocking: a child that writes late, and one that reads late.
	if (!fork()) {
		usleep(30000);
		_exit(write(p[1], "late", 4) != 4);
	}
	CALL(read(p[0], buffer, 100));
	wait(NULL);
	fflush(stdout);
	if (!fork()) {
		long all = 0, n;
		usleep(30000);
		close(p[1]);
		while ((n = read(p[0], buffer, sizeof buffer)) > 0)
			all += n;
		_exit(all != sizeof buffer);
	}
	CALL(write(p[1], buffer, sizeof buffer));
	close(p[1]);
	int status;
	wait(&status);
	CALL(status);
	CALL(read(p[0], buffer, 1));
	close(p[0]);
	// SIGPIPE kills who does not catch it.
	fflush(stdout);
	if (!fork()) {
		signal(SIGPIPE, SIG_DFL);
		(void)!pipe(p);
		close(p[0]);
		(void)!write(p[1], "x", 1);
		_exit(7);
	}
	wait(&status);
	CALL(WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

// Before anything is written, an alarm may come too early for whoever is to look at the call.
static long write_begun(int fd, size_t size)
{
	long written;
	do
		written = write(fd, buffer, size);
	while (written < 0 && errno == EINTR);
	return written;
}

static void interruptions(void)
{
	int p[2];
	CALL(pipe(p));
	on(SIGALRM, 0);
	ring(40000);
	CALL(read(p[0], buffer, 5));
	on(SIGALRM, SA_RESTART);
	fflush(stdout);
	if (!fork()) {
		wait_for_alarms();
		_exit(write(p[1], "after", 5) != 5);
	}
	ring(40000);
	CALL(read(p[0], buffer, 5));
	wait(NULL);
	CALL(fcntl(p[1], F_SETPIPE_SZ, 4096));
	on(SIGALRM, 0);
	ring(40000);
	CALL(write_begun(p[1], 10000));
	ring(40000);
	CALL(write(p[1], buffer, 10000));
	close(p[0]), close(p[1]);
}

static void specials(void)
{
	uint64_t value = 3;
	int e = eventfd(0, EFD_NONBLOCK), poll = epoll_create1(0), t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	CALL(read(e, &value, 8));
	CALL(write(e, &value, 8));
	CALL(write(e, &value, 4));
	CALL(read(e, &value, 4));
	CALL(read(e, &value, 8));
	CALL(read(poll, &value, 8));
	CALL(write(poll, &value, 8));
	CALL(read(t, &value, 8));
	CALL(write(t, &value, 8));
	int dir = open(".", O_RDONLY | O_DIRECTORY);
	CALL(read(dir, buffer, 10));
	CALL(write(dir, buffer, 10));
	CALL(syscall(SYS_getdents64, dir, buffer, 8));
	CALL(syscall(SYS_getdents64, dir, buffer, sizeof buffer) > 0);
	CALL(syscall(SYS_getdents64, dir, buffer, sizeof buffer));
	CALL(lseek(dir, 0, SEEK_SET));
	CALL(syscall(SYS_getdents, dir, buffer, sizeof buffer) > 0);
	CALL(syscall(SYS_getdents64, e, buffer, sizeof buffer));
	CALL(syscall(SYS_getdents64, 99, buffer, sizeof buffer));
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
	CALL(read(null, buffer, 10));
	CALL(write(null, buffer, sizeof buffer));
	CALL(read(zero, buffer, sizeof buffer));
	CALL(write(full, buffer, 10));
	int m = memfd_create("m", MFD_ALLOW_SEALING);
	CALL(write(m, "memory", 6));
	CALL(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	CALL(write(m, "memory", 6));
	CALL(fallocate(e, 0, 0, 5));
	int status = open("/proc/self/status", O_RDONLY);
	CALL(read(status, buffer, 5));
	close(e), close(poll), close(t), close(dir), close(null), close(zero), close(full), close(m), close(status);
}

static void sockets(void)
{
	int s[2], types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	for (int i = 0; i < 3; i++) {
		CALL(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, s));
		CALL(read(s[0], buffer, 5));
		CALL(write(s[0], "message", 7));
		CALL(write(s[0], "two", 3));
		CALL(read(s[1], buffer, 4));
		CALL(read(s[1], buffer, 100));
		CALL(pread(s[1], buffer, 100, 0));
		CALL(write(s[0], buffer, 150000));
		CALL(read(s[1], buffer, sizeof buffer) > 0);
		on(SIGPIPE, 0);
		close(s[1]);
		CALL(write(s[0], "x", 1));
		CALL(read(s[0], buffer, 1));
		close(s[0]);
	}
	int in = socket(AF_INET, SOCK_STREAM, 0);
	CALL(read(in, buffer, 1));
	CALL(write(in, buffer, 1));
	close(in);
	signal(SIGPIPE, SIG_IGN);
}

static void limits(void)
{
	int f = temporary();
	fflush(stdout);
	if (!fork()) {
		struct rlimit limit = { 10, 10 };
		setrlimit(RLIMIT_FSIZE, &limit);
		on(SIGXFSZ, 0);
		int out = dup(1), p[2];
		(void)!pipe(p);
		dup2(p[1], 1);
		CALL(write(f, "123456789abcdef", 15));
		CALL(write(f, "x", 1));
		CALL(pwrite(f, "x", 1, 100));
		CALL(pwrite(f, "x", 1, 9));
		CALL(fallocate(f, 0, 0, 100));
		fflush(stdout);
		long n = read(p[0], buffer, sizeof buffer);
		_exit(write(out, buffer, n) != n);
	}
	wait(NULL);
	close(f);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	share_alarms();
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	const char *mode = argc > 1 ? argv[1] : "alone";
	if (strcmp(mode, "denied") == 0) {
		int denied = temporary();
		if (fchmod(denied, 07123) || dup2(denied, 50) != 50)
			return 2;
		close(denied);
	}
	sigset_t all, none;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &none);
	if (strcmp(mode, "alone") != 0 && pthread_create(&thread, NULL, idle, NULL))
		return 2;
	sigprocmask(SIG_SETMASK, &none, NULL);
	regular();
	copies();
	pipes();
	interruptions();
	specials();
	sockets();
	limits();
	fflush(stdout);
	return 0;
}

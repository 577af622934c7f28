// SPDX-License-Identifier: MIT OR Apache-2.0
// Socket calls that name paths or pass descriptors, with good and bad arguments; prints what each returned.
// argv[1]: alone, or threads: a second thread idles.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH 44
#include "calls.h"

static char buffer[1 << 19];

static void count(int number)
{
	signals += number != SIGALRM;
	*alarms += number == SIGALRM;
}
static void *idle(void *unused) { for (;;) pause(); return unused; }

static struct sockaddr_un address;
static socklen_t un(const char *path)
{
	memset(&address, 0, sizeof address);
	address.sun_family = AF_UNIX;
	size_t len = strlen(path);
	memcpy(address.sun_path, path, len > 108 ? 108 : len);
	return offsetof(struct sockaddr_un, sun_path) + (len >= 108 ? 108 : len + 1);
}
static int bind_to(int fd, const char *path) { socklen_t len = un(path); return bind(fd, (void *)&address, len); }
static int connect_to(int fd, const char *path) { socklen_t len = un(path); return connect(fd, (void *)&address, len); }
static int new(int kind) { return socket(AF_UNIX, kind, 0); }

static void name_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un name = { 0 };
	socklen_t len = sizeof name;
	int r = get(fd, (void *)&name, &len);
	printf("    %d %u %s\n", r, len, len > 2 && name.sun_path[0] ? name.sun_path : "(no path)");
}

static void binding(void)
{
	struct stat st;
	int a = new(SOCK_STREAM);
	umask(027);
	mkdir("dir", 0755);
	(void)!symlink("dir", "link");
	(void)!symlink("nowhere", "dangling");
	close(open("file", O_CREAT | O_WRONLY, 0644));
	CALL(bind_to(a, "dir/here"));
	CALL(stat("dir/here", &st));
	printf("    %o\n", st.st_mode);
	name_of(a, getsockname);
	CALL(bind_to(a, "again"));
	CALL(bind_to(new(SOCK_STREAM), "dir/here"));
	int b = new(SOCK_STREAM);
	CALL(bind_to(b, "nodir/x"));
	CALL(bind_to(b, "file/x"));
	CALL(bind_to(b, "file"));
	CALL(bind_to(b, "dangling"));
	CALL(bind_to(b, "dir/"));
	CALL(bind_to(b, "new/"));
	CALL(bind_to(b, "."));
	CALL(bind_to(b, "/"));
	CALL(bind_to(b, "/proc/self/x"));
	CALL(bind(b, NULL, 10));
	CALL(bind(b, (void *)&address, 0));
	CALL(bind(b, (void *)&address, 1));
	CALL(bind(b, (void *)&address, 111));
	CALL(bind(b, (void *)&address, 129));
	CALL(bind(b, (void *)&address, -1));
	CALL(bind(99, (void *)&address, 10));
	CALL(bind(1, (void *)&address, 10));
	CALL(bind_to(b, "link/through"));
	name_of(b, getsockname);
	char absolute[200];
	int c = new(SOCK_DGRAM);
	if (getcwd(absolute, 80))
		strcat(absolute, "/dir/abs");
	CALL(bind_to(c, absolute));
	name_of(c, getsockname);
	int d = new(SOCK_DGRAM);
	CALL(bind(d, (void *)&address, 2));
	struct sockaddr_un got;
	socklen_t len = sizeof got;
	CALL(getsockname(d, (void *)&got, &len));
	CALL(len);
	CALL(got.sun_path[0]);
	int e = new(SOCK_DGRAM);
	char abstract[30];
	sprintf(abstract, "?abs-%010d", getpid());
	un(abstract);
	address.sun_path[0] = 0;
	CALL(bind(e, (void *)&address, 17));
	CALL(bind(new(SOCK_DGRAM), (void *)&address, 17));
	address.sun_family = AF_INET;
	CALL(bind(new(SOCK_DGRAM), (void *)&address, 17));
	char longest[120];
	memset(longest, 'n', sizeof longest);
	longest[119] = 0;
	int f = new(SOCK_DGRAM);
	CALL(bind_to(f, longest));
	name_of(f, getsockname);
	CALL(unlink("dir/abs"));
}

static void connecting(void)
{
	int l = new(SOCK_STREAM), c = new(SOCK_STREAM), n = new(SOCK_STREAM | SOCK_NONBLOCK);
	CALL(bind_to(l, "dir/listen"));
	CALL(connect_to(c, "dir/listen"));
	CALL(listen(l, 1));
	CALL(connect_to(c, "link/listen"));
	name_of(c, getpeername);
	CALL(connect_to(c, "dir/listen"));
	CALL(connect_to(n, "dir/listen"));
	CALL(connect_to(n, "dir/listen"));
	int s = accept(l, NULL, NULL);
	CALL(s >= 0);
	struct ucred who;
	socklen_t len = sizeof who;
	CALL(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &len));
	CALL(who.uid == getuid() && who.gid == getgid());
	int x = new(SOCK_STREAM);
	CALL(connect_to(x, "nowhere"));
	CALL(connect_to(x, "dangling"));
	CALL(connect_to(x, "file"));
	CALL(connect_to(x, "dir"));
	CALL(connect_to(x, "file/x"));
	CALL(connect_to(x, "dir/listen/"));
	CALL(connect_to(new(SOCK_DGRAM), "dir/listen"));
	CALL(connect(x, NULL, 10));
	CALL(connect(x, (void *)&address, 0));
	CALL(connect(x, (void *)&address, 2));
	CALL(connect(x, (void *)&address, 500));
	CALL(connect(99, (void *)&address, 5));
	CALL(connect(1, (void *)&address, 5));
	int p = open("file", O_PATH);
	CALL(connect(p, (void *)&address, 5));
	address.sun_family = AF_UNSPEC;
	CALL(connect(x, (void *)&address, 5));
	// A blocking connect that waits for the queue, and a signal.
	struct sigaction action = { .sa_handler = count };
	sigaction(SIGALRM, &action, NULL);
	CALL(connect_to(new(SOCK_STREAM), "dir/listen"));
	ring(40000);
	CALL(connect_to(x, "dir/listen"));
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	fflush(stdout);
	if (!fork()) {
		wait_for_alarms();
		accept(l, NULL, NULL);
		usleep(50000);
		_exit(0);
	}
	ring(40000);
	CALL(connect_to(x, "dir/listen"));
	wait(NULL);
	close(l);
	CALL(connect_to(new(SOCK_STREAM), "dir/listen"));
}

static void datagrams(void)
{
	int r = new(SOCK_DGRAM), s = new(SOCK_DGRAM);
	CALL(bind_to(r, "dir/datagrams"));
	socklen_t len = un("dir/datagrams");
	CALL(sendto(s, "one", 3, 0, (void *)&address, len));
	CALL(bind_to(s, "dir/sender"));
	len = un("link/datagrams");
	CALL(sendto(s, "two", 3, 0, (void *)&address, len));
	CALL(sendto(s, NULL, 0, 0, (void *)&address, len));
	CALL(sendto(s, (void *)8, 5, 0, (void *)&address, len));
	CALL(sendto(s, buffer, sizeof buffer, 0, (void *)&address, len));
	CALL(sendto(s, "x", 1, 0, (void *)8, len));
	CALL(sendto(s, "x", 1, 0, (void *)&address, 300));
	CALL(sendto(s, "x", 1, 0x10000000, (void *)&address, len));
	CALL(sendto(99, "x", 1, 0, (void *)&address, len));
	CALL(sendto(1, "x", 1, 0, (void *)&address, len));
	CALL(sendto(s, "x", 1, 0, NULL, 0));
	len = un("nowhere");
	CALL(sendto(s, "x", 1, 0, (void *)&address, len));
	len = un("file");
	CALL(sendto(s, "x", 1, 0, (void *)&address, len));
	struct sockaddr_un from;
	len = sizeof from;
	CALL(recvfrom(r, buffer, 100, 0, (void *)&from, &len));
	CALL(len);
	len = sizeof from;
	CALL(recvfrom(r, buffer, 100, 0, (void *)&from, &len));
	printf("    %u %s\n", len, from.sun_path);
	CALL(recv(r, buffer, 100, MSG_DONTWAIT));
	struct iovec parts[2] = { { "ab", 2 }, { "cde", 3 } };
	struct msghdr m = { .msg_name = &address, .msg_namelen = un("dir/datagrams"), .msg_iov = parts, .msg_iovlen = 2 };
	CALL(sendmsg(s, &m, 0));
	CALL(sendmsg(s, (void *)8, 0));
	m.msg_iovlen = 2000;
	CALL(sendmsg(s, &m, 0));
	m.msg_iovlen = 2, m.msg_namelen = -1;
	CALL(sendmsg(s, &m, 0));
	m.msg_namelen = un("nowhere");
	CALL(sendmsg(s, &m, 0));
	m.msg_namelen = un("dir/datagrams");
	struct mmsghdr batch[3] = { { m, 0 }, { m, 0 }, { m, 0 } };
	CALL(sendmmsg(s, batch, 3, 0));
	CALL(batch[2].msg_len);
	batch[1].msg_hdr.msg_iov = (void *)8;
	CALL(sendmmsg(s, batch, 3, MSG_DONTWAIT));
	CALL(sendmmsg(s, (void *)8, 3, 0));
	CALL(sendmmsg(s, batch, 0, 0));
	struct iovec into[2] = { { buffer, 3 }, { buffer + 50, 1 } };
	struct mmsghdr got[6] = { 0 };
	for (int i = 0; i < 6; i++)
		got[i].msg_hdr = (struct msghdr) { .msg_iov = into, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from };
	CALL(recvmmsg(r, got, 2, 0, NULL));
	printf("    %u %d %u %.3s%c\n", got[0].msg_len, got[0].msg_hdr.msg_flags, got[0].msg_hdr.msg_namelen, buffer, buffer[50]);
	// Looked at after each message: if it is over by then, the rest stays for the next call.
	struct timespec soon = { 600, 0 }, wrong = { 0, -1 };
	CALL(recvmmsg(r, got, 6, MSG_WAITFORONE, &soon) > 0);
	CALL(recvmmsg(r, got, 6, MSG_DONTWAIT, &soon));
	CALL(recvmmsg(r, got, 6, 0, &wrong));
	CALL(recvmmsg(99, got, 6, 0, NULL));
	while (recv(r, buffer, 1, MSG_DONTWAIT) >= 0)
		;
	CALL(connect_to(s, "dir/datagrams"));
	CALL(send(s, "connected", 9, 0));
	CALL(recv(r, buffer, 100, 0));
	m.msg_name = NULL, m.msg_namelen = 500;
	CALL(sendmsg(s, &m, 0));
	CALL(recv(r, buffer, 100, MSG_TRUNC));
	int n = 0;
	while (send(s, "x", 1, MSG_DONTWAIT) == 1)
		n++;
	CALL(n);
	CALL(sendmsg(s, &m, MSG_DONTWAIT));
	close(r);
	struct sigaction action = { .sa_handler = count };
	sigaction(SIGPIPE, &action, NULL);
	CALL(sendmsg(s, &m, 0));
	CALL(sendmsg(s, &m, 0));
}

static char control[200];
static struct msghdr with(int level, int kind, const void *data, size_t len)
{
	static struct iovec one = { "fd", 2 };
	struct msghdr m = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(len) };
	memset(control, 0, sizeof control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr) { .cmsg_level = level, .cmsg_type = kind, .cmsg_len = CMSG_LEN(len) };
	memcpy(CMSG_DATA(c), data, len);
	return m;
}

static void take(int fd, size_t room, int flags)
{
	static struct iovec one = { buffer, 10 };
	char space[400];
	memset(space, 0, sizeof space);
	struct msghdr m = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = room };
	errno = 0;
	ssize_t n = recvmsg(fd, &m, flags | MSG_DONTWAIT);
	printf("%3d recvmsg room %zu flags %x: %zd %s %x %zu\n", ++step, room, flags, n, n < 0 ? strerrorname_np(errno) : "-",
	       m.msg_flags, (size_t)m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
		int *fds = (int *)CMSG_DATA(c), many = (c->cmsg_len - CMSG_LEN(0)) / 4;
		printf("    level %d type %d len %zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_type == SCM_RIGHTS)
			for (int i = 0; i < many; i++) {
				struct stat st = { 0 };
				int open = fstat(fds[i], &st);
				printf(" +%d:%d:%o:%d", fds[i] - fds[0], open, st.st_mode & S_IFMT, fcntl(fds[i], F_GETFD));
			}
		if (c->cmsg_type == SCM_RIGHTS)
			for (int i = 0; i < many; i++) {
				close(fds[i]);
			}
		if (c->cmsg_type == SCM_CREDENTIALS)
			printf(" %d %d %d", fds[0] == getpid(), fds[1] == (int)getuid(), fds[2] == (int)getgid());
		printf("\n");
	}
}

static void passing(void)
{
	int kinds[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET }, s[2], p[2];
	(void)!pipe(p);
	for (int i = 0; i < 3; i++) {
		CALL(socketpair(AF_UNIX, kinds[i], 0, s));
		int fds[4] = { p[0], p[1], open("file", O_RDONLY), open(".", O_RDONLY) };
		struct msghdr m = with(SOL_SOCKET, SCM_RIGHTS, fds, sizeof fds);
		size_t rooms[] = { 200, CMSG_LEN(8), CMSG_SPACE(4), CMSG_LEN(2), 8, 0 };
		for (int j = 0; j < 6; j++) {
			CALL(sendmsg(s[0], &m, 0));
			take(s[1], rooms[j], j == 1 ? MSG_CMSG_CLOEXEC : 0);
		}
		CALL(sendmsg(s[0], &m, 0));
		take(s[1], 200, MSG_PEEK);
		take(s[1], 200, 0);
		take(s[1], 200, 0);
		fds[1] = 99;
		m = with(SOL_SOCKET, SCM_RIGHTS, fds, sizeof fds);
		CALL(sendmsg(s[0], &m, 0));
		((struct cmsghdr *)control)->cmsg_len = 5;
		CALL(sendmsg(s[0], &m, 0));
		((struct cmsghdr *)control)->cmsg_len = 500;
		CALL(sendmsg(s[0], &m, 0));
		m.msg_controllen = 1 << 30;
		CALL(sendmsg(s[0], &m, 0));
		m = with(SOL_SOCKET, 77, fds, 4);
		CALL(sendmsg(s[0], &m, 0));
		struct ucred me = { getpid(), getuid(), getgid() };
		CALL(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, 4));
		m = with(SOL_SOCKET, SCM_CREDENTIALS, &me, sizeof me);
		CALL(sendmsg(s[0], &m, 0));
		take(s[1], 200, 0);
		m = with(SOL_SOCKET, SCM_CREDENTIALS, &me, 5);
		CALL(sendmsg(s[0], &m, 0));
		m = with(SOL_SOCKET, SCM_RIGHTS, fds, 0);
		CALL(sendmsg(s[0], &m, 0));
		while (recv(s[1], buffer, 100, MSG_DONTWAIT) > 0)
			;
		CALL(recvmsg(s[1], (void *)8, 0));
		CALL(recvmsg(99, &m, 0));
		CALL(recvmsg(1, &m, 0));
		m = (struct msghdr) { 0 };
		CALL(recvmsg(s[1], &m, MSG_DONTWAIT));
		struct sigaction action = { .sa_handler = count };
		sigaction(SIGALRM, &action, NULL);
		ring(40000);
		CALL(recvmsg(s[1], &m, 0));
		close(s[1]);
		struct iovec x = { "x", 1 };
		m = (struct msghdr) { .msg_iov = &x, .msg_iovlen = 1 };
		CALL(sendmsg(s[0], &m, 0));
		CALL(sendmsg(s[0], &m, MSG_NOSIGNAL));
		CALL(recvmsg(s[0], &m, MSG_DONTWAIT));
		close(s[0]), close(fds[2]), close(fds[3]);
	}
}

static void internet(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof to;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
	CALL(bind(l, (void *)&to, len));
	CALL(getsockname(l, (void *)&to, &len));
	CALL(connect(c, (void *)&to, len));
	CALL(listen(l, 5));
	CALL(connect(c, (void *)&to, len));
	CALL(connect(c, (void *)&to, len));
	CALL(sendto(c, "x", 1, 0, (void *)&to, len));
	int s = accept(l, NULL, NULL);
	CALL(send(s, "four", 4, 0));
	struct iovec one = { buffer, 10 };
	struct msghdr m = { .msg_iov = &one, .msg_iovlen = 1 };
	CALL(recvmsg(c, &m, 0));
	CALL(sendto(u, "x", 1, 0, (void *)&to, len));
	CALL(sendto(u, "x", 1, 0, NULL, 0));
	CALL(connect_to(u, "file"));
	CALL(connect_to(c, "file"));
	CALL(syscall(SYS_pidfd_getfd, 99, 0, 0));
	CALL(syscall(SYS_pidfd_getfd, u, 0, 0));
	int me = syscall(SYS_pidfd_open, getpid(), 0);
	CALL(syscall(SYS_pidfd_getfd, me, 0, 1));
	CALL(syscall(SYS_pidfd_getfd, me, 999, 0));
	CALL(syscall(SYS_pidfd_getfd, me, 1, 0) > 2);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	sigset_t all, none;
	share_alarms();
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &none);
	if (argc > 1 && strcmp(argv[1], "alone") != 0 && pthread_create(&thread, NULL, idle, NULL))
		return 2;
	sigprocmask(SIG_SETMASK, &none, NULL);
	binding();
	connecting();
	datagrams();
	passing();
	internet();
	fflush(stdout);
	return 0;
}

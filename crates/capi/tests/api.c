// SPDX-License-Identifier: MIT OR Apache-2.0
// api load|outside|prepend|kernel|served|pass: uses the library as a program written from v7's documentation would. Exits 0, or tells
// the line that is not as it should be.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <landlock/landlock.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IS(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what, errno), exit(1)))
#define FAILS(call, with) (errno = 0, IS((call) == -1 && errno == (with)))

#define ADDRESS(pointer) ((__u64)(uintptr_t)(pointer))

static union bpf_prog_subtype fs = {.landlock_rule = {.abi = 1, .event = LANDLOCK_SUBTYPE_EVENT_FS}};

// Denies every question with one of `actions`.
static struct bpf_insn code[] = {
    {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 2, .src_reg = 1, .off = 24},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
    {.code = BPF_JMP | BPF_JSET | BPF_K, .dst_reg = 2, .off = 1, .imm = LANDLOCK_ACTION_FS_WRITE},
    {.code = BPF_JMP | BPF_EXIT},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
    {.code = BPF_JMP | BPF_EXIT},
};

static struct landlock_load_attr valid(int actions) {
    code[2].imm = actions;
    return (struct landlock_load_attr){
        .prog_type = LANDLOCK_PROG_TYPE_RULE,
        .insn_cnt = sizeof code / sizeof *code,
        .insns = ADDRESS(code),
        .license = ADDRESS("GPL"),
        .prog_subtype = ADDRESS(&fs),
        .prog_subtype_size = sizeof fs,
    };
}

static int load(struct landlock_load_attr attr) {
    return landlock_load(&attr, sizeof attr);
}

static void loads(void) {
    struct landlock_load_attr attr = valid(LANDLOCK_ACTION_FS_WRITE);
    int rule = load(attr);
    IS(rule >= 0 && (fcntl(rule, F_GETFD) & FD_CLOEXEC));
    IS(write(rule, "x", 1) == -1);
    close(rule);
#define WITH(change, with) (attr = valid(LANDLOCK_ACTION_FS_WRITE), change, FAILS(load(attr), with))
    FAILS(landlock_load(NULL, sizeof attr), EFAULT);
    FAILS(landlock_load(&attr, 5000), E2BIG);
    char longer[80] = {0};
    memcpy(longer, &attr, sizeof attr);
    IS(landlock_load((void *)longer, sizeof longer) >= 0);
    longer[79] = 1;
    FAILS(landlock_load((void *)longer, sizeof longer), E2BIG);
    memset(longer, 0, sizeof longer);
    memcpy(longer, &attr, sizeof attr);
    longer[62] = 1;
    FAILS(landlock_load((void *)longer, sizeof attr), EINVAL);
    WITH(attr.prog_flags = 2, EINVAL);
    WITH(attr.license = 8, EFAULT);
    WITH(attr.insn_cnt = 0, E2BIG);
    WITH(attr.insn_cnt = 4097, E2BIG);
    WITH((attr.insn_cnt = 0, attr.prog_type = 1), E2BIG);
    WITH(attr.prog_type = 1, EINVAL);
    WITH(attr.insns = 8, EFAULT);
    WITH((attr.prog_subtype = 0, attr.prog_subtype_size = 0), EINVAL);
    WITH(attr.prog_subtype = 0, EINVAL);
    WITH(attr.prog_subtype = 8, EFAULT);
    WITH(attr.prog_subtype_size = 5000, E2BIG);
    WITH(attr.prog_subtype_size = 4, EINVAL);
    attr = valid(LANDLOCK_ACTION_FS_WRITE);
    attr.prog_subtype_size = 8;
    IS(load(attr) >= 0);
    struct {
        union bpf_prog_subtype known;
        __u64 unknown;
    } larger = {fs, 0};
    attr.prog_subtype = ADDRESS(&larger);
    attr.prog_subtype_size = sizeof larger;
    IS(load(attr) >= 0);
    larger.unknown = 1;
    FAILS(load(attr), E2BIG);
    for (int wrong = 0; wrong < 6; wrong++) {
        union bpf_prog_subtype subtype = fs;
        switch (wrong) {
        case 0: subtype.landlock_rule.abi = 0; break;
        case 1: subtype.landlock_rule.abi = 2; break;
        case 2: subtype.landlock_rule.event = 0; break;
        case 3: subtype.landlock_rule.event = 5; break;
        case 4: subtype.landlock_rule.ability = 2; break;
        case 5: subtype.landlock_rule.option = 1; break;
        }
        WITH(attr.prog_subtype = ADDRESS(&subtype), EINVAL);
    }
    // What the verifier says, and the log.
    struct bpf_insn writes = {.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 1, .src_reg = 1, .off = 0}, kept = code[0];
    char log[4096] = "unchanged";
    code[0] = writes;
    WITH((void)0, EACCES);
    WITH((attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = sizeof log), EACCES);
    IS(strstr(log, "rule") && strcmp(log, "unchanged"));
    WITH((attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = 128), ENOSPC);
    IS(strlen(log) == 127);
    WITH((attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = 127), EINVAL);
    WITH((attr.log_level = 1, attr.log_size = sizeof log), EINVAL);
    WITH((attr.log_level = 0, attr.log_buf = ADDRESS(log), attr.log_size = sizeof log), EINVAL);
    WITH((attr.log_level = 1, attr.log_buf = 8, attr.log_size = sizeof log), EFAULT);
    code[0] = kept;
    attr = valid(LANDLOCK_ACTION_FS_WRITE);
    attr.log_level = 1, attr.log_buf = ADDRESS(log), attr.log_size = sizeof log;
    IS(load(attr) >= 0 && !*log);
}

static void outside(void) {
    int rule = load(valid(LANDLOCK_ACTION_FS_WRITE));
    FAILS(landlock_prepend(0, NULL), EINVAL);
    FAILS(landlock_prepend(0, &rule), EINVAL);
    IS(open("made-outside", O_CREAT | O_RDWR, 0600) >= 0);
}

static int makes(const char *name) {
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    return fd >= 0 && close(fd) == 0;
}

static void *in_thread(void *rule) {
    IS(landlock_prepend(0, rule) == 0);
    errno = 0;
    IS(!makes("by-the-thread") && errno == EPERM);
    return NULL;
}

static void prepends_once(void) {
    int rule = load(valid(LANDLOCK_ACTION_FS_NEW)), closed = 99, other = open("/dev/null", O_RDWR);
    FAILS(landlock_prepend(0, NULL), EFAULT);
    FAILS(landlock_prepend(1, NULL), EFAULT);
    FAILS(landlock_prepend(1, &rule), EINVAL);
    FAILS(landlock_prepend(0, (int *)8), EFAULT);
    FAILS(landlock_prepend(0, &closed), EBADF);
    FAILS(landlock_prepend(0, &other), EINVAL);
    int forged = memfd_create("forged", MFD_ALLOW_SEALING);
    IS(write(forged, "{}", 2) == 2);
    FAILS(landlock_prepend(0, &forged), EINVAL);
    IS(fcntl(forged, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
    FAILS(landlock_prepend(0, &forged), EINVAL);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, &rule);
    pthread_join(thread, NULL);
    IS(makes("by-the-other-thread"));
    int status;
    if (fork() == 0) {
        IS(landlock_prepend(0, &rule) == 0);
        close(rule);
        IS(!makes("by-the-child"));
        exit(0);
    }
    wait(&status);
    IS(status == 0 && makes("by-the-parent"));
    IS(landlock_prepend(0, &rule) == 0);
    close(rule);
    IS(!makes("by-the-first-thread"));
    if (fork() == 0) {
        execlp("touch", "touch", "by-another-program", NULL);
        exit(0);
    }
    wait(&status);
    IS(status != 0 && access("by-another-program", F_OK) != 0);
}

static void prepends(void) {
    prepends_once();
    // Each is one more layer, and the kernel has only so many.
    int more = load(valid(LANDLOCK_ACTION_FS_NEW)), count = 0;
    while (landlock_prepend(0, &more) == 0)
        count++;
    IS(errno == E2BIG && count > 8);
}

static void prepends_in_kernel(void) {
    prepends_once();
    // What is confined may load nothing more into the kernel, so nobody answers for it.
    int more = load(valid(LANDLOCK_ACTION_FS_READ));
    FAILS(landlock_prepend(0, NULL), EINVAL);
    FAILS(landlock_prepend(0, &more), EINVAL);
    IS(open("/dev/null", O_RDONLY) >= 0);
}

// Rules are loaded before: a descriptor is a file, which is written.
static void prepends_without_writing(void) {
    int write = load(valid(LANDLOCK_ACTION_FS_WRITE)), lock = load(valid(LANDLOCK_ACTION_FS_LOCK)), status;
    int file = open("/dev/null", O_RDONLY);
    if (fork() == 0) {
        IS(landlock_prepend(0, &write) == 0 && flock(file, LOCK_UN) == 0);
        FAILS(load(valid(LANDLOCK_ACTION_FS_LOCK)), EPERM);
        IS(landlock_prepend(0, &lock) == 0);
        FAILS(flock(file, LOCK_UN), EPERM);
        exit(0);
    }
    wait(&status);
    IS(status == 0 && flock(file, LOCK_UN) == 0);
}

static void prepends_through_landlockd(void) {
    prepends_without_writing();
    prepends_once();
    int more = load(valid(LANDLOCK_ACTION_FS_LOCK)), count = 1;
    while (landlock_prepend(0, &more) == 0)
        count++;
    IS(errno == E2BIG && count == 64);
    IS(open("/dev/null", O_RDONLY) >= 0);
}

static void passes(void) {
    int pair[2], status;
    IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    char byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (fork() == 0) {
        int rule = load(valid(LANDLOCK_ACTION_FS_NEW));
        memcpy(CMSG_DATA(&control.header), &rule, sizeof rule);
        IS(sendmsg(pair[1], &message, 0) == 1);
        exit(0);
    }
    wait(&status);
    IS(status == 0 && recvmsg(pair[0], &message, 0) == 1);
    int rule;
    memcpy(&rule, CMSG_DATA(&control.header), sizeof rule);
    IS(makes("before") && landlock_prepend(0, &rule) == 0 && !makes("after"));
}

int main(int argc, char **argv) {
    const char *part = argc > 1 ? argv[1] : "";
    if (!strcmp(part, "load"))
        loads();
    else if (!strcmp(part, "outside"))
        outside();
    else if (!strcmp(part, "prepend"))
        prepends();
    else if (!strcmp(part, "kernel"))
        prepends_in_kernel();
    else if (!strcmp(part, "served"))
        prepends_through_landlockd();
    else if (!strcmp(part, "pass"))
        passes();
    else
        return 2;
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Landlock v7's two calls (August 2017) for programs, without the kernel they
 * were made for: load a rule and get a descriptor, prepend it to the calling
 * thread. Link with -llandlock-ebpf (pkg-config landlock-ebpf).
 *
 * A thread can prepend only where somebody answers for its rules: the kernel,
 * if it does and the process is root outside of containers (see landlock
 * status); or, in a sandbox of the supervisor target that `landlock run` or the
 * Rust library started, that supervisor, with --stackable for rules that deny
 * what the sandbox does not watch anyway. See landlock_prepend.
 */
#ifndef LANDLOCK_LANDLOCK_H
#define LANDLOCK_LANDLOCK_H

#include <landlock/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* v7's number; a kernel of today gives it to another type. */
#define LANDLOCK_PROG_TYPE_RULE 15

/* What bpf(BPF_PROG_LOAD) takes: the layout of v7's union bpf_attr. */
struct landlock_load_attr {
	__u32 prog_type;         /* LANDLOCK_PROG_TYPE_RULE */
	__u32 insn_cnt;          /* 1 to 4096 */
	__u64 insns;             /* address of an array of struct bpf_insn */
	__u64 license;           /* address of a string */
	__u32 log_level;         /* 0, or 1 to be told what is wrong */
	__u32 log_size;          /* bytes in log_buf, at least 128 */
	__u64 log_buf;           /* address of a buffer */
	__u32 kern_version;      /* ignored */
	__u32 prog_flags;        /* 0 or BPF_F_STRICT_ALIGNMENT */
	__u64 prog_subtype;      /* address of a union bpf_prog_subtype */
	__u32 prog_subtype_size; /* its size */
	__u32 : 32;              /* 0 */
};

/*
 * Verifies a rule and returns a descriptor for it: closed on exec, passable
 * over a UNIX socket, of use as long as a copy of it is open. It needs no
 * privilege. A rule stays in force when its descriptor is closed.
 *
 * On error -1, and errno is as v7's:
 *   EINVAL  not a rule, no valid subtype, unknown flags, bytes after the last
 *           field, a log without a buffer
 *   E2BIG   no instruction or more than 4096, a subtype or attributes with more
 *           fields than there are
 *   EACCES  an access the rule may not make
 *   EPERM   ability DEBUG without CAP_SYS_ADMIN; or rules in force deny writing,
 *           which making the descriptor takes
 *   EFAULT  an address that is not ours
 *   ENOSPC  refused, and the log did not fit
 */
int landlock_load(const struct landlock_load_attr *attr, unsigned int size);

/*
 * Puts the rule before those in force on the calling thread: for ever, for it
 * and for all it starts from now on. flags is 0; rule points to a descriptor of
 * landlock_load, whoever loaded it.
 *
 * Returns 0. On error -1, and errno is as v7's:
 *   EINVAL  nobody here would answer for the rule (asked first), flags, or no
 *           descriptor of a rule
 *   EFAULT  rule is NULL (so NULL asks whether prepending is possible), or not
 *           an address of ours
 *   EBADF   not an open descriptor
 *   E2BIG   more than 64 rules, or deeper than the kernel stacks sandboxes:
 *           about 14 calls
 *   ENOMEM  no more rules are kept, or a limit of landlockd's is reached
 * and, which v7 did not have:
 *   EOPNOTSUPP  the sandbox does not watch what the rule can deny
 *   EPERM       ability DEBUG without CAP_SYS_ADMIN, or a filter of somebody
 *               else's forbids it
 *   EBUSY       the thread uses io_uring, so the kernel does not let it in
 *
 * Where the kernel answers, who is not root, and every thread that is confined
 * already, need landlockd; without it nobody answers (EINVAL).
 */
int landlock_prepend(unsigned int flags, const int *rule);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a Landlock rule written in C needs, and nothing else: the context, the
 * events, the actions, the helpers, and the ELF sections a rule lives in.
 *
 * Names, numbers and layouts are those of Landlock v7 (August 2017), so that
 * rules written for it compile unchanged. The two context fields after arg2
 * are the ones v7's documentation names and its code lacked. What ABI 2 adds
 * (maps of handles, comparisons, hooks) has those of the RFC of August 2016.
 *
 * Self-contained: no other header is needed. <linux/types.h>, <linux/bpf.h>,
 * <linux/stat.h> and <sys/stat.h> may be included before or after it,
 * libbpf's <bpf/bpf_helpers.h> before it.
 *
 * The smallest rule file:
 *
 *	#include <landlock/rule.h>
 *
 *	LANDLOCK_RULE(no_removal, FS, 0)
 *	{
 *		return !!(ctx->arg2 & LANDLOCK_ACTION_FS_REMOVE);
 *	}
 *
 *	LANDLOCK_LICENSE("Dual MIT/GPL");
 *
 * A rule returns 0 to allow and anything else to deny. It may not loop, keep
 * global state, or call a function that is not inlined into it: mark your own
 * functions `static __always_inline`.
 */
#ifndef LANDLOCK_RULE_H
#define LANDLOCK_RULE_H

#ifndef _LINUX_TYPES_H
typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
__extension__ typedef long long __s64;
__extension__ typedef unsigned long long __u64;
#endif

/* Places an object in an ELF section and keeps the optimiser from dropping it. */
#ifndef SEC
#define SEC(NAME) __attribute__((section(NAME), used))
#endif

/*
 * The documentation's variable names, in sections of the same name. Today's
 * LLVM refuses a symbol that is called like its section, so they are renamed.
 */
#ifdef __bpf__
#define subtype landlock_subtype
#define license landlock_license
#endif

/* A promise, where the kernel's headers only give a hint. */
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

/* ---- What a rule declares about itself ---- */

#define BPF_PROG_TYPE_LANDLOCK_RULE 15

enum landlock_subtype_event {
	LANDLOCK_SUBTYPE_EVENT_UNSPEC = 0,
	/* Any action on the file system; arg2 holds LANDLOCK_ACTION_FS_*. */
	LANDLOCK_SUBTYPE_EVENT_FS = 1,
	/* An ioctl; arg2 holds the request. */
	LANDLOCK_SUBTYPE_EVENT_FS_IOCTL = 2,
	/* A lock; arg2 holds its type: F_RDLCK, F_WRLCK or F_UNLCK. */
	LANDLOCK_SUBTYPE_EVENT_FS_LOCK = 3,
	/* An fcntl; arg2 holds the command. */
	LANDLOCK_SUBTYPE_EVENT_FS_FCNTL = 4,
	/* Hooks, of ABI 2: the context is struct landlock_data. */
	LANDLOCK_SUBTYPE_EVENT_FILE_OPEN = 6,
	LANDLOCK_SUBTYPE_EVENT_FILE_PERMISSION = 7,
	LANDLOCK_SUBTYPE_EVENT_MMAP_FILE = 8,
};
#define _LANDLOCK_SUBTYPE_EVENT_LAST LANDLOCK_SUBTYPE_EVENT_MMAP_FILE

/* The RFC's names for the hooks: its program types. */
#define BPF_PROG_TYPE_LANDLOCK_FILE_OPEN 6
#define BPF_PROG_TYPE_LANDLOCK_FILE_PERMISSION 7
#define BPF_PROG_TYPE_LANDLOCK_MMAP_FILE 8

/* May call the debug helpers below; loading such a rule needs CAP_SYS_ADMIN. */
#define LANDLOCK_SUBTYPE_ABILITY_DEBUG (1ULL << 0)
#define _LANDLOCK_SUBTYPE_ABILITY_NB 1
#define _LANDLOCK_SUBTYPE_ABILITY_MASK ((1ULL << _LANDLOCK_SUBTYPE_ABILITY_NB) - 1)

/* There are neither options nor status flags: both fields are 0. */
#define _LANDLOCK_SUBTYPE_OPTION_NB 0
#define _LANDLOCK_SUBTYPE_OPTION_MASK ((1ULL << _LANDLOCK_SUBTYPE_OPTION_NB) - 1)
#define _LANDLOCK_SUBTYPE_STATUS_NB 0
#define _LANDLOCK_SUBTYPE_STATUS_MASK ((1ULL << _LANDLOCK_SUBTYPE_STATUS_NB) - 1)

union bpf_prog_subtype {
	struct {
		__u32 abi;   /* lowest ABI the rule needs */
		__u32 event; /* enum landlock_subtype_event */
		__u64 ability __attribute__((aligned(8))); /* LANDLOCK_SUBTYPE_ABILITY_* */
		__u64 option __attribute__((aligned(8)));  /* 0 */
	} landlock_rule;
};

/* ---- What a rule sees ---- */

/*
 * Read only, field by field. arg1 is opaque: its one use is to be handed to
 * bpf_handle_fs_get_mode().
 */
struct landlock_context {
	__u64 status;	  /* 0 */
	__u64 event;	  /* the event of this run */
	__u64 arg1;	  /* handle of the object acted upon */
	__u64 arg2;	  /* FS: action bits; otherwise the command */
	__u64 arch;	  /* AUDIT_ARCH_* of the running system call */
	__u64 syscall_nr; /* its number in that architecture */
};

/*
 * What rules tied to a hook see, once for each cookie. Read only, every field
 * whole. The file and the credentials are opaque; no helper takes the latter.
 *
 *	hook             args[0]  args[1]      args[2]  args[3]
 *	FILE_OPEN        file     credentials
 *	FILE_PERMISSION  file     mask
 *	MMAP_FILE        file     reqprot      prot     flags
 *
 * The file of MMAP_FILE is 0 if nothing but memory is mapped.
 */
struct landlock_data {
	__u32 hook;   /* the number of the hook's event */
	__u16 cookie; /* the low half of what the filter returned */
	__u64 args[6] __attribute__((aligned(8)));
};

/* What a seccomp filter returns to hand a cookie (its low half) to rules. */
#define SECCOMP_RET_LANDLOCK 0x00070000U

/* A hook's rule fails its caller with 1 to this, with EPERM beyond. */
#define _ERRNO_LAST 34

/* One run may have several of these, or none. */
#define LANDLOCK_ACTION_FS_EXEC (1ULL << 0)   /* execute a file, walk through a directory */
#define LANDLOCK_ACTION_FS_WRITE (1ULL << 1)  /* modify a file, or a directory's view (mounts) */
#define LANDLOCK_ACTION_FS_READ (1ULL << 2)   /* read a file or a directory */
#define LANDLOCK_ACTION_FS_NEW (1ULL << 3)    /* create a file or a directory */
#define LANDLOCK_ACTION_FS_GET (1ULL << 4)    /* open or receive a file */
#define LANDLOCK_ACTION_FS_REMOVE (1ULL << 5) /* unlink a file, remove a directory */
#define LANDLOCK_ACTION_FS_IOCTL (1ULL << 6)  /* the request is seen by FS_IOCTL rules */
#define LANDLOCK_ACTION_FS_LOCK (1ULL << 7)   /* the type is seen by FS_LOCK rules */
#define LANDLOCK_ACTION_FS_FCNTL (1ULL << 8)  /* the command is seen by FS_FCNTL rules */
#define _LANDLOCK_ACTION_FS_NB 9
#define _LANDLOCK_ACTION_FS_MASK ((1ULL << _LANDLOCK_ACTION_FS_NB) - 1)

/* ---- Helpers: the only functions a rule can call ---- */

/*
 * Whole mode of the object (st_mode: type and permissions), or -ENOENT for a
 * name that does not exist yet. Needs a GPL-compatible licence string.
 */
#define BPF_FUNC_handle_fs_get_mode 54
static long long (*bpf_handle_fs_get_mode)(void *handle)
	__attribute__((unused)) = (long long (*)(void *))BPF_FUNC_handle_fs_get_mode;

/*
 * Comparisons with the handles of a map, of ABI 2. OP is always
 * BPF_MAP_ARRAY_OP_OR: one handle that matches is enough. OBJECT is the file
 * of a hook, or arg1. All return 0 for a match, 1 for none (always, if the map
 * is empty), -ENOENT if there is no file, and -EINVAL for flags or operations
 * that do not exist. They need a GPL-compatible licence string.
 */
#define BPF_FUNC_landlock_cmp_fs_prop_with_struct_file 31
#define BPF_FUNC_landlock_cmp_fs_beneath_with_struct_file 32
#define BPF_FUNC_landlock_cmp_cgroup_beneath 33

/* Has the object all of PROPERTIES (LANDLOCK_FLAG_FS_*) in common with one handle? */
static long long (*bpf_landlock_cmp_fs_prop)(__u64 properties, void *handles, __u64 op, void *object)
	__attribute__((unused)) = (long long (*)(__u64, void *, __u64, void *))31;
/* Is the object a handle's file or beneath it? With REVERSE: is a handle's the object's, or beneath? */
static long long (*bpf_landlock_cmp_fs_beneath)(__u64 options, void *handles, __u64 op, void *object)
	__attribute__((unused)) = (long long (*)(__u64, void *, __u64, void *))32;
/* Is the caller in a handle's cgroup (version 2) or beneath it? REVERSE as above. */
static long long (*bpf_landlock_cmp_cgroup_beneath)(__u64 options, void *handles, __u64 op)
	__attribute__((unused)) = (long long (*)(__u64, void *, __u64))33;

/* The RFC's names for them. */
#define bpf_landlock_cmp_fs_prop_with_struct_file bpf_landlock_cmp_fs_prop
#define bpf_landlock_cmp_fs_beneath_with_struct_file bpf_landlock_cmp_fs_beneath

#define LANDLOCK_FLAG_FS_DENTRY (1 << 0) /* the same name in the same directory */
#define LANDLOCK_FLAG_FS_INODE (1 << 1)	 /* the same inode number, which is not 0 */
#define LANDLOCK_FLAG_FS_DEVICE (1 << 2) /* the same file system */
#define LANDLOCK_FLAG_FS_MOUNT (1 << 3)	 /* the same mount */
#define _LANDLOCK_FLAG_FS_MASK ((1ULL << 4) - 1)

#define LANDLOCK_FLAG_OPT_REVERSE (1 << 0)
#define _LANDLOCK_FLAG_OPT_MASK ((1ULL << 1) - 1)

/* AND and XOR were declared, and always fail. */
enum bpf_map_array_op {
	BPF_MAP_ARRAY_OP_UNSPEC,
	BPF_MAP_ARRAY_OP_OR,
	BPF_MAP_ARRAY_OP_AND,
	BPF_MAP_ARRAY_OP_XOR,
};

/* Debugging: these need LANDLOCK_SUBTYPE_ABILITY_DEBUG. */
#ifndef __BPF_HELPERS__
static int (*bpf_trace_printk)(const char *fmt, int fmt_size, ...)
	__attribute__((unused)) = (int (*)(const char *, int, ...))6;
static unsigned long long (*bpf_get_current_pid_tgid)(void)
	__attribute__((unused)) = (unsigned long long (*)(void))14;
static unsigned long long (*bpf_get_current_uid_gid)(void)
	__attribute__((unused)) = (unsigned long long (*)(void))15;
static int (*bpf_get_current_comm)(void *buf, int buf_size)
	__attribute__((unused)) = (int (*)(void *, int))16;
#endif
/* The documentation's name for it. */
#define bpf_get_trace_printk bpf_trace_printk

/* ---- Maps of handles, of ABI 2 ---- */

#define BPF_MAP_TYPE_LANDLOCK_ARRAY 8

/* What the handles of a map stand for. */
enum bpf_map_array_type {
	BPF_MAP_ARRAY_TYPE_UNSPEC,
	BPF_MAP_ARRAY_TYPE_LANDLOCK_FS,
	BPF_MAP_ARRAY_TYPE_LANDLOCK_CGROUP,
};

enum bpf_map_handle_type {
	BPF_MAP_HANDLE_TYPE_UNSPEC,
	BPF_MAP_HANDLE_TYPE_LANDLOCK_FS_FD,
	BPF_MAP_HANDLE_TYPE_LANDLOCK_FS_GLOB, /* cannot be stored */
	BPF_MAP_HANDLE_TYPE_LANDLOCK_CGROUP_FD,
};

/* What is put into a map. */
struct landlock_handle {
	__u32 type; /* enum bpf_map_handle_type */
	union {
		__u32 fd;
		__u64 glob __attribute__((aligned(8)));
	};
} __attribute__((aligned(8)));

/*
 * Defines map NAME for up to ENTRIES handles of files and directories (FS) or
 * of cgroups (CGROUP). It is empty until handles are put into it; helpers are
 * given its address.
 */
#define LANDLOCK_HANDLES(NAME, KIND, ENTRIES)                                  \
	struct {                                                               \
		int (*type)[BPF_MAP_TYPE_LANDLOCK_ARRAY];                      \
		int (*array_type)[BPF_MAP_ARRAY_TYPE_LANDLOCK_##KIND];         \
		int (*max_entries)[ENTRIES];                                   \
		__u32 *key;                                                    \
		struct landlock_handle *value;                                 \
	} NAME SEC(".maps")

/* The same by numbers, in section "maps": needs no debug information. */
struct landlock_map_def {
	__u32 type;	   /* BPF_MAP_TYPE_LANDLOCK_ARRAY */
	__u32 key_size;	   /* 4 */
	__u32 value_size;  /* sizeof(struct landlock_handle) */
	__u32 max_entries;
	__u32 map_flags;   /* 0 */
	__u32 array_type;  /* enum bpf_map_array_type */
};

/* ---- Modes, as in <linux/stat.h>; a libc's own ones stay ---- */

#ifndef S_IFMT
#define S_IFMT 00170000
#endif
#ifndef S_IFSOCK
#define S_IFSOCK 0140000
#endif
#ifndef S_IFLNK
#define S_IFLNK 0120000
#endif
#ifndef S_IFREG
#define S_IFREG 0100000
#endif
#ifndef S_IFBLK
#define S_IFBLK 0060000
#endif
#ifndef S_IFDIR
#define S_IFDIR 0040000
#endif
#ifndef S_IFCHR
#define S_IFCHR 0020000
#endif
#ifndef S_IFIFO
#define S_IFIFO 0010000
#endif
#ifndef S_ISUID
#define S_ISUID 0004000
#endif
#ifndef S_ISGID
#define S_ISGID 0002000
#endif
#ifndef S_ISVTX
#define S_ISVTX 0001000
#endif
#ifndef S_ISLNK
#define S_ISLNK(m) (((m) & S_IFMT) == S_IFLNK)
#endif
#ifndef S_ISREG
#define S_ISREG(m) (((m) & S_IFMT) == S_IFREG)
#endif
#ifndef S_ISDIR
#define S_ISDIR(m) (((m) & S_IFMT) == S_IFDIR)
#endif
#ifndef S_ISCHR
#define S_ISCHR(m) (((m) & S_IFMT) == S_IFCHR)
#endif
#ifndef S_ISBLK
#define S_ISBLK(m) (((m) & S_IFMT) == S_IFBLK)
#endif
#ifndef S_ISFIFO
#define S_ISFIFO(m) (((m) & S_IFMT) == S_IFIFO)
#endif
#ifndef S_ISSOCK
#define S_ISSOCK(m) (((m) & S_IFMT) == S_IFSOCK)
#endif

/* ---- Declaring rules ---- */

/*
 * Opens the definition of rule NAME for EVENT (FS, FS_IOCTL, FS_LOCK or
 * FS_FCNTL) with ABILITY (0 or LANDLOCK_SUBTYPE_ABILITY_DEBUG); `ctx` is its
 * context. A file may have several.
 *
 * The long form, which v7's samples use for the one rule of a file, is
 * SEC("landlock1") on the function, SEC("subtype") on a bpf_prog_subtype and
 * SEC("license") on a string.
 */
#define LANDLOCK_RULE(NAME, EVENT, ABILITY)                                    \
	_LANDLOCK_RULE(NAME, 1, EVENT, ABILITY, struct landlock_context)

/* The same with ABI 2: may compare with handles. */
#define LANDLOCK_RULE_ABI2(NAME, EVENT, ABILITY)                               \
	_LANDLOCK_RULE(NAME, 2, EVENT, ABILITY, struct landlock_context)

/*
 * Opens the definition of rule NAME, tied to HOOK (FILE_OPEN, FILE_PERMISSION
 * or MMAP_FILE); `ctx` is a struct landlock_data.
 */
#define LANDLOCK_HOOK(NAME, HOOK) _LANDLOCK_RULE(NAME, 2, HOOK, 0, struct landlock_data)

#define _LANDLOCK_RULE(NAME, ABI, EVENT, ABILITY, CONTEXT)                     \
	static int NAME(CONTEXT *ctx);                                         \
	SEC("subtype/" #NAME)                                                  \
	static const union bpf_prog_subtype NAME##_subtype = {                 \
		.landlock_rule = {                                             \
			.abi = (ABI),                                          \
			.event = LANDLOCK_SUBTYPE_EVENT_##EVENT,               \
			.ability = (ABILITY),                                  \
		},                                                             \
	};                                                                     \
	SEC("landlock/" #NAME)                                                 \
	static int NAME(CONTEXT *ctx)

/* The licence of every rule in the file. */
#define LANDLOCK_LICENSE(TEXT) SEC("license") static const char landlock_license[] = TEXT

#endif /* LANDLOCK_RULE_H */

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The questions of each kind of operation, in the order the kernel's hooks ask them.

use landlock_compiler::abi::{Actions, Event};

use crate::stack;

use super::{Case, Half, Possible, PossiblyAbout, Test, Types};

const EXEC: Actions = Actions::EXEC;
const WRITE: Actions = Actions::WRITE;
const READ: Actions = Actions::READ;
const GET: Actions = Actions::GET;
const NONE: Actions = Actions::empty();
const WRITE_EXEC: Actions = WRITE.union(EXEC);
const READ_EXEC: Actions = READ.union(EXEC);
const READ_WRITE: Actions = READ.union(WRITE);
const ALL: Actions = READ_WRITE.union(EXEC);

const DIR: Types = Types::DIR;
const REG: Types = Types::REG;
const ANY: Types = Types::ANY;
const SOCK: Types = Types::SOCK;
const ABSENT: Types = Types::NONE;

const fn q(hook: &'static str, actions: Actions, types: Types) -> Possible {
    Possible { hook, about: PossiblyAbout::Actions(actions), types }
}

const fn always(asks: &'static [Possible]) -> Case {
    Case { when: &[], asks }
}

const fn when(tests: &'static [Test], asks: &'static [Possible]) -> Case {
    Case { when: tests, asks }
}

/// `register & mask == value`.
pub const fn is(arg: u8, mask: u32, value: u32) -> Test {
    Test { arg, half: Half::Low, mask, value, equal: true }
}

/// `register & mask != 0`.
pub const fn any(arg: u8, mask: u32) -> Test {
    Test { arg, half: Half::Low, mask, value: 0, equal: false }
}

const fn differs(arg: u8, mask: u32, value: u32) -> Test {
    Test { arg, half: Half::Low, mask, value, equal: false }
}

/// The upper half of the register is not 0.
const fn high(arg: u8) -> Test {
    Test { arg, half: Half::High, mask: u32::MAX, value: 0, equal: false }
}

const WALK: Case = always(&[q("inode_permission", EXEC, DIR), q("inode_follow_link", READ, Types::LNK)]);

/// A walk and nothing else.
pub const LOOKUP: &[Case] = &[WALK];

const ACCMODE: u32 = 0o3;
const CREAT: u32 = 0o100;
const TRUNC: u32 = 0o1000;
const APPEND: u32 = 0o2000;
const TMPFILE: u32 = 0o20_000_000;
/// O_PATH: a walk only.
const PATH: u32 = 0o10_000_000;

const OPEN_READ: &[Possible] = &[q("inode_permission", READ.union(GET), ANY), q("file_open", GET, ANY)];
const OPEN_WRITE: &[Possible] = &[q("inode_permission", WRITE.union(GET), ANY), q("file_open", GET, ANY)];
const OPEN_BOTH: &[Possible] = &[q("inode_permission", READ_WRITE.union(GET), ANY), q("file_open", GET, ANY)];
const TRUNCATE: &[Possible] = &[q("file_truncate", WRITE, REG), q("inode_setattr", WRITE, REG)];
const CREATE: &[Possible] = &[
    q("inode_permission", WRITE_EXEC, DIR),
    q("inode_create", WRITE, DIR),
    q("inode_create", Actions::NEW, ABSENT),
    q("inode_permission", GET, REG),
    q("file_open", GET, REG),
];

macro_rules! open_cases {
    ($flags:literal) => {
        &[
            WALK,
            when(&[is($flags, ACCMODE | TRUNC | APPEND | PATH, 0)], OPEN_READ),
            when(&[is($flags, ACCMODE | PATH, 0), any($flags, TRUNC | APPEND)], OPEN_BOTH),
            when(&[is($flags, ACCMODE | PATH, 1)], OPEN_WRITE),
            when(&[is($flags, 2 | PATH, 2)], OPEN_BOTH),
            when(&[is($flags, TRUNC | PATH, TRUNC)], TRUNCATE),
            when(&[is($flags, CREAT | PATH, CREAT)], CREATE),
            when(&[is($flags, TMPFILE | PATH, TMPFILE)], CREATE),
        ]
    };
}

/// open: flags in the second register.
pub const OPEN: &[Case] = open_cases!(1);
/// openat: flags in the third register.
pub const OPENAT: &[Case] = open_cases!(2);
/// creat: O_CREAT|O_WRONLY|O_TRUNC.
pub const CREAT_CALL: &[Case] = &[WALK, always(OPEN_WRITE), always(TRUNCATE), always(CREATE)];
/// openat2, and whatever opens a file in ways its registers do not tell.
pub const OPEN_ANYHOW: &[Case] =
    &[WALK, always(OPEN_READ), always(OPEN_WRITE), always(OPEN_BOTH), always(TRUNCATE), always(CREATE)];

/// stat and friends, by path.
pub const GETATTR: &[Case] = &[WALK, always(&[q("inode_getattr", READ, ANY)])];
/// fstat.
pub const FGETATTR: &[Case] = &[always(&[q("inode_getattr", READ, ANY)])];
/// statfs.
pub const STATFS: &[Case] = &[WALK, always(&[q("sb_statfs", READ, ANY)])];
/// fstatfs.
pub const FSTATFS: &[Case] = &[always(&[q("sb_statfs", READ, ANY)])];
/// readlink.
pub const READLINK: &[Case] = &[WALK, always(&[q("inode_readlink", READ, Types::LNK)])];

macro_rules! access_cases {
    ($mode:literal) => {
        &[
            WALK,
            when(&[is($mode, 7, 0)], &[q("inode_permission", NONE, ANY)]),
            when(&[is($mode, 7, 1)], &[q("inode_permission", EXEC, ANY)]),
            when(&[is($mode, 7, 2)], &[q("inode_permission", WRITE, ANY)]),
            when(&[is($mode, 7, 3)], &[q("inode_permission", WRITE_EXEC, ANY)]),
            when(&[is($mode, 7, 4)], &[q("inode_permission", READ, ANY)]),
            when(&[is($mode, 7, 5)], &[q("inode_permission", READ_EXEC, ANY)]),
            when(&[is($mode, 7, 6)], &[q("inode_permission", READ_WRITE, ANY)]),
            when(&[is($mode, 7, 7)], &[q("inode_permission", ALL, ANY)]),
        ]
    };
}

/// access: mode in the second register.
pub const ACCESS: &[Case] = access_cases!(1);
/// faccessat, faccessat2: mode in the third register.
pub const ACCESSAT: &[Case] = access_cases!(2);
/// chdir, chroot.
pub const CHDIR: &[Case] = &[WALK];
/// fchdir.
pub const FCHDIR: &[Case] = &[always(&[q("inode_permission", EXEC, DIR)])];

const SETATTR_ASKS: &[Possible] = &[q("inode_setattr", WRITE, ANY), q("inode_permission", WRITE, ANY)];
/// chmod, chown, utimes and friends, by path.
pub const SETATTR: &[Case] = &[WALK, always(SETATTR_ASKS)];
/// The same on descriptors.
pub const FSETATTR: &[Case] = &[always(SETATTR_ASKS)];
/// truncate.
pub const TRUNCATE_PATH: &[Case] = &[WALK, always(&[q("inode_permission", WRITE, REG)]), always(TRUNCATE)];
/// ftruncate.
pub const FTRUNCATE: &[Case] = &[always(TRUNCATE)];

const SETXATTR_ASKS: &[Possible] =
    &[q("inode_permission", WRITE, ANY), q("inode_setxattr", WRITE, ANY), q("inode_set_acl", WRITE, ANY)];
const GETXATTR_ASKS: &[Possible] =
    &[q("inode_permission", READ, ANY), q("inode_getxattr", READ, ANY), q("inode_get_acl", READ, ANY)];
const REMOVEXATTR_ASKS: &[Possible] = &[
    q("inode_permission", WRITE, ANY),
    q("inode_removexattr", WRITE, ANY),
    q("inode_remove_acl", WRITE, ANY),
];
const LISTXATTR_ASKS: &[Possible] = &[q("inode_listxattr", READ, ANY)];
/// setxattr, lsetxattr.
pub const SETXATTR: &[Case] = &[WALK, always(SETXATTR_ASKS)];
/// fsetxattr.
pub const FSETXATTR: &[Case] = &[always(SETXATTR_ASKS)];
/// getxattr, lgetxattr.
pub const GETXATTR: &[Case] = &[WALK, always(GETXATTR_ASKS)];
/// fgetxattr.
pub const FGETXATTR: &[Case] = &[always(GETXATTR_ASKS)];
/// listxattr, llistxattr.
pub const LISTXATTR: &[Case] = &[WALK, always(LISTXATTR_ASKS)];
/// flistxattr.
pub const FLISTXATTR: &[Case] = &[always(LISTXATTR_ASKS)];
/// removexattr, lremovexattr.
pub const REMOVEXATTR: &[Case] = &[WALK, always(REMOVEXATTR_ASKS)];
/// fremovexattr.
pub const FREMOVEXATTR: &[Case] = &[always(REMOVEXATTR_ASKS)];
/// file_setattr.
pub const FILE_SETATTR: &[Case] = &[WALK, always(&[q("inode_file_setattr", WRITE, ANY)])];
/// file_getattr.
pub const FILE_GETATTR: &[Case] = &[WALK, always(&[q("inode_file_getattr", READ, ANY)])];

const DIR_WRITE: Possible = q("inode_permission", WRITE_EXEC, DIR);
/// mkdir.
pub const MKDIR: &[Case] =
    &[WALK, always(&[DIR_WRITE, q("inode_mkdir", WRITE, DIR), q("inode_mkdir", Actions::NEW, ABSENT)])];
/// mknod; regular files go through inode_create.
pub const MKNOD: &[Case] = &[
    WALK,
    always(&[DIR_WRITE, q("inode_mknod", WRITE, DIR), q("inode_mknod", Actions::NEW, ABSENT)]),
    always(&[q("inode_create", WRITE, DIR), q("inode_create", Actions::NEW, ABSENT)]),
];
/// symlink.
pub const SYMLINK: &[Case] =
    &[WALK, always(&[DIR_WRITE, q("inode_symlink", WRITE, DIR), q("inode_symlink", Actions::NEW, ABSENT)])];
/// link; the source is checked as for reading and writing if the caller does not own it.
pub const LINK: &[Case] = &[
    WALK,
    always(&[
        q("inode_permission", READ_WRITE, REG),
        DIR_WRITE,
        q("inode_link", READ, ANY),
        q("inode_link", WRITE, DIR),
        q("inode_link", Actions::NEW, ABSENT),
    ]),
];
/// unlink, rmdir, unlinkat.
pub const UNLINK: &[Case] = &[
    WALK,
    always(&[
        DIR_WRITE,
        q("inode_unlink", WRITE, DIR),
        q("inode_unlink", Actions::REMOVE, ANY),
        q("inode_rmdir", WRITE, DIR),
        q("inode_rmdir", Actions::REMOVE, DIR),
    ]),
];
/// rename; with RENAME_EXCHANGE both sides are old and new. A directory that gets another parent is written to.
pub const RENAME: &[Case] = &[
    WALK,
    always(&[
        DIR_WRITE,
        q("inode_permission", WRITE, DIR),
        q("inode_rename", WRITE, DIR),
        q("inode_rename", Actions::REMOVE, ANY),
        q("inode_rename", Actions::NEW, ANY.or(ABSENT)),
    ]),
];

/// Reading an open file: `file_permission` READ.
pub const FREAD: &[Case] = &[always(&[q("file_permission", READ, ANY)])];
/// Writing an open file.
pub const FWRITE: &[Case] = &[always(&[q("file_permission", WRITE, ANY)])];
/// From one open file to another.
pub const FCOPY: &[Case] = &[always(&[q("file_permission", READ, ANY), q("file_permission", WRITE, ANY)])];
/// getdents.
pub const READDIR: &[Case] = &[always(&[q("file_permission", READ, DIR)])];

const ANONYMOUS: u32 = 0x20;
const MAP_TYPE: u32 = 0xf;
const PRIVATE: u32 = 2;

macro_rules! mmap_case {
    ($prot:literal, $shared:expr, $private:expr) => {
        [
            when(&[is(2, 7, $prot), is(3, MAP_TYPE | ANONYMOUS, PRIVATE)], &[q("mmap_file", $private, ANY)]),
            when(
                &[is(2, 7, $prot), is(3, ANONYMOUS, 0), differs(3, MAP_TYPE, PRIVATE)],
                &[q("mmap_file", $shared, ANY)],
            ),
        ]
    };
}

const MMAP_PARTS: [[Case; 2]; 8] = [
    mmap_case!(0, NONE, NONE),
    mmap_case!(1, READ, READ),
    mmap_case!(2, WRITE, NONE),
    mmap_case!(3, READ_WRITE, READ),
    mmap_case!(4, EXEC, EXEC),
    mmap_case!(5, READ_EXEC, READ_EXEC),
    mmap_case!(6, WRITE_EXEC, EXEC),
    mmap_case!(7, ALL, READ_EXEC),
];
/// mmap: protection in the third register, flags in the fourth. A mapping of memory without a file asks nothing.
pub const MMAP: &[Case] = MMAP_PARTS.as_flattened();

macro_rules! mprotect_case {
    ($prot:literal, $shared:expr, $private:expr) => {
        when(&[is(2, 7, $prot)], &[q("file_mprotect", $private, ANY), q("file_mprotect", $shared, ANY)])
    };
}
/// mprotect: protection in the third register; whose memory it is, the registers do not tell.
pub const MPROTECT: &[Case] = &[
    mprotect_case!(0, NONE, NONE),
    mprotect_case!(1, READ, READ),
    mprotect_case!(2, WRITE, NONE),
    mprotect_case!(3, READ_WRITE, READ),
    mprotect_case!(4, EXEC, EXEC),
    mprotect_case!(5, READ_EXEC, READ_EXEC),
    mprotect_case!(6, WRITE_EXEC, EXEC),
    mprotect_case!(7, ALL, READ_EXEC),
];
const SHM_RDONLY: u32 = 0o10_000;
const SHM_EXEC: u32 = 0o100_000;
/// shmat: always a shared mapping of a regular file; flags in the third register.
pub const SHMAT: &[Case] = &[
    when(&[is(2, SHM_RDONLY | SHM_EXEC, SHM_RDONLY)], &[q("mmap_file", READ, REG)]),
    when(&[is(2, SHM_RDONLY | SHM_EXEC, 0)], &[q("mmap_file", READ_WRITE, REG)]),
    when(&[is(2, SHM_RDONLY | SHM_EXEC, SHM_RDONLY | SHM_EXEC)], &[q("mmap_file", READ_EXEC, REG)]),
    when(&[is(2, SHM_RDONLY | SHM_EXEC, SHM_EXEC)], &[q("mmap_file", ALL, REG)]),
];
/// Old calls that map or make executable in ways their registers do not tell.
pub const MAP_ANYHOW: &[Case] = &[always(&[
    q("mmap_file", NONE, ANY),
    q("mmap_file", READ, ANY),
    q("mmap_file", READ_WRITE, ANY),
    q("mmap_file", READ_EXEC, ANY),
    q("mmap_file", ALL, ANY),
])];
/// personality that sets something: 0xffffffff only asks.
pub const SETTING_PERSONA: &[&[Test]] = &[&[differs(0, u32::MAX, u32::MAX)]];

const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const GETFLAGS: u32 = 0x8008_6601;
const SETFLAGS: u32 = 0x4008_6602;
const FSGETXATTR: u32 = 0x801c_581f;
const FSSETXATTR: u32 = 0x401c_5820;
const CLONES: &[Possible] = &[q("file_permission", READ, REG), q("file_permission", WRITE, REG)];
const GETS_FLAGS: &[Possible] = &[q("inode_file_getattr", READ, ANY)];
const SETS_FLAGS: &[Possible] = &[q("inode_file_setattr", WRITE, ANY)];
/// What the kernel opens by itself: the other side of a terminal, namespaces.
const OPENS: &[Possible] = &[q("file_open", Actions::GET, ANY)];
const TIOCGPTPEER: u32 = 0x5441;
macro_rules! ioctl_cases {
    ($($opening:literal)+) => {
        /// Commands for which the kernel opens something by itself, but for terminals: type and number, as the size of the
        /// argument may grow.
        pub const OPENED_BY_IOCTL: &[u32] = &[$($opening),+];
        /// ioctl: the request in the second register; some requests reach further hooks.
        pub const IOCTL: &[Case] = &[
            always(&[
                q("file_ioctl", Actions::IOCTL, ANY),
                Possible { hook: "file_ioctl", about: PossiblyAbout::CommandIn(Event::FsIoctl, 1), types: ANY },
            ]),
            when(&[is(1, u32::MAX, FICLONE)], CLONES),
            when(&[is(1, u32::MAX, FICLONERANGE)], CLONES),
            when(&[is(1, u32::MAX, FIDEDUPERANGE)], CLONES),
            when(&[is(1, u32::MAX, GETFLAGS)], GETS_FLAGS),
            when(&[is(1, u32::MAX, FSGETXATTR)], GETS_FLAGS),
            when(&[is(1, u32::MAX, SETFLAGS)], SETS_FLAGS),
            when(&[is(1, u32::MAX, FSSETXATTR)], SETS_FLAGS),
            when(&[is(1, u32::MAX, TIOCGPTPEER)], OPENS),
            $(when(&[is(1, 0xffff, $opening)], OPENS),)+
        ];
    };
}

ioctl_cases! {
    // NS_GET_USERNS, NS_GET_PARENT, NS_MNT_GET_NEXT, NS_MNT_GET_PREV
    0xb701 0xb702 0xb70b 0xb70c
    // PIDFD_GET_*_NAMESPACE
    0xff01 0xff02 0xff03 0xff04 0xff05 0xff06 0xff07 0xff08 0xff09 0xff0a
    // SIOCGSKNS, TUNGETDEVNETNS
    0x894c 0x54e3
    // XFS_IOC_OPEN_BY_HANDLE, AUTOFS_DEV_IOCTL_OPENMOUNT, DRM_IOCTL_MODE_CREATE_LEASE
    0x586b 0x9374 0x64c6
}

const LOCK_TYPES: PossiblyAbout = PossiblyAbout::CommandOf(Event::FsLock, &[0, 1, 2]);
const LOCKS: &[Possible] =
    &[q("file_lock", Actions::LOCK, ANY), Possible { hook: "file_lock", about: LOCK_TYPES, types: ANY }];
/// fcntl: the command in the second register; those that lock reach file_lock as well.
pub const FCNTL: &[Case] = &[
    always(&[
        q("file_fcntl", Actions::FCNTL, ANY),
        Possible { hook: "file_fcntl", about: PossiblyAbout::CommandIn(Event::FsFcntl, 1), types: ANY },
    ]),
    when(&[is(1, u32::MAX, 6)], LOCKS),    // F_SETLK
    when(&[is(1, u32::MAX, 7)], LOCKS),    // F_SETLKW
    when(&[is(1, u32::MAX, 37)], LOCKS),   // F_OFD_SETLK
    when(&[is(1, u32::MAX, 38)], LOCKS),   // F_OFD_SETLKW
    when(&[is(1, u32::MAX, 1024)], LOCKS), // F_SETLEASE
];
/// flock.
pub const FLOCK: &[Case] = &[always(LOCKS)];

/// execve: the program, its interpreter and its loader.
pub const EXECVE: &[Case] = &[
    WALK,
    always(&[
        q("inode_permission", EXEC.union(GET), REG),
        q("file_open", GET, REG),
        q("file_permission", READ, REG),
        q("mmap_file", READ_EXEC, REG),
    ]),
];
/// bind, to a UNIX socket address.
pub const BIND: &[Case] =
    &[WALK, always(&[DIR_WRITE, q("inode_mknod", WRITE, DIR), q("inode_mknod", Actions::NEW, ABSENT)])];
/// connect and the sends that name an address.
pub const CONNECT: &[Case] = &[always(ADDRESSED)];
const ADDRESSED: &[Possible] = &[
    q("inode_permission", EXEC, DIR),
    q("inode_follow_link", READ, Types::LNK),
    q("inode_permission", WRITE, SOCK),
];
/// sendto: an address in the fifth register, if it is not NULL.
pub const SENDTO: &[Case] = &[when(&[any(4, u32::MAX)], ADDRESSED), when(&[high(4)], ADDRESSED)];
/// Descriptors received from elsewhere.
pub const RECEIVE: &[Case] = &[always(&[q("file_receive", GET, ANY)])];
/// inotify and fanotify watches.
pub const WATCH: &[Case] = &[WALK, always(&[q("inode_permission", READ, ANY)])];

/// fanotify_init, unless its events tell files by handles (FAN_REPORT_FID, FAN_REPORT_DIR_FID): each comes with the file,
/// opened.
pub const EVENTS: &[Case] = &[when(&[is(0, 0x600, 0)], &[q("file_open", GET, ANY)])];

/// Message queues: names in a file system of their own.
pub const MQ_OPEN: &[Case] = OPEN_ANYHOW;
/// mq_unlink.
pub const MQ_UNLINK: &[Case] = UNLINK;
const BPF_OBJ_PIN: u32 = 6;
const BPF_OBJ_GET: u32 = 7;
/// bpf: pinned objects are files.
pub const BPF: &[Case] = &[
    when(&[is(0, u32::MAX, BPF_OBJ_PIN)], CREATE),
    when(&[is(0, u32::MAX, BPF_OBJ_GET)], OPEN_BOTH),
    when(&[is(0, u32::MAX, BPF_OBJ_GET)], OPEN_READ),
];
const CLONE_VM: u32 = 0x100;
const CLONE_FILES: u32 = 0x400;
const CLONE_VFORK: u32 = 0x4000;
const CLONE_THREAD: u32 = 0x1_0000;
const CLONE_NEWUSER: u32 = 0x1000_0000;
/// clone that makes a second process share memory or descriptors, or a user namespace.
pub const SHARING: &[&[Test]] = &[
    &[is(0, CLONE_FILES | CLONE_THREAD, CLONE_FILES)],
    &[is(0, CLONE_VM | CLONE_THREAD | CLONE_VFORK, CLONE_VM)],
    &[any(0, CLONE_NEWUSER)],
];
const PR_CAPBSET_DROP: u32 = 24;
const PR_SET_SECUREBITS: u32 = 28;
/// prctl that takes capabilities from the next program, or asks for more rules.
pub const PRCTL: &[&[Test]] = &[
    &[is(0, u32::MAX, PR_CAPBSET_DROP)],
    &[is(0, u32::MAX, PR_SET_SECUREBITS)],
    &[is(0, u32::MAX, stack::OPTION)],
];
const CLONE_NEWNS: u32 = 0x2_0000;
/// unshare of a user or mount namespace.
pub const UNSHARING: &[&[Test]] = &[&[any(0, CLONE_NEWUSER | CLONE_NEWNS)]];

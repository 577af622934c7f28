// SPDX-License-Identifier: MIT OR Apache-2.0
//! The context of the rules tied to a hook (`struct landlock_data`), and what they return.

use super::Event;

/// Action of a seccomp filter that lets the rules behind it run (`SECCOMP_RET_LANDLOCK`); the low half is the cookie.
pub const RET_LANDLOCK: u32 = 0x0007_0000;
/// Offset of the hook: 4 bytes, the number of the [`Event`].
pub const HOOK: i16 = 0;
/// Offset of the cookie of the filter that the rule runs for: 2 bytes.
pub const COOKIE: i16 = 4;
/// Offset of the first argument: each has 8 bytes.
pub const ARGS: i16 = 8;
/// How many arguments there is room for.
pub const ARGS_COUNT: usize = 6;
/// Size of the whole context in bytes.
pub const SIZE: i16 = 56;
/// The highest number that a rule can fail its caller with (`_ERRNO_LAST`, `ERANGE`). Any higher result is `EPERM`.
pub const ERRNO_LAST: u32 = 34;
/// The RFC refused programs of this many instructions.
pub const TOO_MANY_INSNS: usize = 4096;

/// What an argument of a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The file; NULL where nothing but memory is mapped, if that is possible.
    File {
        /// Whether it may be NULL.
        nullable: bool,
    },
    /// The credentials it is opened with. No helper takes them.
    Cred,
    /// A number, by its name.
    Number(&'static str),
}

/// The arguments of a hook, in order; none for other events. What is missing may not be read.
pub fn args(event: Event) -> &'static [Arg] {
    match event {
        Event::FileOpen => &[Arg::File { nullable: false }, Arg::Cred],
        Event::FilePermission => &[Arg::File { nullable: false }, Arg::Number("mask")],
        Event::MmapFile => {
            &[Arg::File { nullable: true }, Arg::Number("reqprot"), Arg::Number("prot"), Arg::Number("flags")]
        }
        Event::Fs | Event::FsIoctl | Event::FsLock | Event::FsFcntl => &[],
    }
}

/// The argument whose load starts at this offset of the context, as an index.
pub fn arg_at(off: i16) -> Option<usize> {
    let index = usize::try_from(off.checked_sub(ARGS)?).ok().filter(|bytes| bytes % 8 == 0)? / 8;
    (index < ARGS_COUNT).then_some(index)
}

/// The name of an errno that a rule can give: 1 to [`ERRNO_LAST`].
pub fn errno_name(errno: u32) -> &'static str {
    const NAMES: [&str; ERRNO_LAST as usize] = [
        "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF", "ECHILD", "EAGAIN",
        "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV", "ENOTDIR", "EISDIR",
        "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE", "EROFS", "EMLINK",
        "EPIPE", "EDOM", "ERANGE",
    ];
    let index = usize::try_from(errno).ok().and_then(|errno| errno.checked_sub(1));
    index.and_then(|index| NAMES.get(index)).copied().unwrap_or("EPERM")
}

/// What a rule's result does to its caller: nothing, or the errno it fails with. The low half counts.
pub fn errno(result: u64) -> Option<u32> {
    const EPERM: u32 = 1;
    match u32::try_from(result & u64::from(u32::MAX)).unwrap_or(u32::MAX) {
        0 => None,
        errno @ 1..=ERRNO_LAST => Some(errno),
        _ => Some(EPERM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_errnos_up_to_erange_and_eperm_beyond() {
        for (result, expected) in [
            (0, None),
            (1, Some(1)),
            (13, Some(13)),
            (34, Some(34)),
            (35, Some(1)),
            (0xffff_ffff, Some(1)),
            (u64::MAX, Some(1)),
            (1 << 32, None),
            (1 << 32 | 2, Some(2)),
        ] {
            assert_eq!(errno(result), expected, "{result:#x}");
        }
    }

    #[test]
    fn errnos_have_linux_names() {
        let named =
            [(1, "EPERM"), (2, "ENOENT"), (13, "EACCES"), (22, "EINVAL"), (30, "EROFS"), (34, "ERANGE")];
        named.into_iter().for_each(|(errno, name)| assert_eq!(errno_name(errno), name));
    }

    #[test]
    fn arguments_start_at_every_eighth_byte() {
        let found: Vec<_> = (i16::MIN..i16::MAX).filter_map(|off| Some((off, arg_at(off)?))).collect();
        assert_eq!(found, [(8, 0), (16, 1), (24, 2), (32, 3), (40, 4), (48, 5)]);
    }
}

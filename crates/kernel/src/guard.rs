// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that keep root in a domain from taking down what keeps it there. No rule forbids that, so the engine does.
//!
//! Threads in domains get no descriptor of a map or a link by bpf(2), neither remove nor move anything in a bpf file
//! system, nor the file system itself, and write no sysctl under `kernel/`.

use std::os::fd::{AsFd, OwnedFd};

use landlock_bpf::btf::TypeId;
use landlock_bpf::map::Map;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::error::{Error, Result};
use crate::programs::{Target, assemble, fd, offset};
use crate::state::Maps;

pub(crate) const OBJECTS: &str = include_str!("programs/objects.s");
pub(crate) const PINS: &str = include_str!("programs/pins.s");
pub(crate) const SYSCTL: &str = include_str!("programs/sysctl.s");
pub(crate) const UNMOUNT: &str = include_str!("programs/unmount.s");

const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

pub(crate) fn objects(target: Target<'_>, Maps { threads, .. }: &Maps) -> Result<Program> {
    let filling = [("threads", fd(threads))];
    target.load("bpf", "objects", &assemble(OBJECTS, &filling))
}

/// Attached to the root of control groups, where every thread is.
pub(crate) fn sysctl(_: Target<'_>, Maps { threads, .. }: &Maps) -> Result<Program> {
    // What a buffer of 8 bytes holds of a name under kernel/.
    let beginning = i64::from_le_bytes(*b"kernel/\0");
    let filling = [("threads", fd(threads)), ("kernel", beginning)];
    let insns = assemble(SYSCTL, &filling);
    let kind = ProgramKind::Sysctl;
    let license = c"Dual MIT/GPL";
    Ok(Program::load(&ProgramSpec { name: "sysctl", kind, attach_to: TypeId(0), insns: &insns, license })?)
}

/// The root of control groups as this process sees it, mounted or not.
pub(crate) fn control_groups() -> Result<OwnedFd> {
    let root = || {
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(context.as_fd())?;
        let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        openat(mount, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    root().map_err(|errno| Error::Unavailable(format!("control groups, version 2: {errno}")))
}

pub(crate) fn unlink(target: Target<'_>, maps: &Maps) -> Result<Program> {
    pins(target, &maps.threads, "inode_unlink")
}

pub(crate) fn rmdir(target: Target<'_>, maps: &Maps) -> Result<Program> {
    pins(target, &maps.threads, "inode_rmdir")
}

pub(crate) fn rename(target: Target<'_>, maps: &Maps) -> Result<Program> {
    pins(target, &maps.threads, "inode_rename")
}

fn pins(target: Target<'_>, threads: &Map, hook: &str) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("i_sb", offset(target.btf, "struct inode", "i_sb")?),
        ("s_magic", offset(target.btf, "struct super_block", "s_magic")?),
        ("bpf_fs", BPF_FS_MAGIC),
    ];
    target.load(hook, "pins", &assemble(PINS, &filling))
}

pub(crate) fn unmount(target: Target<'_>, Maps { threads, .. }: &Maps) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("mnt_sb", offset(target.btf, "struct vfsmount", "mnt_sb")?),
        ("s_magic", offset(target.btf, "struct super_block", "s_magic")?),
        ("bpf_fs", BPF_FS_MAGIC),
    ];
    target.load("sb_umount", "unmount", &assemble(UNMOUNT, &filling))
}

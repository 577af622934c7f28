// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc` on behalf of another process: `self` is the caller, and we are not there.
//!
//! The kernel lets every process into its own `/proc/PID`. What we open for a caller is checked against
//! us, so whatever leads to an entry of ours, or of our reaper, is refused here; entries of others outside
//! the tree are refused by the kernel itself, because we are inside the ptrace boundary.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::object::{Object, errno};
use crate::request::{Request, Status};
use crate::sys;

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const ROOT_INODE: u64 = 1;

/// Whether the object is on a proc file system.
pub fn is_proc(object: &Object) -> bool {
    // Real devices have a major number.
    let anonymous = libc::major(object.stat().st_dev) == 0;
    anonymous && rustix::fs::fstatfs(object).is_ok_and(|statfs| statfs.f_type == PROC_SUPER_MAGIC)
}

/// `EACCES` if the object is an entry of ours or the reaper's, of a process on a proc file system that numbers processes
/// in a way we do not know, or of one that the caller may not look into.
pub fn guard(request: &Request<'_>, object: &Object) -> Result<(), Errno> {
    if !is_proc(object) || object.stat().st_ino == ROOT_INODE {
        return Ok(());
    }
    guard_entry(request, object, &object.path().ok_or(Errno::ACCESS)?)
}

/// [`guard`] for what has this path, on the proc file system of `object`.
fn guard_entry(request: &Request<'_>, object: &Object, path: &Path) -> Result<(), Errno> {
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap_or("")).collect();
    let number = |index: usize| parts.get(index).and_then(|part| part.parse::<u32>().ok());
    if own_proc()?.stat().st_dev != object.stat().st_dev {
        let entry = (0..parts.len()).any(|index| number(index).is_some());
        return if entry { Err(Errno::ACCESS) } else { Ok(()) };
    }
    let thread = parts.get(3).filter(|part| **part == "task").and_then(|_| number(4));
    let forbidden = number(2).is_some_and(ours) || thread.is_some_and(ours) || !path.starts_with("/proc");
    if forbidden { Err(Errno::ACCESS) } else { stays_inside(request, number(2), &parts) }
}

/// What the kernel shows of a process to those that may not trace it.
const PUBLIC: [&str; 16] = [
    "cgroup",
    "cmdline",
    "comm",
    "gid_map",
    "limits",
    "mountinfo",
    "mounts",
    "net",
    "oom_score",
    "oom_score_adj",
    "sched",
    "schedstat",
    "stat",
    "statm",
    "status",
    "uid_map",
];

/// The kernel checks our right to look into a process, which for a caller in a nested domain is more than its own:
/// it may look only into those that have all of its rules.
fn stays_inside(request: &Request<'_>, process: Option<u32>, parts: &[&str]) -> Result<(), Errno> {
    let entry = if parts.get(3) == Some(&"task") { parts.get(5) } else { parts.get(3) };
    let (Some(process), Some(entry)) = (process, entry) else { return Ok(()) };
    if request.judge.number == 0 || PUBLIC.contains(entry) {
        return Ok(());
    }
    let group = |status: Status| status.number("Tgid:");
    let its_own = group(Status::of(format!("/proc/{process}/status"))?) == group(request.status()?);
    let inside = its_own || request.shared.domains.all_extend(process, request.judge.number)?;
    if inside { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Whether the number is a thread of ours, or the reaper, which is our only child.
fn ours(number: u32) -> bool {
    let is_child = || match Status::of(format!("/proc/{number}/status")) {
        Ok(status) => status.number("PPid:") == Some(std::process::id()),
        // Gone, and nothing can be reached through its entry any more; or we cannot tell.
        Err(errno) => !matches!(errno, Errno::NOENT | Errno::SRCH),
    };
    Path::new(&format!("/proc/self/task/{number}")).exists() || is_child()
}

fn own_proc() -> Result<Object, Errno> {
    Object::pin(rustix::fs::openat(CWD, c"/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// What a symbolic link on a proc file system leads to.
pub enum Link {
    /// A path, to be walked on from the directory of the link.
    Text(Vec<u8>),
    /// An object the kernel jumps to.
    Jump(Object),
}

/// Reads link `name` in `parent`, on a proc file system, as the caller would.
pub fn link(request: &Request<'_>, parent: &Object, name: &CStr) -> Result<Link, Errno> {
    guard(request, parent)?;
    if parent.stat().st_ino != ROOT_INODE {
        let path = parent.path().ok_or(Errno::ACCESS)?.join(OsStr::from_bytes(name.to_bytes()));
        guard_entry(request, parent, &path)?;
        let jumped = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let object = Object::pin(jumped)?;
        guard(request, &object)?;
        return Ok(Link::Jump(object));
    }
    if parent.stat().st_dev != own_proc()?.stat().st_dev {
        return Err(Errno::ACCESS);
    }
    let tid = request.notification.tid;
    let tgid = || request.status()?.number("Tgid:").ok_or(Errno::SRCH);
    match name.to_bytes() {
        b"self" => Ok(Link::Text(tgid()?.to_string().into_bytes())),
        b"thread-self" => Ok(Link::Text(format!("{}/task/{tid}", tgid()?).into_bytes())),
        _ => Ok(Link::Text(rustix::fs::readlinkat(parent, name, Vec::new())?.into_bytes())),
    }
}

/// What a pinned link says to the caller, where it says something else to us: `/proc/self` and its like.
pub fn text(request: &Request<'_>, pinned: &Object) -> Result<Option<Vec<u8>>, Errno> {
    if !is_proc(pinned) {
        return Ok(None);
    }
    let path = pinned.path().ok_or(Errno::ACCESS)?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if !matches!(name, b"self" | b"thread-self") {
        return Ok(None);
    }
    let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    let proc = own_proc()?;
    if path.parent() != Some(Path::new("/proc")) || pinned.stat().st_dev != proc.stat().st_dev {
        return Err(Errno::ACCESS);
    }
    match link(request, &proc, &name)? {
        Link::Text(text) => Ok(Some(text)),
        Link::Jump(_) => Ok(None),
    }
}

/// What a file of `/proc` says. One read is enough for most, where the standard library, which is told they are empty,
/// begins with a few bytes.
pub fn contents(path: impl AsRef<Path>) -> Result<Vec<u8>, Errno> {
    const PAGE: usize = 4096;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = retry_on_intr(|| rustix::fs::open(path.as_ref(), flags, Mode::empty()))?;
    let mut bytes = Vec::with_capacity(PAGE);
    while retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? != 0 {
        bytes.reserve(PAGE);
    }
    Ok(bytes)
}

/// A path to the terminal that controls the caller. `ENXIO` if none does, or it cannot be named from here.
pub fn terminal(request: &Request<'_>) -> Result<String, Errno> {
    // Where the leader is outside our PID namespace both are 0, and the same: a session made inside has its leader inside.
    let session = |tid| sys::session(tid).map_err(errno);
    if session(request.notification.tid)? == session(0)? {
        return Ok("/dev/tty".to_owned());
    }
    // Another session: field 7 of its stat is the terminal's device, and the command name before may hold anything.
    let stat = contents(format!("/proc/{}/stat", request.notification.tid))?;
    let after = stat.iter().rposition(|&byte| byte == b')').ok_or(Errno::IO)?;
    let fields = String::from_utf8_lossy(&stat[after + 1..]).into_owned();
    let device: u64 =
        fields.split_whitespace().nth(4).and_then(|text| text.parse().ok()).ok_or(Errno::NXIO)?;
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    const FIRST_PTS: u64 = 136;
    if !(FIRST_PTS..FIRST_PTS + 8).contains(&major) {
        return Err(Errno::NXIO);
    }
    let path = format!("/dev/pts/{}", (major - FIRST_PTS) * 256 + minor);
    let terminal =
        Object::pin(rustix::fs::openat(CWD, path.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)?;
    let is_it = (libc::major(terminal.stat().st_rdev), libc::minor(terminal.stat().st_rdev));
    if is_it == (u32::try_from(major).unwrap_or(0), u32::try_from(minor).unwrap_or(u32::MAX)) {
        Ok(path)
    } else {
        Err(Errno::NXIO)
    }
}

/// Whether a number under `/proc/sys` is at least `least`; a setting that cannot be read counts as set.
pub fn setting(name: &str, least: u32) -> bool {
    let text = contents(Path::new("/proc/sys").join(name));
    let number = text.ok().and_then(|text| std::str::from_utf8(text.trim_ascii()).ok()?.parse::<u32>().ok());
    number.is_none_or(|number| number >= least)
}

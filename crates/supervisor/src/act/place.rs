// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a process is and who it is: working directory, root, namespaces, identity.
//!
//! These change the process itself, so the kernel carries them out. For a directory that another thread
//! swaps after the check this is harmless: being in a directory gives nothing, as every later walk that
//! starts there asks again.

use std::sync::atomic::Ordering;

use landlock_compiler::abi::Actions;
use rustix::io::Errno;

use crate::judge::actions;
use crate::request::{Answer, Reply, Request};
use crate::walk::{Last, Walk};

/// chdir(path)
pub fn chdir(request: &Request<'_>) -> Answer {
    enter(request)?;
    Ok(Reply::Continue)
}

/// fchdir(fd)
pub fn fchdir(request: &Request<'_>) -> Answer {
    let directory = request.object(request.arg32(0))?;
    request.judge.ask(request, actions("inode_permission", Actions::EXEC), &directory)?;
    Ok(Reply::Continue)
}

/// chroot(path): from now on the tree may see another root than we do.
pub fn chroot(request: &Request<'_>) -> Answer {
    enter(request)?;
    announce(request)
}

fn enter(request: &Request<'_>) -> Result<(), Errno> {
    if !request.judge.walks_matter {
        return Ok(());
    }
    let walk = Walk::new(request, libc::AT_FDCWD.cast_unsigned(), request.arg(0))?;
    let directory = request.as_caller(|| walk.object(Last::Follow))?;
    if !directory.is_directory() {
        return Err(Errno::NOTDIR);
    }
    request.judge.ask(request, actions("inode_permission", Actions::EXEC), &directory)
}

/// clone, unshare, setns, setuid and their relatives: noted, then carried out by the kernel.
pub fn announce(request: &Request<'_>) -> Answer {
    let shares = request.name == "clone" && request.arg(0) & NEW_USER == 0;
    let what = if shares { &request.shared.entangled } else { &request.shared.elsewhere };
    what.store(true, Ordering::Release);
    Ok(Reply::Continue)
}

const NEW_USER: u64 = 0x1000_0000;

/// mount and its relatives. They are refused in any case: a process inside a mainline Landlock domain, which the
/// ptrace boundary is, may not mount. The rules are asked first, to name the one that refuses too.
pub fn mount(request: &Request<'_>) -> Answer {
    let (hook, target) = match request.name {
        "mount" => ("sb_mount", Some((libc::AT_FDCWD.cast_unsigned(), request.arg(1)))),
        "umount2" => ("sb_umount", Some((libc::AT_FDCWD.cast_unsigned(), request.arg(0)))),
        "pivot_root" => ("sb_pivotroot", Some((libc::AT_FDCWD.cast_unsigned(), request.arg(1)))),
        "move_mount" => ("move_mount", Some((request.arg32(2), request.arg(3)))),
        _ => ("sb_mount", None),
    };
    let ask = actions(hook, Actions::WRITE);
    if let Some((dirfd, path)) = target {
        let walk = Walk::new(request, dirfd, path)?;
        let point = request.as_caller(|| walk.object(Last::Follow))?;
        request.judge.ask(request, ask, &point)?;
    }
    let reason = "the ptrace boundary of the supervisor target does not allow mounting";
    request.judge.refuse_because(request, ask, reason)
}

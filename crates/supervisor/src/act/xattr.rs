// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extended attributes, by path, by path without following a last link, and by descriptor.
//!
//! Access control lists are extended attributes with hooks of their own.

use std::ffi::CString;

use landlock_compiler::abi::Actions;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::judge::actions;
use crate::object::Object;
use crate::request::{Answer, DONE, Reply, Request};
use crate::walk::{self, HERE};

/// Largest value, and largest list of names, in bytes.
const LARGEST: usize = 65536;

/// setxattr(path, name, value, size, flags), lsetxattr, fsetxattr(fd, …)
pub fn set(request: &Request<'_>) -> Answer {
    let flags = XattrFlags::from_bits_retain(request.arg32(4));
    if !(XattrFlags::CREATE | XattrFlags::REPLACE).contains(flags) {
        return Err(Errno::INVAL);
    }
    let name = name(request)?;
    let size = usize::try_from(request.arg(3)).unwrap_or(usize::MAX);
    if size > LARGEST {
        return Err(Errno::TOOBIG);
    }
    let value = request.bytes(request.arg(2), size)?;
    let object = object(request)?;
    ask(request, &object, &name, Actions::WRITE, ("inode_setxattr", "inode_set_acl"))?;
    request.as_caller(|| rustix::fs::setxattr(object.proc_path(), &name, &value, flags))?;
    DONE
}

/// getxattr(path, name, value, size), lgetxattr, fgetxattr(fd, …); size 0 asks how large the value is.
pub fn get(request: &Request<'_>) -> Answer {
    let name = name(request)?;
    let object = object(request)?;
    ask(request, &object, &name, Actions::READ, ("inode_getxattr", "inode_get_acl"))?;
    give(request, request.arg(2), request.arg(3), |room| match room {
        [] => rustix::fs::getxattr_query(object.proc_path(), &name),
        room => rustix::fs::getxattr(object.proc_path(), &name, room),
    })
}

/// listxattr(path, list, size), llistxattr, flistxattr(fd, …); size 0 asks how long the list is.
pub fn list(request: &Request<'_>) -> Answer {
    let object = object(request)?;
    request.judge.ask(request, actions("inode_listxattr", Actions::READ), &object)?;
    give(request, request.arg(1), request.arg(2), |room| match room {
        [] => rustix::fs::listxattr_query(object.proc_path()),
        room => rustix::fs::listxattr(object.proc_path(), room),
    })
}

/// removexattr(path, name), lremovexattr, fremovexattr(fd, name)
pub fn remove(request: &Request<'_>) -> Answer {
    let name = name(request)?;
    let object = object(request)?;
    ask(request, &object, &name, Actions::WRITE, ("inode_removexattr", "inode_remove_acl"))?;
    request.as_caller(|| rustix::fs::removexattr(object.proc_path(), &name))?;
    DONE
}

/// The object of any of the three forms.
fn object(request: &Request<'_>) -> Result<Object, Errno> {
    match request.name {
        "fsetxattr" | "fgetxattr" | "flistxattr" | "fremovexattr" => request.open_object(request.arg32(0)),
        "lsetxattr" | "lgetxattr" | "llistxattr" | "lremovexattr" => {
            walk::object(request, HERE, request.arg(0), libc::AT_SYMLINK_NOFOLLOW.cast_unsigned())
        }
        _ => walk::object(request, HERE, request.arg(0), 0),
    }
}

/// The attribute's name: 1 to 255 bytes, else `ERANGE`.
fn name(request: &Request<'_>) -> Result<CString, Errno> {
    const LONGEST: usize = 255;
    let name = match request.path(request.arg(1)) {
        Err(Errno::NAMETOOLONG) => return Err(Errno::RANGE),
        name => name?,
    };
    if (1..=LONGEST).contains(&name.count_bytes()) { Ok(name) } else { Err(Errno::RANGE) }
}

/// Hands what `fetch` puts into a buffer on to the caller's, which is at `address` and has `size` bytes.
fn give(
    request: &Request<'_>,
    address: u64,
    size: u64,
    fetch: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
) -> Answer {
    let mut room = vec![0; usize::try_from(size).map_or(LARGEST, |size| size.min(LARGEST))];
    let got = request.as_caller(|| fetch(&mut room)).map_err(|errno| match errno {
        Errno::RANGE if room.len() == LARGEST => Errno::TOOBIG,
        errno => errno,
    })?;
    request.write(address, &room[..got.min(room.len())])?;
    Ok(Reply::Value(i64::try_from(got).unwrap_or(0)))
}

/// The questions about one attribute; `hooks` are the one for it and the one for an access control list.
fn ask(
    request: &Request<'_>,
    object: &Object,
    name: &CString,
    action: Actions,
    hooks: (&'static str, &'static str),
) -> Result<(), Errno> {
    let judge = &request.judge;
    let name = name.to_bytes();
    if name == b"system.posix_acl_access" || name == b"system.posix_acl_default" {
        return judge.ask(request, actions(hooks.1, action), object);
    }
    // The kernel leaves the access check of these spaces to whoever defines them.
    let own_check: [&[u8]; 3] = [b"security.", b"system.", b"trusted."];
    if !own_check.iter().any(|space| name.starts_with(space)) {
        judge.ask(request, actions("inode_permission", action), object)?;
    }
    judge.ask(request, actions(hooks.0, action), object)
}

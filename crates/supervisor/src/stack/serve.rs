// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor's side: the two calls by which a thread confines itself further.

use std::fs::File;
use std::os::linux::fs::MetadataExt;
use std::sync::Arc;

use landlock_compiler::abi::Actions;
use landlock_compiler::verify::Loader;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::definition::{Definition, LogTo};
use super::{DEFINE, FORGET_LOG, LAYERS, OFFER, OPTION, VERSION, domains, tag};
use crate::act::{closed, place};
use crate::denial::Log;
use crate::judge::actions;
use crate::object::errno;
use crate::proc;
use crate::request::{Answer, DONE, Reply, Request};

/// A definition of as many rules as a thread may have is smaller.
const MAX_DEFINITION: u64 = 16 << 20;

/// prctl: ours, or one that lessens capabilities.
pub fn prctl(request: &Request<'_>) -> Answer {
    if request.arg32(0) != OPTION {
        return place::announce(request);
    }
    match request.arg(1).try_into() {
        Ok(OFFER) => Ok(Reply::Value(VERSION)),
        Ok(DEFINE) => define(request),
        Ok(FORGET_LOG) => {
            let number = u32::try_from(request.arg(2)).map_err(|_| Errno::PERM)?;
            request.shared.domains.forget_log(number, request.judge.number)?;
            DONE
        }
        Ok(LAYERS) => {
            request.shared.domains.layering(request.notification.tid, request.arg(2) != 0);
            DONE
        }
        _ => Err(Errno::INVAL),
    }
}

/// landlock_create_ruleset(attributes, size, flags). What we do for a caller would not be held to a layer it has
/// put on itself, so mainline Landlock says here what it says where it is switched off. A layer of the ptrace boundary
/// restricts nothing that we do.
pub fn create_ruleset(request: &Request<'_>) -> Answer {
    let may = request.shared.domains.is_layering(request.notification.tid);
    if may { Ok(Reply::Continue) } else { Err(Errno::OPNOTSUPP) }
}

/// `E2BIG`, `EFAULT`, `EINVAL` for a definition that is none, and what [`Definition::read`] and
/// [`Domains::define`](super::Domains::define) give.
fn define(request: &Request<'_>) -> Answer {
    let length = Some(request.arg(3)).filter(|length| *length <= MAX_DEFINITION).ok_or(Errno::TOOBIG)?;
    let bytes = request.bytes(request.arg(2), usize::try_from(length).map_err(|_| Errno::TOOBIG)?)?;
    let definition: Definition = serde_json::from_slice(&bytes).map_err(|_| Errno::INVAL)?;
    let log = definition.log.map(|log| open_log(request, log)).transpose()?;
    let layers = definition.read(request, &loader(request)?)?;
    Ok(Reply::Value(request.shared.domains.define(request.judge.number, layers, log)?.into()))
}

/// What the caller may load. A capability counts only in the initial user namespace.
pub fn loader(request: &Request<'_>) -> Result<Loader, Errno> {
    const INITIAL: u64 = 0xefff_fffd;
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let capable = request.status()?.bits("CapEff:").ok_or(Errno::IO)? & CAP_SYS_ADMIN != 0;
    let namespace =
        std::fs::metadata(format!("/proc/{}/ns/user", request.notification.tid)).map_err(errno)?;
    request.still_waiting()?;
    Ok(Loader { cap_sys_admin: capable && namespace.st_ino() == INITIAL })
}

/// A log we write to for the caller: only a file that it could write to itself.
fn open_log(request: &Request<'_>, log: LogTo) -> Result<Log, Errno> {
    let file = request.open_object(log.descriptor)?;
    // Files of /proc act on who writes to them.
    if rustix::fs::fcntl_getfl(&file)? & OFlags::RWMODE == OFlags::RDONLY || proc::is_proc(&file) {
        return Err(Errno::BADF);
    }
    request.judge.ask(request, actions("file_permission", Actions::WRITE), &file)?;
    let file = File::from(std::os::fd::OwnedFd::from(file));
    Ok(if log.text { Log::text(file) } else { Log::json(file) })
}

/// personality(persona): enters a domain, or leaves the number of the present one alone.
pub fn personality(request: &Request<'_>) -> Answer {
    let wanted = request.arg32(0);
    let domains = &request.shared.domains;
    let then = domains.numbered(tag::of(wanted)).unwrap_or_else(|| Arc::clone(&request.judge));
    if [&then, &request.judge].into_iter().any(|judge| closed::makes_readable_executable(judge, wanted)) {
        return closed::personality(request);
    }
    if domains.is_flat() && tag::of(wanted) == 0 {
        return Ok(Reply::Continue);
    }
    // Nobody but the waiting thread could change it.
    let present = domains::personality(&request.notification.tid.to_string())?;
    request.still_waiting()?;
    let (from, to) = (tag::of(present), tag::of(wanted));
    if domains.extends(to, from) {
        return Ok(Reply::Continue);
    }
    if to == 0 && wanted == tag::set(present, 0) {
        // Nothing else would change: programs that know no flag but their own say so.
        return Ok(Reply::Value(present.into()));
    }
    let reason = "it would leave the domain, which is kept in unused bits of the personality";
    request.judge.refuse_because(request, actions("-", Actions::empty()), reason)
}

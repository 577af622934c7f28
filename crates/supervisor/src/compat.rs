// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs written for v7, which make its system calls themselves: bpf(2) to load a rule, seccomp(2) to prepend it.
//!
//! Kernels of today give both numbers another meaning, and the program may mean that. A call that is not certainly v7's
//! is the kernel's, which reads the arguments again: nothing is decided on what it may then find, as no rule is loaded or
//! prepended by it. A call that is v7's the kernel never sees.
//!
//! * Program type 15: see [`Attr::are_of_a_rule`].
//! * Operation 2, a pointer to a descriptor or to an action (`SECCOMP_GET_ACTION_AVAIL`). A number with nothing in its
//!   lower half is an action, unless the caller's descriptor of that number is a rule's.

use std::os::fd::AsFd;

use landlock_compiler::domain::Layer;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::verify;
use landlock_v7::{Attr, Memory, errno, load, rule_in};
use rustix::io::Errno;

use crate::filter::{PREPEND_LANDLOCK_RULE, PROG_LOAD};
use crate::request::{Answer, Reply, Request, Status};
use crate::stack::{self, tag};
use crate::sys::{self, Held, Injected, Seized};
use crate::{boundary, object};

impl Memory for Request<'_> {
    fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        self.bytes(address, len)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        Request::write(self, address, bytes)
    }
}

/// The answer to a call that may be v7's; `None` for others.
pub fn answer(request: &Request<'_>) -> Option<Answer> {
    if !request.shared.domains.answers_v7 {
        return None;
    }
    match (request.name, request.arg32(0)) {
        ("bpf", PROG_LOAD) => Some(bpf(request)),
        ("seccomp", PREPEND_LANDLOCK_RULE) => Some(seccomp(request)),
        _ => None,
    }
}

/// bpf(BPF_PROG_LOAD, attr, size)
fn bpf(request: &Request<'_>) -> Answer {
    let size = request.arg32(2) as usize;
    match Attr::copy(request, request.arg(1), size) {
        Ok(attr) if attr.are_of_a_rule() => {
            let fd = load(request, &stack::loader(request)?, &attr)?;
            Ok(Reply::Descriptor { fd, cloexec: true })
        }
        // What is wrong with them the kernel will say.
        _ => Ok(Reply::Continue),
    }
}

/// seccomp(SECCOMP_PREPEND_LANDLOCK_RULE, flags, rule), in the order v7 checked, but for the privilege.
fn seccomp(request: &Request<'_>) -> Answer {
    if request.arg(2) == 0 {
        return Err(Errno::FAULT);
    }
    if request.arg32(1) != 0 {
        return Err(Errno::INVAL);
    }
    let mut number = [0; 4];
    number.copy_from_slice(&request.bytes(request.arg(2), 4)?);
    let number = u32::from_ne_bytes(number);
    let rule = request.file(number).and_then(rule_in);
    match rule {
        Ok(object) => {
            let loader = stack::loader(request)?;
            let rule = verify(object, &loader).map_err(|problems| errno(&problems))?;
            prepend(request, rule)
        }
        Err(_) if is_action(number) => Ok(Reply::Continue),
        Err(errno) => Err(errno),
    }
}

/// Whether a number may be that of a seccomp action, known or not: the lower half is the action's data.
fn is_action(number: u32) -> bool {
    number & 0xffff == 0
}

/// Has a thread make a system call, by its number and first arguments, and gives what that returned.
pub type Call<'a> = &'a mut dyn FnMut(u32, [u64; 3]) -> std::io::Result<i64>;

/// Who keeps the rules that programs prepend by v7's own call, where it is not the supervisor itself.
pub trait Keeper: std::fmt::Debug + Send + Sync {
    /// Puts a rule before those in force on a thread, which can be made to do what only it can do.
    ///
    /// # Errors
    /// What the thread's call is to return; it must have no fewer rules then than before.
    fn prepend(&self, call: Call<'_>, rule: Rule) -> Result<(), Errno>;
}

/// Puts the rule before those in force on the caller.
fn prepend(request: &Request<'_>, rule: Rule) -> Answer {
    match &request.shared.domains.keeper {
        Some(keeper) => {
            let enter =
                |held: &mut Held, ()| keeper.prepend(&mut |number, args| held.call(number, args), rule);
            while_held(request, || Ok(()), enter)
        }
        None => prepend_ours(request, rule),
    }
}

/// If it fails, the caller may have one more layer of the ptrace boundary, and never fewer rules.
fn prepend_ours(request: &Request<'_>, rule: Rule) -> Answer {
    let tid = request.notification.tid;
    // The caller is about to make a call that one of our threads must answer.
    if !request.shared.somebody_else_serves() {
        return Err(Errno::NOMEM);
    }
    let defined = request.shared.domains.define(request.judge.number, vec![Layer::Rule(rule)], None);
    let number = defined.map_err(|errno| if errno == Errno::NOSPC { Errno::NOMEM } else { errno })?;
    let layer = boundary::layer_descriptor().map_err(|_| Errno::NOMEM)?;
    let give = || sys::add_fd(request.as_fd(), request.notification.id, layer.as_fd(), true);
    while_held(request, || give().map_err(object::errno), |held, layer| enter(held, tid, layer, number))
}

/// Holds the caller in a stop, its call answered. `prepare` is what has to be done before that.
fn while_held<T>(
    request: &Request<'_>,
    prepare: impl FnOnce() -> Result<T, Errno>,
    enter: impl FnOnce(&mut Held, T) -> Result<(), Errno>,
) -> Answer {
    let Ok(seized) = Seized::new(request.notification.tid) else { return Err(not_seized(request)) };
    let prepared = prepare();
    // Only wakes it up. If it is gone, waiting for it will tell.
    drop(sys::respond(request.as_fd(), request.notification.id, Injected::Value(0)));
    if let Ok(mut held) = seized.hold() {
        let entered = prepared.and_then(|prepared| enter(&mut held, prepared));
        held.release(entered.map_or_else(|errno| -i64::from(errno.raw_os_error()), |()| 0));
    }
    Ok(Reply::Answered)
}

/// Another process traces the caller (`EBUSY`), or we may not.
fn not_seized(request: &Request<'_>) -> Errno {
    let status = Status::of(format!("/proc/{}/status", request.notification.tid));
    let tracer = status.ok().and_then(|status| status.number("TracerPid:"));
    if tracer.is_some_and(|tracer| tracer != 0) { Errno::BUSY } else { Errno::PERM }
}

/// Has the thread enter a layer of the ptrace boundary, and then the domain.
fn enter(held: &mut Held, tid: u32, layer: i64, number: u32) -> Result<(), Errno> {
    const CLOSE: u32 = 3;
    const PERSONALITY: u32 = 135;
    const RESTRICT_SELF: u32 = 446;
    let layer = layer.cast_unsigned();
    let restricted = held.call(RESTRICT_SELF, [layer, 0, 0]);
    held.call(CLOSE, [layer, 0, 0]).map_err(object::errno)?;
    restricted.map_err(object::errno)?;
    let present = stack::personality_of(tid)?;
    held.call(PERSONALITY, [tag::set(present, number).into(), 0, 0]).map_err(object::errno)?;
    let is_in = tag::of(stack::personality_of(tid)?) == number;
    if is_in { Ok(()) } else { Err(Errno::PERM) }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Syscalls about a judged file, made where nobody can exchange it: by a thread parted from the caller for that.
//!
//! Only the caller's process can map into its memory, or act on a terminal as itself. But what the caller's number of a
//! descriptor means, its other threads may change at any time. So the caller is held in a stop, its syscall answered, and
//! made to part a thread from itself that shares everything with it except the table of descriptors, of which it has
//! a copy. Nobody can change that copy. If the number there is the very file that was judged, the thread makes the
//! syscall; else it is refused. Then the thread ends, and the caller goes on with what the syscall returned.
//!
//! The other threads run on meanwhile. What can be seen: a thread more for a moment, under its own number. A syscall whose
//! effect is on the table or on the thread itself cannot be made so.
//!
//! Nothing is more permissive where this fails: the caller's syscall has been answered by us, so the kernel never carries
//! it out. A caller that cannot be traced (by a debugger inside, say) is refused, and so is one whose own
//! filters let it make no thread.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::judge::Ask;
use crate::object::{Object, errno};
use crate::passing::refuse_race;
use crate::request::{Answer, Reply, Request};
use crate::sys::{self, Held, Injected, Notification, Parted, Seized};

/// Threads parted from others now, and what each is about to do.
#[derive(Debug, Default)]
pub struct Proxies(Mutex<HashMap<u32, Notification>>);

impl Proxies {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Notification>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a syscall is one that has been judged already, made by the thread that was parted for it.
    pub fn are_making(&self, syscall: &Notification) -> bool {
        let what = |syscall: &Notification| (syscall.nr, syscall.arch, syscall.args);
        self.lock().get(&syscall.tid).is_some_and(|judged| what(judged) == what(syscall))
    }
}

/// Has the caller's syscall about descriptor `number` made on `object`, which was allowed. Refused, because of `ask`,
/// where that cannot be.
pub fn carry_out(request: &Request<'_>, number: u32, object: &Object, ask: Ask) -> Answer {
    // One of our threads must answer for the one that is parted.
    if !request.shared.somebody_else_serves() {
        return refuse_race(request, ask);
    }
    let Ok(seized) = Seized::new(request.notification.tid) else {
        request.still_waiting()?;
        let reason = "other threads could exchange the file, and the caller cannot be traced to prevent it";
        return request.judge.refuse_because(request, ask, reason);
    };
    // Only wakes it up. If it is gone, waiting for it will tell.
    drop(sys::respond(request.as_fd(), request.notification.id, Injected::Value(0)));
    if let Ok(mut held) = seized.hold() {
        let request = Request { held: true, judge: Arc::clone(&request.judge), ..*request };
        let made = in_proxy(&request, &mut held, number, object, ask);
        held.release(made.unwrap_or_else(|errno| -i64::from(errno.raw_os_error())));
    }
    Ok(Reply::Answered)
}

fn in_proxy(
    request: &Request<'_>,
    held: &mut Held,
    number: u32,
    object: &Object,
    ask: Ask,
) -> Result<i64, Errno> {
    let mut proxy = match held.part() {
        Ok(proxy) => proxy,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(Errno::SRCH),
        Err(_) => {
            let reason =
                "other threads could exchange the file, and the caller cannot make one to prevent it";
            return request.judge.refuse_because(request, ask, reason);
        }
    };
    let is_it = sys::same_file(object.as_fd(), proxy.tid(), number).unwrap_or(false);
    let made = if is_it {
        make(request, &mut proxy)
    } else {
        request.judge.refuse_because(request, ask, "another thread exchanged the file meanwhile")
    };
    proxy.end();
    made
}

/// Has the proxy make the syscall of the request.
fn make(request: &Request<'_>, proxy: &mut Parted<'_>) -> Result<i64, Errno> {
    let proxies = &request.shared.proxies;
    let tid = proxy.tid();
    // Its number is its own until it has ended.
    proxies.lock().insert(tid, request.notification);
    let Notification { nr, args, .. } = request.notification;
    let made = proxy.call_with(nr.cast_unsigned(), args);
    proxies.lock().remove(&tid);
    made.map_err(errno)
}

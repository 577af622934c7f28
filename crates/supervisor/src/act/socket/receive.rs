// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that come from others: recvmsg, recvmmsg and pidfd_getfd ask `file_receive` GET about each.
//!
//! A message is received with our descriptor of the socket, so what comes with it is ours first. The caller
//! gets what the rules allow, in order; as in the kernel, the first refusal ends the list and sets
//! `MSG_CTRUNC`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use landlock_compiler::abi::Actions;
use rustix::io::Errno;

use super::Socket;
use super::message::{BATCH_LEN, BATCH_STRIDE, Header, MAX_BATCH};
use crate::act::io::for_caller;
use crate::judge::{Ask, actions};
use crate::object::{Object, errno};
use crate::passing::has_own_descriptors;
use crate::request::{Answer, Reply, Request, Status};
use crate::sys::{self, CONTROL_HEADER, Control, Room};

const RECEIVE: Ask = actions("file_receive", Actions::GET);

/// recvmsg(fd, message, flags)
pub fn recvmsg(request: &Request<'_>) -> Answer {
    let socket = Socket::of(request, request.arg32(0))?;
    if may_go_on(request, &socket)? {
        return Ok(Reply::Continue);
    }
    let len = receive(request, &socket, request.arg(1), request.arg32(2).cast_signed())?;
    i64::try_from(len).map(Reply::Value).map_err(|_| Errno::OVERFLOW)
}

/// recvmmsg(fd, messages, count, flags, timeout)
pub fn recvmmsg(request: &Request<'_>) -> Answer {
    let timeout = Timeout::read(request, request.arg(4))?;
    let socket = Socket::of(request, request.arg32(0))?;
    if may_go_on(request, &socket)? {
        return Ok(Reply::Continue);
    }
    let mut flags = request.arg32(3).cast_signed();
    let wait_for_one = flags & libc::MSG_WAITFORONE != 0;
    flags &= !libc::MSG_WAITFORONE;
    let mut done = 0;
    for index in 0..request.arg32(2).min(MAX_BATCH) {
        let at = request.arg(1).wrapping_add(u64::from(index) * BATCH_STRIDE);
        let received = receive(request, &socket, at, flags).and_then(|len| {
            let len = u32::try_from(len).map_err(|_| Errno::OVERFLOW)?;
            request.write(at.wrapping_add(BATCH_LEN), &len.to_ne_bytes())
        });
        match received {
            Ok(()) => done += 1,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        if wait_for_one {
            flags |= libc::MSG_DONTWAIT;
        }
        if timeout.as_ref().is_some_and(|timeout| timeout.left().is_zero()) {
            break;
        }
    }
    if let Some(timeout) = timeout {
        timeout.write_back(request)?;
    }
    Ok(Reply::Value(done))
}

/// Only UNIX sockets pass descriptors; and no rule may be there to ask.
fn may_go_on(request: &Request<'_>, socket: &Socket) -> Result<bool, Errno> {
    let nothing_to_ask = !socket.unix || !request.judge.may_deny(RECEIVE, None);
    Ok(nothing_to_ask && has_own_descriptors(request)?)
}

/// The timeout of recvmmsg, looked at after each message.
struct Timeout {
    at: u64,
    since: Instant,
    given: Duration,
}

impl Timeout {
    fn read(request: &Request<'_>, at: u64) -> Result<Option<Timeout>, Errno> {
        if at == 0 {
            return Ok(None);
        }
        let bytes = request.bytes(at, 16)?;
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |all, &b| (all << 8) | u64::from(b));
        let nanoseconds = u32::try_from(number(8)).ok().filter(|number| *number < 1_000_000_000);
        let (seconds, nanoseconds) = (number(0), nanoseconds.ok_or(Errno::INVAL)?);
        if seconds.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        Ok(Some(Timeout { at, since: Instant::now(), given: Duration::new(seconds, nanoseconds) }))
    }

    fn left(&self) -> Duration {
        self.given.saturating_sub(self.since.elapsed())
    }

    fn write_back(&self, request: &Request<'_>) -> Result<(), Errno> {
        let left = self.left();
        let words = [left.as_secs(), u64::from(left.subsec_nanos())];
        request.write(self.at, &[words[0].to_ne_bytes(), words[1].to_ne_bytes()].concat())
    }
}

/// Receives one message into the caller's `struct msghdr` at `at`; returns the length of the data.
fn receive(request: &Request<'_>, socket: &Socket, at: u64, flags: i32) -> Result<usize, Errno> {
    const MOST_DATA: usize = 16 << 20;
    const MOST_CONTROL: u64 = 1 << 20;
    let header = Header::read(request, at)?;
    let control_len = usize::try_from(header.control_len.min(MOST_CONTROL)).unwrap_or(0);
    let room = Room {
        name: usize::try_from(header.name_len).unwrap_or(0),
        data: header.segments.len().min(MOST_DATA),
        control: if header.control == 0 { 0 } else { control_len },
    };
    let mut message =
        for_caller(request, || sys::receive_message(socket.object.as_fd(), room, flags).map_err(errno))?;
    header.segments.scatter(request, &message.data)?;
    request.write(header.name, &message.name.0)?;
    if flags & libc::MSG_CMSG_CLOEXEC == 0 {
        message.flags &= !libc::MSG_CMSG_CLOEXEC;
    }
    let cloexec = flags & libc::MSG_CMSG_CLOEXEC != 0;
    let mut control = Vec::new();
    for part in message.control {
        if !hand_over(request, part, cloexec, &mut control)? {
            message.flags |= libc::MSG_CTRUNC;
        }
    }
    // The padding behind the last one may not fit.
    control.truncate(room.control);
    request.write(header.control, &control)?;
    header.write_back(request, message.name.1, control.len(), message.flags)?;
    Ok(message.len)
}

/// Gives the caller a control message. False: not all of it.
fn hand_over(request: &Request<'_>, part: Control, cloexec: bool, into: &mut Vec<u8>) -> Result<bool, Errno> {
    let install = |file: &OwnedFd, cloexec| {
        sys::add_fd(request.shared.listener.as_fd(), request.notification.id, file.as_fd(), cloexec)
            .and_then(|number| i32::try_from(number).map_err(std::io::Error::other))
    };
    match part {
        Control::Other { level, kind, data } => {
            push(into, level, kind, &data);
            Ok(true)
        }
        Control::Process(pidfd) => {
            const SCM_PIDFD: i32 = 4;
            // As the kernel does: an error takes the place of the number.
            let number = install(&pidfd, true).unwrap_or_else(|error| -errno(error).raw_os_error());
            push(into, libc::SOL_SOCKET, SCM_PIDFD, &number.to_ne_bytes());
            Ok(true)
        }
        Control::Files(files) => {
            let mut numbers = Vec::new();
            let sent = files.len();
            for file in files {
                let Ok(object) = Object::pin(file) else { break };
                let admitted = request
                    .judge
                    .ask(request, RECEIVE, &object)
                    .and_then(|()| request.shared.passing.admit(request, object.as_fd()));
                let Ok(number) = admitted.and_then(|()| install(&object.into(), cloexec).map_err(errno))
                else {
                    break;
                };
                numbers.push(number);
            }
            if !numbers.is_empty() {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
                push(into, libc::SOL_SOCKET, libc::SCM_RIGHTS, &bytes);
            }
            Ok(numbers.len() == sent)
        }
    }
}

fn push(into: &mut Vec<u8>, level: i32, kind: i32, data: &[u8]) {
    into.resize(into.len().next_multiple_of(8), 0);
    into.extend((CONTROL_HEADER as u64 + data.len() as u64).to_ne_bytes());
    into.extend(level.to_ne_bytes());
    into.extend(kind.to_ne_bytes());
    into.extend(data);
    into.resize(into.len().next_multiple_of(8), 0);
}

/// pidfd_getfd(pidfd, number, flags): only from the caller's own process and its descendants, which it may trace.
pub fn pidfd_getfd(request: &Request<'_>) -> Answer {
    use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
    if request.arg32(2) != 0 {
        return Err(Errno::INVAL);
    }
    let process = request.file(request.arg32(0))?;
    may_take_from(request, &process)?;
    let fd = pidfd_getfd(&process, request.arg32(1).cast_signed(), PidfdGetfdFlags::empty())?;
    let object = Object::pin(fd)?;
    request.judge.ask(request, RECEIVE, &object)?;
    Ok(Reply::Descriptor { fd: object.into(), cloexec: true })
}

/// The kernel would check our right to trace the process, not the caller's, which may be less.
fn may_take_from(request: &Request<'_>, process: &OwnedFd) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    const MOST_GENERATIONS: usize = 1000;
    let info = Status::of(format!("/proc/self/fdinfo/{}", process.as_raw_fd()))?;
    let target = info.field("Pid:").ok_or(Errno::BADF)?.parse::<i32>().map_err(|_| Errno::BADF)?;
    let mut ancestor = u32::try_from(target).ok().filter(|pid| *pid != 0).ok_or(Errno::SRCH)?;
    let caller = request.status()?.number("Tgid:").ok_or(Errno::SRCH)?;
    let inside = ancestor == caller
        || request.judge.number == 0
        || request.shared.domains.all_extend(ancestor, request.judge.number)?;
    if inside && request.has_our_credentials()? {
        for _ in 0..MOST_GENERATIONS {
            let status = Status::of(format!("/proc/{ancestor}/status"))?;
            if status.number("Tgid:") == Some(caller) {
                return Ok(());
            }
            match status.number("PPid:") {
                Some(parent) if parent > 1 && parent != std::process::id() => ancestor = parent,
                _ => break,
            }
        }
    }
    let reason = "descriptors may be taken only from the caller's own descendants";
    request.judge.refuse_because(request, RECEIVE, reason)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol against clients that say anything, in any order: they are answered or turned away, as the bytes deserve;
//! nothing is granted for what is wrong; memory has a bound, and nothing of them stays.
//!
//! A few seconds of it. For longer: `PROPTEST_CASES=100000 cargo test --release -p landlock-daemon --test fuzz`.

mod bytes;
#[path = "../native/fake.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod fake;
mod messages;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use landlock_daemon::limits::MAX_KEPT;
use landlock_daemon::protocol::{Answer, Refusal, Request, Why};
use landlock_daemon::rules::{self, MAX_BYTES, MAX_HANDLES};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};

use fake::{LONG, Live, until};
use messages::{Client, Frame, KINDS, PATH, clients};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most bytes of a request.
const MOST: usize = Request::SIZE + MAX_BYTES;
/// What the daemon may need for the request at hand: as it was read, its rules as they are judged. And what it keeps of
/// each client's.
const AT_HAND: usize = 8 * MOST;

/// Descriptors and memory are counted of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it finds it keeps in `proptest-regressions`, and tries first the next time.
fn runner() -> TestRunner {
    TestRunner::new(Config { source_file: Some(file!()), ..Config::default() })
}

/// What a message is worth, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It is the end of what a client says.
    End,
    Refused(Why),
    /// Something else may come after it.
    Greeted,
    Told,
    Granted,
}

fn worth(frame: &Frame) -> Worth {
    if frame.bytes.is_empty() && frame.descriptors.is_empty() {
        return Worth::End;
    }
    if frame.bytes.len() > MOST {
        return Worth::Refused(Why::Malformed);
    }
    match Request::decode(&frame.bytes) {
        Err(Refusal { why, .. }) => Worth::Refused(why),
        Ok((Request::Load { .. }, rules)) => worth_of_rules(rules, frame),
        Ok(_) if !frame.descriptors.is_empty() => Worth::Refused(Why::Descriptor),
        Ok((Request::Hello, _)) => Worth::Greeted,
        Ok((Request::Threads(_), _)) => Worth::Told,
        // Nobody has a domain of such a number, nor has one been granted.
        Ok((Request::Again(_) | Request::Change(_) | Request::Seal, _)) => Worth::Refused(Why::Domain),
    }
}

/// Handles are as many as their maps say, and every one is a path.
fn worth_of_rules(rules: &[u8], frame: &Frame) -> Worth {
    let Ok(layers) = rules::decode(rules) else { return Worth::Refused(Why::Rules) };
    let are_paths = frame.descriptors.iter().all(|which| *which == PATH);
    if layers.handles() != frame.descriptors.len() || !are_paths {
        return Worth::Refused(Why::Descriptor);
    }
    match bytes::accepted(rules) {
        Some(_) => Worth::Granted,
        None => Worth::Refused(Why::Rules),
    }
}

fn worth_of(answer: &Answer) -> Worth {
    match answer {
        Answer::Refused(refusal) => Worth::Refused(refusal.why),
        Answer::Hello { .. } => Worth::Greeted,
        Answer::Threads(_) | Answer::Changed => Worth::Told,
        Answer::Granted { .. } => Worth::Granted,
    }
}

/// Says a message, if it still can be said.
fn say(socket: &OwnedFd, frame: &Frame, offered: &[OwnedFd]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // Its own end of the connection is offered as well.
    let kinds: Vec<BorrowedFd<'_>> = offered.iter().chain([socket]).map(AsFd::as_fd).collect();
    assert_eq!(kinds.len(), KINDS);
    let several: Vec<_> = frame.descriptors.iter().map(|which| kinds[*which]).collect();
    assert!(several.is_empty() || control.push(SendAncillaryMessage::ScmRights(&several)));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&frame.bytes)], &mut control, flags).map(drop)
}

/// What comes next from the daemon, `None` for the end.
fn hear(socket: &OwnedFd) -> Option<Vec<u8>> {
    let mut heard = vec![0; 2 * Answer::MAX];
    loop {
        match recv(socket, &mut heard[..], RecvFlags::TRUNC) {
            Ok((0, _)) => return None,
            Ok((length, _)) => return Some(heard[..length].to_vec()),
            // It did not hear all, and went; what it said before is still there.
            Err(Errno::CONNRESET) => {}
            Err(errno) => panic!("neither an answer nor the end: {errno}"),
        }
    }
}

/// What a client hears: an answer to each hello, and to one message after them the one that it deserves; then the end, but
/// for a grant that nothing was said after, or nothing but changes of its maps.
fn check(socket: &OwnedFd, said: &[&Frame]) -> Result<(), TestCaseError> {
    for (number, frame) in (1..).zip(said) {
        let deserved = worth(frame);
        prop_assert!(!frame.is_right || !matches!(deserved, Worth::Refused(_)), "{:?}", deserved);
        if deserved != Worth::End {
            let heard = hear(socket);
            let heard = heard.as_deref().map(|bytes| (bytes.len() <= Answer::MAX, Answer::decode(bytes)));
            let (is_short, answer) =
                heard.ok_or_else(|| TestCaseError::fail("turned away without an answer"))?;
            prop_assert!(is_short);
            prop_assert_eq!(answer.as_ref().map(worth_of), Some(deserved));
        }
        match deserved {
            Worth::Greeted => {}
            Worth::Granted => return check_changes(socket, has_maps(frame), &said[number..]),
            _ => {
                prop_assert_eq!(hear(socket), None);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What is heard after a grant.
fn check_changes(socket: &OwnedFd, mut changes: bool, said: &[&Frame]) -> Result<(), TestCaseError> {
    for frame in said {
        let deserved = worth_of_change(frame, &mut changes);
        let heard = hear(socket).and_then(|bytes| Answer::decode(&bytes));
        prop_assert_eq!(heard.as_ref().map(worth_of), deserved);
        if deserved.is_none() {
            break;
        }
    }
    Ok(())
}

fn has_maps(frame: &Frame) -> bool {
    let rest = frame.bytes.get(Request::SIZE..).and_then(bytes::accepted);
    rest.is_some_and(|(domain, _)| !domain.maps().is_empty())
}

/// What is said after a grant with maps is worth, until it is sealed; `None`: the end.
fn worth_of_change(frame: &Frame, changes: &mut bool) -> Option<Worth> {
    let are_paths = frame.descriptors.iter().all(|which| *which == PATH);
    match Request::decode(&frame.bytes) {
        _ if !*changes || frame.bytes.len() > MOST => None,
        Ok((Request::Seal, _)) if frame.descriptors.is_empty() => {
            *changes = false;
            Some(Worth::Told)
        }
        Ok((Request::Change(_), _)) if are_paths => Some(Worth::Told),
        Ok((Request::Change(_), _)) => Some(Worth::Refused(Why::Descriptor)),
        _ => None,
    }
}

/// Clients that are there at the same time, and take turns. How many grants they may have had.
fn session(live: &Live, clients: &[Client], offered: &[OwnedFd]) -> Result<u64, TestCaseError> {
    let connect = |_: &Client| (live.connect(), Vec::new());
    let mut there: Vec<(OwnedFd, Vec<&Frame>)> = clients.iter().map(connect).collect();
    for turn in 0..clients.iter().map(|client| client.frames.len()).max().unwrap_or(0) {
        for (client, (socket, said)) in clients.iter().zip(&mut there) {
            let frame = client.frames.get(turn);
            said.extend(frame.filter(|frame| say(socket, frame, offered).is_ok()));
        }
    }
    let wanted =
        |said: &[&Frame]| said.iter().map(|frame| worth(frame)).find(|worth| *worth != Worth::Greeted);
    let deserved = there.iter().filter(|(_, said)| wanted(said) == Some(Worth::Granted)).count() as u64;
    let patient = clients.iter().zip(&there).filter(|(client, _)| client.is_patient);
    patient.into_iter().try_for_each(|(_, (socket, said))| check(socket, said))?;
    drop(there);
    // Who comes last is heard last.
    live.daemon().hello().unwrap();
    // With its client a token goes.
    until(|| live.books.tokens() == 0);
    Ok(deserved)
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Descriptors that clients hand over, but for their own ends of the connection.
fn offered() -> Vec<OwnedFd> {
    let (pipe, _) = rustix::pipe::pipe().unwrap();
    let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let path = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    vec![path, pipe, socket.into(), std::fs::File::open("/").unwrap().into()]
}

#[test]
fn whatever_clients_say_is_answered_as_it_deserves_and_leaves_nothing() {
    let _alone = alone();
    let live = Live::start(LONG);
    let offered = offered();
    live.daemon().hello().unwrap();
    until(|| live.books.tokens() == 0);
    let before = (open_descriptors(), MEMORY.current_usage());
    let highest = AtomicUsize::new(0);
    let round = |clients: Vec<Client>| {
        let loads = live.books.loads.load(Ordering::Relaxed);
        MEMORY.reset_peak_usage();
        let start = MEMORY.current_usage();
        let bound = AT_HAND + clients.len() * MOST;
        let deserved = session(&live, &clients, &offered)?;
        let used = MEMORY.peak_usage().saturating_sub(start);
        highest.fetch_max(used, Ordering::Relaxed);
        prop_assert!(used <= bound, "{} bytes", used);
        prop_assert!(live.books.held() <= MAX_KEPT);
        prop_assert!(live.books.loads.load(Ordering::Relaxed) - loads <= deserved);
        Ok(())
    };
    runner().run(&clients(), round).unwrap();
    let highest = highest.load(Ordering::Relaxed);
    println!("at most {highest} bytes at a time");
    // What is kept at hand goes, and with it who served.
    until(|| live.books.held() == 0);
    until(|| open_descriptors() <= before.0);
    let after = MEMORY.current_usage();
    assert!(after < before.1 + (32 << 10), "{} bytes became {after}", before.1);
    live.daemon().hello().unwrap();
}

#[test]
fn any_message_is_one_or_none_on_either_side() {
    let _alone = alone();
    let all = |clients: Vec<Client>| clients.iter().flat_map(|client| &client.frames).try_for_each(one);
    runner().run(&clients(), all).unwrap();

    fn one(frame: &Frame) -> Result<(), TestCaseError> {
        MEMORY.reset_peak_usage();
        let start = MEMORY.current_usage();
        bytes::message(&frame.bytes);
        let (used, length) = (MEMORY.peak_usage().saturating_sub(start), frame.bytes.len());
        prop_assert!(used <= 64 * length + (64 << 10), "{} bytes for {}", used, length);
        Ok(())
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Garbage, wrong descriptors, clients that die at every step, and a thousand of them at once.
//!
//! One test after the other: descriptors and memory are counted of the whole process.

#[path = "../native/fake.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod fake;

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};
use std::thread;

use landlock_compiler::map::Handle;
use landlock_compiler::verify::{Loader, verify_newest};
use landlock_daemon::protocol::{Answer, Request, Why};
use landlock_daemon::rules::{self, MAX_BYTES, MAX_HANDLES};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};

use fake::{LONG, Live, domain, rule, until};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Sends a message as it is; what is answered, if anything is.
fn say(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Option<Answer> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).ok()?;
    let mut answer = [0; Answer::MAX];
    let (length, _) = recv(socket, &mut answer[..], RecvFlags::empty()).ok()?;
    Answer::decode(&answer[..length])
}

fn refused(answer: Option<Answer>) -> Option<Why> {
    match answer {
        Some(Answer::Refused(refusal)) => Some(refusal.why),
        _ => None,
    }
}

const LOAD: Request = Request::Load { parent: None, own_log: false };

/// A request for a rule.
fn good() -> Vec<u8> {
    [LOAD.encode().as_slice(), &rules::encode(&domain([rule("good")])).unwrap()].concat()
}

/// Descriptors of every kind; none is wanted.
fn descriptors() -> Vec<(&'static str, OwnedFd)> {
    let huge = memfd_create(c"huge", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&huge, 1 << 40).unwrap();
    let (pipe, _kept) = rustix::pipe::pipe().unwrap();
    let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let ourselves = rustix::process::getpid();
    vec![
        ("memory", memfd_create(c"test", MemfdFlags::CLOEXEC).unwrap()),
        ("huge", huge),
        ("regular", tempfile::tempfile().unwrap().into()),
        ("pipe", pipe),
        ("socket", socket.into()),
        ("directory", File::open("/").unwrap().into()),
        ("device", File::open("/dev/zero").unwrap().into()),
        ("path", rustix::fs::open("/proc/self/exe", OFlags::PATH, Mode::empty()).unwrap()),
        ("process", rustix::process::pidfd_open(ourselves, rustix::process::PidfdFlags::empty()).unwrap()),
    ]
}

#[test]
fn descriptors_are_refused_and_the_same_request_without_one_is_not() {
    let _alone = alone();
    let live = Live::start(LONG);
    let say = |bytes: &[u8], descriptors: &[BorrowedFd<'_>]| say(&live.connect(), bytes, descriptors);
    for (what, descriptor) in descriptors() {
        for several in [1, 2, 60] {
            let answer = say(&good(), &vec![descriptor.as_fd(); several]);
            assert_eq!(refused(answer), Some(Why::Descriptor), "{several} {what}");
        }
        assert_eq!(refused(say(&Request::Hello.encode(), &[descriptor.as_fd()])), Some(Why::Descriptor));
    }
    assert_eq!(refused(say(&[Request::Hello.encode().as_slice(), &[0]].concat(), &[])), Some(Why::Malformed));
    assert_eq!(refused(say(&[good(), vec![0; MAX_BYTES]].concat(), &[])), Some(Why::Malformed));
    assert_eq!(refused(say(&[LOAD.encode().as_slice(), b"garbage"].concat(), &[])), Some(Why::Rules));
    assert_eq!(refused(say(&LOAD.encode(), &[])), Some(Why::Rules));
    let mut newer = good();
    newer[Request::SIZE] = 2;
    assert_eq!(refused(say(&newer, &[])), Some(Why::Rules));
    assert!(matches!(say(&good(), &[]), Some(Answer::Granted { .. })));
}

/// A request for a rule with a map that has so many handles.
fn with_handles(handles: usize) -> Vec<u8> {
    let text = ".rule compares\n.event FILE_OPEN\n.license \"GPL\"\n.map one fs 128\n.map other fs 128\nr0 = 0\nexit\n";
    let object = landlock_compiler::asm::parse(text, "test").unwrap().remove(0);
    let rule = verify_newest(object, &Loader::default()).unwrap();
    let numbered = |number: usize| Handle::numbered(number as u64);
    (0..handles).for_each(|number| rule.maps()[number % 2].append(numbered(number)).unwrap());
    [LOAD.encode().as_slice(), &rules::encode(&domain([rule])).unwrap()].concat()
}

#[test]
fn handles_are_as_many_as_their_maps_say_and_all_of_them_paths() {
    let _alone = alone();
    let live = Live::start(LONG);
    let path = rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap();
    let paths = |count: usize| vec![path.as_fd(); count];
    let ask = |handles: usize, descriptors: &[BorrowedFd<'_>]| {
        say(&live.connect(), &with_handles(handles), descriptors)
    };
    for (wanted, came) in [(1, 0), (1, 2), (2, 1), (0, 1), (MAX_HANDLES, MAX_HANDLES - 1)] {
        assert_eq!(refused(ask(wanted, &paths(came))), Some(Why::Descriptor), "{wanted} {came}");
    }
    assert_eq!(refused(ask(MAX_HANDLES, &paths(MAX_HANDLES + 8))), Some(Why::Malformed));
    for granted in [0, 1, 2, MAX_HANDLES] {
        let answer = ask(granted, &paths(granted));
        assert!(matches!(answer, Some(Answer::Granted { .. })), "{granted}: {answer:?}");
    }
    for (what, descriptor) in descriptors().iter().filter(|(what, _)| *what != "path") {
        for several in [[path.as_fd(), descriptor.as_fd()], [descriptor.as_fd(), path.as_fd()]] {
            assert_eq!(refused(ask(2, &several)), Some(Why::Descriptor), "{what}");
        }
    }
    // A connection of its own, and one whose other end is closed.
    let own = live.connect();
    assert_eq!(refused(say(&own, &with_handles(1), &[own.as_fd()])), Some(Why::Descriptor));
    drop(std::os::unix::net::UnixStream::pair().map(|(socket, _)| ask(1, &[socket.as_fd()])));

    // What was granted is changed on the same connection, and on no other, until it is sealed.
    let granted = live.connect();
    assert!(matches!(say(&granted, &with_handles(1), &paths(1)), Some(Answer::Granted { .. })));
    let change = Request::Change(1).encode();
    assert!(matches!(say(&granted, &change, &paths(3)), Some(Answer::Changed)));
    assert_eq!(refused(say(&granted, &change, &[own.as_fd()])), Some(Why::Descriptor));
    assert_eq!(refused(say(&live.connect(), &change, &paths(1))), Some(Why::Descriptor));
    assert_eq!(refused(say(&live.connect(), &change, &[])), Some(Why::Domain));
    assert!(matches!(say(&granted, &Request::Seal.encode(), &[]), Some(Answer::Changed)));
    assert!(say(&granted, &change, &paths(1)).is_none());
    let shared = live.connect();
    assert!(matches!(say(&shared, &good(), &[]), Some(Answer::Granted { .. })));
    assert!(say(&shared, &change, &paths(1)).is_none());
    assert_eq!(*live.books.changes.lock().unwrap(), [(1, 3)]);
    // Nothing of what came stays open.
    let before = open_descriptors();
    drop((granted, shared, own));
    until(|| open_descriptors() < before);
}

/// Garbage of all lengths with descriptors of all kinds, for as many rounds as `ROUNDS` says. Afterwards the daemon
/// works, has no descriptor and hardly any memory more.
#[test]
fn garbage_leaves_nothing_behind() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000);
    let _alone = alone();
    let live = Live::start(LONG);
    let wrong = descriptors();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let good = good();
    let length = good.len();
    let mixed = (any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let garbage = prop_oneof![proptest::collection::vec(any::<u8>(), 1..5000), mixed];
    let case = (garbage, proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 0..3u8);
    let round = |runner: &mut proptest::test_runner::TestRunner| {
        let (bytes, descriptors, patience) = case.new_tree(runner).unwrap().current();
        let descriptors: Vec<_> =
            descriptors.iter().map(|which| wrong[which.index(wrong.len())].1.as_fd()).collect();
        let socket = live.connect();
        // Some go without hearing the answer, some talk on.
        match patience {
            0 => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                assert!(
                    descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(&descriptors))
                );
                let _ = sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
            }
            _ => {
                let answer = say(&socket, &bytes, &descriptors);
                let is_granted = matches!(answer, Some(Answer::Granted { .. }));
                assert!(!is_granted || (bytes.len() == length && descriptors.is_empty()));
                let _ = say(&socket, &bytes, &descriptors);
            }
        }
    };
    (0..200).for_each(|_| round(&mut runner));
    live.daemon().hello().unwrap();
    until(|| live.books.tokens() == 0);
    let before = (open_descriptors(), resident());
    (0..rounds).for_each(|_| round(&mut runner));
    live.daemon().hello().unwrap();
    until(|| open_descriptors() <= before.0);
    let after = resident();
    assert!(after < before.1 + 8192, "{} KiB became {after}", before.1);
    live.daemon().load(&domain([rule("good")]), None, false).unwrap();
}

#[test]
fn clients_that_die_at_every_step_leave_nothing_behind() {
    let _alone = alone();
    let live = Live::start(LONG);
    let pipe = rustix::pipe::pipe().unwrap().0;
    live.daemon().hello().unwrap();
    let before = open_descriptors();
    for _ in 0..50 {
        // Before a word, after it, after half of one, with the answer unread, with a token unused.
        drop(live.connect());
        let _ = say(&live.connect(), &LOAD.encode()[..16], &[pipe.as_fd()]);
        let socket = live.connect();
        rustix::net::send(&socket, &good(), SendFlags::NOSIGNAL).unwrap();
        drop(socket);
        drop(live.daemon().load(&domain([rule("good")]), None, false).unwrap());
    }
    until(|| live.books.tokens() == 0);
    until(|| live.books.held() == 0);
    // The lane that served them has gone, too.
    until(|| open_descriptors() <= before);
    live.daemon().hello().unwrap();
}

#[test]
fn a_thousand_clients_at_once_are_served() {
    const CLIENTS: usize = 1000;
    let _alone = alone();
    let live = Arc::new(Live::start(LONG));
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (live, together) = (live.clone(), together.clone());
            let client = move || {
                let rule = rule(&format!("rule{}", index % 7));
                together.wait();
                let grant = live.daemon().load(&domain([rule]), None, false).unwrap();
                assert!(live.books.enter(grant.token));
            };
            thread::Builder::new().stack_size(256 << 10).spawn(client).unwrap()
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(live.books.tokens(), 0);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

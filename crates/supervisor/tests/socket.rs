// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets under rules: addresses that are paths, and descriptors that come from others.

mod support;

use std::fs::{File, Permissions, set_permissions};
use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use support::{Confined, Place, deny_marked_actions, rule, transparent};

const EXEC: u32 = 1;
const WRITE: u32 = 2;
const NEW: u32 = 8;
const GET: u32 = 16;
const REMOVE: u32 = 32;

const THREAD: &str =
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()";

fn same_as_unconfined(mode: &str) {
    let place = Place::new();
    let plain = place.plain(&[place.probe("socket").to_str().expect("UTF-8"), mode]);
    let place = place.emptied();
    let confined = place.confined(&[transparent()], &[place.probe("socket").to_str().expect("UTF-8"), mode]);
    let hide = |text: &str, place: &Place| text.replace(place.path().to_str().expect("UTF-8"), "HERE");
    assert_eq!(hide(&confined.printed(), &place).lines().count(), plain.lines().count());
    for (ours, theirs) in confined.printed().lines().zip(plain.lines()) {
        // The directories differ, their names are equally long.
        let is_path = ours.contains("/dir/abs");
        assert!(
            ours == theirs || is_path && theirs.contains("/dir/abs"),
            "confined: {ours}\nplain:    {theirs}"
        );
    }
}

#[test]
fn every_call_returns_what_it_returns_unconfined() {
    same_as_unconfined("alone");
}

#[test]
fn every_call_returns_what_it_returns_unconfined_with_threads() {
    same_as_unconfined("threads");
}

fn mark(path: &Path) {
    set_permissions(path, Permissions::from_mode(0o7123)).expect("chmod");
}

fn python(place: &Place, rule: String, before: &str, script: &str) -> Confined {
    let script = format!("{PRELUDE}{before}\n{script}");
    place.confined(&[rule], &["python3", "-c", &script])
}

const PRELUDE: &str = r#"
import os, socket, errno
from socket import *
def what(act):
    try:
        act()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
"#;

#[test]
fn connecting_to_a_path_asks_write_about_the_socket() {
    let script = "print(what(lambda: socket(AF_UNIX).connect('marked')), what(lambda: socket(AF_UNIX).connect('other')), \
                  what(lambda: socket(AF_UNIX).connect('link')))";
    for before in ["", THREAD] {
        let place = Place::new();
        let _listeners =
            ["marked", "other"].map(|name| UnixListener::bind(place.path().join(name)).expect("bind"));
        std::os::unix::fs::symlink("marked", place.path().join("link")).expect("a link");
        mark(&place.path().join("marked"));
        let denied = python(&place, deny_marked_actions(WRITE), before, script);
        assert_eq!(denied.printed(), "EPERM ok EPERM\n");
        assert!(denied.denied("connect", "inode_permission", "WRITE"));
        let allowed = python(&place, deny_marked_actions(REMOVE), before, script);
        assert_eq!(allowed.printed(), "ok ok ok\n");
    }
}

#[test]
fn sending_to_a_path_asks_write_about_the_socket() {
    let script = "s = socket(AF_UNIX, SOCK_DGRAM)\n\
                  print(what(lambda: s.sendto(b'to', 'marked')), what(lambda: s.sendmsg([b'msg'], [], 0, 'marked')), \
                  what(lambda: s.connect('marked')), what(lambda: s.sendto(b'to', 'other')))";
    for before in ["", THREAD] {
        let place = Place::new();
        let sockets =
            ["marked", "other"].map(|name| UnixDatagram::bind(place.path().join(name)).expect("bind"));
        mark(&place.path().join("marked"));
        let denied = python(&place, deny_marked_actions(WRITE), before, script);
        assert_eq!(denied.printed(), "EPERM EPERM EPERM ok\n");
        for syscall in ["sendto", "sendmsg", "connect"] {
            assert!(denied.denied(syscall, "inode_permission", "WRITE"), "{syscall}");
        }
        sockets[0].set_nonblocking(true).expect("non-blocking");
        assert!(sockets[0].recv(&mut [0; 10]).is_err(), "nothing may have arrived");
        let allowed = python(&place, deny_marked_actions(REMOVE), before, script);
        assert_eq!(allowed.printed(), "ok ok ok ok\n");
        assert_eq!(sockets[0].recv(&mut [0; 10]).expect("a datagram"), 2);
    }
}

#[test]
fn binding_to_a_path_asks_what_mknod_asks() {
    let script = "print(what(lambda: socket(AF_UNIX).bind('dir/name')), what(lambda: socket(AF_UNIX).bind('name')), \
                  what(lambda: socket(AF_UNIX).bind('\\0landlock-test-%d' % os.getpid())))";
    let run = |rule: String| {
        let place = Place::new();
        std::fs::create_dir(place.path().join("dir")).expect("a directory");
        mark(&place.path().join("dir"));
        let done = python(&place, rule, "", script);
        assert_eq!(place.path().join("dir/name").exists(), done.printed().starts_with("ok"));
        done
    };
    let directory = run(deny_marked_actions(WRITE));
    assert_eq!(directory.printed(), "EPERM ok ok\n");
    assert!(directory.denied("bind", "inode_permission", "EXEC|WRITE"), "{:#?}", directory.denials);
    let walk = run(deny_marked_actions(EXEC));
    assert_eq!(walk.printed(), "EPERM ok ok\n");
    let names = run(rule("no_names", &format!("if r6 & {NEW} goto deny")));
    assert_eq!(names.printed(), "EPERM EPERM ok\n");
    assert!(names.denied("bind", "inode_mknod", "NEW"));
    assert_eq!(run(deny_marked_actions(REMOVE)).printed(), "ok ok ok\n");
}

/// Sends open files through `to`.
fn pass(to: &UnixStream, files: &[&File]) {
    let fds: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); 128];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(to, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).expect("sent");
}

#[test]
fn a_descriptor_from_outside_is_received_only_if_it_may_be() {
    let script = "s = socket(fileno=0)\n\
                  data, fds, flags, _ = recv_fds(s, 10, 10)\n\
                  print(len(data), len(fds), bool(flags & MSG_CTRUNC), [os.fstat(fd).st_mode & 0o777 for fd in fds])";
    let run = |rule: String, before: &str| {
        let place = Place::new();
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let open = |name: &str, mode: u32| {
            let path = place.path().join(name);
            let file = File::create(&path).expect("a file");
            set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            file
        };
        let (first, marked, last) = (open("a", 0o600), open("b", 0o7123), open("c", 0o640));
        pass(&ours, &[&first, &marked, &last]);
        let script = format!("{PRELUDE}{before}\n{script}");
        let (mut confine, log) = place.confining(&[rule], &["python3", "-c", &script]);
        let output = confine.stdin(Stdio::from(OwnedFd::from(theirs))).output().expect("the driver");
        let confined = Confined { output, denials: support::denials(&log) };
        // Nothing of it may be left open anywhere.
        drop(first);
        confined
    };
    for before in ["", THREAD] {
        let denied = run(deny_marked_actions(GET), before);
        assert_eq!(denied.printed(), "1 1 True [384]\n");
        assert!(denied.denied("recvmsg", "file_receive", "GET"));
        assert_eq!(run(deny_marked_actions(REMOVE), before).printed(), "1 3 False [384, 83, 416]\n");
        assert_eq!(
            run(transparent().replace("goto deny", "goto allow"), before).printed(),
            "1 3 False [384, 83, 416]\n"
        );
    }
}

#[test]
fn descriptors_are_taken_only_from_ones_own_processes() {
    let script = r#"
import ctypes, sys, time
syscall = ctypes.CDLL(None, use_errno=True).syscall
def take(pid, number):
    fd = syscall(438, os.pidfd_open(pid), number, 0)
    return "ok" if fd >= 0 else errno.errorcode[ctypes.get_errno()]
marked = os.open("marked", os.O_RDONLY)
ordinary = os.open("ordinary", os.O_RDONLY)
supervisor = os.getppid()
child = os.fork()
if child == 0:
    time.sleep(60)
print(take(child, marked), take(child, ordinary), take(os.getpid(), ordinary), [take(supervisor, n) for n in range(8)].count("ok"))
os.kill(child, 9)
"#;
    let place = Place::new();
    std::fs::write(place.path().join("ordinary"), "").expect("a file");
    std::fs::write(place.path().join("marked"), "").expect("a file");
    mark(&place.path().join("marked"));
    // Opening asks READ as well; receiving asks GET alone.
    let only_get =
        rule("only_get", &format!("r0 &= 0xfff\nif r0 != 0xe53 goto allow\nif r6 == {GET} goto deny"));
    let denied =
        python(&place, only_get, "", &script.replace("\"marked\", os.O_RDONLY", "\"marked\", os.O_PATH"));
    assert_eq!(denied.printed(), "EPERM ok ok 0\n");
    assert!(denied.denied("pidfd_getfd", "file_receive", "GET"));
    let twin = python(&place, deny_marked_actions(REMOVE), "", script);
    assert_eq!(twin.printed(), "ok ok ok 0\n");
}

#[test]
fn the_peer_sees_the_callers_user_and_reads_what_it_wrote() {
    let place = Place::new();
    let listener = UnixListener::bind(place.path().join("listener")).expect("bind");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let user = rustix::net::sockopt::socket_peercred(&stream).expect("credentials").uid;
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        (user, text)
    });
    let script = "s = socket(AF_UNIX); s.connect('listener'); s.sendall(b'hello'); print(s.getpeername())";
    let confined = python(&place, transparent(), THREAD, script);
    assert_eq!(confined.printed(), "listener\n");
    let (user, text) = served.join().expect("the server");
    assert_eq!((user.as_raw(), text.as_str()), (rustix::process::getuid().as_raw(), "hello"));
}

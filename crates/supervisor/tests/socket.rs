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
use support::{Bench, Outcome, deny_marked, rule, transparent_for_all_types};

const EXEC: u32 = 1;
const WRITE: u32 = 2;
const NEW: u32 = 8;
const GET: u32 = 16;
const REMOVE: u32 = 32;

const THREAD: &str =
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()";

fn same_as_unconfined(mode: &str) {
    let run = |confined: bool| {
        let bench = Bench::new();
        let probe = bench.probe("socket", &["-w"]);
        let rule = bench.rule("rule", &transparent_for_all_types());
        let mut command = if confined { bench.confined(&[&rule], probe) } else { bench.plain(probe) };
        let outcome = bench.run(command.arg(mode));
        // The folders differ, their names are equally long.
        let folder = bench.path("").to_str().expect("UTF-8").trim_end_matches('/').to_owned();
        outcome.printed().replace(&folder, "FOLDER")
    };
    assert_eq!(run(true), run(false));
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

fn python(bench: &Bench, text: &str, before: &str, script: &str) -> Outcome {
    let rule = bench.rule("rule", text);
    let script = format!("{PRELUDE}{before}\n{script}");
    bench.run(bench.confined(&[&rule], "python3").args(["-c", &script]))
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
        let bench = Bench::new();
        let _listeners = ["marked", "other"].map(|name| UnixListener::bind(bench.path(name)).expect("bind"));
        std::os::unix::fs::symlink("marked", bench.path("link")).expect("a link");
        mark(&bench.path("marked"));
        let denied = python(&bench, &deny_marked(WRITE), before, script);
        assert_eq!(denied.printed(), "EPERM ok EPERM\n");
        assert!(denied.denied("connect", "inode_permission", "WRITE"));
        let allowed = python(&bench, &deny_marked(REMOVE), before, script);
        assert_eq!(allowed.printed(), "ok ok ok\n");
    }
}

#[test]
fn sending_to_a_path_asks_write_about_the_socket() {
    let script = "s = socket(AF_UNIX, SOCK_DGRAM)\n\
                  print(what(lambda: s.sendto(b'to', 'marked')), what(lambda: s.sendmsg([b'msg'], [], 0, 'marked')), \
                  what(lambda: s.connect('marked')), what(lambda: s.sendto(b'to', 'other')))";
    for before in ["", THREAD] {
        let bench = Bench::new();
        let sockets = ["marked", "other"].map(|name| UnixDatagram::bind(bench.path(name)).expect("bind"));
        mark(&bench.path("marked"));
        let denied = python(&bench, &deny_marked(WRITE), before, script);
        assert_eq!(denied.printed(), "EPERM EPERM EPERM ok\n");
        for syscall in ["sendto", "sendmsg", "connect"] {
            assert!(denied.denied(syscall, "inode_permission", "WRITE"), "{syscall}");
        }
        sockets[0].set_nonblocking(true).expect("non-blocking");
        assert!(sockets[0].recv(&mut [0; 10]).is_err(), "nothing may have arrived");
        let allowed = python(&bench, &deny_marked(REMOVE), before, script);
        assert_eq!(allowed.printed(), "ok ok ok ok\n");
        assert_eq!(sockets[0].recv(&mut [0; 10]).expect("a datagram"), 2);
    }
}

#[test]
fn binding_to_a_path_asks_what_mknod_asks() {
    let script = "print(what(lambda: socket(AF_UNIX).bind('dir/name')), what(lambda: socket(AF_UNIX).bind('name')), \
                  what(lambda: socket(AF_UNIX).bind('\\0landlock-test-%d' % os.getpid())))";
    let run = |text: &str| {
        let bench = Bench::new();
        std::fs::create_dir(bench.path("dir")).expect("a directory");
        mark(&bench.path("dir"));
        let done = python(&bench, text, "", script);
        assert_eq!(bench.path("dir/name").exists(), done.printed().starts_with("ok"));
        done
    };
    let directory = run(&deny_marked(WRITE));
    assert_eq!(directory.printed(), "EPERM ok ok\n");
    assert!(directory.denied("bind", "inode_permission", "EXEC|WRITE"), "{:#?}", directory.denials);
    let walk = run(&deny_marked(EXEC));
    assert_eq!(walk.printed(), "EPERM ok ok\n");
    let names = run(&rule("no_names", &format!("if r6 & {NEW} goto deny")));
    assert_eq!(names.printed(), "EPERM EPERM ok\n");
    assert!(names.denied("bind", "inode_mknod", "NEW"));
    assert_eq!(run(&deny_marked(REMOVE)).printed(), "ok ok ok\n");
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
    let run = |text: &str, before: &str| {
        let bench = Bench::new();
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let open = |name: &str, mode: u32| {
            let path = bench.path(name);
            let file = File::create(&path).expect("a file");
            set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            file
        };
        let (first, marked, last) = (open("a", 0o600), open("b", 0o7123), open("c", 0o640));
        pass(&ours, &[&first, &marked, &last]);
        let script = format!("{PRELUDE}{before}\n{script}");
        let rule = bench.rule("rule", text);
        let mut confine = bench.confined(&[&rule], "python3");
        bench.run(confine.args(["-c", &script]).stdin(Stdio::from(OwnedFd::from(theirs))))
    };
    for before in ["", THREAD] {
        let denied = run(&deny_marked(GET), before);
        assert_eq!(denied.printed(), "1 1 True [384]\n");
        assert!(denied.denied("recvmsg", "file_receive", "GET"));
        assert_eq!(run(&deny_marked(REMOVE), before).printed(), "1 3 False [384, 83, 416]\n");
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
    let bench = Bench::new();
    std::fs::write(bench.path("ordinary"), "").expect("a file");
    std::fs::write(bench.path("marked"), "").expect("a file");
    mark(&bench.path("marked"));
    // Opening asks READ as well; receiving asks GET alone.
    let only_get =
        rule("only_get", &format!("r0 &= 0xfff\nif r0 != 0xe53 goto allow\nif r6 == {GET} goto deny"));
    let denied =
        python(&bench, &only_get, "", &script.replace("\"marked\", os.O_RDONLY", "\"marked\", os.O_PATH"));
    assert_eq!(denied.printed(), "EPERM ok ok 0\n");
    assert!(denied.denied("pidfd_getfd", "file_receive", "GET"));
    let twin = python(&bench, &deny_marked(REMOVE), "", script);
    assert_eq!(twin.printed(), "ok ok ok 0\n");
}

#[test]
fn the_peer_sees_the_callers_user_and_reads_what_it_wrote() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.path("listener")).expect("bind");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let user = rustix::net::sockopt::socket_peercred(&stream).expect("credentials").uid;
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        (user, text)
    });
    let script =
        "s = socket(AF_UNIX); s.connect('listener'); s.sendall(b'hello'); print(s.getpeername()[-9:])";
    let confined = python(&bench, &transparent_for_all_types(), THREAD, script);
    assert_eq!(confined.printed(), "/listener\n");
    let (user, text) = served.join().expect("the server");
    assert_eq!((user.as_raw(), text.as_str()), (rustix::process::getuid().as_raw(), "hello"));
}

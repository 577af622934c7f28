// SPDX-License-Identifier: MIT OR Apache-2.0
//! The abstract name beside the path: who finds the daemon by it, and who is not taken for the daemon.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use landlock_daemon::client::{Daemon, Error};
use landlock_daemon::listen;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen as wait_for_clients, socket_with,
};
use rustix::process::{Gid, Uid, geteuid};

use crate::fake::{LONG, Live, domain, rule, until};

/// Does something as an ordinary user, whoever runs the tests.
fn as_user<T: Send>(user: u32, action: impl FnOnce() -> T + Send) -> T {
    let become_user = || {
        if geteuid().is_root() {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
            rustix::thread::set_thread_res_gid(group, group, group).unwrap();
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        }
        action()
    };
    thread::scope(|scope| scope.spawn(become_user).join().unwrap())
}

/// Takes the name away from whoever comes next.
fn squat(path: &Path) -> OwnedFd {
    let name = SocketAddrUnix::new_abstract_name(path.to_str().unwrap().as_bytes()).unwrap();
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &name).unwrap();
    wait_for_clients(&socket, 1).unwrap();
    socket
}

fn deny_the_way_to(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
}

#[test]
fn who_is_denied_the_path_finds_the_daemon_by_its_name() {
    let live = Live::start(LONG);
    deny_the_way_to(&live.socket);
    let daemon = live.daemon();
    let grant = as_user(1000, || daemon.load(&domain([rule("one")]), None, false)).unwrap();
    assert!(live.books.enter(grant.token));

    // Only there.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    listen::bound(&path).unwrap().truncate(1);
    deny_the_way_to(&path);
    let shown = format!("@{}", path.display());
    let answer = as_user(1000, || Daemon::at(&path, 0).hello());
    assert!(
        matches!(&answer, Err(Error::Absent { path, errno: Errno::CONNREFUSED }) if *path == shown),
        "{answer:?}"
    );
}

#[test]
fn who_has_taken_the_name_keeps_the_daemon_from_nothing_and_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let squatter = as_user(1001, || squat(&path));
    let sockets = listen::bound(&path).unwrap();
    assert_eq!(sockets.len(), 1);
    deny_the_way_to(&path);
    let answer = as_user(1000, || Daemon::at(&path, 0).hello());
    assert!(
        matches!(&answer, Err(Error::Stranger(at)) if *at == format!("@{}", path.display())),
        "{answer:?}"
    );
    // With the name free it would be had. What another test starts holds sockets of ours up to its exec.
    drop((squatter, sockets));
    until(|| listen::bound(&path).is_ok_and(|sockets| sockets.len() == 2));
}

/// Started by the next test, where this process' user is root.
#[test]
#[ignore = "is a part of another test"]
fn in_a_namespace() {
    let path = std::env::var_os("SOCKET").unwrap();
    let answer = Daemon::at(Path::new(&path), 0).hello();
    assert!(matches!(&answer, Err(Error::Namespace(_))), "{answer:?}");
}

#[test]
fn root_of_a_user_namespace_is_nobody() {
    let live = Live::start(LONG);
    live.daemon().hello().unwrap();
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user"]).arg(std::env::current_exe().unwrap());
    inside.args(["--exact", "name::in_a_namespace", "--ignored"]).env("SOCKET", &live.socket);
    let output = inside.output().expect("this test needs unshare: apt-get install util-linux");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

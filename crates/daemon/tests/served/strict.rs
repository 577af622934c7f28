// SPDX-License-Identifier: MIT OR Apache-2.0
//! Under rules that leave no way to a socket of a path, more rules can be had all the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::chown;
use std::process::Command;
use std::thread;

use ebpf_landlock::{Choice, Error, Sandbox, kernel};
use landlock_daemon::SOCKET;
use landlock_daemon::client;
use landlock_kernel::enter;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket};

use crate::command::{folder, landlock, text};
use crate::{
    EXEC, LOCK, ONE, OTHER, Running, WRITE, anybodys, as_user, denies, domain, load, refused, unlock,
    write_to,
};

fn sandbox(name: &str, actions: u32) -> Sandbox {
    Sandbox::new(domain([denies(name, actions)])).with_target(Choice::Kernel)
}

fn by_path() -> rustix::io::Result<()> {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(SOCKET).unwrap())
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_that_may_not_write_confines_itself_further() {
    let _daemon = Running::start();
    let file = anybodys("strict");
    as_user(ONE, || {
        assert!(by_path().is_ok());
        sandbox("no_write", WRITE).enter().unwrap();
        assert!(by_path() == Err(Errno::PERM) && refused(&write_to(&file)) && unlock().is_ok());
        sandbox("no_lock", LOCK).enter().unwrap();
        assert!(refused(&write_to(&file)) && refused(&unlock()));
        // What they start is in both.
        let inside = || refused(&write_to(&file)) && refused(&unlock());
        assert!(thread::scope(|scope| scope.spawn(inside).join().unwrap()));
        assert!(Command::new("true").status().is_ok());
        sandbox("no_exec", EXEC).enter().unwrap();
        assert!(Command::new("true").status().is_err() && refused(&unlock()));
    });
    assert!(write_to(&file).is_ok() && unlock().is_ok());
}

/// All there is but locks, which show whether the further rule is in force.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_that_may_do_nothing_confines_itself_further() {
    let _daemon = Running::start();
    let opened = File::open("/dev/null").unwrap();
    let unlock = || Ok::<_, io::Error>(flock(&opened, FlockOperation::Unlock)?);
    as_user(ONE, || {
        sandbox("nothing_but_locks", !LOCK & 0x7fff_ffff).enter().unwrap();
        assert!(refused(&File::open("/dev/null")) && refused(&std::fs::metadata("/")));
        assert!(unlock().is_ok());
        sandbox("no_lock", LOCK).enter().unwrap();
        assert!(refused(&unlock()));
    });
    assert!(unlock().is_ok());
}

/// A log is memory that its reader writes to.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_log_of_its_own_is_refused_to_who_may_not_write_and_nothing_is_changed() {
    let _daemon = Running::start();
    as_user(ONE, || {
        assert!(sandbox("no_lock", LOCK).denials().is_ok());
        sandbox("no_write", WRITE).enter().unwrap();
        let logged = sandbox("no_lock", LOCK).denials();
        assert!(
            matches!(&logged, Err(Error::Kernel(kernel::Error::Daemon(client::Error::Log(_))))),
            "{logged:?}"
        );
        assert!(unlock().is_ok());
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_command_that_may_not_write_starts_others_in_sandboxes() {
    let _daemon = Running::start();
    let folder = folder();
    for (name, actions) in [("no_write", WRITE), ("no_exec", EXEC)] {
        std::fs::write(folder.path().join(format!("{name}.s")), text(name, actions)).unwrap();
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    chown(folder.path().join("file"), Some(ONE), Some(ONE)).unwrap();
    let run = |rule: &'static str| ["run", "--target", "kernel", "--rule", rule, "--"];
    let code = |outer, inner, command: &[&str]| {
        let words = [&run(outer)[..], &["landlock"], &run(inner), command].concat();
        let output = landlock(&folder, ONE, &words).output().unwrap();
        // Who may not write does not tell, either.
        output.status.code().unwrap()
    };
    let write = ["sh", "-c", ": >> file || exit 7"];
    assert_eq!(code("harmless.s", "harmless.s", &write), 0);
    assert!(![0, 125].contains(&code("no_write.s", "harmless.s", &write)));
    assert_eq!(code("no_write.s", "harmless.s", &["true"]), 0);
    assert_eq!(code("no_write.s", "no_exec.s", &["true"]), 126);
    assert_eq!(code("no_write.s", "harmless.s", &["no-such-command"]), 127);
}

/// One that has the daemon's name, for as long as it is kept.
fn squat() -> rustix::fd::OwnedFd {
    let squatter = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&squatter, &SocketAddrUnix::new_abstract_name(SOCKET.as_bytes()).unwrap()).unwrap();
    listen(&squatter, 1).unwrap();
    squatter
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn who_has_taken_the_name_is_not_believed_and_stops_nobody_else() {
    let squatter = as_user(OTHER, squat);
    let _daemon = Running::start();
    as_user(ONE, || {
        enter(load(&[denies("no_write", WRITE)]).token).unwrap();
        let entered = sandbox("no_lock", LOCK).enter();
        let text = entered.unwrap_err().to_string();
        assert!(text.contains("@/run/landlock/landlockd.sock is not landlockd"), "{text}");
        assert!(unlock().is_ok());
    });
    drop(squatter);
}

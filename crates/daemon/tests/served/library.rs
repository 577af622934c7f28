// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both libraries for an ordinary user, through the daemon.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use ebpf_landlock::{Choice, Error, Sandbox, Target, target};

use crate::{EXEC, LOCK, ONE, Running, WRITE, anybodys, as_user, denies, domain, refused, unlock, write_to};

fn sandbox(name: &str, actions: u32, choice: Choice) -> Sandbox {
    Sandbox::new(domain([denies(name, actions)])).with_target(choice)
}

/// Opens a file for writing, and leaves it as it is.
fn touch(path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(": >> {}", path.display()));
    command
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_sandbox_of_a_user_s_is_the_kernel_s_while_the_daemon_is_there() {
    let chosen = |choice| as_user(ONE, || sandbox("no_write", WRITE, choice).target());
    assert!(matches!(chosen(Choice::Kernel), Err(Error::Kernel(_))));
    assert_eq!(chosen(Choice::Auto).unwrap(), Target::Supervisor);
    let _daemon = Running::start();
    for choice in [Choice::Kernel, Choice::Auto] {
        assert_eq!(chosen(choice).unwrap(), Target::Kernel);
        let file = anybodys("library");
        as_user(ONE, || {
            let succeeds = |sandbox: &Sandbox| sandbox.spawn(touch(&file)).unwrap().wait().unwrap().success();
            assert!(succeeds(&sandbox("harmless", 1 << 20, choice)));
            let no_write = sandbox("no_write", WRITE, choice);
            assert!(!succeeds(&no_write) && !succeeds(&no_write));
            // Whoever started them is as before, until it wants to be confined itself.
            assert!(write_to(&file).is_ok() && target().is_none());
            no_write.enter().unwrap();
            assert!(refused(&write_to(&file)) && !touch(&file).status().unwrap().success());
            assert!(thread::scope(|scope| scope.spawn(|| refused(&write_to(&file))).join().unwrap()));
            assert_eq!(target(), Some(Target::Kernel));
        });
        assert!(write_to(&file).is_ok());
        // One after the other.
        as_user(ONE, || {
            sandbox("no_lock", LOCK, choice).enter().unwrap();
            assert!(refused(&unlock()) && Command::new("true").status().is_ok());
            sandbox("no_exec", EXEC, choice).enter().unwrap();
            assert!(refused(&unlock()) && Command::new("true").status().is_err());
        });
        assert!(unlock().is_ok());
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn one_sandbox_logs_what_several_commands_are_refused() {
    let daemon = Running::start();
    let file = anybodys("library_log");
    let spawn = |sandbox: &Sandbox| sandbox.spawn(touch(&file));
    let no_write = as_user(ONE, || {
        let no_write = sandbox("no_write", WRITE, Choice::Kernel);
        let denials = no_write.denials().unwrap();
        // One after the other, and two at a time.
        assert!(!spawn(&no_write).unwrap().wait().unwrap().success());
        let [mut one, mut other] = [(); 2].map(|()| spawn(&no_write).unwrap());
        assert!(!one.wait().unwrap().success() && !other.wait().unwrap().success());
        // A thread of its own that goes in.
        let inside = || {
            no_write.enter().unwrap();
            assert!(refused(&write_to(&file)));
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap());
        let mut seen = denials.so_far().unwrap();
        // A shell wants to tell, too.
        seen.retain(|denial| denial.syscall == "openat");
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|denial| denial.rule.as_ref().unwrap().name == "no_write"));
        no_write
    });
    // The domain is gone with the daemon, as no thread was in it: nothing runs, nor is it logged elsewhere.
    daemon.kill();
    let _daemon = Running::start();
    as_user(ONE, || {
        let gone = spawn(&no_write);
        assert!(matches!(&gone, Err(Error::Kernel(why)) if why.to_string().contains("gone")), "{gone:?}");
        let denials = no_write.denials().unwrap();
        assert!(
            !spawn(&no_write).unwrap().wait().unwrap().success() && !denials.so_far().unwrap().is_empty()
        );
    });
    assert!(write_to(&file).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_in_c_prepend_as_often_as_v7_let_them() {
    let run = |part: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let mut program = Command::new("/c_api/c_api");
        program.arg(part).current_dir(folder.path()).uid(ONE).gid(ONE).output().unwrap()
    };
    let agrees = |part: &str| {
        let output = run(part);
        assert!(output.status.success(), "{part}: {output:?}");
    };
    // Nobody answers without the daemon.
    ["load", "outside"].into_iter().for_each(agrees);
    assert!(!run("pass").status.success());
    let _daemon = Running::start();
    // A rule whose maker has gone, too.
    ["load", "pass", "served"].into_iter().for_each(agrees);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library on the kernel target: `cargo xtask guest-test` runs these in guests, as root. The process has several
//! threads, as tests have.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use ebpf_landlock::{Actions, Choice, Domain, Error, Rule, RuleBuilder, Sandbox, Target, When, target};

mod arrays;

fn deny(name: &str, actions: Actions) -> Rule {
    RuleBuilder::new(name).deny(When::actions(actions)).build().unwrap()
}

fn sandbox(rules: impl IntoIterator<Item = Rule>) -> Sandbox {
    Sandbox::new(Domain::prepended(rules)).with_target(Choice::Kernel)
}

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn makes(&self, name: &str) -> bool {
        fs::File::create(self.0.join(name)).is_ok()
    }

    fn touch(&self, name: &str) -> Command {
        let mut command = Command::new("touch");
        command.arg(self.0.join(name)).stderr(Stdio::null());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_among_others_confines_itself() {
    let folder = Folder::new("a_thread_among_others");
    let no_new = sandbox([deny("no_new", Actions::NEW)]);
    let denials = no_new.denials().unwrap();
    thread::scope(|scope| {
        let (go, wait) = std::sync::mpsc::channel();
        let before = scope.spawn(|| (target(), wait.into_iter().next().is_some() && folder.makes("before")));
        let confined = || {
            assert_eq!(target(), None);
            no_new.enter().unwrap();
            assert_eq!(target(), Some(Target::Kernel));
            assert!(!folder.makes("by-the-thread"));
            assert!(!thread::spawn(|| fs::File::create("/tmp/by-its-thread").is_ok()).join().unwrap());
            assert!(!folder.touch("by-its-child").status().unwrap().success());
            // It may load nothing more: what it would need is what could let it out. And nobody serves it.
            let more = sandbox([deny("no_exec", Actions::EXEC)]).enter();
            assert!(
                matches!(&more, Err(Error::Kernel(why)) if why.to_string().contains("only root outside of domains")),
                "{more:?}"
            );
            assert!(fs::read_dir(&folder.0).is_ok());
        };
        scope.spawn(confined).join().unwrap();
        go.send(()).unwrap();
        assert_eq!(before.join().unwrap(), (None, true));
    });
    assert!(folder.makes("by-another-thread") && target().is_none());
    let told = denials.so_far().unwrap();
    let seen: Vec<_> = told.iter().map(|denial| (denial.hook.as_str(), denial.comm.as_str())).collect();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.iter().all(|(hook, _)| *hook == "inode_create") && seen[2].1 == "touch", "{seen:?}");
    assert!(told.iter().all(|denial| denial.rule.as_ref().unwrap().name == "no_new"));
    assert!(denials.so_far().unwrap().is_empty() && denials.lost() == 0);
}

/// One sandbox, as many threads as there are.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn threads_enter_one_sandbox_one_by_one() {
    let folder = Folder::new("one_by_one");
    let no_new = &sandbox([deny("no_new", Actions::NEW)]);
    thread::scope(|scope| {
        for number in 0..8 {
            let (folder, name) = (&folder, format!("{number}"));
            scope.spawn(move || {
                assert!(folder.makes(&name));
                no_new.enter().unwrap();
                assert!(!folder.makes(&format!("{name}-inside")));
            });
        }
    });
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 8);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn commands_run_confined_and_are_waited_for_and_killed() {
    let folder = Folder::new("commands");
    let no_new = sandbox([deny("no_new", Actions::NEW)]);
    assert_eq!(no_new.target().unwrap(), Target::Kernel);
    let mut touch = no_new.spawn(folder.touch("made")).unwrap();
    assert!(!touch.wait().unwrap().success() && !touch.wait().unwrap().success());
    assert!(!folder.0.join("made").exists());
    // Auto is the same where the kernel target works.
    let auto = Sandbox::new(Domain::prepended([deny("no_remove", Actions::REMOVE)]));
    assert_eq!(auto.target().unwrap(), Target::Kernel);
    assert!(auto.spawn(folder.touch("made")).unwrap().wait().unwrap().success());
    assert!(folder.0.join("made").exists() && target().is_none());

    let missing = no_new.spawn(Command::new("./none"));
    let missing = missing.unwrap().wait();
    assert!(matches!(missing, Err(Error::NotStarted(error)) if error.kind() == std::io::ErrorKind::NotFound));
    let no_exec = sandbox([deny("no_exec", Actions::EXEC)]).spawn(Command::new("true"));
    let no_exec = no_exec.unwrap().wait();
    assert!(matches!(no_exec, Err(Error::NotStarted(error)) if error.raw_os_error() == Some(1)));

    let start = || {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000").stdout(writer);
        (no_new.spawn(command).unwrap(), reader)
    };
    let (mut sleep, _) = start();
    assert!(fs::exists(format!("/proc/{}", sleep.id().unwrap())).unwrap());
    sleep.kill();
    assert_eq!(sleep.wait().unwrap().signal(), Some(9));
    let (sleep, mut until_it_ends) = start();
    drop(sleep);
    until_it_ends.read_to_end(&mut Vec::new()).unwrap();
}

/// The same as on the supervisor target.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn handles_are_changed_while_rules_compare_with_them() {
    arrays::changed_while_it_runs(Choice::Kernel);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn arrays_are_dense_of_one_kind_and_full_at_some_time() {
    arrays::as_the_rfc_had_them(Choice::Kernel);
}

/// Who is confined by them does not change them.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_confined_thread_changes_no_handles() {
    let folder = Folder::new("changes_no_handles");
    let [secret, other] = ["secret", "other"].map(|name| folder.0.join(name));
    [&secret, &other].into_iter().for_each(|path| fs::write(path, "").unwrap());
    let sandbox = arrays::deny_list(Choice::Kernel);
    let list = sandbox.handles("list").unwrap();
    list.append(fs::File::open(&secret).unwrap()).unwrap();
    let opens = || [&secret, &other].map(|path| fs::File::open(path).is_ok());
    let change = |path| list.set(0, fs::File::open(path).unwrap());
    thread::scope(|scope| {
        let (go, wait) = std::sync::mpsc::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let confined = || {
            let (wait, tell) = (wait, tell);
            sandbox.enter().unwrap();
            assert_eq!(opens(), [false, true]);
            let errno = match change(&other) {
                Err(Error::Handle(error)) => error.raw_os_error(),
                other => panic!("{other:?}"),
            };
            assert_eq!((errno, opens()), (Some(1), [false, true]));
            tell.send(()).unwrap();
            wait.recv().unwrap();
            assert_eq!(opens(), [true, false], "changed by who is not confined");
        };
        let confined = scope.spawn(confined);
        told.recv().unwrap();
        change(&other).unwrap();
        go.send(()).unwrap();
        confined.join().unwrap();
    });
    assert_eq!(opens(), [true, true]);
}

/// Run by an ordinary user.
#[test]
#[ignore = "needs a guest: cargo xtask guest-test"]
fn unprivileged_processes_are_told_that_the_kernel_is_not_for_them() {
    let no_new = sandbox([deny("no_new", Actions::NEW)]);
    assert!(matches!(no_new.target(), Err(Error::Kernel(_))));
    assert!(matches!(no_new.enter(), Err(Error::Kernel(_))));
    assert!(matches!(no_new.spawn(Command::new("true")), Err(Error::Kernel(_))));
    let auto = Sandbox::new(Domain::prepended([deny("no_new", Actions::NEW)]));
    assert_eq!(auto.target().unwrap(), Target::Supervisor);
    assert!(matches!(auto.enter(), Err(Error::NoSupervisor)) && target().is_none());
}

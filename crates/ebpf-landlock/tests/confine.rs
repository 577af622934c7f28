// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as a program uses it. Without a harness: starting a sandbox takes a process with one thread. Called with
//! a name, this program is what runs inside.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use ebpf_landlock::{
    Actions, Child, Choice, Domain, Error, Rule, RuleBuilder, Sandbox, Target, When, target,
};
use rustix::fs::{FlockOperation, flock};

mod arrays;
mod fixed;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("in-threads") => in_threads(),
        Some("in-a-narrow-one") => in_a_narrow_one(),
        Some("a-second-sandbox") => a_second_sandbox(),
        Some("arrays-inside") => fixed::inside(),
        _ => outside(),
    }
}

fn outside() {
    let folder = std::env::temp_dir().join(format!("ebpf-landlock-{}", std::process::id()));
    // One of our number may have failed.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir(&folder).expect("a folder");
    std::env::set_current_dir(&folder).expect("to be there");
    let tests: [(&str, fn()); 10] = [
        ("denied in the sandbox, allowed out of it", denied_and_allowed),
        ("killed and dropped", killed_and_dropped),
        ("a domain for a thread", || inside("in-threads", true)),
        ("rules too wide for the outer sandbox", || inside("in-a-narrow-one", false)),
        ("a sandbox in a sandbox", || inside("a-second-sandbox", true)),
        ("handles are changed while rules compare with them", || {
            arrays::changed_while_it_runs(Choice::Supervisor)
        }),
        ("arrays are dense, of one kind, and full at some time", || {
            arrays::as_the_rfc_had_them(Choice::Supervisor)
        }),
        ("arrays of a sandbox in a sandbox", || inside("arrays-inside", true)),
        ("opens decided by mainline Landlock", fixed::lowered),
        ("more than one thread", more_than_one_thread),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    fs::remove_dir_all(&folder).expect("the folder gone");
}

fn deny(name: &str, actions: Actions) -> Rule {
    RuleBuilder::new(name).deny(When::actions(actions)).build().expect("a rule")
}

fn sandbox(rules: impl IntoIterator<Item = Rule>) -> Sandbox {
    Sandbox::new(Domain::prepended(rules)).with_target(Choice::Supervisor)
}

fn quiet(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::null());
    command
}

fn denied_and_allowed() {
    let no_new = sandbox([deny("no_new", Actions::NEW)]);
    let denials = no_new.denials().expect("denials");
    let mut touch = no_new.spawn(quiet("touch", &["made"])).expect("a sandbox");
    assert!(!touch.wait().expect("an end").success() && !touch.wait().expect("the same").success());
    assert!(!Path::new("made").exists());
    let [denial] = &denials.so_far().expect("denials")[..] else { panic!("one denial") };
    assert_eq!((denial.hook.as_str(), denial.comm.as_str()), ("inode_create", "touch"));
    assert!(denial.object.path.as_ref().is_some_and(|path| path.ends_with("/made")));
    assert_eq!(denial.rule.as_ref().map(|rule| (rule.name.as_str(), rule.index)), Some(("no_new", 0)));
    assert!(denials.so_far().expect("denials").is_empty());
    assert_eq!(target(), None);

    let mut touch = sandbox([]).spawn(quiet("touch", &["made"])).expect("a sandbox");
    assert!(touch.wait().expect("an end").success() && Path::new("made").exists());
    fs::remove_file("made").expect("remove");
    let missing = sandbox([]).spawn(Command::new("./none")).expect("a sandbox").wait();
    assert!(matches!(missing, Err(Error::NotStarted(error)) if error.kind() == std::io::ErrorKind::NotFound));
}

fn killed_and_dropped() {
    let start = || -> (Child, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = quiet("sleep", &["1000"]);
        command.stdout(writer);
        (sandbox([]).spawn(command).expect("a sandbox"), reader)
    };
    let (mut sleep, _) = start();
    assert!(Path::new(&format!("/proc/{}", sleep.id().expect("an id"))).exists());
    sleep.kill();
    assert_eq!(sleep.wait().expect("an end").signal(), Some(9));
    let (sleep, mut until_it_ends) = start();
    drop(sleep);
    std::io::Read::read_to_end(&mut until_it_ends, &mut Vec::new()).expect("the end");
}

/// Runs a part of this program in a sandbox that denies removing.
fn inside(part: &str, stackable: bool) {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.arg(part);
    let outer = sandbox([deny("no_remove", Actions::REMOVE)]).stackable(stackable);
    let denials = outer.denials().expect("denials");
    let status = outer.spawn(command).expect("a sandbox").wait().expect("an end");
    assert!(status.success(), "{part}: {status}");
    if part == "in-threads" {
        let by: Vec<_> =
            denials.so_far().expect("denials").into_iter().map(|denial| denial.rule.unwrap().name).collect();
        assert_eq!(by, ["no_new", "no_new", "no_new", "no_remove", "no_lock"]);
    }
}

fn makes(name: &str) -> bool {
    fs::File::create(name).is_ok()
}

fn in_threads() {
    assert_eq!(target(), Some(Target::Supervisor));
    assert!(makes("kept"));
    let (go, wait) = std::sync::mpsc::channel();
    let before = thread::spawn(move || wait.recv().is_ok() && makes("by-a-thread-from-before"));
    thread::spawn(|| {
        let no_new = sandbox([deny("no_new", Actions::NEW)]);
        let denials = no_new.denials().expect("denials");
        no_new.enter().expect("entered");
        assert!(!makes("by-the-thread"));
        assert!(!thread::spawn(|| makes("by-its-thread")).join().unwrap());
        assert!(!quiet("touch", &["by-its-child"]).status().expect("touch").success());
        assert!(fs::remove_file("kept").is_err());
        // The outer rule's refusals in here are told here too.
        assert_eq!(denials.so_far().expect("denials").len(), 4);
        // A second time, for what the first allowed.
        let lock = |name: &str| flock(fs::File::open(name).expect("open"), FlockOperation::LockShared);
        assert!(lock(".").is_ok());
        sandbox([deny("no_lock", Actions::LOCK)]).enter().expect("entered");
        assert!(lock(".").is_err());
        assert!(fs::read("/proc/self/status").is_ok());
    })
    .join()
    .expect("the thread");
    go.send(()).expect("send");
    assert!(before.join().unwrap() && makes("by-the-first-thread"));
}

fn in_a_narrow_one() {
    let refused = sandbox([deny("no_read", Actions::READ)]).enter();
    assert!(
        matches!(&refused, Err(Error::Sandbox(why)) if why.to_string().contains("--stackable")),
        "{refused:?}"
    );
    assert!(fs::read("/proc/self/status").is_ok());
    // What denies less than the outer one fits.
    sandbox([deny("no_remove_either", Actions::REMOVE)]).enter().expect("entered");
}

fn a_second_sandbox() {
    let no_new = sandbox([deny("no_new", Actions::NEW)]);
    let denials = no_new.denials().expect("denials");
    let mut touch = no_new.spawn(quiet("touch", &["made-inside"])).expect("a sandbox");
    assert!(!touch.wait().expect("an end").success());
    assert_eq!(denials.so_far().expect("denials").len(), 1);
    assert!(makes("made-outside-of-it"));
    let mut sleep = no_new.spawn(quiet("sleep", &["1000"])).expect("a sandbox");
    sleep.kill();
    assert_eq!(sleep.wait().expect("an end").signal(), Some(9));
    let missing = no_new.spawn(Command::new("./none")).expect("a sandbox").wait();
    assert!(matches!(missing, Err(Error::NotStarted(_))), "{missing:?}");
}

fn more_than_one_thread() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || wait.recv().is_err());
    let refused = sandbox([]).spawn(quiet("touch", &["by-many"]));
    assert!(
        matches!(&refused, Err(Error::Sandbox(why)) if why.to_string().contains("one thread")),
        "{refused:?}"
    );
    drop(stop);
    assert!(other.join().unwrap() && !Path::new("by-many").exists());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as a program uses it. Without a harness: starting a sandbox takes a process with one thread. Called with
//! a name, this program is what runs inside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use ebpf_landlock::{
    Actions, Child, Choice, Domain, Error, Filter, Layer, Rule, RuleBuilder, Sandbox, Target, When,
    from_assembly, target,
};
use rustix::fs::{FlockOperation, flock};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("in-threads") => in_threads(),
        Some("in-a-narrow-one") => in_a_narrow_one(),
        Some("a-second-sandbox") => a_second_sandbox(),
        _ => outside(),
    }
}

fn outside() {
    let folder = std::env::temp_dir().join(format!("ebpf-landlock-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    std::env::set_current_dir(&folder).expect("to be there");
    let tests: [(&str, fn()); 8] = [
        ("denied in the sandbox, allowed out of it", denied_and_allowed),
        ("killed and dropped", killed_and_dropped),
        ("a domain for a thread", || inside("in-threads", true)),
        ("rules too wide for the outer sandbox", || inside("in-a-narrow-one", false)),
        ("a sandbox in a sandbox", || inside("a-second-sandbox", true)),
        ("handles are changed while rules compare with them", changed_while_it_runs),
        ("arrays are dense, of one kind, and full at some time", arrays_are_as_the_rfc_had_them),
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

/// A sandbox in which nothing beneath a handle of `list` can be opened.
fn deny_list() -> Sandbox {
    let rule = "
.rule deny
.event FILE_OPEN
.license \"GPL\"
.map list fs 2
    r6 = r1
    r1 = 0
    r2 = map list
    r3 = 1
    r4 = *(u64 *)(r6 + 8)
    call cmp_fs_beneath
    if r0 != 0 goto allow
    r0 = 13
    exit
allow:
    r0 = 0
    exit
";
    let rules = from_assembly(rule).expect("a rule").into_iter().map(Layer::Rule);
    Sandbox::new(Domain::layered(std::iter::once(Layer::Filter(Filter::always(1))).chain(rules)))
        .with_target(Choice::Supervisor)
}

/// A shell that says of each file it is asked about whether it can be opened.
struct Asked {
    shell: Child,
    questions: std::io::PipeWriter,
    answers: BufReader<std::io::PipeReader>,
}

impl Asked {
    fn start(sandbox: &Sandbox) -> Asked {
        let (theirs, questions) = std::io::pipe().expect("a pipe");
        let (answers, said) = std::io::pipe().expect("a pipe");
        let script = "while read file; do if true < $file; then echo yes; else echo no; fi; done";
        let mut shell = quiet("sh", &["-c", script]);
        shell.stdin(theirs).stdout(said);
        let shell = sandbox.spawn(shell).expect("a sandbox");
        Asked { shell, questions, answers: BufReader::new(answers) }
    }

    #[track_caller]
    fn expect(&mut self, expected: [(&str, bool); 3]) {
        for (file, opens) in expected {
            writeln!(self.questions, "{file}").expect("to be heard");
            let mut answer = String::new();
            self.answers.read_line(&mut answer).expect("an answer");
            assert_eq!(answer == "yes\n", opens, "{file}");
        }
    }
}

fn changed_while_it_runs() {
    for file in ["a", "b", "c"] {
        fs::write(file, "").expect("a file");
    }
    let open = |file| File::open(file).expect("a file");
    let sandbox = deny_list();
    let list = sandbox.handles("list").expect("a map");
    assert!(sandbox.handles("other").is_none());
    list.append(open("a")).expect("room");
    let mut first = Asked::start(&sandbox);
    first.expect([("a", false), ("b", true), ("c", true)]);
    list.set(0, open("b")).expect("replaced");
    first.expect([("a", true), ("b", false), ("c", true)]);
    list.append(open("c")).expect("room");
    let mut second = Asked::start(&sandbox);
    for asked in [&mut first, &mut second] {
        asked.expect([("a", true), ("b", false), ("c", false)]);
    }
    assert_eq!(errno(list.append(open("a"))), Some(rustix::io::Errno::TOOBIG.raw_os_error()));
    list.delete_last().expect("the last");
    for asked in [&mut first, &mut second] {
        asked.expect([("a", true), ("b", false), ("c", true)]);
    }
    // What the handle stands for is meant, not its name; and one that has ended hinders nobody.
    fs::rename("b", "d").expect("renamed");
    fs::write("b", "").expect("another");
    second.expect([("b", true), ("d", false), ("a", true)]);
    first.shell.kill();
    first.shell.wait().expect("an end");
    list.delete_last().expect("the last");
    second.expect([("a", true), ("b", true), ("d", true)]);
    assert!(list.is_empty());
    second.shell.kill();
    second.shell.wait().expect("an end");
    for file in ["a", "b", "c", "d"] {
        fs::remove_file(file).expect("gone");
    }
}

fn errno(result: Result<(), Error>) -> Option<i32> {
    match result {
        Err(Error::Handle(error)) => error.raw_os_error(),
        other => panic!("{other:?}"),
    }
}

/// Spec 6.8, as far as it is not the definition's: EEXIST, E2BIG, EINVAL; nothing has changed then.
fn arrays_are_as_the_rfc_had_them() {
    use rustix::io::Errno;
    let sandbox = deny_list();
    let list = sandbox.handles("list").expect("a map");
    // What changes has to reach who enforces it.
    assert_eq!(deny_list().with_target(Choice::Auto).target().expect("a target"), Target::Supervisor);
    let kernel = deny_list().with_target(Choice::Kernel).target();
    assert!(matches!(&kernel, Err(why) if why.to_string().contains("supervisor target only")), "{kernel:?}");
    let root = || File::open("/").expect("the root");
    let is = |result, errno: Errno| assert_eq!(errno_of(result), errno.raw_os_error());
    const FILE: u32 = 1;
    is(list.set(1, root()), Errno::INVAL);
    is(list.delete_last(), Errno::INVAL);
    list.update(0, FILE, root(), 0).expect("appended");
    list.update(0, FILE, root(), 2).expect("BPF_EXIST replaces");
    list.update(1, FILE, root(), 2).expect("and appends");
    is(list.update(0, FILE, root(), 3), Errno::INVAL);
    is(list.update(0, FILE, root(), 1), Errno::EXIST);
    is(list.update(2, FILE, root(), 0), Errno::TOOBIG);
    for unknown in [0, 2, 3, 4] {
        is(list.update(0, unknown, root(), 0), Errno::INVAL);
    }
    is(list.delete(0), Errno::INVAL);
    assert_eq!(list.len(), 2);
    list.delete(1).expect("the last");
    list.delete(0).expect("the last");
    assert!(list.is_empty());
}

fn errno_of(result: Result<(), Error>) -> i32 {
    errno(result).expect("an errno")
}

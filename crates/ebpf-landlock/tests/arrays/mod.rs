// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays of handles that are changed while rules compare with them, on either target. In the current directory.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use ebpf_landlock::{Child, Choice, Domain, Error, Filter, Layer, Sandbox, from_assembly};

/// A sandbox in which nothing beneath a handle of `list` can be opened.
pub fn deny_list(choice: Choice) -> Sandbox {
    list("!=", choice)
}

/// A sandbox that opens what is (`==`), or is not (`!=`), at or beneath a handle of `list`.
pub fn list(is: &str, choice: Choice) -> Sandbox {
    let rule = "
.rule list
.event FILE_OPEN
.license \"GPL\"
.map list fs 2
    r6 = r1
    r1 = 0
    r2 = map list
    r3 = 1
    r4 = *(u64 *)(r6 + 8)
    call cmp_fs_beneath
    if r0 IS 0 goto allow
    r0 = 13
    exit
allow:
    r0 = 0
    exit
"
    .replace("IS", is);
    let rules = from_assembly(&rule).expect("a rule").into_iter().map(Layer::Rule);
    Sandbox::new(Domain::layered(std::iter::once(Layer::Filter(Filter::always(1))).chain(rules)))
        .with_target(choice)
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
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(theirs).stdout(said).stderr(Stdio::null());
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

pub fn changed_while_it_runs(choice: Choice) {
    for file in ["a", "b", "c"] {
        fs::write(file, "").expect("a file");
    }
    let open = |file| File::open(file).expect("a file");
    let sandbox = deny_list(choice);
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
pub fn as_the_rfc_had_them(choice: Choice) {
    use rustix::io::Errno;
    let sandbox = deny_list(choice);
    let list = sandbox.handles("list").expect("a map");
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

pub fn errno_of(result: Result<(), Error>) -> i32 {
    errno(result).expect("an errno")
}

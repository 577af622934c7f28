// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing open files under rules.

mod support;

use support::{
    BUT_FOR_WALKS, Bench, Outcome, deny_marked, rule, transparent_but_for_walks, transparent_for_all_types,
};

fn same_as_unconfined(mode: &str, text: &str) {
    let run = |confined: bool| {
        let bench = Bench::new();
        let probe = bench.probe("io", &["-w"]);
        let rule = bench.rule("rule", text);
        let mut command = if confined { bench.confined(&[&rule], probe) } else { bench.plain(probe) };
        let outcome = bench.run(command.arg(mode));
        if confined {
            assert_eq!(outcome.denials.len(), 0, "{:#?}", outcome.denials);
        }
        outcome.printed().to_owned()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn every_call_returns_what_it_returns_unconfined() {
    same_as_unconfined("alone", &transparent_but_for_walks());
}

#[test]
fn every_call_returns_what_it_returns_unconfined_with_threads() {
    same_as_unconfined("threads", &transparent_but_for_walks());
}

#[test]
fn a_denied_file_in_the_table_does_not_change_what_other_files_return() {
    let only_reads_and_writes =
        "r0 &= 0xfff\nif r0 != 0xe53 goto allow\nif r6 == 2 goto deny\nif r6 == 4 goto deny";
    same_as_unconfined("denied", &rule("deny_marked", &format!("{BUT_FOR_WALKS}{only_reads_and_writes}")));
}

/// Denies writing regular files.
fn deny_writing() -> String {
    rule("deny_writing", "r0 &= 0xf000\nif r0 != 0x8000 goto allow\nif r6 & 2 goto deny")
}

/// What v7's own test asserts about descriptors from before the confinement (3, 4, 5: read-only, both, write-only).
const INHERITED: &str = r#"
import os, errno
def what(act):
    try:
        act()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
print("ro write", what(lambda: os.write(3, b"x")))
print("ro read", what(lambda: os.read(3, 2)))
print("rw write", what(lambda: os.write(4, b"x")))
print("rw read", what(lambda: os.read(4, 2)))
print("wo write", what(lambda: os.write(5, b"x")))
print("wo read", what(lambda: os.read(5, 2)))
print("wo pwrite", what(lambda: os.pwrite(5, b"x", 0)))
print("wo writev", what(lambda: os.writev(5, [b"x", b"y"])))
print("wo sendfile", what(lambda: os.sendfile(5, 3, 0, 2)))
print("rw copy", what(lambda: os.copy_file_range(3, 4, 2, 0)))
r, w = os.pipe()
os.write(w, b"xy")
print("wo splice", what(lambda: os.splice(r, 5, 2)))
print("wo allocate", what(lambda: os.posix_fallocate(5, 0, 10)))
print("ro close", what(lambda: os.close(3)))
"#;

fn inherited(text: &str, before: &str) -> Outcome {
    let bench = Bench::new();
    for name in ["ro", "rw", "wo"] {
        bench.file(name, 0o644, "fs_read_only");
    }
    bench.file("probe.py", 0o644, format!("{before}\n{INHERITED}"));
    let rule = bench.rule("rule", text);
    let mut confine = bench.confined(&[&rule], "python3");
    confine.arg("probe.py");
    let mut shell = bench.plain("sh");
    shell
        .args(["-c", "exec \"$@\" 3<ro 4<>rw 5>>wo", "sh"])
        .arg(confine.get_program())
        .args(confine.get_args());
    bench.run(&mut shell)
}

/// A second thread, so that the supervisor acts on behalf.
const THREAD: &str =
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()";

#[test]
fn descriptors_from_before_are_denied_as_v7_does() {
    for before in ["", THREAD] {
        let without = inherited(&transparent_for_all_types(), before);
        assert_eq!(
            without.printed(),
            "ro write EBADF\nro read ok\nrw write ok\nrw read ok\nwo write ok\nwo read EBADF\nwo pwrite ok\n\
             wo writev ok\nwo sendfile EINVAL\nrw copy ok\nwo splice EINVAL\nwo allocate ok\nro close ok\n"
        );
        assert_eq!(without.denials.len(), 0, "{:#?}", without.denials);
        let denied = inherited(&deny_writing(), before);
        assert_eq!(
            denied.printed(),
            "ro write EBADF\nro read ok\nrw write EPERM\nrw read ok\nwo write EPERM\nwo read EBADF\nwo pwrite EPERM\n\
             wo writev EPERM\nwo sendfile EPERM\nrw copy EPERM\nwo splice EPERM\nwo allocate EPERM\nro close ok\n"
        );
        for syscall in ["write", "pwrite64", "writev", "sendfile", "copy_file_range", "splice", "fallocate"] {
            assert!(denied.denied(syscall, "file_permission", "WRITE"), "{syscall}: {:#?}", denied.denials);
        }
    }
}

/// One thread uses a descriptor while another keeps pointing it at a file it may not use.
fn race(text: &str, how: &str, attack: &str, tries: &str) -> Outcome {
    let bench = Bench::new();
    bench.file("good", 0o644, "g");
    bench.file("marked", 0o7123, "m".repeat(7777));
    let probe = bench.probe("race", &[]);
    let rule = bench.rule("rule", text);
    let confine = bench.confined(&[&rule], probe);
    let mut shell = bench.plain("sh");
    shell.args(["-c", "exec \"$@\" 3<>marked", "sh"]).arg(confine.get_program()).args(confine.get_args());
    let outcome = bench.run(shell.args([how, attack, tries]));
    let size = std::fs::metadata(bench.path("marked")).expect("the marked file").len();
    assert!(size == 7777 || outcome.stdout == "reached\n", "{size} bytes: {outcome:?}");
    outcome
}

#[test]
fn threads_that_swap_descriptors_reach_nothing_denied() {
    const READ_WRITE_IOCTL: u32 = 4 | 2 | 64;
    const REMOVE: u32 = 32;
    for how in ["write", "read", "mmap", "ioctl"] {
        for attack in ["swap", "hide"] {
            let stopped = race(&deny_marked(READ_WRITE_IOCTL), how, attack, "5000");
            assert_eq!(stopped.printed(), "not reached\n", "{how} {attack}");
            let twin = race(&deny_marked(REMOVE), how, attack, "100000000");
            assert_eq!(twin.printed(), "reached\n", "{how} {attack}");
        }
    }
}

#[test]
fn programs_work_as_without_rules() {
    let run = |confined: bool| {
        let bench = Bench::new();
        let rule = bench.rule("rule", &transparent_for_all_types());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probes/programs.py");
        let mut python = if confined { bench.confined(&[&rule], "python3") } else { bench.plain("python3") };
        let outcome = bench.run(python.arg(script));
        assert_eq!(outcome.denials.len(), 0, "{:#?}", outcome.denials);
        outcome.printed().to_owned()
    };
    let plain = run(false);
    assert_eq!(plain.lines().count(), 4, "{plain}");
    assert_eq!(run(true), plain);
}

/// Reads a line from a terminal of its own, with a thread or without, and writes what it read.
const TERMINAL: &str = r#"
import os, pty, sys, subprocess
parent, child = pty.openpty()
script = sys.argv[1] + "\nimport sys\nprint('read', sys.stdin.readline().strip(), sys.stdout.isatty(), flush=True)"
process = subprocess.Popen([sys.executable, "-c", script], stdin=child, stdout=child, start_new_session=True)
os.write(parent, b"typed\n")
text = b""
while b"read" not in text or text.count(b"\n") < 2:
    text += os.read(parent, 100)
print(text, process.wait())
"#;

#[test]
fn terminals_are_read_and_written() {
    for before in ["", THREAD] {
        let run = |confined: bool| {
            let bench = Bench::new();
            let rule = bench.rule("rule", &transparent_for_all_types());
            let mut python =
                if confined { bench.confined(&[&rule], "python3") } else { bench.plain("python3") };
            bench.run(python.args(["-c", TERMINAL, before])).printed().to_owned()
        };
        assert_eq!(run(true), run(false));
    }
}

#[test]
fn a_signal_of_the_process_interrupts_one_thread_only() {
    for receiver in ["leader", "other"] {
        let run = |confined: bool| {
            let bench = Bench::new();
            let probe = bench.probe("shared_signal", &[]);
            let rule = bench.rule("rule", &transparent_for_all_types());
            let mut command = if confined { bench.confined(&[&rule], probe) } else { bench.plain(probe) };
            bench.run(command.arg(receiver)).printed().to_owned()
        };
        assert_eq!(run(true), run(false), "{receiver}");
    }
}

#[test]
fn locks_are_judged_by_their_type() {
    let script = r#"
import fcntl, os, struct, errno
file = os.open("file", os.O_RDWR | os.O_CREAT)
def lock(command, kind):
    try:
        fcntl.fcntl(file, command, struct.pack("hhqqi4x", kind, 0, 0, 1, 0))
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
print([lock(fcntl.F_OFD_SETLK, kind) for kind in (0, 1, 2, 9)], [lock(fcntl.F_SETLK, kind) for kind in (0, 1, 2)])
"#;
    let run = |kind: u32| {
        let bench = Bench::new();
        let text = format!(
            ".rule deny_lock\n.event FS_LOCK\n.license \"GPL\"\nr2 = *(u64 *)(r1 + 24)\nr0 = 0\n\
             if r2 != {kind} goto out\nr0 = 1\nout:\nexit\n"
        );
        let rule = bench.rule("rule", &text);
        bench.run(bench.confined(&[&rule], "python3").args(["-c", script]))
    };
    let denied = run(1);
    // A lock of the process is refused whatever its type: the type could be changed after the check.
    assert_eq!(denied.printed(), "['ok', 'EPERM', 'ok', 'EINVAL'] ['EPERM', 'EPERM', 'EPERM']\n");
    assert!(denied.denied("fcntl", "file_lock", "FS_LOCK 0x1"), "{:#?}", denied.denials);
    assert_eq!(run(7).printed(), "['ok', 'ok', 'ok', 'EINVAL'] ['ok', 'ok', 'ok']\n");
}

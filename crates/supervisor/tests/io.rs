// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing open files under rules.

mod support;

use std::process::Stdio;

use support::{Place, denials, deny_marked, deny_regular, transparent};

const WRITE: u32 = 2;

fn same_as_unconfined(mode: &str, rule: String) {
    let place = Place::new();
    let probe = place.probe("io");
    let command = [probe.to_str().expect("a path in UTF-8"), mode];
    let plain = place.plain(&command);
    let place = place.emptied();
    let probe = place.probe("io");
    let confined = place.confined(&[rule], &[probe.to_str().expect("a path in UTF-8"), mode]);
    assert_eq!(confined.printed(), plain);
}

#[test]
fn every_call_returns_what_it_returns_unconfined() {
    same_as_unconfined("alone", transparent());
}

#[test]
fn every_call_returns_what_it_returns_unconfined_with_threads() {
    same_as_unconfined("threads", transparent());
}

#[test]
fn a_denied_file_in_the_table_does_not_change_what_other_files_return() {
    same_as_unconfined("denied", deny_marked());
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

fn inherited(rules: &[String], before: &str) -> (String, Vec<serde_json::Value>) {
    let place = Place::new();
    for name in ["ro", "rw", "wo"] {
        std::fs::write(place.path().join(name), "fs_read_only").expect("a file");
    }
    std::fs::write(place.path().join("probe.py"), format!("{before}\n{INHERITED}")).expect("a file");
    let (confine, log) = place.confining(rules, &["python3", "probe.py"]);
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" 3<ro 4<>rw 5>>wo", "sh"])
        .arg(confine.get_program())
        .args(confine.get_args());
    let output = shell.current_dir(place.path()).stdin(Stdio::null()).output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), denials(&log))
}

/// A second thread, so that the supervisor acts on behalf.
const THREAD: &str =
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()";

#[test]
fn descriptors_from_before_are_denied_as_v7_does() {
    for before in ["", THREAD] {
        let (without, none) = inherited(&[transparent()], before);
        assert_eq!(
            without,
            "ro write EBADF\nro read ok\nrw write ok\nrw read ok\nwo write ok\nwo read EBADF\nwo pwrite ok\n\
             wo writev ok\nwo sendfile EINVAL\nrw copy ok\nwo splice EINVAL\nwo allocate ok\nro close ok\n"
        );
        assert_eq!(none.len(), 0, "{none:#?}");
        let (denied, lines) = inherited(&[deny_regular(WRITE)], before);
        assert_eq!(
            denied,
            "ro write EBADF\nro read ok\nrw write EPERM\nrw read ok\nwo write EPERM\nwo read EBADF\nwo pwrite EPERM\n\
             wo writev EPERM\nwo sendfile EPERM\nrw copy EPERM\nwo splice EPERM\nwo allocate EPERM\nro close ok\n"
        );
        for syscall in ["write", "pwrite64", "writev", "sendfile", "copy_file_range", "splice", "fallocate"] {
            let line =
                lines.iter().find(|line| line["syscall"] == syscall).unwrap_or_else(|| panic!("{syscall}"));
            assert_eq!((&line["hook"], &line["action"]), (&"file_permission".into(), &"WRITE".into()));
            assert_eq!(line["rule"]["name"], "deny_regular");
        }
    }
}

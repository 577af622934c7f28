// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same list with other sandboxes: where these directories are all there is, and with another that asks.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::words;

/// A program, which need not be installed, and the words that have it run a command so.
pub(super) type Other = (&'static str, fn(&[OsString], &[OsString]) -> Vec<OsString>);

pub(super) const ALL: [Other; 2] = [("bwrap", bubblewrap), ("syd", syd)];

pub(super) fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// A file system of these directories, and what merged /usr has at its root.
fn bubblewrap(directories: &[OsString], command: &[OsString]) -> Vec<OsString> {
    let mut run = words(&["bwrap", "--proc", "/proc"]);
    for directory in directories {
        run.extend(["--dev-bind".into(), directory.clone(), directory.clone()]);
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        run.extend(words(&["--symlink", &format!("usr/{name}"), &format!("/{name}")]));
    }
    run.push("--".into());
    run.extend(command.iter().cloned());
    run
}

/// Opens to read and to write are decided, and nothing else. rustc finds its libraries by where it is itself, which it could not
/// if it were started as securely as syd has it by itself.
fn syd(directories: &[OsString], command: &[OsString]) -> Vec<OsString> {
    let mut run = words(&["syd", "-poff", "-msandbox/read,write:on", "-mtrace/allow_unsafe_exec_libc:1"]);
    for directory in directories {
        let mut rule = OsString::from("-mallow/read,write+");
        rule.push(directory);
        rule.push("/***");
        run.push(rule);
    }
    run.push("--".into());
    run.extend(command.iter().cloned());
    run
}

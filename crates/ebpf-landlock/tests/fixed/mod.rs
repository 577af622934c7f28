// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays of handles that nobody can change any more, on the supervisor target.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use ebpf_landlock::{Choice, Error, Sandbox};
use rustix::io::Errno;

use crate::arrays::{deny_list, errno_of, list};

/// Whether `cat` can open a file.
fn opens(sandbox: &Sandbox, file: &str) -> bool {
    let mut cat = Command::new("cat");
    cat.arg(file).stderr(Stdio::null());
    sandbox.spawn(cat).expect("a sandbox").wait().expect("an end").success()
}

/// In a sandbox, arrays are what they are when something is started.
pub fn inside() {
    fs::write("a", "").expect("a file");
    let open = |file| File::open(file).expect("a file");
    let sandbox = deny_list(Choice::Supervisor);
    let list = sandbox.handles("list").expect("a map");
    assert!(opens(&deny_list(Choice::Supervisor), "a"));
    list.append(open("a")).expect("room");
    assert!(!opens(&sandbox, "a"));
    let unsupported = Errno::OPNOTSUPP.raw_os_error();
    assert_eq!((errno_of(list.delete_last()), errno_of(list.append(open("a")))), (unsupported, unsupported));
    assert!(!opens(&sandbox, "a") && list.len() == 1);
    std::thread::spawn(move || {
        sandbox.enter().expect("entered");
        assert_eq!(File::open("a").expect_err("denied").raw_os_error(), Some(13));
        assert!(File::open(".").is_ok());
    })
    .join()
    .expect("the thread");
    assert!(File::open("a").is_ok());
}

/// Opens decided by mainline Landlock.
pub fn lowered() {
    for file in ["a", "b"] {
        fs::write(file, "").expect("a file");
    }
    let sandbox = list("==", Choice::Supervisor).lowered(true);
    let allowed = sandbox.handles("list").expect("a map");
    for path in ["/usr", "a"] {
        allowed.append(File::open(path).expect(path)).expect("room");
    }
    assert!(opens(&sandbox, "a") && !opens(&sandbox, "b"));
    assert!(sandbox.denials().is_err());
    assert_eq!(errno_of(allowed.delete_last()), Errno::OPNOTSUPP.raw_os_error());
    assert!(opens(&sandbox, "a"));
    let other = deny_list(Choice::Supervisor).lowered(true).spawn(Command::new("true"));
    assert!(matches!(other, Err(Error::NotLowered(_))), "{other:?}");
    for file in ["a", "b"] {
        fs::remove_file(file).expect("gone");
    }
}

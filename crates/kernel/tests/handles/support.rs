// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules that compare, and places to compare.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use landlock_compiler::asm;
use landlock_compiler::classic::Filter;
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};
use landlock_kernel::{Engine, Loaded};
use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

pub const EPERM: i32 = 1;
pub const EACCES: i32 = 13;

/// A rule that refuses with EACCES where the comparison answers as `when` says.
pub fn rule(event: &str, map: &str, arguments: &str, helper: u32, when: &str) -> Rule {
    let text = format!(
        ".rule compares\n.abi 2\n.event {event}\n.license \"GPL\"\n.map handles {map}\n    r4 = *(u64 *)(r1 + 8)\n    \
         {arguments}\n    r2 = map handles\n    r3 = 1\n    call {helper}\n    r1 = r0\n    r0 = 0\n    if r1 {when} goto \
         end\n    r0 = 13\nend:\n    exit\n"
    );
    let object = asm::parse(&text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify_newest(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

pub const MATCHES: &str = "== 0";
pub const DOES_NOT: &str = "!= 0";

/// Opens nothing but what is beneath.
pub fn allow_list(event: &str) -> Rule {
    rule(event, "fs 4", "r1 = 0", 32, MATCHES)
}

/// Opens nothing that is beneath.
pub fn deny_list(event: &str) -> Rule {
    rule(event, "fs 4", "r1 = 0", 32, DOES_NOT)
}

pub fn handle(path: &Path) -> Handle {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Handle::held(
        rustix::fs::open(path, flags, Mode::empty()).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
    )
}

/// The rule, for a cookie that every system call has, with these handles.
pub fn domain(rule: Rule, handles: &[&Path]) -> Domain {
    handles.iter().for_each(|path| rule.maps()[0].append(handle(path)).unwrap());
    Domain::layered([Layer::Filter(Filter::always(5)), Layer::Rule(rule)])
}

pub fn start(name: &str) -> Engine {
    Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).unwrap()
}

pub fn within<T: Send>(engine: &Engine, domain: &Loaded, action: impl FnOnce() -> T + Send) -> T {
    let confined = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(domain).unwrap();
        action()
    };
    thread::scope(|scope| scope.spawn(confined).join().unwrap())
}

/// What opening for reading comes to: 0 or the errno.
pub fn opened(path: &Path) -> i32 {
    File::open(path).err().map_or(0, |error| error.raw_os_error().unwrap())
}

/// What mapping a file, or nothing but memory, comes to: 0 or the errno.
#[allow(unsafe_code)]
pub fn mapped(file: Option<&File>) -> i32 {
    const LEN: usize = 4096;
    let (address, flags) = (std::ptr::null_mut(), MapFlags::PRIVATE);
    // SAFETY: the kernel chooses an address where nothing is, and what it maps is unmapped unused.
    let answer = unsafe {
        match file {
            Some(file) => mmap(address, LEN, ProtFlags::READ, flags, file, 0),
            None => mmap_anonymous(address, LEN, ProtFlags::READ, flags),
        }
        .and_then(|address| munmap(address, LEN))
    };
    answer.err().map_or(0, |errno| errno.raw_os_error())
}

/// A folder of the test's own, that is there no more in the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A file with all the directories it is in.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.join("mounted")).status();
        let _ = fs::remove_dir_all(&self.0);
    }
}

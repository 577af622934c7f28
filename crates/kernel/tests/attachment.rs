// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both ways to attach programs, in guests (`cargo xtask guest-test`), as root: when which is taken, what a
//! kernel lacks then, and that rules are asked the same although the functions take other arguments.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Attachment, Denials, Engine, Error, lacking};
use rustix::io::Errno;

/// Hooks of the table that kernels lack, by series.
const MISSING: [(&str, &[&str]); 3] = [
    (
        "6.1.",
        &[
            "file_truncate",
            "inode_set_acl",
            "inode_get_acl",
            "inode_remove_acl",
            "inode_file_setattr",
            "inode_file_getattr",
        ],
    ),
    ("6.12.", &["inode_file_setattr", "inode_file_getattr"]),
    ("7.", &[]),
];

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn missing() -> Vec<&'static str> {
    let release = release();
    let known = MISSING.iter().find(|(series, _)| release.starts_with(series));
    known.unwrap_or_else(|| panic!("no list for {release}")).1.to_vec()
}

fn domain(body: &str) -> Domain {
    let text = format!(".rule test\n.event FS\n.license \"GPL\"\n{body}");
    let object = asm::parse(&text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    let rule = verify(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"));
    Domain::prepended([rule])
}

/// Denies actions on one type of file.
fn denies(actions: u32, file_type: u32) -> Domain {
    domain(&format!(
        "    r6 = *(u64 *)(r1 + 24)\n    r1 = *(u64 *)(r1 + 16)\n    call handle_fs_get_mode\n    r0 &= 0xf000\n    \
         if r0 != {file_type:#x} goto allow\n    r0 = r6\n    r0 &= {actions}\n    exit\nallow:\n    r0 = 0\n    \
         exit\n"
    ))
}

const EXEC: u32 = 1;
const READ: u32 = 4;
const NEW: u32 = 8;
const S_IFDIR: u32 = 0x4000;
const S_IFREG: u32 = 0x8000;

/// An engine of the test's own.
fn start(name: &str) -> Result<Engine, Error> {
    Engine::open_in(&Path::new("/sys/fs/bpf").join(name))
}

/// Does something in a new thread in a domain, and in a new thread that is in none.
fn within_and_without<T: Send>(name: &str, domain: &Domain, action: impl Fn() -> T + Sync) -> (T, T) {
    let mut engine = start(name).unwrap();
    let loaded = engine.load(domain, Denials::Shared).unwrap();
    let confined = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(&loaded).unwrap();
        action()
    };
    thread::scope(|scope| {
        let within = scope.spawn(confined).join().unwrap();
        (within, scope.spawn(&action).join().unwrap())
    })
}

fn refused<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

mod asked_alike {
    use super::*;

    /// The kernel's own inodes: one that all event descriptors share is among them.
    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn rules_are_not_asked_about_private_inodes() {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap();
        let file = File::open("/etc/passwd").unwrap();
        let seen = || [rustix::fs::fstat(&event).map(drop), rustix::fs::fstat(&file).map(drop)];
        let all = domain(&format!("    r0 = *(u64 *)(r1 + 24)\n    r0 &= {READ}\n    exit\n"));
        assert_eq!(within_and_without("private", &all, seen), ([Ok(()), Err(Errno::PERM)], [Ok(()), Ok(())]));
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn an_exchange_of_names_is_asked_both_ways() {
        let folder = std::env::temp_dir().join("exchanged");
        fs::create_dir_all(folder.join("folder")).unwrap();
        for name in ["file", "other"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let exchange = |one: &str, other: &str| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            let here = rustix::fs::CWD;
            rustix::fs::renameat_with(here, folder.join(one), here, folder.join(other), flags)
        };
        let all = || [exchange("folder", "file"), exchange("file", "folder"), exchange("file", "other")];
        let (within, without) = within_and_without("exchange", &denies(NEW, S_IFDIR), all);
        assert_eq!(within, [Err(Errno::PERM), Err(Errno::PERM), Ok(())]);
        assert_eq!(without, [Ok(()), Ok(()), Ok(())]);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// A task may ask that what it maps for reading be executable, too.
    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn what_reading_implies_is_asked_for() {
        const READ_IMPLIES_EXEC: libc::c_ulong = 0x0040_0000;
        let file = File::open("/etc/passwd").unwrap();
        let map = || map_for_reading(&file);
        let both = || {
            let plain = map();
            // SAFETY: it takes a number, and concerns what this thread maps from now on.
            assert!(unsafe { libc::personality(READ_IMPLIES_EXEC) } >= 0);
            (plain, map())
        };
        let ((plain, implied), without) = within_and_without("implied", &denies(EXEC, S_IFREG), both);
        assert!(plain.is_ok() && refused(&implied), "{plain:?} {implied:?}");
        assert!(without.0.is_ok() && without.1.is_ok());
    }

    fn map_for_reading(file: &File) -> io::Result<()> {
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: the kernel chooses where; nothing else is there, and nobody reads it before it is gone.
        unsafe {
            match libc::mmap(std::ptr::null_mut(), 1, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0) {
                libc::MAP_FAILED => Err(io::Error::last_os_error()),
                address => {
                    assert_eq!(libc::munmap(address, 1), 0);
                    Ok(())
                }
            }
        }
    }
}

mod with_bpf {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn lsm_programs_are_taken_and_the_hooks_without_are_listed() {
        assert_eq!(start("attachment").unwrap().attachment(), Attachment::Lsm);
        let lacking: Vec<_> = lacking().unwrap().into_iter().map(|lacking| lacking.hook).collect();
        // Newer kernels let no program of this kind answer for a number of bytes.
        let closed = (!release().starts_with("6.1.")).then_some("inode_getsecurity");
        assert_eq!(lacking, closed.into_iter().chain(missing()).collect::<Vec<_>>());
    }
}

mod without_bpf {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn functions_are_modified_and_the_hooks_without_are_listed() {
        assert_eq!(start("attachment").unwrap().attachment(), Attachment::ModifyReturn);
        let lacking: Vec<_> = lacking().unwrap().into_iter().map(|lacking| lacking.hook).collect();
        assert_eq!(lacking, missing());
    }
}

mod preempted {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn nothing_is_claimed() {
        let mode = std::env::var("PREEMPTION").unwrap();
        for error in [start("preempted").unwrap_err(), lacking().unwrap_err()] {
            assert!(matches!(error, Error::Unavailable(_)));
            let error = error.to_string();
            for part in ["boot with lsm=…,bpf", &format!("(mode {mode})"), "preempt=voluntary"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}

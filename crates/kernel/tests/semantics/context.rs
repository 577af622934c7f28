// SPDX-License-Identifier: MIT OR Apache-2.0
//! The context's fields `arch` and `syscall_nr`, and what rules with the ability DEBUG print.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use landlock_compiler::rule::Rule;
use rustix::fs::{Mode, XattrFlags, fchmod, getxattr, setxattr};
use rustix::io::Errno;

use crate::hooks::lacking;
use crate::place::{Mark, Place};
use crate::support::{EXEC, GET, READ, WRITE, load, object, rule, within, without};
use crate::sys;
use crate::uring::{By, Ring};

const AUDIT_ARCH_X86_64: u64 = 0xc000_003e;
const AUDIT_ARCH_I386: u64 = 0x4000_0003;
const FCHMOD: u64 = 91;
const COMPAT_FCHMOD: u32 = 94;
const IO_URING_ENTER: u64 = 426;
const ARCH: u32 = 32;
const SYSCALL_NR: u32 = 40;

/// A rule that denies the actions on the marked file where a field of the context has the value.
fn denies_where(actions: u64, field: u32, value: u64) -> Rule {
    let mode = Mark::File.mode();
    let body = format!(
        "r6 = *(u64 *)(r1 + {field})\nr7 = *(u64 *)(r1 + 24)\nr7 &= {actions}\nif r7 == 0 goto allow\n\
         r1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\nif r0 != {mode} goto allow\nr1 = {value} ll\n\
         if r6 != r1 goto allow\nr0 = 1\nexit\nallow:\nr0 = 0\nexit\n"
    );
    rule("FS", &body)
}

/// What fchmod(2) comes to, as a 64-bit and as a 32-bit system call.
fn by_either_call(file: &OwnedFd) -> [Result<(), Errno>; 2] {
    let mode = u32::try_from(Mark::File.mode()).unwrap() & 0o7777;
    let number = u32::try_from(sys::number(file.as_fd())).unwrap();
    let compat = sys::compat(COMPAT_FCHMOD, [number, mode, 0]).map(drop);
    [fchmod(file, Mode::from_raw_mode(mode)), compat]
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn rules_see_the_architecture_and_the_number_of_the_call() {
    let place = Place::new();
    let path = place.at("folder/file");
    let file = OwnedFd::from(OpenOptions::new().write(true).open(path).unwrap());
    assert_eq!(by_either_call(&file), [Ok(()); 2]);
    let denied = Err(Errno::PERM);
    for (field, value, expected) in [
        (ARCH, AUDIT_ARCH_X86_64, [denied, Ok(())]),
        (ARCH, AUDIT_ARCH_I386, [Ok(()), denied]),
        (SYSCALL_NR, FCHMOD, [denied, Ok(())]),
        (SYSCALL_NR, COMPAT_FCHMOD.into(), [Ok(()), denied]),
    ] {
        let domain = load([denies_where(WRITE, field, value)]);
        assert_eq!(within(&domain, || by_either_call(&file)), expected, "field {field} is {value:#x}");
    }
}

/// What a rule puts on its stack by the way it takes, and reads back through another register than `r10`, is what it
/// put there: kernels before 6.8 would take the ways for the same.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn rules_read_their_stack_by_any_register() {
    let place = Place::new();
    let path = place.at("folder/file");
    let (mode, actions) = (Mark::File.mode(), WRITE);
    for read in ["r0 = *(u64 *)(r2 + 0)", "r0 = 0\nr0 = atomic_fetch_add((u64 *)(r2 + 0), r0)"] {
        // Long enough for the kernel to look whether it was here before.
        let way = "if r6 == 76 goto a\n".to_owned() + &"r4 = r6\n".repeat(10);
        let body = format!(
            "r6 = *(u64 *)(r1 + 24)\nr1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\nif r0 != {mode} goto other\n\
             r2 = r10\nr2 += -8\nr6 &= {actions}\nif r6 != 0 goto writes\nr3 = 0\n*(u64 *)(r10 - 8) = r3\ngoto read\n\
             writes:\nr3 = 1\n*(u64 *)(r10 - 8) = r3\nread:\n{way}a:\nif r6 == 77 goto b\nb:\n{read}\nexit\nother:\nr0 = 0\nexit\n"
        );
        let opened = || {
            let open = |options: &mut OpenOptions| {
                options.open(&path).map(drop).map_err(|error| error.raw_os_error())
            };
            [open(OpenOptions::new().read(true)), open(OpenOptions::new().write(true))]
        };
        assert_eq!(without(opened), [Ok(()), Ok(())]);
        let domain = load([rule("FS", &body)]);
        assert_eq!(within(&domain, opened), [Ok(()), Err(Some(Errno::PERM.raw_os_error()))], "{read}");
    }
}

/// Workers and pollers of io_uring are in no system call: both fields are 0.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn who_is_in_no_call_has_neither() {
    let place = Place::new();
    let path = CString::new(place.at("folder/file").as_os_str().as_bytes()).unwrap();
    let opened = || [By::Submitter, By::Worker, By::Poller].map(|by| Ring::new(by).open(&path).map(drop));
    assert_eq!(without(opened), [Ok(()); 3]);
    let denied = Err(Errno::PERM);
    for (field, value, expected) in [
        (ARCH, AUDIT_ARCH_X86_64, [denied, Ok(()), Ok(())]),
        (SYSCALL_NR, IO_URING_ENTER, [denied, Ok(()), Ok(())]),
        (ARCH, 0, [Ok(()), denied, denied]),
        (SYSCALL_NR, 0, [Ok(()), denied, denied]),
    ] {
        let domain = load([denies_where(GET, field, value)]);
        assert_eq!(within(&domain, opened), expected, "field {field} is {value:#x}");
    }
}

/// Prints what it is told: actions and mode. The text is `%lx %lx`.
const ECHO: &str = "
.rule echo
.event FS
.ability DEBUG
.license \"GPL\"
    r6 = *(u64 *)(r1 + 24)
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r4 = r0
    r3 = r6
    r1 = 0x00786c2520786c25 ll
    *(u64 *)(r10 - 8) = r1
    r1 = r10
    r1 += -8
    r2 = 8
    call trace_printk
    r0 = 0
    exit
";

/// What the rules are asked while a thread does something: actions and mode of each question.
fn asked(action: impl FnOnce() + Send) -> Vec<(u64, u32)> {
    let domain = load([object(ECHO)]);
    let thread = within(&domain, || {
        action();
        rustix::thread::gettid()
    });
    let log = std::fs::read_to_string("/sys/kernel/tracing/trace").unwrap();
    let of_thread = log.lines().filter(|line| line.contains(&format!("-{thread} ")));
    let printed = of_thread.filter_map(|line| line.split_once("bpf_trace_printk: "));
    let numbers = printed.map(|(_, text)| text.split_once(' ').unwrap());
    numbers
        .map(|(actions, mode)| {
            (u64::from_str_radix(actions, 16).unwrap(), u32::from_str_radix(mode.trim(), 16).unwrap())
        })
        .collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_tracing_rule_tells_all_that_is_asked() {
    let place = Place::new();
    let path = place.at("folder/file");
    let [file, folder] = [Mark::File, Mark::Folder].map(|mark| u32::try_from(mark.mode()).unwrap());
    let asked = asked(|| std::mem::forget(File::open(path).unwrap()));
    let above = (EXEC, 0o040_755);
    assert_eq!(asked, [above, above, above, (EXEC, folder), (READ | GET, file), (GET, file)]);
}

/// Two hooks at which no rule denies first, since another has asked the same before: they are asked.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn security_attributes_are_asked_about_twice() {
    let above = (EXEC, 0o040_755);
    let proc = (EXEC, 0o040_555);
    let set = asked(|| {
        let answer = setxattr("/proc/version", "security.test", b"x", XattrFlags::empty());
        assert_eq!(answer, Err(Errno::OPNOTSUPP));
    });
    assert_eq!(set, [above, proc, (WRITE, 0o100_444), (WRITE, 0o100_444)]);
    let got = asked(|| {
        let answer = getxattr("/proc/version", "security.test", &mut [0; 8][..]);
        assert_eq!(answer, Err(Errno::OPNOTSUPP));
    });
    let times = if lacking().contains(&"inode_getsecurity") { 1 } else { 2 };
    assert_eq!(got, [vec![above, proc], vec![(READ, 0o100_444); times]].concat());
}

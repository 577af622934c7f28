// SPDX-License-Identifier: MIT OR Apache-2.0
//! twin: a program in Rust, written from v7's documentation with nothing but the standard library. It makes the raw
//! system calls; with `--cfg api` it calls our library instead. Panics where something is not as it should be.

use std::ffi::{c_int, c_uint};
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::ptr::null;

#[repr(C)]
#[derive(Clone, Copy)]
struct Subtype {
    abi: u32,
    event: u32,
    ability: u64,
    option: u64,
}

/// The part of `union bpf_attr` that loads a program.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Attr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_subtype: u64,
    prog_subtype_size: u32,
    padding: u32,
}

#[cfg(not(api))]
mod v7 {
    use super::*;

    unsafe extern "C" {
        fn syscall(number: i64, ...) -> i64;
    }
    const SYS_SECCOMP: i64 = 317;
    const SYS_BPF: i64 = 321;
    const BPF_PROG_LOAD: i64 = 5;
    const SECCOMP_PREPEND_LANDLOCK_RULE: i64 = 2;

    pub unsafe fn load(attr: *const Attr, size: c_uint) -> c_int {
        (unsafe { syscall(SYS_BPF, BPF_PROG_LOAD, attr, size) }) as c_int
    }

    pub unsafe fn prepend(flags: c_uint, rule: *const c_int) -> c_int {
        (unsafe { syscall(SYS_SECCOMP, SECCOMP_PREPEND_LANDLOCK_RULE, flags, rule) }) as c_int
    }
}

#[cfg(api)]
mod v7 {
    use super::*;

    unsafe extern "C" {
        pub fn landlock_load(attr: *const Attr, size: c_uint) -> c_int;
        pub fn landlock_prepend(flags: c_uint, rule: *const c_int) -> c_int;
    }
    pub use {landlock_load as load, landlock_prepend as prepend};
}

const EPERM: i32 = 1;
const E2BIG: i32 = 7;
const EBADF: i32 = 9;
const EACCES: i32 = 13;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;

const FS: u32 = 1;
const NEW: i32 = 1 << 3;

/// Instructions: code, registers, offset, number.
type Insn = (u8, u8, i16, i32);
const EXIT: Insn = (0x95, 0, 0, 0);

fn load(code: &[Insn], change: impl FnOnce(&mut Attr)) -> Result<OwnedFd> {
    let bytes: Vec<u8> = code
        .iter()
        .flat_map(|(code, registers, offset, number)| {
            [&[*code, *registers][..], &offset.to_ne_bytes(), &number.to_ne_bytes()].concat()
        })
        .collect();
    let subtype = Subtype { abi: 1, event: FS, ability: 0, option: 0 };
    let mut attr = Attr {
        prog_type: 15,
        insn_cnt: code.len() as u32,
        insns: bytes.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        prog_subtype: &raw const subtype as u64,
        prog_subtype_size: size_of::<Subtype>() as u32,
        ..Attr::default()
    };
    change(&mut attr);
    // SAFETY: whatever addresses are in it, the callee checks them.
    match unsafe { v7::load(&attr, size_of::<Attr>() as c_uint) } {
        -1 => Err(Error::last_os_error()),
        // SAFETY: a new descriptor that nobody else has.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

fn prepend(flags: u32, rule: *const c_int) -> Result<()> {
    // SAFETY: the address is the callee's to check.
    if unsafe { v7::prepend(flags, rule) } == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

fn errno<T>(result: Result<T>) -> Option<i32> {
    result.err()?.raw_os_error()
}

fn main() {
    let no_new = [(0x79, 0x12, 24, 0), (0xb7, 0, 0, 0), (0x45, 2, 1, NEW), EXIT, (0xb7, 0, 0, 1), EXIT];
    assert_eq!(errno(load(&no_new, |attr| attr.insn_cnt = 0)), Some(E2BIG));
    assert_eq!(errno(load(&no_new, |attr| attr.insns = 8)), Some(EFAULT));
    assert_eq!(errno(load(&no_new, |attr| attr.prog_flags = 2)), Some(EINVAL));
    assert_eq!(errno(load(&no_new, |attr| attr.prog_subtype = 0)), Some(EINVAL));
    assert_eq!(errno(load(&[(0x7a, 1, 0, 7), (0xb7, 0, 0, 0), EXIT], |_| ())), Some(EACCES));
    let rule = load(&no_new, |_| ()).expect("a rule");

    let number = rule.as_raw_fd();
    assert_eq!(errno(prepend(0, null())), Some(EFAULT));
    assert_eq!(errno(prepend(1, &number)), Some(EINVAL));
    assert_eq!(errno(prepend(0, &12345)), Some(EBADF));

    File::create("before").expect("nothing is denied yet");
    std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            prepend(0, &number).expect("prepended");
            assert_eq!(errno(File::create("in-the-thread")), Some(EPERM));
            File::open("before").expect("only new names are denied");
        });
        confined.join().expect("the thread");
    });
    File::create("in-another-thread").expect("the rule is the other thread's");
    prepend(0, &number).expect("prepended");
    drop(rule);
    assert_eq!(errno(File::create("after")), Some(EPERM));
    let touched = Command::new("touch").arg("by-a-child").status().expect("a child");
    assert!(!touched.success());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that rustix does not have, or has as unsafe functions. Nothing here is kept in memory of the
//! process's own beyond what the argument types say.
#![allow(unsafe_code)]

use std::arch::asm;
use std::ffi::{CStr, c_long};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::UnshareFlags;

const FCNTL: c_long = 72;
const IOCTL: c_long = 16;
const PAGE: usize = 4096;

/// A call whose arguments are numbers.
fn call(number: c_long, [a, b, c]: [usize; 3]) -> Result<usize, Errno> {
    // SAFETY: the callers give numbers that are no addresses of this process.
    let answer = unsafe { libc::syscall(number, a, b, c) };
    usize::try_from(answer).map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap())
}

/// fcntl(2) with a number for argument, whether or not the kernel knows the command.
pub fn fcntl(fd: impl AsFd, command: u32) -> Result<usize, Errno> {
    assert!(![5, 6, 7, 36, 37, 38].contains(&command), "commands that take addresses");
    call(FCNTL, [number(fd.as_fd()), command as usize, 0])
}

/// ioctl(2) without an argument.
pub fn ioctl(fd: impl AsFd, request: u32) -> Result<usize, Errno> {
    call(IOCTL, [number(fd.as_fd()), request as usize, 0])
}

/// A 32-bit system call, made by this 64-bit process. The numbers are i386's.
pub fn compat(number: u32, [a, b, c]: [u32; 3]) -> Result<usize, Errno> {
    let mut answer = number.cast_signed();
    // SAFETY: the arguments are numbers; rbx, which the compiler keeps, is put back.
    unsafe {
        asm!(
            "xchg rbx, {a:r}", "int 0x80", "xchg rbx, {a:r}",
            a = inout(reg) u64::from(a) => _,
            inout("eax") answer,
            in("ecx") b,
            in("edx") c,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    usize::try_from(answer).map_err(|_| Errno::from_raw_os_error(-answer))
}

/// A way to make a process.
#[derive(Clone, Copy, Debug)]
pub enum Birth {
    Fork,
    /// The child runs in our memory, and we wait until it has ended.
    Vfork,
    /// With these `CLONE_*` flags, none of which concern memory, and a cgroup for those that need one.
    Clone3(u64, usize),
}

/// The errno with which a child fails to open a file for writing; 0 if it does not.
pub fn child_opens(birth: Birth, path: &CStr) -> i32 {
    const CHILD_ENDS: u64 = libc::SIGCHLD as u64;
    let mut arguments = [0_u64; 11];
    let (number, size) = match birth {
        Birth::Fork => (libc::SYS_fork, 0),
        Birth::Vfork => (libc::SYS_vfork, 0),
        Birth::Clone3(flags, cgroup) => {
            (arguments[0], arguments[4], arguments[10]) = (flags, CHILD_ENDS, cgroup as u64);
            (libc::SYS_clone3, size_of_val(&arguments))
        }
    };
    let mut pid = number;
    // SAFETY: the child uses registers only and ends within these instructions, so that it does not matter
    // whether it shares our memory; the path lives until it has been waited for.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 257", // openat(AT_FDCWD, path, O_WRONLY, 0)
            "mov rdi, -100",
            "mov rsi, r12",
            "mov edx, 1",
            "xor r10d, r10d",
            "syscall",
            "xor edi, edi",
            "test eax, eax",
            "cmovs edi, eax",
            "neg edi",
            "mov eax, 231", // exit_group(errno)
            "syscall",
            "2:",
            inout("rax") pid,
            inout("rdi") arguments.as_ptr() => _,
            inout("rsi") size => _,
            in("r12") path.as_ptr(),
            out("rdx") _, out("r10") _, out("rcx") _, out("r11") _,
        );
    }
    ended(pid)
}

/// A process made by [`fork`], which ends with this.
pub struct Process(Pid);

/// Runs something in a process of its own, copy of this thread, which ends with what it gives.
pub fn fork(action: impl FnOnce() -> i32) -> Process {
    // SAFETY: the C library lets a child of a process with many threads allocate and make threads; locks of
    // ours that another thread holds the child does not take.
    match unsafe { libc::fork() } {
        0 => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)).unwrap_or(101);
            // SAFETY: ends the child.
            unsafe { libc::_exit(status) }
        }
        pid => Process(Pid::from_raw(pid).expect("a child")),
    }
}

/// The same, and gives what it ended with.
pub fn in_process(action: impl FnOnce() -> i32) -> i32 {
    fork(action).ended()
}

impl Process {
    pub fn pid(&self) -> Pid {
        self.0
    }

    pub fn ended(self) -> i32 {
        let pid = self.0;
        std::mem::forget(self);
        ended(pid.as_raw_pid().into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        rustix::process::kill_process(self.0, rustix::process::Signal::KILL).unwrap();
        // Gives the stop of one that is traced first.
        while waitpid(Some(self.0), WaitOptions::empty()).unwrap().unwrap().1.stopped() {}
    }
}

/// Waits for a child and gives its status.
fn ended(pid: c_long) -> i32 {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    assert!(pid.is_some(), "a child");
    let (_, status) = waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
    status.exit_status().unwrap()
}

/// Asks to be traced by the thread that made this process.
pub fn trace_me() -> Result<(), Errno> {
    call(libc::SYS_ptrace, [libc::PTRACE_TRACEME as usize, 0, 0]).map(drop)
}

/// Traces a process.
pub fn attach(pid: Pid) -> Result<(), Errno> {
    call(libc::SYS_ptrace, [libc::PTRACE_ATTACH as usize, raw(pid), 0]).map(drop)
}

/// Whether the descriptors 0 of a process and of ours are one, by kcmp(2); no matter here.
pub fn compare(pid: Pid) -> Result<(), Errno> {
    const KCMP_FILES: usize = 2;
    call(libc::SYS_kcmp, [raw(rustix::process::getpid()), raw(pid), KCMP_FILES]).map(drop)
}

/// Reads a number from the memory of a copy of this process.
pub fn read_memory(pid: Pid, number: &u64) -> Result<u64, Errno> {
    let mut read = 0_u64;
    let remote = libc::iovec { iov_base: ptr::from_ref(number).cast_mut().cast(), iov_len: 8 };
    let local = libc::iovec { iov_base: ptr::from_mut(&mut read).cast(), iov_len: 8 };
    // SAFETY: what is written to in our memory is `read`.
    let length = unsafe { libc::process_vm_readv(pid.as_raw_pid(), &local, 1, &remote, 1, 0) };
    match length {
        8 => Ok(read),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()),
    }
}

fn raw(pid: Pid) -> usize {
    usize::try_from(pid.as_raw_pid()).unwrap()
}

/// Gives the calling thread mounts of its own.
pub fn own_mounts() {
    // SAFETY: mounts and the working folder are no memory, and descriptors stay shared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS).unwrap() }
}

/// The number of a descriptor as an argument.
pub fn number(fd: BorrowedFd<'_>) -> usize {
    usize::try_from(fd.as_raw_fd()).unwrap()
}

/// A page of a file in memory.
pub struct Mapping(usize);

impl Mapping {
    pub fn new(file: impl AsFd, protection: ProtFlags, flags: MapFlags) -> Result<Mapping, Errno> {
        // SAFETY: the kernel chooses a place that is free.
        let address = unsafe { rustix::mm::mmap(ptr::null_mut(), PAGE, protection, flags, file, 0)? };
        Ok(Mapping(address.expose_provenance()))
    }

    pub fn protect(&self, protection: MprotectFlags) -> Result<(), Errno> {
        // SAFETY: the page is this mapping's, and nothing refers to it.
        unsafe { rustix::mm::mprotect(ptr::with_exposed_provenance_mut(self.0), PAGE, protection) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the page is this mapping's, and nothing refers to it.
        unsafe { rustix::mm::munmap(ptr::with_exposed_provenance_mut(self.0), PAGE).unwrap() }
    }
}

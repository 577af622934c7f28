// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock v7's two calls for C. `include/landlock/landlock.h` says what they do; this says how.

mod memory;

use std::ffi::{c_int, c_uint};
use std::os::fd::{IntoRawFd, OwnedFd};

use ebpf_landlock::kernel::{Error, Loads};
use ebpf_landlock::{Choice, Sandbox, loader};
use landlock_compiler::domain::Domain;
use landlock_compiler::verify::verify;
use landlock_daemon::client;
use landlock_daemon::protocol::Why;
use landlock_v7::{Attr, Memory, errno, rule_in};
use memory::Own;
use rustix::io::Errno;

/// Loads a rule; see the header.
///
/// # Safety
/// None to keep: every address is read and written by the kernel, which checks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn landlock_load(attr: *const u8, size: c_uint) -> c_int {
    answer(load(attr.addr(), size as usize).map(|rule| rule.into_raw_fd()))
}

/// Prepends a rule to the calling thread; see the header.
///
/// # Safety
/// None to keep: the address is read by the kernel, which checks it. A descriptor of that number stays open for the call, or
/// the caller closes it in another thread and gets `EBADF` or another rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn landlock_prepend(flags: c_uint, rule: *const c_int) -> c_int {
    answer(prepend(flags, rule.addr()).map(|()| 0))
}

fn answer(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(|errno| {
        memory::set_errno(errno.raw_os_error());
        -1
    })
}

fn load(address: usize, size: usize) -> Result<OwnedFd, Errno> {
    let attr = Attr::copy(&Own, address as u64, size)?;
    landlock_v7::load(&Own, &loader(), &attr)
}

/// In the order v7 checked, but for the privilege: nobody needs one who gains none.
fn prepend(flags: c_uint, address: usize) -> Result<(), Errno> {
    // The kernel target is kept up until the rule is there.
    let (choice, _kernel_target) = match landlock_supervisor::is_offered() {
        true => (Choice::Supervisor, None),
        false => (Choice::Kernel, Some(Loads::ask().map_err(|_| Errno::INVAL)?)),
    };
    if address == 0 {
        return Err(Errno::FAULT);
    }
    if flags != 0 {
        return Err(Errno::INVAL);
    }
    let mut number = [0; size_of::<c_int>()];
    number.copy_from_slice(&Own.read(address as u64, size_of::<c_int>())?);
    let number = c_int::from_ne_bytes(number);
    let descriptor = memory::duplicate(number)?;
    let rule = verify(rule_in(&descriptor)?, &loader()).map_err(|problems| errno(&problems))?;
    Sandbox::new(Domain::prepended([rule])).with_target(choice).enter().map_err(|error| not_entered(&error))
}

fn not_entered(error: &ebpf_landlock::Error) -> Errno {
    match error {
        ebpf_landlock::Error::Sandbox(landlock_supervisor::Error::NotNested { errno, .. }) => {
            match Errno::from_raw_os_error(*errno) {
                Errno::NOSPC => Errno::NOMEM,
                errno => errno,
            }
        }
        ebpf_landlock::Error::Kernel(Error::Target(landlock_kernel::Error::Emit(_))) => Errno::TOOBIG,
        ebpf_landlock::Error::Kernel(Error::Target(landlock_kernel::Error::Gate(_))) => Errno::BUSY,
        ebpf_landlock::Error::Kernel(Error::Daemon(client::Error::Refused(refusal))) => match refusal.why {
            Why::TooMany => Errno::TOOBIG,
            // Ability DEBUG: what else could be wrong with it was looked at.
            Why::Rules => Errno::PERM,
            _ => Errno::NOMEM,
        },
        _ => Errno::NOMEM,
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Denials of the kernel target on their way to a log.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use landlock_bpf::ring::Ring;
use landlock_compiler::denial::{Denial, Log, RuleSeen, now};
use landlock_compiler::emit::denial::Record;
use landlock_kernel::{Engine, Loaded};
use rustix::time::{ClockId, clock_gettime};

/// Where programs put them.
pub struct Denials {
    ring: Ring,
}

impl Denials {
    pub fn of(engine: &Engine) -> landlock_kernel::Result<Denials> {
        Ok(Denials { ring: engine.denials()? })
    }

    /// Writes those that are there.
    pub fn write(&mut self, loaded: &Loaded, log: &Log) {
        let each = |bytes: &[u8]| {
            // Engines have one ring for all.
            if let Some(record) = Record::parse(bytes)
                && record.domain == u64::from(loaded.number())
            {
                let rule = RuleSeen::recorded(loaded.domain(), &record);
                log.write(&denial(&record, rule));
            }
        };
        let _ = self.ring.consume(each);
    }
}

/// A record as a line of the log.
fn denial(record: &Record, rule: RuleSeen) -> Denial {
    let up = clock_gettime(ClockId::Boottime);
    let age = Duration::try_from(up).unwrap_or_default().saturating_sub(Duration::from_nanos(record.time));
    let syscall = match record.syscall {
        None => "-".into(),
        Some((AUDIT_ARCH_X86_64, number)) => match landlock_supervisor::syscall_name(number) {
            Some(name) => name.into(),
            None => format!("syscall {number}").into(),
        },
        Some((_, number)) => format!("32-bit syscall {number}").into(),
    };
    Denial::recorded(record, now() - age.as_secs_f64(), syscall, rule)
}

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

impl AsFd for Denials {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Denials of the kernel target on their way to a log.

use std::borrow::Cow;
use std::time::Duration;

use landlock_bpf::ring::Ring;
use landlock_compiler::denial::{Denial, RuleSeen, now};
use landlock_compiler::emit::denial::Record;
use rustix::time::{ClockId, clock_gettime};

/// Takes the records that are there. What is in the ring buffer and no record is left out.
pub fn take(ring: &mut Ring, mut each: impl FnMut(&Record)) {
    let parsed = |bytes: &[u8]| {
        if let Some(record) = Record::parse(bytes) {
            each(&record);
        }
    };
    // It fails if somebody takes some from us; then the rest is for the next time.
    let _ = ring.consume(parsed);
}

/// A record as a line of a log.
pub fn denial(record: &Record, rule: RuleSeen) -> Denial {
    let up = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    let age = up.saturating_sub(Duration::from_nanos(record.time));
    Denial::recorded(record, now() - age.as_secs_f64(), syscall(record.syscall), rule)
}

fn syscall(running: Option<(u32, u32)>) -> Cow<'static, str> {
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    match running {
        None => "-".into(),
        Some((AUDIT_ARCH_X86_64, number)) => match landlock_supervisor::syscall_name(number) {
            Some(name) => name.into(),
            None => format!("syscall {number}").into(),
        },
        Some((_, number)) => format!("32-bit syscall {number}").into(),
    }
}

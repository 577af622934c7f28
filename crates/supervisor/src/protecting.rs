// SPDX-License-Identifier: MIT OR Apache-2.0
//! mprotect(2) calls that were let go on because nothing was mapped that they could be denied.
//!
//! They may not have looked at their memory yet when another thread maps such a file there. So that mapping waits for
//! them: a thread has looked once it asks us something else, or sleeps where a signal would wake it (it waits for its memory
//! otherwise), or is stopped, or gone, or has run for much longer than it takes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::passing::{processor_time, state};

/// Threads that may be changing the protection of their memory.
#[derive(Debug, Default)]
pub struct Protecting(Mutex<HashMap<u32, Option<u64>>>);

impl Protecting {
    /// Before it is looked whether such a file is mapped, so that one side or the other sees it.
    pub fn begin(&self, tid: u32) {
        const MANY: usize = 1024;
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= MANY {
            threads.retain(|tid, _| !has_looked(*tid, &mut None));
        }
        threads.insert(tid, None);
    }

    /// The thread asks something else.
    pub fn is_over(&self, tid: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&tid);
    }

    /// Waits until all that have begun have looked. False if one does not come to an end.
    pub fn have_looked(&self) -> bool {
        const PATIENCE: Duration = Duration::from_secs(5);
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            threads.retain(|tid, ran| !has_looked(*tid, ran));
            if threads.is_empty() {
                return true;
            }
            drop(threads);
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }
}

/// `ran`: processor time it had used when somebody first waited for it.
fn has_looked(tid: u32, ran: &mut Option<u64>) -> bool {
    const LONG_ENOUGH: u64 = 50_000_000;
    let Some(now) = processor_time(tid) else { return true };
    let then = *ran.get_or_insert(now);
    now > then + LONG_ENOUGH || state(tid).is_none_or(|state| !matches!(state, b'R' | b'D'))
}

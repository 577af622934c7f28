// SPDX-License-Identifier: MIT OR Apache-2.0
//! The logs of a domain: every sandbox a thread is in may have one, and hears of every refusal in it.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::denial::Log;

/// A log until nobody wants it any more.
type Kept = Arc<RwLock<Option<Log>>>;

/// The logs refusals are written to, outermost first.
#[derive(Clone, Debug)]
pub struct Logs(Vec<Kept>);

impl Logs {
    /// One log.
    pub fn of(log: Log) -> Logs {
        Logs(Vec::new()).and(log)
    }

    /// These and one more.
    pub fn and(&self, log: Log) -> Logs {
        let mut logs = self.0.clone();
        logs.push(Arc::new(RwLock::new(Some(log))));
        Logs(logs)
    }

    /// Closes the innermost one.
    pub fn forget_innermost(&self) {
        if let Some(log) = self.0.last() {
            *log.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether anybody reads one: describing an object costs system calls.
    pub fn are_kept(&self) -> bool {
        self.any(Log::is_kept)
    }

    /// Writes one line to each.
    pub fn write(&self, entry: &(impl Serialize + Display)) {
        self.any(|log| {
            log.write(entry);
            false
        });
    }

    fn any(&self, mut so: impl FnMut(&Log) -> bool) -> bool {
        self.0
            .iter()
            .any(|log| log.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(&mut so))
    }
}

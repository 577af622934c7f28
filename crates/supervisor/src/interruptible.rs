// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking on behalf of a caller without outliving its patience.
//!
//! A thread that blocks for a caller (a FIFO without a reader, a held lock) registers here. A watcher looks
//! at all of them every few milliseconds: when the caller has a signal to take, or is gone, the blocking
//! call is interrupted, again and again until it has ended, so no wake-up can be lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::request::{Request, Status};
use crate::serve::Shared;
use crate::sys;

const PERIOD: Duration = Duration::from_millis(10);

/// Threads that block now.
#[derive(Debug, Default)]
pub struct Watch {
    entries: Mutex<Vec<Arc<Entry>>>,
    somebody: Condvar,
}

#[derive(Debug)]
struct Entry {
    /// Our blocked thread.
    ours: u32,
    /// The caller's.
    theirs: u32,
    id: u64,
    due: AtomicBool,
}

/// A registration; ends when dropped.
pub struct Blocked<'a> {
    watch: &'a Watch,
    entry: Arc<Entry>,
}

impl<'a> Blocked<'a> {
    /// Registers the calling thread as blocked for `request`.
    pub fn register(request: &'a Request<'_>) -> Blocked<'a> {
        let watch = &request.shared.watch;
        let entry = Arc::new(Entry {
            ours: rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(),
            theirs: request.notification.tid,
            id: request.notification.id,
            due: AtomicBool::new(false),
        });
        watch.lock().push(Arc::clone(&entry));
        watch.somebody.notify_one();
        Blocked { watch, entry }
    }

    /// Whether the caller wants its syscall interrupted.
    pub fn is_due(&self) -> bool {
        self.entry.due.load(Ordering::Acquire)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.watch.lock().retain(|entry| !Arc::ptr_eq(entry, &self.entry));
    }
}

impl Watch {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_somebody(&self) {
        let entries = self.lock();
        drop(self.somebody.wait_while(entries, |entries| entries.is_empty()));
    }

    /// Interrupts whoever is due, for ever. The list stays locked while a thread is signalled, so that
    /// only registered threads are.
    pub fn run(shared: &Shared) -> ! {
        loop {
            shared.watch.wait_for_somebody();
            std::thread::sleep(PERIOD);
            for entry in shared.watch.lock().iter() {
                if entry.due.load(Ordering::Acquire) || wants_out(shared, entry) {
                    entry.due.store(true, Ordering::Release);
                    sys::interrupt(entry.ours);
                }
            }
        }
    }
}

/// Whether the caller is gone or has a signal it would take now.
fn wants_out(shared: &Shared, entry: &Entry) -> bool {
    use std::os::fd::AsFd;
    if !sys::is_waiting(shared.listener.as_fd(), entry.id) {
        return true;
    }
    let Ok(status) = Status::of(format!("/proc/{}/status", entry.theirs)) else { return true };
    let set = |key| status.bits(key).unwrap_or(0);
    let takes = !set("SigBlk:") & !set("SigIgn:");
    let of_process = set("ShdPnd:") & takes;
    set("SigPnd:") & takes != 0 || of_process != 0 && is_meant(&status, of_process, entry.theirs)
}

/// Whether the kernel has chosen this thread for a signal of its process: the first thread if that lets it through,
/// else one that does. A thread that was not chosen must not be interrupted: nothing would restart its syscall. Where
/// several others could be the one, none is; the signal waits for one of them to wake by itself.
fn is_meant(status: &Status, signals: u64, thread: u32) -> bool {
    let Some(process) = status.number("Tgid:") else { return true };
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    let lets_through = |number: u32| {
        let status = Status::of(format!("/proc/{process}/task/{number}/status")).ok();
        let runs = |status: &Status| !matches!(status.field("State:"), Some("Z" | "X"));
        status.filter(runs).is_some_and(|status| signals & !status.bits("SigBlk:").unwrap_or(0) != 0)
    };
    thread == process
        || !threads
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .any(|other| other != thread && lets_through(other))
}

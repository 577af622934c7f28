// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keeper: the process beside a command that writes its log, and stays for what outlives the command.

use std::time::{Duration, Instant};

use landlock_compiler::denial::Log;
use landlock_kernel::{Engine, KeptHooks};
use landlock_supervisor::Waiter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{OwnLog, Prepared, Source};

/// How long hooks stay attached that nobody needs: whoever runs one command after the other does not wait for hooks
/// to be detached and attached again.
const LINGER: Duration = Duration::from_secs(2);
/// How long the end of the last thread in the domain may go unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The keeper's work.
pub(super) fn keep(prepared: Prepared, mut own: Option<OwnLog>, waiter: Waiter, log: Log) {
    while !wait(&mut own, Some(&waiter), None, &log) {}
    // Before the caller goes on, and collects.
    let mut hooks = Hooks::keep(&prepared);
    waiter.dismiss(|| own.iter_mut().for_each(|own| own.write(&log)));
    // Whose descriptors of handles are these, if not ours?
    if own.is_some() || !prepared.domain.maps().is_empty() {
        // The kernel forgets a thread a while after its end.
        let mut pause = Duration::from_millis(2);
        while prepared.is_inhabited() {
            wait(&mut own, None, Some(pause), &log);
            pause = LONGEST_PAUSE.min(pause * 2);
            hooks.give_back_in_time(&prepared);
        }
        own.iter_mut().for_each(|own| own.write(&log));
    }
    let is_ours = matches!(prepared.source, Source::Ourselves { .. });
    drop((own, prepared, log));
    // The waiter is gone, and whoever comes next need not find the domain.
    if is_ours && let Ok(engine) = Engine::open() {
        hooks.linger(&engine);
    }
}

/// The hooks of this moment, which stay attached until then.
struct Hooks {
    kept: Option<KeptHooks>,
    until: Instant,
}

impl Hooks {
    fn keep(prepared: &Prepared) -> Hooks {
        let kept = match &prepared.source {
            Source::Ourselves { shared, .. } => shared.lock().0.keep_hooks().ok().flatten(),
            Source::Daemon(_) => None,
        };
        Hooks { kept, until: Instant::now() + LINGER }
    }

    /// Those that nobody needs are detached after their time, though the domain lives.
    fn give_back_in_time(&mut self, prepared: &Prepared) {
        if self.until > Instant::now() || self.kept.take().is_none() {
            return;
        }
        if let Source::Ourselves { shared, .. } = &prepared.source {
            // Whoever opens the engine next does it otherwise.
            let _ = shared.lock().0.collect();
        }
    }

    /// Keeps them until for their time nobody loaded anything.
    fn linger(self, engine: &Engine) {
        let mut loaded = None;
        while self.kept.is_some() && loaded != engine.last_number().ok() {
            loaded = engine.last_number().ok();
            std::thread::sleep(LINGER);
        }
    }
}

/// Waits for denials, and writes them; whether the waiter is to be dismissed.
fn wait(own: &mut Option<OwnLog>, waiter: Option<&Waiter>, most: Option<Duration>, log: &Log) -> bool {
    let denials = own.as_ref().map(|own| PollFd::new(&own.ring, PollFlags::IN));
    let waiting = waiter.map(|waiter| PollFd::new(waiter, PollFlags::IN));
    let mut ready: Vec<_> = waiting.into_iter().chain(denials).collect();
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    let polled = poll(&mut ready, most.as_ref());
    let is_over = polled.is_ok() && ready.first().is_some_and(|first| !first.revents().is_empty());
    own.iter_mut().for_each(|own| own.write(log));
    waiter.is_some() && is_over
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one user can have. It is counted by what is in force, so a daemon that is started anew knows it.

use std::time::Duration;

use landlock_kernel::Usage;

use crate::protocol::{Refusal, Why};

/// Most that a user can have. A domain is refused when one of these is reached, so the last one may go beyond by itself.
pub const MOST: Usage = Usage { domains: 64, logs: 16, programs: 1024, insns: 1 << 18, handles: 256 };

/// Most connections of a user at a time.
pub const MAX_CONNECTIONS: usize = 1024;
/// Connections of a user beyond these are closed without an answer.
pub const MAX_WAITING: usize = 2 * MAX_CONNECTIONS;
/// Most users at a time.
pub const MAX_USERS: usize = 128;
/// Most tokens of a user's that are not used yet.
pub const MAX_TOKENS: usize = 512;
/// How long a client may take to say what it wants.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a domain that was just loaded is kept at hand for the next one with the same rules.
pub const KEPT: Duration = Duration::from_secs(5);
/// Most domains kept at hand for a user.
pub const MAX_KEPT: usize = 8;

/// Refuses another domain, perhaps with a log of its own or maps of handles, to who has this if there is no place for it.
///
/// # Errors
/// Which limit is reached, and what to do.
pub fn admit(usage: Usage, own_log: bool, maps: bool) -> Result<(), Refusal> {
    let reached = [
        ("domains", usage.domains, MOST.domains),
        ("logs of domains of its own", if own_log { usage.logs } else { 0 }, MOST.logs),
        ("programs in the kernel", usage.programs, MOST.programs),
        ("instructions of rules and filters in the kernel", usage.insns, MOST.insns),
        ("places for handles", if maps { usage.handles } else { 0 }, MOST.handles),
    ];
    match reached.into_iter().find(|(_, used, most)| used >= most) {
        None => Ok(()),
        Some((what, used, most)) => Err(limit(format!(
            "this user has {used} {what}, and the limit is {most}; domains go when the last process in them ends, and \
             logs when nobody reads them any more"
        ))),
    }
}

/// A limit is reached.
pub fn limit(text: impl Into<String>) -> Refusal {
    Refusal::new(Why::Limit, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_one_and_logs_and_handles_count_only_for_who_wants_some() {
        assert_eq!(admit(Usage::default(), true, true), Ok(()));
        let full = [
            Usage { domains: MOST.domains, ..Usage::default() },
            Usage { programs: MOST.programs, ..Usage::default() },
            Usage { insns: MOST.insns + 1, ..Usage::default() },
        ];
        for usage in full {
            assert_eq!(admit(usage, false, false).unwrap_err().why, Why::Limit, "{usage:?}");
        }
        let logs = Usage { logs: MOST.logs, ..Usage::default() };
        assert_eq!(admit(logs, false, true), Ok(()));
        let handles = Usage { handles: MOST.handles, ..Usage::default() };
        assert_eq!(admit(handles, true, false), Ok(()));
        assert_eq!(admit(handles, false, true).unwrap_err().why, Why::Limit);
        let refusal = admit(logs, true, false).unwrap_err();
        assert_eq!(
            refusal.text,
            "this user has 16 logs of domains of its own, and the limit is 16; domains go when the last process in them \
             ends, and logs when nobody reads them any more"
        );
    }
}

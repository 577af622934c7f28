// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs count as long as the kernel has them, whoever keeps them, and whatever becomes of their domains and the daemon.

use landlock_bpf::map::Map;
use landlock_bpf::object::Kind;
use landlock_daemon::client::{Daemon, Error, Grant, OwnLog};
use landlock_daemon::limits::MOST;
use landlock_daemon::protocol::Why;

use crate::load::nothing_is_left;
use crate::{ONE, OTHER, Running, WRITE, as_user, becomes, denies, domain, load};

/// A domain with a log of its own.
fn logged(user: u32, rule: &str) -> Result<Grant, Error> {
    as_user(user, || Daemon::default().load(&domain([denies(rule, 1 << 20)]), None, true))
}

/// Whether the limit of logs is in the way.
fn is_full(user: u32) -> bool {
    match logged(user, "late") {
        Err(Error::Refused(refusal)) => {
            let is_it = refusal.text.contains("16 logs of domains of its own, and the limit is 16");
            assert!(refusal.why == Why::Limit && is_it, "{refusal}");
            true
        }
        other => other.map(|_| false).unwrap(),
    }
}

/// How many ring buffers of logs the kernel has, the engine's included.
fn rings() -> usize {
    let maps = Kind::Map.ids().unwrap().into_iter().filter_map(|id| Map::open(id).unwrap());
    maps.filter(|map| map.info().name == "denials").count()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn logs_that_somebody_keeps_count_also_without_domain_and_daemon() {
    let daemon = Running::start();
    let before = rings();
    let take = |index: usize| logged(ONE, &format!("rule{index}")).unwrap().log.unwrap();
    let mut kept: Vec<OwnLog> = (0..MOST.logs).map(take).collect();
    nothing_is_left();
    assert!(is_full(ONE));
    as_user(ONE, || load(&[denies("without_log", WRITE)]));
    assert!(!is_full(OTHER));
    daemon.kill();
    // The last engine would take everything down.
    nothing_is_left();
    let _daemon = Running::start();
    assert!(is_full(ONE) && !is_full(OTHER));
    // One that is closed makes one place.
    kept.pop();
    becomes(|| !is_full(ONE));
    kept.push(take(MOST.logs));
    assert!(is_full(ONE));
    // What is left of a log is one.
    let counters: Vec<_> = kept.into_iter().map(|OwnLog { lost, .. }| lost).collect();
    nothing_is_left();
    becomes(|| rings() == before);
    assert!(is_full(ONE));
    drop(counters);
    becomes(|| !is_full(ONE));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn logs_that_nobody_keeps_are_as_many_as_one_wants_one_after_the_other() {
    let _daemon = Running::start();
    for index in 0..3 * MOST.logs {
        logged(ONE, &format!("rule{index}")).unwrap();
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes, on either side. Run by tests here, and by `fuzz/targets/protocol.rs` for as long as one likes.

use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_daemon::protocol::{Answer, Request};
use landlock_daemon::rules::{self, MAX_RULES, MAX_TEXT, MAX_TOTAL_INSNS};

/// A message as the daemon reads it, and as a client does.
pub fn message(bytes: &[u8]) {
    if let Ok((request, rest)) = Request::decode(bytes) {
        assert_eq!([&request.encode(), rest].concat(), bytes, "it can be said in two ways");
        drop(accepted(rest));
    }
    if let Some(answer) = Answer::decode(bytes) {
        let again = answer.encode();
        assert!(again.len() <= Answer::MAX);
        assert_eq!(Answer::decode(&again), Some(answer));
    }
}

/// The rules in some bytes, if they are all rules for a user without privileges. Those can be handed over again, and are the
/// same then.
pub fn accepted(bytes: &[u8]) -> Option<Vec<Rule>> {
    let objects = rules::decode(bytes).ok()?;
    assert!((1..=MAX_RULES).contains(&objects.len()));
    assert!(objects.iter().map(|object| object.insns.len()).sum::<usize>() <= MAX_TOTAL_INSNS);
    assert!(objects.iter().all(|object| object.name.len().max(object.license.len()) <= MAX_TEXT));
    let rules: Result<Vec<Rule>, _> =
        objects.into_iter().map(|object| verify(object, &Loader::default())).collect();
    let rules = rules.ok()?;
    assert_eq!(rules::encode(&Domain::prepended(rules.clone())).as_deref(), Ok(bytes));
    Some(rules)
}

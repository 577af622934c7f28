// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes, on either side. Run by tests here, and by `fuzz/targets/protocol.rs` for as long as one likes.

use landlock_compiler::domain::Domain;
use landlock_compiler::map::Handle;
use landlock_daemon::protocol::{Answer, Request};
use landlock_daemon::rules::{
    self, MAX_FILTERS, MAX_HANDLES, MAX_MAPS, MAX_RULES, MAX_TEXT, MAX_TOTAL_INSNS,
};

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

/// The domain in some bytes, if all of it is for a user without privileges, and how many handles belong to it. It can be
/// handed over again, and is the same then.
pub fn accepted(bytes: &[u8]) -> Option<(Domain, usize)> {
    let layers = rules::decode(bytes).ok()?;
    let handles = layers.handles();
    assert!(handles <= MAX_HANDLES && layers.rules().count() <= MAX_RULES);
    assert!(layers.rules().map(|object| object.insns.len()).sum::<usize>() <= MAX_TOTAL_INSNS);
    assert!(layers.rules().all(|object| object.name.len().max(object.license.len()) <= MAX_TEXT));
    let wanted = layers.wanted();
    let domain = layers.verified(Vec::new()).ok()?;
    assert!(domain.maps().len() <= MAX_MAPS && domain.filters().count() <= MAX_FILTERS);
    for (map, handles) in wanted {
        (0..handles).for_each(|number| map.append(Handle::numbered(number as u64)).unwrap());
    }
    assert_eq!(rules::encode(&domain).as_deref(), Ok(bytes));
    Some((domain, handles))
}

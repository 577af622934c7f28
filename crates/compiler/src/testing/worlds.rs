// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every accepted rule must do: run to an answer, inside its memory, and not notice where
//! things are or what was there before.

use crate::evaluate::{Input, World, run_in};
use crate::rule::Rule;

/// Other addresses, another handle, and junk where nothing was written.
const OTHER: World =
    World { context: 0x7fff_0000_1000, stack: 0xffff_8880_0000_2000, handle: 0x51, junk: 0xa5 };

/// Runs the rule in two worlds that differ in everything it must not see.
///
/// # Panics
/// If it gets stuck, or if its answer or what it traces differs.
pub fn indifferent(rule: &Rule, input: &Input) {
    let [usual, other] = [World::USUAL, OTHER].map(|world| {
        let mut traced = Vec::new();
        let exit = run_in(&world, rule.ops(), input, &mut |text| traced.push(text.to_owned()));
        (exit, traced)
    });
    assert!(usual.0.returned.is_some(), "stuck at {:?} in {rule:?}", usual.0);
    assert_eq!(usual, other, "in {rule:?}");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every accepted rule must do: run to an answer, inside its memory, and not notice where
//! things are or what was there before.

use crate::evaluate::{HookInput, Input, Question, Relation, Unrelated, World, run_in};
use crate::rule::Rule;

/// Other addresses, another handle, and junk where nothing was written.
const OTHER: World = World {
    context: 0x7fff_0000_1000,
    stack: 0xffff_8880_0000_2000,
    handle: 0x51,
    cred: 0xffff_8880_0000_5000,
    maps: 0x77,
    junk: 0xa5,
};

/// Runs the rule in two worlds that differ in everything it must not see.
///
/// # Panics
/// If it gets stuck, or if its answer or what it traces differs.
pub fn indifferent(rule: &Rule, input: &Input) {
    in_both(rule, Question::FileSystem(input), &Unrelated);
}

/// The same where handles matter.
///
/// # Panics
/// As [`indifferent`].
pub fn indifferent_among(rule: &Rule, input: &Input, relation: &dyn Relation) {
    in_both(rule, Question::FileSystem(input), relation);
}

/// The same of a rule tied to a hook.
///
/// # Panics
/// As [`indifferent`].
pub fn indifferent_at_hook(rule: &Rule, input: &HookInput, relation: &dyn Relation) {
    in_both(rule, Question::Hook(input), relation);
}

fn in_both(rule: &Rule, question: Question<'_>, relation: &dyn Relation) {
    let [usual, other] = [World::USUAL, OTHER].map(|world| {
        let mut traced = Vec::new();
        let exit =
            run_in(&world, rule.program(), question, relation, &mut |text| traced.push(text.to_owned()));
        (exit, traced)
    });
    assert!(usual.0.returned.is_some(), "stuck at {:?} in {rule:?}", usual.0);
    assert_eq!(usual, other, "in {rule:?}");
}

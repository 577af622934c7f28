// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is accepted runs to an answer, inside its memory, and cannot tell where things are or what
//! was there before: the answer is the same in worlds that differ in all of that.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::abi::Event;
use crate::evaluate::{HookInput, Input};
use crate::op::{Callee, Op};
use crate::rule::Rule;
use crate::testing::{relations, rules, streams, worlds};
use crate::verify::HELPERS;

fn indifferent(object: RuleObject, input: &Input) {
    if let Ok(rule) = verify(object, &ADMIN) {
        worlds::indifferent(&rule, input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn generated_rules(object in rules::rule_object(), input in rules::input(Event::Fs)) {
        indifferent(object, &input);
    }

    #[test]
    fn rules_that_compare(
        rule in rules::abi2_rule_of(&Event::FILE_SYSTEM),
        input in rules::input(Event::Fs),
        model in relations::model(),
    ) {
        model.fill(&rule);
        worlds::indifferent_among(&rule, &input, &model);
    }

    #[test]
    fn rules_tied_to_a_hook(
        (rule, call) in rules::abi2_rule_of(&Event::HOOKS).prop_flat_map(|rule| {
            let call = rules::hook_call(rule.event());
            (Just(rule), call)
        }),
        cookie: u16,
        model in relations::model(),
    ) {
        model.fill(&rule);
        worlds::indifferent_at_hook(&rule, &HookInput { call, cookie }, &model);
    }

    #[test]
    fn mutated_rules(object in streams::mutated(), input in rules::input(Event::Fs)) {
        indifferent(object, &input);
    }

    #[test]
    fn grown_rules(object in streams::grown(), input in rules::input(Event::Fs)) {
        indifferent(object, &input);
    }
}

/// The properties above say nothing if nothing is accepted, or if what is accepted does nothing.
#[test]
fn the_streams_are_accepted_often_and_reach_every_helper_and_kind_of_operation() {
    let mut runner = TestRunner::deterministic();
    let mut rules = |strategy: BoxedStrategy<RuleObject>| -> Vec<Rule> {
        let objects = (0..200).map(|_| strategy.new_tree(&mut runner).unwrap().current());
        objects.filter_map(|object| verify(object, &ADMIN).ok()).collect()
    };
    assert!(rules(streams::mutated().boxed()).len() > 20);
    let grown = rules(streams::grown().boxed());
    assert_eq!(grown.len(), 200);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for op in grown.iter().flat_map(|rule| rule.ops().iter().flatten()) {
        let kind = match op {
            Op::Call(callee) => format!("{callee:?}"),
            op => format!("{op:?}").split(' ').next().unwrap_or_default().to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let wanted = ["Alu", "Neg", "Swap", "LoadImm", "Load", "Store", "Atomic", "Jump", "Branch", "Exit"];
    let helpers = HELPERS
        .iter()
        .filter(|helper| helper.abi == 1)
        .map(|helper| format!("{:?}", Callee::Helper(helper.number)));
    let missing: Vec<String> = wanted
        .into_iter()
        .map(str::to_owned)
        .chain(helpers)
        .filter(|kind| !kinds.contains_key(kind))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::abi::handles::{ArrayKind, HandleType};
use crate::abi::{Event, context, helper, hook};
use crate::evaluate::{HookCall, HookInput, HookVerdict, Verdict, tests::input};
use crate::op::{AluOp, CompareOp, Op, Reg};
use crate::rule::Rule;
use crate::testing::build::{Double, abi2, alu, branch, compare, load, map, mov};
use crate::testing::relations::{Model, Node, fill, model};
use crate::verify::{Loader, verify_newest};

/// `/`, `/a`, `/a/b`, `/c`; cgroup 1 is in 0, 2 in 1.
fn tree(object: usize, cgroup: usize) -> Model {
    let node = |parent, inode, device, mount| Node { parent, inode, device, mount };
    let nodes =
        vec![node(None, 2, 0, 0), node(Some(0), 3, 0, 0), node(Some(1), 3, 1, 0), node(Some(0), 0, 0, 1)];
    Model { nodes, cgroups: vec![None, Some(0), Some(1)], object, cgroup, handles: Default::default() }
}

fn handles(of: &[usize]) -> Vec<Handle> {
    of.iter().map(|handle| Handle::numbered(*handle as u64)).collect()
}

fn prop(object: usize, flags: Properties, of: &[usize]) -> Option<i64> {
    let relation = &tree(object, 0);
    Comparison { flags: flags.bits(), handles: &handles(of), op: OP_OR, relation }.fs_prop(false)
}

fn beneath(object: usize, flags: u64, of: &[usize]) -> Option<i64> {
    let relation = &tree(object, 0);
    Comparison { flags, handles: &handles(of), op: OP_OR, relation }.fs_beneath(false)
}

fn cgroup(caller: usize, flags: u64, of: &[usize]) -> Option<i64> {
    let relation = &tree(0, caller);
    Comparison { flags, handles: &handles(of), op: OP_OR, relation }.cgroup_beneath()
}

const REVERSE: u64 = 1;

#[test]
fn each_property_is_compared() {
    for (object, handle, shared) in [
        (1, 1, Properties::all()),
        (1, 2, Properties::INODE | Properties::MOUNT),
        (1, 0, Properties::DEVICE | Properties::MOUNT),
        (1, 3, Properties::DEVICE),
        (2, 3, Properties::empty()),
        (3, 3, Properties::all().difference(Properties::INODE)),
    ] {
        for wanted in (0..16).map(Properties::from_bits_truncate) {
            let expected = i64::from(!shared.contains(wanted));
            assert_eq!(prop(object, wanted, &[handle]), Some(expected), "{object} {handle} {wanted:?}");
        }
    }
}

/// The RFC's code let one handle give one property, and another the next.
#[test]
fn all_properties_are_one_handle_s() {
    let both = Properties::INODE | Properties::DEVICE;
    assert_eq!(prop(1, Properties::INODE, &[2, 0]), Some(0));
    assert_eq!(prop(1, Properties::DEVICE, &[2, 0]), Some(0));
    assert_eq!(prop(1, both, &[2, 0]), Some(1));
    assert_eq!(prop(1, both, &[2, 0, 1]), Some(0));
    assert_eq!(prop(2, Properties::empty(), &[3]), Some(0), "no property matches the first handle");
}

#[test]
fn beneath_is_the_same_or_below_and_reverse_is_the_other_way_round() {
    for (object, of, down, up) in
        [(2, 2, 0, 0), (2, 1, 0, 1), (2, 0, 0, 1), (1, 2, 1, 0), (0, 2, 1, 0), (3, 1, 1, 1), (1, 3, 1, 1)]
    {
        assert_eq!((beneath(object, 0, &[of]), beneath(object, REVERSE, &[of])), (Some(down), Some(up)));
    }
    assert_eq!(beneath(2, 0, &[3, 1]), Some(0), "one handle is enough");
}

#[test]
fn cgroups_are_compared_like_directories() {
    for (caller, of, down, up) in [(1, 1, 0, 0), (2, 1, 0, 1), (2, 0, 0, 1), (0, 1, 1, 0), (0, 2, 1, 0)] {
        assert_eq!((cgroup(caller, 0, &[of]), cgroup(caller, REVERSE, &[of])), (Some(down), Some(up)));
    }
}

#[test]
fn an_empty_array_matches_nothing() {
    assert_eq!(prop(1, Properties::empty(), &[]), Some(1));
    assert_eq!(beneath(1, 0, &[]), Some(1));
    assert_eq!(cgroup(1, REVERSE, &[]), Some(1));
}

#[test]
fn what_does_not_exist_is_einval_and_no_file_is_enoent_before_that() {
    let all = |flags, op, is_null| {
        let comparison = Comparison { flags, handles: &[], op, relation: &Unrelated };
        [comparison.fs_prop(is_null), comparison.fs_beneath(is_null), comparison.cgroup_beneath()]
            .map(Option::unwrap)
    };
    assert_eq!(all(0, OP_OR, false), [1, 1, 1]);
    assert_eq!(all(2, OP_OR, false), [1, -22, -22]);
    assert_eq!(all(16, OP_OR, false), [-22, -22, -22]);
    assert_eq!(all(1 << 32, OP_OR, false), [-22, -22, -22]);
    for op in [0, 2, 3, 1 << 32 | 1] {
        assert_eq!(all(0, op, false), [-22, -22, -22]);
    }
    assert_eq!(all(16, 7, true), [-2, -2, -22]);
}

#[test]
fn what_cannot_be_told_is_told_only_if_it_does_not_matter() {
    let with = |of: &[usize]| beneath(2, 0, of);
    assert_eq!(with(&[1]), Some(0));
    let unrelated = |of: &[usize]| {
        let comparison = Comparison { flags: 0, handles: &handles(of), op: OP_OR, relation: &Unrelated };
        (comparison.fs_prop(false), comparison.fs_beneath(false), comparison.cgroup_beneath())
    };
    assert_eq!(unrelated(&[1]), (None, None, None));
    assert_eq!(unrelated(&[]), (Some(1), Some(1), Some(1)));
}

/// `r0 = ` the helper's answer, made an errno of its own: 20 for a match, 21 for none, 22 for ENOENT.
fn answering(event: Event, number: i32) -> Rule {
    let object = if event.is_hook() { hook::ARGS } else { context::ARG1 };
    let mut ops = vec![load(Double, Reg::R4, Reg::R1, object)];
    ops.extend(compare(number, 0, u64::from(number == helper::CMP_CGROUP_BENEATH), 1));
    ops.extend([
        branch(CompareOp::Ne, Reg::R0, -2, 1),
        mov(Reg::R0, 2),
        alu(AluOp::Add, Reg::R0, 20),
        Op::Exit,
    ]);
    let maps = [map("files", ArrayKind::Fs), map("cgroups", ArrayKind::Cgroup)];
    let rule = verify_newest(abi2(event, &maps, &ops), &Loader::default());
    rule.unwrap_or_else(|problems| panic!("{problems}"))
}

fn errno(rule: &Rule, call: HookCall, relation: &dyn Relation) -> u32 {
    match rule.evaluate_at_hook(&HookInput { call, cookie: 5 }, relation) {
        HookVerdict::Deny { errno, .. } => errno,
        HookVerdict::Allow => 0,
    }
}

#[test]
fn rules_get_the_answers_and_live_updates_of_their_maps() {
    let rule = answering(Event::FileOpen, helper::CMP_FS_BENEATH);
    let [files, _] = rule.maps() else { panic!("two maps") };
    let ask = |object| errno(&rule, HookCall::FileOpen, &tree(object, 0));
    assert_eq!(ask(2), 21, "an empty map");
    fill(files, HandleType::FsFd, &[1]);
    assert_eq!((ask(2), ask(1), ask(3)), (20, 20, 21));
    fill(files, HandleType::FsFd, &[3]);
    assert_eq!((ask(2), ask(3)), (21, 20));
    fill(files, HandleType::FsFd, &[]);
    assert_eq!(ask(3), 21);
}

#[test]
fn an_anonymous_mapping_has_no_file_but_a_caller() {
    let map = |anonymous| HookCall::MmapFile { anonymous, reqprot: 1, prot: 1, flags: 0x22 };
    for helper in [helper::CMP_FS_PROP, helper::CMP_FS_BENEATH] {
        let rule = answering(Event::MmapFile, helper);
        fill(&rule.maps()[0], HandleType::FsFd, &[0]);
        let both = [false, true].map(|anonymous| errno(&rule, map(anonymous), &tree(2, 0)));
        assert_eq!(both, [20, 22]);
    }
    let rule = answering(Event::MmapFile, helper::CMP_CGROUP_BENEATH);
    fill(&rule.maps()[1], HandleType::CgroupFd, &[1]);
    assert_eq!(errno(&rule, map(true), &tree(0, 2)), 20);
    assert_eq!(errno(&rule, map(true), &tree(0, 0)), 21);
}

#[test]
fn a_question_that_cannot_be_answered_is_refused() {
    for event in Event::ALL {
        let rule = answering(event, helper::CMP_FS_BENEATH);
        let denied = |relation: &dyn Relation| match event.is_hook() {
            true => {
                let call = match event {
                    Event::FileOpen => HookCall::FileOpen,
                    Event::FilePermission => HookCall::FilePermission { mask: 4 },
                    _ => HookCall::MmapFile { anonymous: false, reqprot: 0, prot: 0, flags: 0 },
                };
                errno(&rule, call, relation) == 1
            }
            false => {
                let stuck = rule.evaluate_among(&input(0, None), relation, &mut |_| {});
                // The call is instruction 5, the exit 9.
                matches!(stuck, Verdict::Deny { insn: 5, .. })
            }
        };
        assert!(!denied(&Unrelated), "there is nothing to be told");
        fill(&rule.maps()[0], HandleType::FsFd, &[0]);
        assert!(denied(&Unrelated), "{event:?}");
        assert!(!denied(&tree(2, 0)), "{event:?}");
    }
}

proptest! {
    /// A match is a match with one handle, whatever else is in the array and in whatever order.
    #[test]
    fn one_handle_is_enough(model in model(), flags in 0..16_u64) {
        let all = handles(&model.handles[0]);
        let ask = |handles: &[Handle]| {
            let comparison = Comparison { flags, handles, op: OP_OR, relation: &model };
            (comparison.fs_prop(false), comparison.fs_beneath(false))
        };
        let single: Vec<_> = all.iter().map(|handle| ask(std::slice::from_ref(handle))).collect();
        let any = |answers: Vec<Option<i64>>| Some(i64::from(!answers.contains(&Some(0))));
        let (prop, beneath) = ask(&all);
        prop_assert_eq!(prop, any(single.iter().map(|each| each.0).collect()));
        let expected = any(single.iter().map(|each| each.1).collect());
        prop_assert_eq!(beneath, if flags > 1 { Some(-22) } else { expected });
        let reversed: Vec<Handle> = all.into_iter().rev().collect();
        prop_assert_eq!(ask(&reversed), (prop, beneath));
    }

    /// Reversing exchanges the two sides.
    #[test]
    fn reverse_is_beneath_seen_from_the_handle(model in model()) {
        for handle in 0..model.nodes.len() {
            let from_there = Model { object: handle, ..model.clone() };
            let (ours, theirs) = (Handle::numbered(model.object as u64), Handle::numbered(handle as u64));
            let reverse = model.beneath(&theirs, Direction::Reverse);
            prop_assert_eq!(reverse, from_there.beneath(&ours, Direction::Beneath));
        }
    }
}

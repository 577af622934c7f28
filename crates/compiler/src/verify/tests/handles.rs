// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps, and the helpers that compare with their handles.

use super::*;
use crate::abi::handles::{ArrayKind, MAX_ENTRIES};
use crate::abi::{Event, Subtype, context, helper, hook};
use crate::map::{Definition, Map};
use crate::op::{AluOp, CompareOp, Op};
use crate::testing::build::regs::*;
use crate::testing::build::{
    Double, abi2, alu, branch, call, compare, exit, load, load_map, map, mov, store,
};

const PROP: i32 = helper::CMP_FS_PROP;
const BENEATH: i32 = helper::CMP_FS_BENEATH;
const CGROUP: i32 = helper::CMP_CGROUP_BENEATH;
/// Indices of the two maps every rule here has.
const FILES: u64 = 0;
const CGROUPS: u64 = 1;

/// `r6` is the context, `r4` the object; then `body`, then allow.
fn after(event: Event, body: &[Op]) -> RuleObject {
    let object = if event.is_hook() { hook::ARGS } else { context::ARG1 };
    let mut ops = vec![mov(R6, R1), load(Double, R4, R1, object)];
    ops.extend_from_slice(body);
    ops.extend([mov(R0, 0), exit()]);
    abi2(event, &[map("files", ArrayKind::Fs), map("cgroups", ArrayKind::Cgroup)], &ops)
}
/// The call of [`compare`], after `r6`, `r4`, the flags, the map and the operation.
const CALL: usize = 6;

#[test]
fn every_event_may_compare() {
    for event in Event::ALL {
        accepted(after(event, &compare(PROP, 3, FILES, 1)));
        accepted(after(event, &compare(BENEATH, 1, FILES, 1)));
        accepted(after(event, &compare(CGROUP, 0, CGROUPS, 1)));
    }
}

#[test]
fn comparing_needs_abi_2_and_a_gpl_compatible_licence() {
    let object = || after(Event::Fs, &compare(CGROUP, 0, CGROUPS, 1));
    accepted(object());
    let fact = "bpf_landlock_cmp_cgroup_beneath() is for GPL compatible rules, the licence is \"MIT\"";
    invalid(RuleObject { license: "MIT".into(), ..object() }, CALL, fact);
    let abi1 = RuleObject { subtype: Some(Subtype { abi: 1, event: 1, ability: 0, option: 0 }), ..object() };
    let problems = problems(abi1);
    let facts: Vec<_> = problems.problems().iter().map(|problem| problem.fact.to_string()).collect();
    assert_eq!(problems.errno(), Errno::Inval);
    assert_eq!(facts[0], "maps are of ABI 2, the rule asks for ABI 1");
    assert_eq!(facts[1], "bpf_landlock_cmp_cgroup_beneath() is of ABI 2, the rule asks for ABI 1");
}

#[test]
fn each_argument_is_of_its_exact_type() {
    let fails = |body: &[Op], at, fact: &str| denied(after(Event::FileOpen, body), at, fact);
    let wrong = "bpf_landlock_cmp_fs_beneath() takes a map of files in r2, which holds a map of cgroups";
    fails(&compare(BENEATH, 0, CGROUPS, 1), CALL, wrong);
    let wrong = "bpf_landlock_cmp_cgroup_beneath() takes a map of cgroups in r2, which holds a map of files";
    fails(&compare(CGROUP, 0, FILES, 1), CALL, wrong);
    let with = |spoilt: Op| {
        let [flags, map, op, call] = compare(PROP, 0, FILES, 1);
        [flags, map, op, spoilt, call]
    };
    let name = "bpf_landlock_cmp_fs_prop() takes";
    for (spoilt, fact) in [
        (mov(R1, R6), "a number in r1, which holds the address of the context"),
        (mov(R2, 0), "a map of files in r2, which holds a number"),
        (mov(R3, R10), "a number in r3, which holds a stack address"),
        (mov(R4, 0), "what the rule is asked about in r4, which holds a number"),
        (mov(R4, R2), "what the rule is asked about in r4, which holds a map of files"),
        (load(Double, R4, R6, hook::ARGS + 8), "what the rule is asked about in r4, which holds credentials"),
    ] {
        fails(&with(spoilt), CALL + 1, &format!("{name} {fact}"));
    }
    let missing = [mov(R1, 0), load_map(R2, FILES), call(BENEATH)];
    fails(&missing, 5, "r3 is read, and was never written");
}

#[test]
fn what_a_rule_is_asked_about_outlives_a_spill_and_a_call() {
    let [flags, map, op, call] = compare(PROP, 0, FILES, 1);
    let spilled = [store(Double, R10, -8, R4), flags, map, op, load(Double, R4, R10, -8), call];
    accepted(after(Event::MmapFile, &spilled));
    let twice = [&compare(PROP, 0, FILES, 1)[..], &compare(PROP, 0, FILES, 1)].concat();
    let fact = "r4 is read after a call, which leaves nothing in r1 to r5";
    denied(after(Event::FileOpen, &twice), 11, fact);
}

#[test]
fn maps_stay_opaque_and_those_of_one_kind_may_meet() {
    let with = |body: &[Op]| after(Event::Fs, &[&[load_map(R7, FILES)], body].concat());
    accepted(with(&[store(Double, R10, -8, R7)]));
    denied(with(&[alu(AluOp::Add, R7, 8)]), 4, "arithmetic on a map of files");
    denied(with(&[load(Double, R8, R7, 0)]), 4, "memory access through r7, which holds a map of files");
    denied(with(&[branch(CompareOp::Ne, R7, 0, 0)]), 4, "a comparison looks at a map of files");
    let returned = abi2(Event::Fs, &[map("files", ArrayKind::Fs)], &[load_map(R0, FILES), exit()]);
    denied(returned, 2, "the rule returns a map of files");
    let meet = |other: u64, helper| {
        let number = load(Double, R8, R6, context::ARG2);
        let either = [number, load_map(R2, FILES), branch(CompareOp::Eq, R8, 0, 2), load_map(R2, other)];
        after(Event::Fs, &[&either[..], &[mov(R1, 0), mov(R3, 1), call(helper)]].concat())
    };
    accepted(meet(FILES, PROP));
    let fact = "r2 is read, and holds different kinds of things on different paths";
    denied(meet(CGROUPS, PROP), 10, fact);
}

#[test]
fn maps_are_the_rule_s_own_and_have_room() {
    accepted(after(Event::Fs, &[load_map(R2, CGROUPS)]));
    for index in [2, u64::MAX] {
        let fact = format!("the 64-bit load refers to map {index}, the rule has 2");
        invalid(after(Event::Fs, &[load_map(R2, index)]), 2, &fact);
    }
    let sized = |max_entries| {
        let definition = Definition { name: "m".into(), kind: ArrayKind::Fs, max_entries };
        abi2(Event::Fs, &[Map::new(definition)], &[mov(R0, 0), exit()])
    };
    accepted(sized(1));
    accepted(sized(MAX_ENTRIES));
    for entries in [0, MAX_ENTRIES + 1, u32::MAX] {
        let fact = format!("map \"m\" has {entries} entries, 1 to 4096 are possible");
        refused(sized(entries), None, Errno::Inval, &fact);
    }
}

#[test]
fn a_message_names_the_map() {
    let text = problems(after(Event::FileOpen, &[load_map(R7, FILES), alu(AluOp::Add, R7, 1)])).to_string();
    assert!(text.contains("instruction 4: r7 += 1\n"), "{text}");
    let abi1 = Subtype { abi: 1, event: 1, ability: 0, option: 0 };
    let object = RuleObject { subtype: Some(abi1), ..after(Event::Fs, &[load_map(R7, FILES)]) };
    let text = problems(object).to_string();
    assert!(text.contains("instruction 2: r7 = map files\n"), "{text}");
}

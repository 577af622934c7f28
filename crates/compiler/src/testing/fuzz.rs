// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry points for raw bytes, run by the fuzz targets and, shortly, by the tests.

use super::{build, worlds};
use crate::abi::Subtype;
use crate::abi::handles::ArrayKind;
use crate::asm;
use crate::elf::{self, read_elf};
use crate::evaluate::{Current, HookCall, HookInput, Input, Unrelated};
use crate::insn::Insn;
use crate::object::RuleObject;
use crate::rule::Rule;
use crate::verify::{GPL_COMPATIBLE, Loader, MAX_PROBLEMS, verify_newest};

/// Verifies the rule in `bytes` (see [`object`]). A refusal must have something to say; what is
/// accepted is run.
pub fn verifier(bytes: &[u8]) {
    let admin = bytes.first().is_some_and(|first| first & 0x80 != 0);
    match verify_newest(object(bytes), &Loader { cap_sys_admin: admin }) {
        Ok(rule) if rule.event().is_hook() => at_hook(&rule),
        Ok(rule) => {
            for (arg2, mode) in [(0, None), (2, Some(0o020_666)), (u64::MAX, Some(0o100_644))] {
                let (event, current) = (rule.event(), Current::default());
                worlds::indifferent(&rule, &Input { event, arg2, mode, arch: 0, syscall_nr: 0, current });
            }
        }
        Err(problems) => {
            assert!((1..=MAX_PROBLEMS).contains(&problems.problems().len()));
            assert!(problems.to_string().contains("help: "));
        }
    }
}

fn at_hook(rule: &Rule) {
    let calls = [
        HookCall::FileOpen,
        HookCall::FilePermission { mask: 4 },
        HookCall::MmapFile { anonymous: true, reqprot: 1, prot: 5, flags: 2 },
        HookCall::MmapFile { anonymous: false, reqprot: 0, prot: u64::MAX, flags: 1 },
    ];
    for call in calls.into_iter().filter(|call| call.event() == rule.event()) {
        worlds::indifferent_at_hook(rule, &HookInput { call, cookie: 5 }, &Unrelated);
    }
}

/// Reads `bytes` as an ELF object; whatever is read can be printed, and is verified.
pub fn elf(bytes: &[u8]) {
    match read_elf(bytes) {
        Ok(rules) => {
            assert!((1..=elf::MAX_RULES).contains(&rules.len()));
            assert!(rules.iter().map(|rule| rule.insns.len()).sum::<usize>() <= bytes.len() / Insn::SIZE);
            comes_back(&rules);
            rules.into_iter().for_each(|rule| drop(verify_newest(rule, &Loader { cap_sys_admin: true })));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Reads `bytes` as assembly; whatever is read can be printed, and comes back.
pub fn assembly(bytes: &[u8]) {
    match asm::parse(&String::from_utf8_lossy(bytes), "fuzzed.s") {
        Ok(rules) => comes_back(&rules),
        Err(errors) => {
            assert!(!errors.0.is_empty() && errors.0.len() <= asm::MAX_ERRORS);
            assert!(errors.to_string().contains("fuzzed.s:"));
        }
    }
}

/// Rules are the same after printing and parsing, but for their source lines.
fn comes_back(rules: &[RuleObject]) {
    let text: String = rules.iter().map(asm::print).collect();
    // Source lines are printed as comments: a hostile object can have many times its own size of them.
    if text.len() > asm::MAX_SIZE {
        return;
    }
    let back = asm::parse(&text, "printed.s").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(back.len(), rules.len());
    for (back, rule) in back.into_iter().zip(rules) {
        assert_eq!(RuleObject { lines: rule.lines.clone(), ..back }, *rule);
    }
}

/// A rule object of raw bytes: one of flags (1 debug, 2 no licence, 4 no subtype, 8 ABI 2 with two empty maps), one
/// of the event, then instructions. A flag less often right than wrong would keep most inputs from the verifier.
pub fn object(bytes: &[u8]) -> RuleObject {
    let (flags, event, code) = match bytes {
        [flags, event, code @ ..] => (*flags, *event, code),
        _ => (0, 1, bytes),
    };
    let is_newer = flags & 8 != 0;
    let (abi, ability) = (1 + u32::from(is_newer), u64::from(flags & 1));
    let subtype = Subtype { abi, event: u32::from(event % 9), ability, option: 0 };
    let maps = [build::map("files", ArrayKind::Fs), build::map("cgroups", ArrayKind::Cgroup)];
    let (insns, _) = code.as_chunks::<{ Insn::SIZE }>();
    RuleObject {
        name: "fuzzed".into(),
        insns: insns.iter().map(|bytes| Insn::decode(*bytes)).collect(),
        subtype: (flags & 4 == 0).then_some(subtype),
        license: if flags & 2 == 0 { GPL_COMPATIBLE[0].into() } else { String::new() },
        maps: if is_newer { maps.to_vec() } else { Vec::new() },
        ..RuleObject::default()
    }
}

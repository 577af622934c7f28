// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry points for raw bytes, run by the fuzz targets and, shortly, by the tests.

use super::worlds;
use crate::abi::Subtype;
use crate::asm;
use crate::elf::{self, read_elf};
use crate::evaluate::{Current, Input};
use crate::insn::Insn;
use crate::object::RuleObject;
use crate::verify::{GPL_COMPATIBLE, Loader, MAX_PROBLEMS, verify};

/// Verifies the rule in `bytes` (see [`object`]). A refusal must have something to say; what is
/// accepted is run.
pub fn verifier(bytes: &[u8]) {
    let admin = bytes.first().is_some_and(|first| first & 0x80 != 0);
    match verify(object(bytes), &Loader { cap_sys_admin: admin }) {
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

/// Reads `bytes` as an ELF object; whatever is read can be printed, and is verified.
pub fn elf(bytes: &[u8]) {
    match read_elf(bytes) {
        Ok(rules) => {
            assert!((1..=elf::MAX_RULES).contains(&rules.len()));
            assert!(rules.iter().map(|rule| rule.insns.len()).sum::<usize>() <= bytes.len() / Insn::SIZE);
            comes_back(&rules);
            rules.into_iter().for_each(|rule| drop(verify(rule, &Loader { cap_sys_admin: true })));
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

/// A rule object of raw bytes: one of flags (1 debug, 2 no licence, 4 no subtype), one of the event,
/// then instructions. A flag less often right than wrong would keep most inputs from the verifier.
pub fn object(bytes: &[u8]) -> RuleObject {
    let (flags, event, code) = match bytes {
        [flags, event, code @ ..] => (*flags, *event, code),
        _ => (0, 1, bytes),
    };
    let subtype = Subtype { abi: 1, event: u32::from(event % 5), ability: u64::from(flags & 1), option: 0 };
    let (insns, _) = code.as_chunks::<{ Insn::SIZE }>();
    RuleObject {
        name: "fuzzed".into(),
        insns: insns.iter().map(|bytes| Insn::decode(*bytes)).collect(),
        subtype: (flags & 4 == 0).then_some(subtype),
        license: if flags & 2 == 0 { GPL_COMPATIBLE[0].into() } else { String::new() },
        lines: Vec::new(),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry points for raw bytes, run by the fuzz targets and, shortly, by the tests.

use crate::abi::Subtype;
use crate::insn::Insn;
use crate::object::RuleObject;
use crate::verify::{GPL_COMPATIBLE, Loader, MAX_PROBLEMS, verify};

/// Verifies the rule in `bytes` (see [`object`]); a refusal must have something to say.
pub fn verifier(bytes: &[u8]) {
    let admin = bytes.first().is_some_and(|first| first & 0x80 != 0);
    match verify(object(bytes), &Loader { cap_sys_admin: admin }) {
        Ok(rule) => assert!(!rule.insns().is_empty()),
        Err(problems) => {
            assert!((1..=MAX_PROBLEMS).contains(&problems.problems().len()));
            assert!(problems.to_string().contains("help: "));
        }
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

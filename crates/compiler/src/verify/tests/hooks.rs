// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules tied to a hook: their declaration, their context, and the file that may be NULL.

use super::*;
use crate::abi::hook::{self, Arg};
use crate::abi::{Event, Subtype};
use crate::op::{AluOp, CompareOp, Op, Size};
use crate::testing::build::regs::*;
use crate::testing::build::{
    Byte, Double, Half, Word, abi2, alu, branch, branch32, call, exit, load, load_imm, mov, store,
};

const FILE: i16 = hook::ARGS;
const SIZES: [Size; 4] = [Byte, Half, Word, Double];

/// `body`, then allow.
fn after(event: Event, body: &[Op]) -> RuleObject {
    let mut ops = body.to_vec();
    ops.extend([mov(R0, 0), exit()]);
    abi2(event, &[], &ops)
}

fn arg(index: usize) -> i16 {
    hook::ARGS + 8 * i16::try_from(index).unwrap()
}

#[test]
fn every_field_is_read_whole_and_from_its_start() {
    for event in Event::HOOKS {
        for (off, wanted, name) in [(hook::HOOK, Word, "hook"), (hook::COOKIE, Half, "cookie")] {
            for size in SIZES {
                let object = after(event, &[load(size, R2, R1, off), alu(AluOp::Add, R2, 1)]);
                let fact = format!("{name} is loaded in {} bytes, it has {}", size.bytes(), wanted.bytes());
                if size == wanted { accepted(object) } else { denied(object, 0, &fact) }
            }
        }
        for off in [-8, 1, 2, 6, 7, 9, 12, 52, 56, i16::MIN, i16::MAX] {
            let fact = format!("no field of a hook's context starts at offset {off}");
            denied(after(event, &[load(Byte, R2, R1, off)]), 0, &fact);
        }
        denied(after(event, &[store(Half, R1, hook::COOKIE, 1)]), 0, "the context is read-only");
    }
}

#[test]
fn arguments_are_typed_by_hook_and_those_there_are_not_cannot_be_read() {
    for event in Event::HOOKS {
        for index in 0..hook::ARGS_COUNT {
            let read = |size, more: &[Op]| after(event, &[&[load(size, R2, R1, arg(index))], more].concat());
            let Some(known) = hook::args(event).get(index) else {
                denied(read(Double, &[]), 0, &format!("{} has no args[{index}]", event.name()));
                continue;
            };
            let (name, kind) = match known {
                Arg::File { .. } => ("the file", Some("the file")),
                Arg::Cred => ("the credentials", Some("credentials")),
                Arg::Number(name) => (*name, None),
            };
            accepted(read(Double, &[]));
            for size in [Byte, Half, Word] {
                denied(read(size, &[]), 0, &format!("{name} is loaded in {} bytes, it has 8", size.bytes()));
            }
            let add = read(Double, &[alu(AluOp::Add, R2, 8)]);
            match kind {
                Some(kind) => denied(add, 1, &format!("arithmetic on {kind}")),
                None => accepted(add),
            }
        }
    }
}

#[test]
fn files_and_credentials_stay_opaque() {
    for (off, what) in [(FILE, "the file"), (arg(1), "credentials")] {
        let with = |body: &[Op]| after(Event::FileOpen, &[&[load(Double, R6, R1, off)], body].concat());
        accepted(with(&[store(Double, R10, -8, R6), load(Double, R7, R10, -8)]));
        let through = format!("memory access through r6, which holds {what}");
        denied(with(&[load(Double, R7, R6, 0)]), 1, &through);
        denied(with(&[store(Word, R10, -8, R6)]), 1, &format!("{what} stored in 4 bytes, it takes 8"));
        let returned = abi2(Event::FileOpen, &[], &[load(Double, R0, R1, off), exit()]);
        denied(returned, 1, &format!("the rule returns {what}"));
        denied(with(&[branch(CompareOp::Eq, R6, 0, 0)]), 1, &format!("a comparison looks at {what}"));
    }
}

#[test]
fn only_a_file_that_may_be_null_is_compared_with_null() {
    let test = |event, test: &[Op]| after(event, &[&[load(Double, R6, R1, FILE)], test].concat());
    for op in [CompareOp::Eq, CompareOp::Ne] {
        accepted(test(Event::MmapFile, &[branch(op, R6, 0, 0)]));
        accepted(test(Event::MmapFile, &[load_imm(R7, 0), branch(op, R6, R7, 0)]));
        denied(test(Event::FilePermission, &[branch(op, R6, 0, 0)]), 1, "a comparison looks at the file");
    }
    for other in [
        branch(CompareOp::Eq, R6, 1, 0),
        branch(CompareOp::Gt, R6, 0, 0),
        branch32(CompareOp::Eq, R6, 0, 0),
        branch(CompareOp::Eq, R6, R6, 0),
    ] {
        denied(test(Event::MmapFile, &[other]), 1, "a comparison looks at the file");
    }
}

#[test]
fn a_hook_s_rule_has_fewer_than_4096_instructions() {
    let long = |len: usize| {
        let mut ops = vec![mov(R0, 0); len - 1];
        ops.push(exit());
        abi2(Event::FileOpen, &[], &ops)
    };
    accepted(long(4095));
    let fact = "the program has 4096 instructions, at a hook the limit is 4095";
    refused(long(4096), None, Errno::Inval, fact);
}

#[test]
fn a_hook_s_rule_has_no_abilities_and_none_of_abi_1_s_helpers() {
    let subtype = Subtype { abi: 2, event: Event::FileOpen as u32, ability: 1, option: 0 };
    let object = RuleObject { subtype: Some(subtype), ..after(Event::FileOpen, &[]) };
    refused(object, None, Errno::Inval, "rules tied to a hook have no abilities");
    for (helper, name) in [(14, "bpf_get_current_pid_tgid()"), (15, "bpf_get_current_uid_gid()")] {
        let fact = format!("{name} is not for rules tied to a hook");
        invalid(after(Event::FileOpen, &[call(helper)]), 0, &fact);
    }
    let mode = [load(Double, R1, R1, FILE), call(54)];
    let text = problems(after(Event::FileOpen, &mode)).to_string();
    assert!(text.contains("bpf_handle_fs_get_mode() is not for rules tied to a hook"), "{text}");
}

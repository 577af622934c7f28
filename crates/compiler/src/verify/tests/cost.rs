// SPDX-License-Identifier: MIT OR Apache-2.0
//! The work is bounded by the program, not by its paths.

use super::super::counted;
use super::*;
use crate::abi::{MAX_INSNS, context};
use crate::op::{AluOp, CompareOp, Op};
use crate::testing::build::regs::*;
use crate::testing::build::{Double, alu, branch, exit, fs, load, mov, store};

fn work(ops: &[Op]) -> (usize, usize) {
    assert_eq!(ops.len(), MAX_INSNS);
    let (verdict, work) = counted(fs(ops), &NOBODY, 1);
    if let Err(problems) = verdict {
        panic!("{problems}");
    }
    (work.steps, work.joins)
}

/// 2^1364 paths.
#[test]
fn diamonds_upon_diamonds() {
    let mut ops = vec![load(Double, R6, R1, context::ARG2), mov(R0, 0)];
    while ops.len() + 3 < MAX_INSNS {
        ops.extend([branch(CompareOp::Eq, R6, 1, 1), alu(AluOp::Add, R0, 1), store(Double, R10, -8, R0)]);
    }
    ops.resize(MAX_INSNS - 1, mov(R0, 0));
    ops.push(exit());
    let diamonds = ops.iter().filter(|op| matches!(op, Op::Branch { .. })).count();
    assert_eq!(work(&ops), (MAX_INSNS, diamonds));
}

/// Every instruction but the last three branches to the last.
#[test]
fn everything_meets_at_the_end() {
    let mut ops = vec![load(Double, R6, R1, context::ARG2), mov(R0, 0)];
    while ops.len() < MAX_INSNS - 1 {
        let off = i16::try_from(MAX_INSNS - ops.len() - 2).unwrap();
        ops.push(branch(CompareOp::Eq, R6, 1, off));
    }
    ops.push(exit());
    assert_eq!(work(&ops), (MAX_INSNS, MAX_INSNS - 3));
}

/// Each branch goes as far as every other: the most states in waiting.
#[test]
fn a_ladder_of_far_jumps() {
    let half = MAX_INSNS / 2;
    let mut ops = vec![load(Double, R6, R1, context::ARG2), mov(R0, 0)];
    while ops.len() < half {
        ops.push(branch(CompareOp::Eq, R6, 1, i16::try_from(half).unwrap() - 2));
    }
    ops.resize(MAX_INSNS - 1, mov(R0, 0));
    ops.push(exit());
    let (steps, joins) = work(&ops);
    assert_eq!((steps, joins), (MAX_INSNS, half - 2));
}

/// Problems do not make it dearer.
#[test]
fn the_worst_refused_rule() {
    let mut ops = vec![mov(R0, R9); MAX_INSNS / 2];
    ops.resize(MAX_INSNS, branch(CompareOp::Eq, R1, R10, 0));
    let (verdict, work) = counted(fs(&ops), &NOBODY, 1);
    assert!(verdict.is_err());
    assert!(work.steps <= MAX_INSNS && work.joins <= MAX_INSNS, "{work:?}");
}

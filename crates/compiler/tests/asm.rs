// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our assembly means what LLVM's does: clang assembles what we print into the same bytes.

mod common;

use common::{newest_clang_name, run};
use landlock_compiler::asm::print_insn;
use landlock_compiler::elf::read_elf;
use landlock_compiler::insn::Insn;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Instructions that have a form of their own, up to 40 for each opcode.
fn samples() -> Vec<Insn> {
    let mut runner = TestRunner::deterministic();
    let off = prop_oneof![Just(0i16), any::<i16>()];
    let imm = prop_oneof![
        Just(0i32),
        proptest::sample::select(vec![1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 16, 32, 64]),
        any::<i32>()
    ];
    let fields = (0..11u8, prop_oneof![Just(0u8), 0..11u8], off, imm);
    let mut samples = Vec::new();
    for code in 0..=u8::MAX {
        let draw = |_| fields.new_tree(&mut runner).expect("no filters").current();
        let insns = (0..300).map(draw).map(|(dst, src, off, imm)| Insn { code, dst, src, off, imm });
        samples.extend(insns.filter(|insn| !print_insn(&[*insn], 0).starts_with(".insn")).take(40));
    }
    samples
}

#[test]
fn clang_assembles_what_we_print_to_the_same_instructions() {
    let samples = samples();
    let opcodes: std::collections::BTreeSet<u8> = samples.iter().map(|insn| insn.code).collect();
    assert_eq!(opcodes.len(), 113, "all that have a form of their own, but the 64-bit load");

    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("all.s"), folder.path().join("all.o"));
    let statement = |insn: &Insn| match insn.code {
        0x85 => format!("call {}\n", insn.imm),
        _ => print_insn(&[*insn], 0) + "\n",
    };
    let text: String = samples.iter().map(statement).collect();
    let load = "r9 = 0x1122334455667788 ll\n";
    std::fs::write(&source, format!(".section landlock,\"ax\",@progbits\n{text}{load}")).unwrap();
    let args = ["-target", "bpf", "-mcpu=v3", "-c", "-o"].map(std::ffi::OsString::from);
    run(&newest_clang_name(), args.into_iter().chain([object.clone().into(), source.into()]));

    let assembled = read_elf(&std::fs::read(object).unwrap()).unwrap().remove(0).insns;
    for (index, (ours, theirs)) in samples.iter().zip(&assembled).enumerate() {
        assert_eq!(ours, theirs, "instruction {index}: {}", statement(ours));
    }
    assert_eq!(print_insn(&assembled, samples.len()) + "\n", load);
    assert_eq!(assembled.len(), samples.len() + 2);
}

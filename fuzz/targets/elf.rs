// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects: `cargo +nightly fuzz run elf fuzz/corpus/elf crates/compiler/tests/objects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| landlock_compiler::testing::fuzz::elf(bytes));

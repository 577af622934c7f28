// SPDX-License-Identifier: MIT OR Apache-2.0
//! Assembly: `cargo +nightly fuzz run assembly fuzz/corpus/assembly rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| landlock_compiler::testing::fuzz::assembly(bytes));

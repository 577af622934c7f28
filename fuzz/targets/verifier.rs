// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions: `cargo +nightly fuzz run verifier`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| landlock_compiler::testing::fuzz::verifier(bytes));

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of landlockd's protocol: `cargo +nightly fuzz run protocol`.
#![no_main]

#[path = "../../crates/daemon/tests/fuzz/bytes.rs"]
mod bytes;

libfuzzer_sys::fuzz_target!(|message: &[u8]| bytes::message(message));

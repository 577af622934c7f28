// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared library's name for the loader; installed, the file is `liblandlock-ebpf.so.0`.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblandlock-ebpf.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}

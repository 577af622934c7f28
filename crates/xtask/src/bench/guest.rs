// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel target costs, in instructions: a guest that counts them runs [`inside`].

pub mod inside;
mod rules;
mod table;
mod trampolines;

use std::process::Command;

use anyhow::{Result, ensure};

use crate::guest_test::shipped_rules;
use crate::vm::Series;

/// Measures in a guest of each series, one after the other.
pub fn run(kernels: &[Series]) -> Result<()> {
    let rules = shipped_rules()?;
    let copy = format!("--copy={}:/rules", rules.path().display());
    let guest =
        ["vm", "--icount", "--release", "--cargo-bin=xtask", "--require=lsm=bpf", "--require=lsm=landlock"];
    for kernel in kernels {
        let mut vm = Command::new(std::env::current_exe()?);
        vm.args(guest).arg(&copy).arg(format!("--kernel={kernel}")).arg("--timeout=1800");
        let status = vm.args(["--", "xtask", "bench-inside", "/rules/read-only.o"]).status()?;
        ensure!(status.success(), "{kernel}: {status}");
    }
    Ok(())
}

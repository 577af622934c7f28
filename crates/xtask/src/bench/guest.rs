// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel target costs, in instructions: a guest that counts them runs [`inside`] or [`daemon`].

pub mod daemon;
pub mod inside;
mod rules;
mod table;
mod trampolines;

use std::process::Command;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::guest_test::shipped_rules;
use crate::vm::Series;

/// What is measured in a guest.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Operations in and outside of domains, and entering them
    Operations,
    /// Getting confined through landlockd
    Daemon,
}

/// Measures in a guest of each series, one after the other.
pub fn run(what: What, kernels: &[Series]) -> Result<()> {
    let rules = shipped_rules()?;
    let copy = format!("--copy={}:/rules", rules.path().display());
    let guest = ["vm", "--icount", "--release", "--cargo-bin=xtask", "--require=lsm=bpf", "--timeout=1800"];
    let (wanted, inside): (&[&str], &[&str]) = match what {
        What::Operations => (&["--require=lsm=landlock"], &["bench-inside", "/rules/read-only.o"]),
        What::Daemon => (&["--cargo-bin=landlockd", "--cargo-bin=landlock"], &["bench-daemon"]),
    };
    for kernel in kernels {
        let mut vm = Command::new(std::env::current_exe()?);
        vm.args(guest).args(wanted).arg(&copy).arg(format!("--kernel={kernel}"));
        let status = vm.args(["--", "xtask"]).args(inside).status()?;
        ensure!(status.success(), "{kernel}: {status}");
    }
    Ok(())
}

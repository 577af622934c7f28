// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest to test in: a stock Debian cloud kernel under QEMU's own emulation (no KVM), an initramfs
//! with busybox and the binaries under test, one command, its output and its status.
//!
//! The guest ends in one of two ways: the command ran and its status is ours, or there is no verdict,
//! which is an error and exit status 125. A panic, an oops, a hang, a kernel other than the one asked
//! for and an unmet `--require` are all "no verdict".
//!
//! Nothing is installed: packages come from the Debian mirror the machine's apt is configured for, are
//! verified by apt, and are unpacked into a cache. Network is used only when the cache lacks the kernel.

mod cache;
mod cpio;
mod debian;
mod emulator;
mod guest;
mod kernel;
mod modules;
mod qemu;
mod requirement;
pub mod selftest;
mod systemd;
mod userland;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::cargo;
use guest::CopyIn;
pub use guest::quote;
pub use kernel::Series;
use requirement::Requirement;

/// Exit status when the command's own status is not known.
pub const NO_VERDICT: u8 = 125;

/// `cargo xtask vm`.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Kernel series, such as 6.1 or 6.12, or "latest" for the newest the mirror has
    #[arg(long, default_value = "6.12")]
    kernel: Series,
    /// More arguments for the guest kernel's command line
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Copy a file or directory into the guest: by default into /test, which is in PATH and is where
    /// COMMAND starts
    #[arg(long, value_name = "PATH[:GUEST_PATH]")]
    copy: Vec<CopyIn>,
    /// Build this binary of the workspace statically linked and copy it in
    #[arg(long, value_name = "NAME")]
    cargo_bin: Vec<String>,
    /// Build the test executables of this package statically linked and copy them in, each under its
    /// target's name
    #[arg(long, value_name = "PACKAGE")]
    cargo_test: Vec<String>,
    /// Build those optimised
    #[arg(long)]
    release: bool,
    /// Take Python and ordinary tools of this machine along, ahead of busybox's
    #[arg(long)]
    userland: bool,
    /// Boot Debian's systemd, which starts COMMAND
    #[arg(long, conflicts_with = "userland")]
    systemd: bool,
    /// Load this kernel module, and those it needs, before COMMAND
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// Count guest instructions instead of time, so that measurements repeat; one processor at a time
    #[arg(long)]
    icount: bool,
    /// Attach an empty ext4 file system and mount it on /mnt
    #[arg(long)]
    disk: bool,
    /// Processors of the guest
    #[arg(long, value_name = "N", default_value_t = 1)]
    smp: u8,
    /// Memory of the guest, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u32,
    /// Run COMMAND as the unprivileged user "user" (uid 1000) instead of root
    #[arg(long)]
    user: bool,
    /// Set an environment variable for COMMAND
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Refuse to run unless the guest has this: lsm=NAME, no-lsm=NAME, preempt=MODE[,MODE…], btf
    #[arg(long, value_name = "WHAT")]
    require: Vec<Requirement>,
    /// Give up after this many seconds of real time
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Show the guest kernel's log as it is written
    #[arg(long)]
    console: bool,
    /// Ask the mirror for a newer kernel of the series first
    #[arg(long)]
    update: bool,
    /// The command to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Boots the guest, runs the command, and gives its status.
pub fn run(options: &Options) -> Result<ExitCode> {
    let parts = cache::open()?.parts(options.kernel, options.update, options.systemd)?;
    let binaries = cargo::build(&options.cargo_bin, &options.cargo_test, options.release)?;
    let scratch = tempfile::tempdir()?;
    let initramfs = guest::initramfs(&parts, options, &binaries)?;
    let machine = qemu::Machine::new(&parts, &initramfs, options, scratch.path())?;
    Ok(ExitCode::from(machine.run(Duration::from_secs(options.timeout))?))
}

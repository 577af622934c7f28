// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask`: what the project does to itself.
#![forbid(unsafe_code)]

mod bench;
mod btf_subset;
mod cargo;
mod guest_test;
mod install;
mod vm;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What the project does to itself")]
enum Task {
    /// Boot a stock Debian kernel in an emulator and run a command in it as root
    Vm(Box<vm::Options>),
    /// Boot every supported kernel and check that guests keep their promises (about two minutes)
    VmTest,
    /// Measure what confinement costs, against the same things without it
    Bench(bench::Options),
    /// Time one kind of syscall from inside a process: what `bench` starts
    #[command(hide = true)]
    BenchProbe(bench::probe::Options),
    /// Run a command under mainline Landlock alone: what `bench` compares with
    #[command(hide = true)]
    BenchMainline(bench::mainline::Options),
    /// What `bench --guest` runs in the guest
    #[command(hide = true)]
    BenchInside(bench::guest::inside::Options),
    /// What `bench --guest=daemon` runs in the guest
    #[command(hide = true)]
    BenchDaemon,
    /// Run the tests that need a kernel of their own, in guests
    GuestTest(guest_test::Options),
    /// Build the commands and the C library, and install them with headers, man pages and rules
    Install(install::Options),
    /// Save the types tests need from the BTF of every supported kernel series
    BtfSubset(btf_subset::Options),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Vm(options) => vm::run(&options),
        Task::GuestTest(options) => guest_test::run(&options),
        Task::BtfSubset(options) => btf_subset::run(&options),
        Task::Install(options) => install::run(&options).map(|()| ExitCode::SUCCESS),
        Task::VmTest => vm::selftest::run(),
        Task::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Task::BenchProbe(options) => bench::probe::measure(&options).map(|()| ExitCode::SUCCESS),
        Task::BenchMainline(options) => bench::mainline::run(&options).map(|()| ExitCode::SUCCESS),
        Task::BenchDaemon => bench::guest::daemon::run().map(|()| ExitCode::SUCCESS),
        Task::BenchInside(options) => bench::guest::inside::run(&options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::from(vm::NO_VERDICT)
    })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Saves small BTF blobs of stock kernels, so that what depends on a kernel's types is tested offline
//! against every supported series.
//!
//! The kernel is booted, because a running kernel's BTF is the one programs are loaded against.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use landlock_bpf::btf::{Btf, BtfError, Kind, TypeId};
use landlock_compiler::hooks;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bpf/btf");

/// `cargo xtask btf-subset`.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Kernel series to save
    #[arg(long, default_values = ["6.1", "6.12", "latest"])]
    kernel: Vec<String>,
    /// Folder of the blobs and of `wanted`, the list of what they keep
    #[arg(long, default_value = FOLDER)]
    folder: PathBuf,
}

/// Boots each kernel and writes `<series>.btf`.
pub fn run(options: &Options) -> Result<ExitCode> {
    let wanted = std::fs::read_to_string(options.folder.join("wanted"))?;
    let wanted = names(&wanted)?;
    for kernel in &options.kernel {
        let release = String::from_utf8(in_guest(kernel, &["uname", "-r"])?)?;
        let series: Vec<&str> = release.splitn(3, '.').take(2).collect();
        let full = Btf::parse(in_guest(kernel, &["cat", "/sys/kernel/btf/vmlinux"])?)?;
        let subset = full.subset(&present(&full, &wanted)?)?;
        let path = options.folder.join(format!("{}.btf", series.join(".")));
        println!(
            "{}: {} of {} types, {} bytes",
            path.display(),
            Btf::parse(subset.clone())?.len(),
            full.len(),
            subset.len()
        );
        std::fs::write(path, subset)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines of `wanted`, and the hook table.
fn names(wanted: &str) -> Result<Vec<(Kind, String)>> {
    let mut names: Vec<_> = hooks::TABLE.iter().flat_map(|row| hook(row.name)).collect();
    for line in wanted.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, name) = line.split_once(' ').with_context(|| format!("wanted: {line:?}"))?;
        match kind {
            "hook" => names.extend(hook(name)),
            "struct" => names.push((Kind::Struct, name.to_owned())),
            "union" => names.push((Kind::Union, name.to_owned())),
            "enum" => names.push((Kind::Enum, name.to_owned())),
            _ => bail!("wanted: {line:?} begins with neither hook, struct, union nor enum"),
        }
    }
    Ok(names)
}

/// The functions programs of either kind attach to for a hook.
fn hook(name: &str) -> [(Kind, String); 2] {
    ["bpf_lsm_", "security_"].map(|prefix| (Kind::Func, format!("{prefix}{name}")))
}

fn present(btf: &Btf, wanted: &[(Kind, String)]) -> Result<Vec<TypeId>> {
    let mut found = Vec::new();
    for (kind, name) in wanted {
        match btf.find(*kind, name) {
            Ok(id) => found.push(id),
            Err(BtfError::Missing { .. }) => eprintln!("xtask: no {name}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn in_guest(kernel: &str, command: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["vm", "--kernel", kernel, "--"])
        .args(command)
        .output()?;
    ensure!(output.status.success(), "kernel {kernel}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

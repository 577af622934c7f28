// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels, busybox and if need be systemd and an emulator, fetched once per machine.
//!
//! `$XDG_CACHE_HOME/ebpf-landlock/vm` (or `~/.cache/…`) holds one folder per release, which never
//! changes once it is there, and one file per series that names its release. What a series means moves
//! only with `--update`, so a test run is repeatable offline. One process fetches at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::debian::{Archive, KERNEL_SUITES};
use super::emulator::Emulator;
use super::kernel::{Kernel, Series};
use super::systemd;

const BUSYBOX: &str = "busybox-static";

/// The cache, locked against other processes.
pub struct Cache {
    root: PathBuf,
    _lock: File,
}

/// Opens the cache, waiting while another process fetches.
pub fn open() -> Result<Cache> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = home("XDG_CACHE_HOME").or_else(|| Some(home("HOME")?.join(".cache")));
    let root = base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("ebpf-landlock/vm");
    std::fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
    let lock = File::create(root.join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(Cache { root, _lock: lock })
}

/// What a guest is made of.
pub struct Parts {
    /// The kernel to boot.
    pub kernel: Kernel,
    /// A statically linked busybox.
    pub busybox: PathBuf,
    /// Packages with systemd, if it was asked for.
    pub systemd: Option<PathBuf>,
    /// What runs it.
    pub emulator: Emulator,
}

impl Cache {
    /// The parts of a guest with a kernel of this series; with `update`, the newest there is.
    pub fn parts(self, series: Series, update: bool, systemd: bool) -> Result<Parts> {
        let pointer = self.root.join(format!("series-{series}"));
        let mut archive = None;
        if update || !pointer.exists() {
            let release = Kernel::find(packages(&mut archive)?, series)?;
            std::fs::write(self.root.join("series-new"), release)?;
            std::fs::rename(self.root.join("series-new"), &pointer)?;
        }
        let release = std::fs::read_to_string(&pointer)?;
        let kernel =
            self.folder(&release, |folder| Kernel::unpack(packages(&mut archive)?, &release, folder))?;
        let busybox = self.folder(BUSYBOX, |folder| {
            let newest = packages(&mut archive)?.newest(BUSYBOX)?;
            let version = newest.get("Version").context("busybox without a version")?;
            packages(&mut archive)?.unpack(&[format!("{BUSYBOX}={version}")], folder)
        })?;
        let systemd = systemd.then(|| self.folder("systemd", systemd::unpack)).transpose()?;
        let emulator = Emulator::find(|fill| self.folder("emulator", fill))?;
        Ok(Parts {
            kernel: Kernel::open(&kernel, &release)?,
            busybox: busybox.join("usr/bin/busybox"),
            systemd,
            emulator,
        })
    }

    /// The folder of this name; made by `fill` if it is not there, and there only once complete.
    fn folder(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.root.join(name);
        if !folder.exists() {
            let partial = tempfile::tempdir_in(&self.root)?;
            fill(partial.path())?;
            std::fs::rename(partial.keep(), &folder)?;
        }
        Ok(folder)
    }
}

/// The package lists, fetched when first needed.
fn packages(archive: &mut Option<Archive>) -> Result<&Archive> {
    if archive.is_none() {
        *archive = Some(Archive::fetch(&KERNEL_SUITES)?);
    }
    Ok(archive.as_ref().expect("just set"))
}

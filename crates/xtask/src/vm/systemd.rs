// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's systemd as the guest's first process: `init.sh` makes way for it, and it starts the command.
//!
//! The packages are those that apt would install, from the release that Linux 6.12 is of. All their units are there; those
//! of the boot are started, as they would be on a machine.

use std::path::Path;

use anyhow::{Context, Result};

use super::cpio::Tree;
use super::debian::Archive;
use super::guest::add;

const RELEASE: &str = "trixie";

/// Fetches systemd and what it needs.
pub fn unpack(into: &Path) -> Result<()> {
    let archive = Archive::fetch(&[RELEASE])?;
    archive.unpack(&archive.needed("systemd")?, into)
}

/// What starts the command, once the machine is up.
const UNIT: &str = "\
[Unit]
Description=The command of the guest
[Service]
ExecStart=/init run
StandardOutput=null
StandardError=null
";

/// Adds what `unpack` fetched.
pub fn put(tree: &mut Tree, folder: &Path) -> Result<()> {
    const LOADER: &str = "ld-linux-x86-64.so.2";
    for (from, to) in [("bin", "bin"), ("sbin", "bin"), ("lib", "usr/lib")] {
        add(tree, &folder.join("usr").join(from), to).with_context(|| format!("systemd's {from}"))?;
    }
    tree.symlink(&format!("lib64/{LOADER}"), &format!("../usr/lib/x86_64-linux-gnu/{LOADER}"));
    // Without it this is the machine's first boot, which enables units by their presets.
    tree.file("etc/machine-id", 0o444, format!("{:032x}\n", 1));
    tree.file("etc/systemd/system/guest.service", 0o644, UNIT);
    Ok(())
}

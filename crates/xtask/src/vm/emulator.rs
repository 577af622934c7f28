// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which emulator runs the guest.
//!
//! QEMU before version 8 computes the flags of cmpxchg16b from a stale state; a guest interrupted soon
//! after has garbage in EFLAGS, and about one boot of 6.12 in twenty ends in an oops. Hiding the
//! instruction helps 6.12, but 7.x then has no memory for task storage (ENOMEM). So where the machine's
//! QEMU is older, the one from the backports of the machine's Debian release is fetched and run from the
//! cache; the installed package provides the libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian::{self, Archive};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGES: [&str; 4] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];
const FIRST_SOUND_VERSION: u32 = 8;

/// An emulator that can be relied on.
pub enum Emulator {
    /// The machine's own.
    Installed,
    /// One unpacked in this folder.
    Unpacked(PathBuf),
}

impl Emulator {
    /// The machine's own, if it is sound; else one from a folder that `unpack` fills if it is not there.
    pub fn find(folder: impl FnOnce(&dyn Fn(&Path) -> Result<()>) -> Result<PathBuf>) -> Result<Emulator> {
        let output = Command::new(PROGRAM).arg("--version").output();
        let output =
            output.with_context(|| format!("cannot run {PROGRAM}: apt-get install qemu-system-x86"))?;
        match major_version(&String::from_utf8_lossy(&output.stdout)) {
            Some(version) if version >= FIRST_SOUND_VERSION => Ok(Emulator::Installed),
            Some(_) => Ok(Emulator::Unpacked(folder(&unpack)?)),
            None => bail!("{PROGRAM} --version says {:?}", String::from_utf8_lossy(&output.stdout)),
        }
    }

    /// The command that starts it, to be given the machine's description. The emulator dies with us.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        match self {
            Emulator::Installed => drop(command.arg(PROGRAM)),
            Emulator::Unpacked(folder) => {
                command.arg(folder.join("usr/bin").join(PROGRAM));
                command.arg("-L").arg(folder.join("usr/share/qemu"));
                command.arg("-L").arg(folder.join("usr/share/seabios"));
            }
        }
        command
    }
}

fn unpack(into: &Path) -> Result<()> {
    let backports = format!("{}-backports", debian::mirror()?.release);
    let archive = Archive::fetch(&[&backports])?;
    let version = |package: &str| {
        let newest = archive.newest(package)?;
        Ok(format!("{package}={}", newest.get("Version").context("a package without a version")?))
    };
    archive.unpack(&PACKAGES.map(version).into_iter().collect::<Result<Vec<_>>>()?, into)
}

/// The 7 of "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg)".
fn major_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("version ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n"), Some(7));
        assert_eq!(major_version("QEMU emulator version 10.0.2\n"), Some(10));
        assert_eq!(major_version("QEMU emulator\n"), None);
    }
}

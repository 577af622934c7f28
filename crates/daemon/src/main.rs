// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `landlockd` command.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use landlock_daemon::server::{End, serve};
use landlock_daemon::{Kernel, confine, listen};

/// Loads rules into the kernel for processes that may not.
///
/// Started by systemd, it takes the sockets that are handed over, and ends when nobody has wanted anything for a while;
/// what it loaded stays in force. Needs root. It has no configuration.
#[derive(Parser)]
#[command(name = "landlockd", version, max_term_width = 100)]
struct Cli {
    /// Listen at this path, and at it as an abstract name, and do not end: for machines without systemd.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// After so long without clients a daemon of systemd's ends.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(End::Idle) => ExitCode::SUCCESS,
        Ok(End::Gone) => {
            eprintln!(
                "landlockd: the state in {} was removed; start landlockd again",
                landlock_kernel::FOLDER
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("landlockd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<End> {
    let (sockets, idle) = match (&cli.socket, listen::inherited()?) {
        (Some(path), _) => (listen::bound(path)?, None),
        (None, inherited) if !inherited.is_empty() => (inherited, Some(IDLE)),
        (None, _) => bail!("systemd handed over no socket; without systemd, give --socket a path"),
    };
    let kernel = Kernel::open().context("the kernel target cannot be used")?;
    let confined = confine::confine(Some(Path::new(landlock_kernel::FOLDER)))?;
    if !confined.landlock {
        eprintln!("landlockd: mainline Landlock is off on this machine; files are not closed to the daemon");
    }
    Ok(serve(&sockets, kernel, idle)?)
}

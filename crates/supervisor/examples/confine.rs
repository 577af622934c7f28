// SPDX-License-Identifier: MIT OR Apache-2.0
//! `confine [--stackable] LOG RULE… -- COMMAND…`: runs a command under rules, for the tests. Denials go to LOG as
//! JSON lines; `-` keeps none.
//! Exits as the command does, 128 + n for signal n, 125 when no sandbox could be made.

use std::error::Error;
use std::fs::File;
use std::process::{Command, ExitCode};

use landlock_compiler::domain::Domain;
use landlock_compiler::read::read_file;
use landlock_compiler::verify::{Loader, verify};
use landlock_supervisor::denial::Log;
use landlock_supervisor::{Ended, Stacking};

fn main() -> ExitCode {
    match confine() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("confine: {error}");
            ExitCode::from(125)
        }
    }
}

fn confine() -> Result<u8, Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).peekable();
    let stackable = args.next_if(|argument| argument == "--stackable").is_some();
    let stacking = if stackable { Stacking::Any } else { Stacking::Covered };
    let log = args.next().ok_or("no log named")?;
    let log = match log.to_str() {
        Some("-") => Log::none(),
        _ => Log::json(File::options().create(true).append(true).open(log)?),
    };
    let mut rules = Vec::new();
    for file in args.by_ref().take_while(|argument| argument != "--") {
        for object in read_file(file.as_ref())? {
            rules.push(verify(object, &Loader { cap_sys_admin: false })?);
        }
    }
    let mut command = Command::new(args.next().ok_or("no command")?);
    command.args(args);
    Ok(match landlock_supervisor::run_stacking(Domain::prepended(rules), log, command, stacking)? {
        Ended::Exited(code) => u8::try_from(code)?,
        Ended::Killed(signal) => 128 + u8::try_from(signal)?,
        Ended::NotStarted(errno) => {
            return Err(format!("not started: {}", std::io::Error::from_raw_os_error(errno)).into());
        }
    })
}

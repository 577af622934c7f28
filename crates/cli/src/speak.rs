// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the commands say. Results go to standard output, everything else to standard error; a reader
//! that went away is no reason to fail, let alone to panic.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints the result of a command.
///
/// # Errors
/// Standard output cannot be written, unless it is a pipe that nobody reads any more.
pub fn result(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// A value for programs.
///
/// # Errors
/// It has no JSON form; none of ours.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Tells about an error and its causes.
pub fn error(error: &anyhow::Error) {
    notice(&chain(error));
}

/// Tells anything else than a result.
pub fn notice(message: &dyn Display) {
    // Without standard error there is nowhere to complain about it.
    drop(writeln!(std::io::stderr(), "landlock: {}", plain(message)));
}

/// Text without anything a terminal would obey: names of files and rules may come from somebody else.
pub fn plain(text: &dyn Display) -> String {
    text.to_string().chars().fold(String::new(), |mut plain, letter| {
        match letter {
            '\n' | '\t' => plain.push(letter),
            letter if letter.is_control() => plain.extend(letter.escape_default()),
            letter => plain.push(letter),
        }
        plain
    })
}

/// An error and its causes in one text; causes that an error names itself are not repeated.
fn chain(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.is_empty() {
            true => cause,
            false if text.contains(&cause) => text,
            false => format!("{text}: {cause}"),
        }
    })
}

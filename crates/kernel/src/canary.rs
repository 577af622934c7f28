// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proof that denials deny: a thread of ours enters a domain that denies opening, and opens.

use std::fs::File;
use std::io;

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::hooks;
use landlock_compiler::verify::{Loader, verify};
use rustix::io::Errno;

use crate::engine::{self, Engine};
use crate::error::{Error, Result};

const RULE: &str = ".rule canary\n.event FS\n.license \"GPL\"\n    r0 = 1\n    exit\n";
const FILE: &str = "/dev/null";

/// Tries a denial in a thread that ends with it.
pub(crate) fn sing(engine: &mut Engine) -> Result<()> {
    let hook = hooks::by_name("file_open").expect("a hook of the table");
    let loaded = engine.load_at(std::slice::from_ref(hook), domain()?, Vec::new())?;
    let token = engine.token(&loaded)?;
    let thread =
        std::thread::Builder::new().name("canary".to_owned()).spawn(move || open_before_and_after(token));
    let silent = |why: String| Error::Canary(why);
    let answers = thread.map_err(|error| silent(error.to_string()))?.join();
    let (before, after) = answers.map_err(|_| silent("the test thread panicked".to_owned()))??;
    match (before, after) {
        (Ok(()), Err(error)) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => Ok(()),
        (Err(error), _) => Err(silent(format!("{FILE} cannot be opened to begin with: {error}"))),
        (_, Ok(())) => Err(silent(format!("{FILE} was opened in a domain that denies it"))),
        (_, Err(error)) => Err(silent(format!("{FILE} was denied with another error: {error}"))),
    }
}

type Opened = io::Result<()>;

fn open_before_and_after(token: u64) -> Result<(Opened, Opened)> {
    let open = || File::open(FILE).map(drop);
    let before = open();
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| Error::Canary(format!("no_new_privs: {errno}")))?;
    engine::enter(token)?;
    Ok((before, open()))
}

fn domain() -> Result<Domain> {
    let broken = |what: String| Error::Canary(format!("the canary rule is broken: {what}"));
    let objects = asm::parse(RULE, "canary").map_err(|errors| broken(errors.to_string()))?;
    let verified = objects.into_iter().map(|object| verify(object, &Loader::default()));
    let rules: std::result::Result<Vec<_>, _> = verified.collect();
    Ok(Domain::prepended(rules.map_err(|problems| broken(problems.to_string()))?))
}

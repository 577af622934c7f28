// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proof that denials deny: a thread of ours enters a domain that denies giving locks back, and gives one back.
//!
//! The domain stays published for the next engine, at a hook that is seldom asked.

use std::fs::File;

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::hooks;
use landlock_compiler::verify::{Loader, verify};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::about::Content;
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::loaded::Denials;

const RULE: &str = ".rule canary\n.event FS\n.license \"GPL\"\n    r0 = 1\n    exit\n";
const FILE: &str = "/dev/null";

/// Tries a denial in a thread that ends with it.
pub(crate) fn sing(engine: &mut Engine) -> Result<()> {
    let hook = hooks::by_name("file_lock").expect("a hook of the table");
    let domain = domain()?;
    let content = Content::of(&domain, Vec::new(), true);
    let loaded = engine.load_at(std::slice::from_ref(hook), domain, content, Denials::Shared, None)?;
    let token = engine.token(&loaded)?;
    let thread =
        std::thread::Builder::new().name("canary".to_owned()).spawn(move || unlock_before_and_after(token));
    let silent = |why: String| Error::Canary(why);
    let answers = thread.map_err(|error| silent(error.to_string()))?.join();
    let (before, after) = answers.map_err(|_| silent("the test thread panicked".to_owned()))??;
    match (before, after) {
        (Ok(()), Err(Errno::PERM)) => Ok(()),
        (Err(errno), _) => Err(silent(format!("{FILE} cannot be unlocked to begin with: {errno}"))),
        (_, Ok(())) => Err(silent(format!("{FILE} was unlocked in a domain that denies it"))),
        (_, Err(errno)) => Err(silent(format!("{FILE} was denied with another error: {errno}"))),
    }
}

/// Whether it is known why nothing denies: the kernel calls no program at its functions, with either way to attach.
pub(crate) fn is_switched_off() -> bool {
    std::fs::read("/proc/sys/kernel/ftrace_enabled").is_ok_and(|text| text.starts_with(b"0"))
}

type Unlocked = std::result::Result<(), Errno>;

/// There is no lock; the hook is asked all the same.
fn unlock_before_and_after(token: u64) -> Result<(Unlocked, Unlocked)> {
    let file = File::open(FILE).map_err(|error| Error::Canary(format!("{FILE}: {error}")))?;
    let unlock = || flock(&file, FlockOperation::Unlock);
    let before = unlock();
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| Error::Canary(format!("no_new_privs: {errno}")))?;
    engine::enter(token)?;
    Ok((before, unlock()))
}

fn domain() -> Result<Domain> {
    let broken = |what: String| Error::Canary(format!("the canary rule is broken: {what}"));
    let objects = asm::parse(RULE, "canary").map_err(|errors| broken(errors.to_string()))?;
    let verified = objects.into_iter().map(|object| verify(object, &Loader::default()));
    let rules: std::result::Result<Vec<_>, _> = verified.collect();
    Ok(Domain::prepended(rules.map_err(|problems| broken(problems.to_string()))?))
}

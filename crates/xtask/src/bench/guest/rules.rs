// SPDX-License-Identifier: MIT OR Apache-2.0
//! The domains that are measured.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use landlock_compiler::classic::Filter;
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::map::Handle;
use landlock_compiler::object::RuleObject;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify, verify_newest};
use landlock_compiler::{asm, read};
use rustix::fs::{Mode, OFlags};

/// The rule of a file with one rule.
pub fn from_file(path: &Path) -> Result<Rule> {
    verified(read::read_file(path)?.pop())
}

/// A rule of the sample rule's shape, which denies where that one can, but no file there is.
pub fn lenient(number: usize) -> Result<Rule> {
    parse(&lenient_text(number))
}

/// The same as a file has it.
pub fn lenient_text(number: usize) -> String {
    format!(
        ".rule lenient{number}\n.event FS\n.license \"GPL\"\n    r2 = *(u64 *)(r1 + 24)\n    r0 = 0\n    \
         r2 &= 2\n    if r2 == 0 goto end\n    r1 = *(u64 *)(r1 + 16)\n    call handle_fs_get_mode\n    \
         r1 = r0\n    r0 = 0\n    r1 &= 0xffff\n    if r1 != {} goto end\n    r0 = 1\nend:\n    exit\n",
        0xe000 + number
    )
}

/// A rule that can deny ioctls only, and denies one that nobody asks for.
pub fn ioctl(number: usize) -> Result<Rule> {
    parse(&format!(
        ".rule ioctl{number}\n.event FS_IOCTL\n.license \"GPL\"\n    r1 = *(u64 *)(r1 + 24)\n    r0 = 0\n    \
         if r1 != {} goto end\n    r0 = 1\nend:\n    exit\n",
        0x6666_0000 + number
    ))
}

/// Opens nothing that is not beneath one of these, ABI 2's way: for the cookie of a filter.
pub fn allow_list(paths: &[&str]) -> Result<Domain> {
    let text = ".rule allow_list\n.abi 2\n.event FILE_OPEN\n.license \"GPL\"\n.map allowed fs 10\n    \
                r4 = *(u64 *)(r1 + 8)\n    r1 = 0\n    r2 = map allowed\n    r3 = 1\n    call 32\n    \
                if r0 == 0 goto end\n    r0 = 13\nend:\n    exit\n";
    let object = asm::parse(text, "bench").map_err(|errors| anyhow!("{errors}"))?.pop().context("no rule")?;
    let rule = verify_newest(object, &Loader::default()).map_err(|problems| anyhow!("{problems}"))?;
    for path in paths {
        let opened = rustix::fs::open(*path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        rule.maps()[0].append(Handle::held(opened))?;
    }
    Ok(Domain::layered([Layer::Filter(Filter::always(5)), Layer::Rule(rule)]))
}

/// `first` and so many others.
pub fn with(first: Rule, others: usize, other: impl Fn(usize) -> Result<Rule>) -> Result<Domain> {
    let others: Vec<Rule> = (1..=others).map(other).collect::<Result<_>>()?;
    Ok(Domain::prepended([first].into_iter().chain(others)))
}

fn parse(text: &str) -> Result<Rule> {
    verified(asm::parse(text, "bench").map_err(|errors| anyhow!("{errors}"))?.pop())
}

fn verified(object: Option<RuleObject>) -> Result<Rule> {
    verify(object.context("no rule")?, &Loader::default()).map_err(|problems| anyhow!("{problems}"))
}

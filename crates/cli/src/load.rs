// SPDX-License-Identifier: MIT OR Apache-2.0
//! From files on the command line to rules that are in order.

use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};

use landlock_compiler::read::{FileError, read_file};
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, Problems, verify};
use rustix::thread::{CapabilitySet, capabilities};

/// What one file holds.
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its rules in file order, each as the verifier judged it; or why it cannot be read.
    pub rules: Result<Vec<Result<Rule, Problems>>, FileError>,
}

/// Reads and verifies each file, for somebody who may load what `loader` may.
pub fn load<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
    loader: &Loader,
) -> impl Iterator<Item = Loaded> {
    let load = |path: &PathBuf| Loaded {
        path: path.clone(),
        rules: read_file(path)
            .map(|objects| objects.into_iter().map(|object| verify(object, loader)).collect()),
    };
    files.into_iter().map(load)
}

/// Every rule of the files, in order.
///
/// # Errors
/// One message for each file that cannot be read and each rule that is refused.
pub fn every_rule(files: &[PathBuf], loader: &Loader) -> Result<Vec<Rule>, Vec<String>> {
    let mut rules = Vec::new();
    let mut messages = Vec::new();
    for file in load(files, loader) {
        match file.rules {
            Err(error) => messages.push(error.to_string()),
            Ok(verdicts) => {
                for verdict in verdicts {
                    match verdict {
                        Ok(rule) => rules.push(rule),
                        Err(problems) => messages.push(refusal(&file.path, &problems)),
                    }
                }
            }
        }
    }
    if messages.is_empty() { Ok(rules) } else { Err(messages) }
}

/// Everything wrong with one rule of a file.
pub fn refusal(path: &Path, problems: &Problems) -> String {
    format!("{}: {problems}", path.display())
}

/// A loader that may load any rule: for questions about rules, not for enforcing them.
pub const ANY: Loader = Loader { cap_sys_admin: true };

/// What the user of this process may load.
pub fn ourselves() -> Loader {
    let effective = capabilities(None).map(|sets| sets.effective).unwrap_or(CapabilitySet::empty());
    Loader { cap_sys_admin: effective.contains(CapabilitySet::SYS_ADMIN) && in_initial_user_namespace() }
}

/// A capability counts only where it was not made up by unsharing a namespace.
fn in_initial_user_namespace() -> bool {
    const INITIAL: u64 = 0xefff_fffd;
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|namespace| namespace.st_ino() == INITIAL)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From files on the command line to rules that are in order.

use std::path::{Path, PathBuf};

use landlock_compiler::object::RuleObject;
use landlock_compiler::read::read_file;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};

use crate::speak;

/// The rules of each file in order, as the verifier judges them for `loader`; a file that cannot be read
/// counts as one refused rule. Rules of any ABI are accepted: what can be enforced is a target's to say. What is
/// wrong is a message that names the file.
pub fn load<'a>(
    files: &'a [PathBuf],
    loader: &Loader,
) -> impl Iterator<Item = (&'a Path, Result<Rule, String>)> {
    files.iter().flat_map(|path| {
        let judged = match read_file(path) {
            Ok(objects) => objects.into_iter().map(|object| judge(path, object, loader)).collect(),
            Err(error) => vec![Err(error.to_string())],
        };
        judged.into_iter().map(move |rule| (path.as_path(), rule))
    })
}

fn judge(path: &Path, object: RuleObject, loader: &Loader) -> Result<Rule, String> {
    verify_newest(object, loader).map_err(|problems| format!("{}: {problems}", path.display()))
}

/// Every rule of the files, in order. `None` if anything is wrong with any of them, after telling
/// everything that is.
pub fn every_rule_or_tell(files: &[PathBuf], loader: &Loader) -> Option<Vec<Rule>> {
    let (accepted, refused): (Vec<_>, Vec<_>) =
        load(files, loader).map(|(_, rule)| rule).partition(Result::is_ok);
    for message in refused.iter().filter_map(|rule| rule.as_ref().err()) {
        speak::notice(message);
    }
    refused.is_empty().then(|| accepted.into_iter().flatten().collect())
}

/// A loader that may load any rule: for questions about rules, not for enforcing them.
pub const ANY: Loader = Loader { cap_sys_admin: true };

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens decided by mainline Landlock instead of by us, where somebody has chosen that.
//!
//! It takes rules on `FILE_OPEN` that amount to a list of what may be opened
//! ([`Domain::allow_list`](landlock_compiler::domain::Domain::allow_list)). The list becomes a ruleset, in the layer
//! the tree has anyway; open(2), openat(2) and creat(2) are not notified any more. What else opens files (openat2(2),
//! execve(2) and so on) is asked about as ever, by the rules themselves.
//!
//! # What is different
//!
//! Whatever has a name is judged the same, by its inode and those of the directories above, with the same errno in
//! the same place. What differs, and why it has to be chosen:
//!
//! * what was deleted is beneath what its last name was beneath, and what never had a name in a file system that can be
//!   mounted (pipes, memory) may be opened again through `/proc`;
//! * where we cannot tell how things relate, and refuse, the kernel can;
//! * what the kernel itself opens in the name of a caller (a core dump) is judged as well;
//! * refusals are not logged, and the list is what it was in the beginning.

use std::os::fd::BorrowedFd;

use landlock::{AccessFs, BitFlags, PathBeneath, RulesetCreated, RulesetCreatedAttr};
use landlock_compiler::domain::{Domain, NotLowered};
use landlock_compiler::map::Handle;
use rustix::fs::{FileType, fstat};

use crate::boundary;
use crate::filter::{ARCH, OPENS};

/// The handles at and beneath which everything may be opened.
#[derive(Clone, Debug)]
pub struct Lowered(Vec<Handle>);

impl Lowered {
    /// Those of the rules of `domain`, as they are now.
    ///
    /// # Errors
    /// [`NotLowered`]: the rules do not amount to such a list.
    pub fn of(domain: &Domain) -> Result<Lowered, NotLowered> {
        Ok(Lowered(domain.allow_list(&OPENS, ARCH)?.handles()))
    }

    /// The ruleset as a layer, which is the inner one of the ptrace boundary as well.
    pub fn layer(&self) -> Result<RulesetCreated, boundary::Error> {
        let mut ruleset = boundary::ruleset(file_rights() | AccessFs::ReadDir | AccessFs::MakeReg)?;
        for handle in self.0.iter().filter_map(Handle::descriptor) {
            ruleset = ruleset.add_rule(PathBeneath::new(handle, rights(handle)))?;
        }
        Ok(ruleset)
    }
}

fn file_rights() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::WriteFile
}

/// All that is handled, as far as it can be had on such an object. Making files is handled, because an open that is
/// refused must not leave one behind; mknod(2) is ours, which nobody refuses.
fn rights(handle: BorrowedFd<'_>) -> BitFlags<AccessFs> {
    let is_directory =
        fstat(handle).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if is_directory { file_rights() | AccessFs::ReadDir | AccessFs::MakeReg } else { file_rights() }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of what to do to have each instance of the hook table asked, and what it is told.

mod descriptors;
mod files;
mod folders;
mod mounts;
mod newer;

use rustix::io::Errno;

use crate::place::{Mark, Place};

/// What is done in the domain, after what prepares it was done outside.
pub type Act = Box<dyn FnOnce() -> Result<(), Errno> + Send>;

/// A way to have an instance asked.
pub struct Case {
    pub hook: &'static str,
    /// Number of the instance in the hook's row.
    pub instance: usize,
    /// What is done, in words.
    pub what: &'static str,
    pub prepare: fn(&Place) -> Act,
    /// The object the instance is asked about.
    pub mark: Mark,
    /// What the rule is told: actions or the command.
    pub arg2: u64,
    /// Which of the questions about the object: those that have the second bits of the first.
    pub when: (u64, u64),
    /// What the act comes to without the rule.
    pub free: Result<Change, Errno>,
}

/// What an act changes of what can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Some,
    None,
}

/// A case that changes nothing to be seen, and whose instance is the first that is asked about the object.
const fn case(
    hook: &'static str,
    instance: usize,
    what: &'static str,
    (mark, arg2): (Mark, u64),
    prepare: fn(&Place) -> Act,
) -> Case {
    Case { hook, instance, what, prepare, mark, arg2, when: (0, 0), free: Ok(Change::None) }
}

impl Case {
    const fn changes(self) -> Case {
        Case { free: Ok(Change::Some), ..self }
    }

    /// The question that has none of these actions.
    const fn without(self, actions: u64) -> Case {
        Case { when: (actions, 0), ..self }
    }

    /// The question that has all of these actions.
    const fn with(self, actions: u64) -> Case {
        Case { when: (actions, actions), ..self }
    }

    /// The kernel itself fails, with another error, what no rule denies.
    const fn fails(self, errno: Errno) -> Case {
        Case { free: Err(errno), ..self }
    }
}

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [folders::CASES, files::CASES, descriptors::CASES, mounts::CASES, newer::CASES].into_iter().flatten()
}

fn act<T>(action: impl FnOnce() -> Result<T, Errno> + Send + 'static) -> Act {
    Box::new(move || action().map(drop))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Comparisons with handles: what the three helpers of ABI 2 answer, given how things relate.

use crate::abi::handles::{OP_OR, Options, Properties};
use crate::map::Handle;

const MATCH: i64 = 0;
const NO_MATCH: i64 = 1;
const ENOENT: i64 = -2;
const EINVAL: i64 = -22;

/// Which way [`Relation::beneath`] and [`Relation::cgroup_beneath`] look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Is the object, or the caller's cgroup, the handle's or beneath it?
    Beneath,
    /// Is the handle's the object, or the caller's cgroup, or beneath it?
    Reverse,
}

/// How the object of one question and its caller relate to what handles stand for.
///
/// `None` says that it cannot be told, be it that a handle is none of ours or that there was too much to look
/// at: the question is then refused, whatever the rule would have made of it (unless specialising found that the
/// comparison changes nothing).
///
/// A name that does not exist yet has a directory, a file system and a mount, but no inode, and is no name of
/// anything: it is beneath what its directory is beneath. A file that was deleted, or that is no longer reached
/// from its mount's root, is beneath nothing but itself.
pub trait Relation {
    /// What the object has in common with the handle's file.
    fn shared(&self, handle: &Handle) -> Option<Properties>;

    /// Whether one is the other, or beneath it, through mounts and however deep.
    fn beneath(&self, handle: &Handle, direction: Direction) -> Option<bool>;

    /// The same of the caller's cgroup (of version 2) and the handle's.
    fn cgroup_beneath(&self, handle: &Handle, direction: Direction) -> Option<bool>;

    /// [`Relation::beneath`] for one of several handles. A match is one whatever cannot be told of the others.
    fn beneath_any(&self, handles: &[Handle], direction: Direction) -> Option<bool> {
        one_of(handles, |handle| self.beneath(handle, direction))
    }
}

/// Whether one handle matches; none does in an empty array. A match is one whatever cannot be told of the others.
pub fn one_of(handles: &[Handle], matches: impl Fn(&Handle) -> Option<bool>) -> Option<bool> {
    let mut none = Some(false);
    for handle in handles {
        match matches(handle) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => none = None,
        }
    }
    none
}

/// Nothing can be told of any handle.
#[derive(Clone, Copy, Debug)]
pub struct Unrelated;

impl Relation for Unrelated {
    fn shared(&self, _handle: &Handle) -> Option<Properties> {
        None
    }

    fn beneath(&self, _handle: &Handle, _direction: Direction) -> Option<bool> {
        None
    }

    fn cgroup_beneath(&self, _handle: &Handle, _direction: Direction) -> Option<bool> {
        None
    }
}

/// The arguments all three helpers have, and what they are about.
pub(super) struct Comparison<'a> {
    /// Properties or options.
    pub flags: u64,
    pub handles: &'a [Handle],
    pub op: u64,
    pub relation: &'a dyn Relation,
}

impl Comparison<'_> {
    /// `cmp_fs_prop`: all the properties must be shared with one and the same handle.
    pub fn fs_prop(&self, is_null: bool) -> Option<i64> {
        if is_null {
            return Some(ENOENT);
        }
        let Some(wanted) = Properties::from_bits(self.flags) else { return Some(EINVAL) };
        self.answer(|| one_of(self.handles, |handle| Some(self.relation.shared(handle)?.contains(wanted))))
    }

    /// `cmp_fs_beneath`.
    pub fn fs_beneath(&self, is_null: bool) -> Option<i64> {
        if is_null {
            return Some(ENOENT);
        }
        let Some(direction) = self.direction() else { return Some(EINVAL) };
        self.answer(|| self.relation.beneath_any(self.handles, direction))
    }

    /// `cmp_cgroup_beneath`.
    pub fn cgroup_beneath(&self) -> Option<i64> {
        let Some(direction) = self.direction() else { return Some(EINVAL) };
        self.answer(|| one_of(self.handles, |handle| self.relation.cgroup_beneath(handle, direction)))
    }

    fn direction(&self) -> Option<Direction> {
        let reverse = Options::from_bits(self.flags)?.contains(Options::REVERSE);
        Some(if reverse { Direction::Reverse } else { Direction::Beneath })
    }

    fn answer(&self, matches: impl FnOnce() -> Option<bool>) -> Option<i64> {
        if self.op != OP_OR {
            return Some(EINVAL);
        }
        matches().map(|matches| if matches { MATCH } else { NO_MATCH })
    }
}

#[cfg(test)]
mod tests;

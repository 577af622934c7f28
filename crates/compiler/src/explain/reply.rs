// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reply to an operation: per file type, and put together.

use serde::Serialize;

use super::operations::{Arg2, Ask, Object, Operation};
use crate::abi::Event;
use crate::domain::{Composed, Domain};
use crate::file_type::FileType;
use crate::specialise::{Answer, Bits, Field, InputSet, Known, ObjectKnown};

/// The reply to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Whatever the object.
    Allowed,
    /// Whatever the object.
    Denied,
    /// On the file type, if there are several groups, and on what each group says.
    Depends {
        /// The file types with the same outcome, the most common outcome first.
        groups: Vec<Group>,
    },
}

/// File types with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Which types.
    pub types: Vec<FileType>,
    /// Their outcome.
    pub outcome: Outcome,
}

/// What happens to an object of a known type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Always.
    Allowed,
    /// Always.
    Denied,
    /// Depends on these; on something this page cannot name, if there are none.
    DependsOn(Vec<Factor>),
}

/// What an outcome may depend on, besides the file type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// These permission bits of the object.
    Permissions(u64),
    /// The command, in ways that no list of commands tells.
    Command,
    /// The architecture of the system call.
    Architecture,
    /// Which system call it is.
    Syscall,
    /// The caller's process or thread id.
    Process,
    /// The caller's user id.
    User,
    /// The caller's group id.
    Group,
    /// The caller's command name.
    CommandName,
    /// How the object or the caller relates to the handles of maps.
    Handles,
}

/// Commands with a reply of their own: those that are `value` under `mask`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The command.
    pub value: u32,
    /// The bits of a command that are looked at; all, for a single command.
    pub mask: u32,
    /// Its name, if it is well known.
    pub name: Option<&'static str>,
    /// The reply to it.
    #[serde(flatten)]
    pub reply: Reply,
}

/// Which commands a reply is for.
pub(super) struct Commands<'a> {
    pub within: Bits,
    pub except: &'a [Bits],
}

impl Commands<'_> {
    pub const ALL: Commands<'static> = Commands { within: Bits::ANY32, except: &[] };
}

/// The reply to an operation with one of these commands; `None` if there are no such commands.
pub(super) fn reply(domain: &Domain, operation: &Operation, commands: &Commands<'_>) -> Option<Reply> {
    let mut groups: Vec<Group> = Vec::new();
    for file_type in operation.types.iter().copied() {
        let outcome = outcome(domain, operation, file_type, commands)?;
        match groups.iter_mut().find(|group| group.outcome == outcome) {
            Some(group) => group.types.push(file_type),
            None => groups.push(Group { types: vec![file_type], outcome }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.types.len()));
    Some(match groups.as_slice() {
        [Group { outcome: Outcome::Allowed, .. }] => Reply::Allowed,
        [Group { outcome: Outcome::Denied, .. }] => Reply::Denied,
        _ => Reply::Depends { groups },
    })
}

/// The questions of an operation, put to the domain: one denial is enough, all must allow.
fn outcome(
    domain: &Domain,
    operation: &Operation,
    file_type: FileType,
    commands: &Commands<'_>,
) -> Option<Outcome> {
    let mut factors = Vec::new();
    let (mut denied, mut open) = (false, false);
    for ask in operation.asks {
        let composed = put(domain, ask, file_type, commands)?;
        match composed.always() {
            Some(Answer::Allow) => {}
            Some(Answer::Deny) => denied = true,
            None => {
                open = true;
                factors.extend(factors_of(&composed));
            }
        }
    }
    factors.sort_unstable();
    factors.dedup();
    Some(match (denied, open) {
        (true, _) => Outcome::Denied,
        (_, true) => Outcome::DependsOn(merged(factors)),
        _ => Outcome::Allowed,
    })
}

/// Puts one question.
pub(super) fn put(
    domain: &Domain,
    ask: &Ask,
    subject: FileType,
    commands: &Commands<'_>,
) -> Option<Composed> {
    let object = match ask.object {
        Object::Subject => subject.known(),
        Object::Other(other) => other.known(),
        Object::Absent => ObjectKnown::Absent,
    };
    let (event, arg2) = match ask.arg2 {
        Arg2::Actions(actions) => (Event::Fs, Bits::exactly(actions.bits())),
        Arg2::Command(event) => (event, commands.within),
    };
    let inputs = InputSet::of(&Known::new(event, arg2).with_object(object));
    let inputs = match ask.arg2 {
        Arg2::Actions(_) => inputs,
        Arg2::Command(_) => inputs.without(Field::Arg2, commands.except)?,
    };
    Some(domain.over(event, &inputs))
}

fn factors_of(composed: &Composed) -> Vec<Factor> {
    const LOW: u64 = u32::MAX as u64;
    let mut factors = Vec::new();
    let mut on = |field, mask: u64, factor| {
        if composed.looks_at(field) & mask != 0 {
            factors.push(factor);
        }
    };
    let permissions = composed.looks_at(Field::Mode);
    on(Field::Mode, u64::MAX, Factor::Permissions(permissions));
    on(Field::Arg2, u64::MAX, Factor::Command);
    on(Field::Arch, u64::MAX, Factor::Architecture);
    on(Field::SyscallNr, u64::MAX, Factor::Syscall);
    on(Field::PidTgid, u64::MAX, Factor::Process);
    on(Field::UidGid, LOW, Factor::User);
    on(Field::UidGid, !LOW, Factor::Group);
    on(Field::CommLow, u64::MAX, Factor::CommandName);
    on(Field::CommHigh, u64::MAX, Factor::CommandName);
    if composed.compares() {
        factors.push(Factor::Handles);
    }
    factors
}

/// Permission bits that several questions look at, as one factor.
fn merged(factors: Vec<Factor>) -> Vec<Factor> {
    let mut all: Vec<Factor> = Vec::new();
    for factor in factors {
        match (all.last_mut(), factor) {
            (Some(Factor::Permissions(bits)), Factor::Permissions(more)) => *bits |= more,
            _ => all.push(factor),
        }
    }
    all
}

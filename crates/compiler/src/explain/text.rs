// SPDX-License-Identifier: MIT OR Apache-2.0
//! An explanation as text: replies as headings, operations listed under them.

use std::fmt;

use super::{Command, Explained, Explanation, Factor, FilterSummary, Group, Outcome, Reply, Summary};
use crate::file_type::FileType;
use crate::object::Printable;

/// Columns a list is broken at.
const COLUMNS: usize = 100;
const INDENT: &str = "    ";

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut filters = self.filters.iter().peekable();
        for position in 0..=self.rules.len() {
            while let Some(filter) = filters.next_if(|filter| filter.newer_rules == position) {
                writeln!(f, "{filter}")?;
            }
            if let Some(rule) = self.rules.get(position) {
                writeln!(f, "{rule}")?;
            }
        }
        for (heading, operations) in sections(&self.operations) {
            writeln!(f, "\n{heading}:")?;
            list(f, &operations)?;
        }
        if !self.hooks.is_empty() {
            writeln!(f, "\nasked once for each cookie:")?;
            self.hooks.iter().try_for_each(|hooked| writeln!(f, "{INDENT}{hooked}"))?;
        }
        self.not_in_the_kernel.iter().try_for_each(|rule| {
            writeln!(
                f,
                "\nrefused on the kernel target, which has no path for rule {} to compare with handles at:",
                Printable(&rule.rule)
            )?;
            list(f, &rule.hooks)
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, event {}", Printable(&self.name), self.event)?;
        if self.debug {
            f.write_str(", ability DEBUG")?;
        }
        Ok(())
    }
}

impl fmt::Display for FilterSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, {} instructions: ", self.instructions)?;
        match &self.may_say {
            Some(said) => f.write_str(&said.join(", ")),
            None => f.write_str("what it says is calculated"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Allowed => f.write_str("allowed"),
            Reply::Denied => f.write_str("denied"),
            Reply::Depends { groups } => {
                for (index, Group { types, outcome }) in groups.iter().enumerate() {
                    match index {
                        0 => write!(f, "{outcome}")?,
                        _ => write!(f, ", but {outcome} for {}", and(types.iter().map(|t| plural(*t))))?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Allowed => f.write_str("allowed"),
            Outcome::Denied => f.write_str("denied"),
            Outcome::DependsOn(factors) if factors.is_empty() => {
                f.write_str("depends on more than can be told")
            }
            Outcome::DependsOn(factors) => {
                write!(f, "depends on {}", and(factors.iter().map(ToString::to_string)))
            }
        }
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Permissions(bits) => write!(f, "the permission bits 0{bits:o}"),
            Factor::Command => f.write_str("the command"),
            Factor::Architecture => f.write_str("the architecture"),
            Factor::Syscall => f.write_str("the system call"),
            Factor::Process => f.write_str("the caller's process id"),
            Factor::User => f.write_str("the caller's user id"),
            Factor::Group => f.write_str("the caller's group id"),
            Factor::CommandName => f.write_str("the caller's command name"),
            Factor::Handles => f.write_str("the handles of its maps"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.mask) {
            (Some(name), _) => f.write_str(name),
            (None, u32::MAX) => write!(f, "{:#x}", self.value),
            (None, mask) => write!(f, "those with (command & {mask:#x}) == {:#x}", self.value),
        }
    }
}

/// Headings in the order allowed, denied, anything else as it comes; with their operations.
fn sections(operations: &[Explained]) -> Vec<(String, Vec<&'static str>)> {
    let mut sections: Vec<(String, Vec<&'static str>)> =
        vec![("always allowed".into(), Vec::new()), ("always denied".into(), Vec::new())];
    for explained in operations {
        let heading = heading(explained);
        match sections.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, list)) => list.push(explained.operation),
            None => sections.push((heading, vec![explained.operation])),
        }
    }
    sections.retain(|(_, list)| !list.is_empty());
    sections
}

fn heading(explained: &Explained) -> String {
    match (&explained.reply, explained.commands.as_slice()) {
        (Reply::Allowed, []) => "always allowed".into(),
        (Reply::Denied, []) => "always denied".into(),
        (reply, []) => reply.to_string(),
        (reply, commands) => format!("{reply}, but {}", by_reply(reply, commands)),
    }
}

/// The commands, those with the same reply together; last those that are exceptions among exceptions.
fn by_reply(overall: &Reply, commands: &[Command]) -> String {
    let mut replies: Vec<(&Reply, Vec<String>)> = Vec::new();
    for command in commands {
        match replies.iter_mut().find(|(reply, _)| *reply == &command.reply) {
            Some((_, list)) => list.push(command.to_string()),
            None => replies.push((&command.reply, vec![command.to_string()])),
        }
    }
    replies.sort_by_key(|(reply, _)| *reply == overall);
    let replies = replies.into_iter().map(|(reply, list)| format!("{reply} for {}", and(list)));
    replies.collect::<Vec<_>>().join(", ")
}

fn list(f: &mut fmt::Formatter<'_>, operations: &[&str]) -> fmt::Result {
    let mut column = 0;
    for (index, operation) in operations.iter().enumerate() {
        let comma = if index + 1 < operations.len() { ";" } else { "" };
        let word = format!("{operation}{comma}");
        if column == 0 || column + 1 + word.len() > COLUMNS {
            write!(f, "{}{INDENT}{word}", if column == 0 { "" } else { "\n" })?;
            column = INDENT.len() + word.len();
        } else {
            write!(f, " {word}")?;
            column += 1 + word.len();
        }
    }
    writeln!(f)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and(words: impl IntoIterator<Item = impl Into<String>>) -> String {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

fn plural(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "regular files",
        FileType::Directory => "directories",
        FileType::Symlink => "symbolic links",
        FileType::CharacterDevice => "character devices",
        FileType::BlockDevice => "block devices",
        FileType::Fifo => "FIFOs",
        FileType::Socket => "sockets",
        FileType::Anonymous => "anonymous inodes",
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each syscall can ask the rules, as far as its registers tell. The only list of syscalls.

mod cases;
mod table;

use landlock_compiler::abi::{Actions, Event};

use crate::request::{Answer, Request};

pub use cases::{LOOKUP, OPENED_BY_IOCTL};
pub use table::TABLE;

/// One syscall.
pub struct Row {
    /// The kernel's name.
    pub name: &'static str,
    /// Its number on x86-64.
    pub nr: u32,
    /// What it means for the rules.
    pub does: Does,
}

/// What a syscall means for the rules.
pub enum Does {
    /// Nothing they can see.
    Nothing,
    /// It may ask them.
    Asks(&'static [Case], Carry),
    /// Like `Asks`, and it changes the names in a directory: if one such syscall is decided here, all are,
    /// one at a time, so that none can slip between another's judging and acting.
    Renames(&'static [Case], Handler),
    /// It may change what the supervisor must know about the caller (identity, root, sharing), if its registers
    /// pass all tests of one of these groups; no group: always.
    Announces(&'static [&'static [Test]], Handler),
    /// A way around every question, closed.
    Closed(&'static str),
    /// Reported as not implemented, so that callers take the older call, whose registers tell more.
    Missing,
}

/// How a syscall that is decided here is carried out.
pub enum Carry {
    /// By us, on pinned objects.
    Out(Handler),
    /// By the kernel after our verdict: it acts on a descriptor number or an address, which other threads of
    /// the caller could point elsewhere meanwhile. The handler sees to that.
    On(Handler),
}

/// The name of a system call of x86-64, if it is known here.
pub fn name(nr: u32) -> Option<&'static str> {
    row(nr).map(|row| row.name)
}

/// Decides a waiting syscall and carries it out.
pub type Handler = fn(&Request<'_>) -> Answer;

/// Questions that a syscall asks if its registers pass every test.
pub struct Case {
    /// The tests; none: always.
    pub when: &'static [Test],
    /// The questions.
    pub asks: &'static [Possible],
}

/// A test of one register.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Which argument.
    pub arg: u8,
    /// Which half of it.
    pub half: Half,
    /// The bits looked at.
    pub mask: u32,
    /// What they are compared with.
    pub value: u32,
    /// Whether they must be equal or must differ.
    pub equal: bool,
}

/// Half of a 64-bit register; a filter compares 32 bits at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Bits 0 to 31.
    Low,
    /// Bits 32 to 63.
    High,
}

/// A question that may come up.
#[derive(Clone, Copy, Debug)]
pub struct Possible {
    /// The LSM hook it belongs to.
    pub hook: &'static str,
    /// What `arg2` holds.
    pub about: PossiblyAbout,
    /// The file types the object can have.
    pub types: Types,
}

/// What `arg2` of a possible question holds.
#[derive(Clone, Copy, Debug)]
pub enum PossiblyAbout {
    /// These actions.
    Actions(Actions),
    /// A command found in the low 32 bits of a register.
    CommandIn(Event, u8),
    /// One of these commands.
    CommandOf(Event, &'static [u32]),
}

impl PossiblyAbout {
    /// The event whose rules are asked.
    pub fn event(&self) -> Event {
        match *self {
            PossiblyAbout::Actions(_) => Event::Fs,
            PossiblyAbout::CommandIn(event, _) | PossiblyAbout::CommandOf(event, _) => event,
        }
    }
}

/// A set of file types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Types(u16);

impl Types {
    /// Directories.
    pub const DIR: Types = Types(1 << 0o04);
    /// Regular files.
    pub const REG: Types = Types(1 << 0o10);
    /// Symbolic links.
    pub const LNK: Types = Types(1 << 0o12);
    /// UNIX sockets in the file system, and open sockets of any family.
    pub const SOCK: Types = Types(1 << 0o14);
    /// A name that no object has.
    pub const NONE: Types = Types(1 << 0o17);
    /// Every file type, anonymous inodes without one included.
    pub const ANY: Types = Types(0x7fff);

    /// Both.
    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// The `S_IFMT` values in the set, without [`Types::NONE`].
    pub fn modes(self) -> impl Iterator<Item = u32> {
        const FORMATS: [u32; 8] = [0, 0o01, 0o02, 0o04, 0o06, 0o10, 0o12, 0o14];
        FORMATS.into_iter().filter(move |format| self.0 & (1 << format) != 0).map(|format| format << 12)
    }

    /// Whether every file type is in the set.
    pub fn is_any(self) -> bool {
        self.0 & Types::ANY.0 == Types::ANY.0
    }

    /// Whether a name without an object is in the set.
    pub fn absent(self) -> bool {
        self.0 & Types::NONE.0 != 0
    }
}

/// The row of a syscall number.
pub fn row(nr: u32) -> Option<&'static Row> {
    static INDEX: std::sync::OnceLock<std::collections::HashMap<u32, &'static Row>> =
        std::sync::OnceLock::new();
    INDEX.get_or_init(|| TABLE.iter().map(|row| (row.nr, row)).collect()).get(&nr).copied()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rules tied to a hook see, and what they answer.

use crate::abi::Event;
use crate::abi::hook::{self, Arg};

/// A call of one of the RFC's hooks: its arguments, but for the file, which only a
/// [`Relation`](super::Relation) knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookCall {
    /// A file is opened.
    FileOpen,
    /// A file is read or written.
    FilePermission {
        /// `MAY_*` bits.
        mask: u32,
    },
    /// Something is mapped.
    MmapFile {
        /// No file, nothing but memory.
        anonymous: bool,
        /// `PROT_*` bits the caller asked for.
        reqprot: u64,
        /// `PROT_*` bits it gets.
        prot: u64,
        /// `MAP_*` bits.
        flags: u64,
    },
}

impl HookCall {
    /// Which rules it asks.
    pub fn event(self) -> Event {
        match self {
            HookCall::FileOpen => Event::FileOpen,
            HookCall::FilePermission { .. } => Event::FilePermission,
            HookCall::MmapFile { .. } => Event::MmapFile,
        }
    }

    /// Whether there is no file.
    pub fn is_anonymous(self) -> bool {
        matches!(self, HookCall::MmapFile { anonymous: true, .. })
    }

    /// The arguments that are numbers, in order.
    fn numbers(self) -> [u64; 3] {
        match self {
            HookCall::FileOpen => [0; 3],
            HookCall::FilePermission { mask } => [mask.into(), 0, 0],
            HookCall::MmapFile { reqprot, prot, flags, .. } => [reqprot, prot, flags],
        }
    }
}

/// Everything one run of a rule tied to a hook can see, but for the handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookInput {
    /// The call.
    pub call: HookCall,
    /// The cookie of the filter that the rule runs for.
    pub cookie: u16,
}

impl HookInput {
    /// `struct landlock_data`, with these addresses of the file and of the credentials.
    pub(super) fn context(&self, file: u64, cred: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(hook::SIZE.unsigned_abs())];
        let mut put = |off: i16, value: &[u8]| {
            let at = usize::from(off.unsigned_abs());
            bytes[at..at + value.len()].copy_from_slice(value);
        };
        put(hook::HOOK, &(self.call.event() as u32).to_le_bytes());
        put(hook::COOKIE, &self.cookie.to_le_bytes());
        let mut numbers = self.call.numbers().into_iter();
        for (arg, off) in hook::args(self.call.event()).iter().zip((hook::ARGS..).step_by(8)) {
            let value = match arg {
                Arg::File { .. } if self.call.is_anonymous() => 0,
                Arg::File { .. } => file,
                Arg::Cred => cred,
                Arg::Number(_) => numbers.next().unwrap_or(0),
            };
            put(off, &value.to_le_bytes());
        }
        bytes
    }
}

/// The answer of the rules tied to a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum HookVerdict {
    /// The call goes on.
    Allow,
    /// The call fails.
    Deny {
        /// With this errno: 1 to 34.
        errno: u32,
        /// Position of the deciding rule in its domain, newest first.
        rule: usize,
        /// Index of the instruction it ended at.
        insn: usize,
        /// The cookie it ran for; `None` if it was not run, because there is none outside a system call.
        cookie: Option<u16>,
    },
}

impl HookVerdict {
    /// Whether the call fails.
    pub fn is_deny(self) -> bool {
        matches!(self, HookVerdict::Deny { .. })
    }
}

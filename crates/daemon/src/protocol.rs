// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client and the daemon say: one request and one answer, a message each; hello may come before. All numbers in
//! the machine's byte order.
//!
//! A request has [`Request::SIZE`] bytes. Behind [`Request::Load`] come the [rules](crate::rules), in the same message: a
//! thread whose rules let it write to no file could not fill one with them. Descriptors of handles, and no others, come with
//! that and with [`Request::Change`]. An answer is a header of [`Answer::HEADER`] bytes and a text. To a grant with a log of its own
//! belong two descriptors: the ring buffer of denials, and the map that counts those that found no place.
//!
//! A grant is good while the client keeps the connection, and for [`TOKEN_LIFE`] at most. A domain with a log of its own
//! stays as long as the connection it was asked for on, so that another thread can be let in; so does one with maps of
//! handles, which who has that connection may change, until it is sealed.

use std::time::Duration;

/// "LLd", and the version.
const MAGIC: u32 = u32::from_le_bytes(*b"LLd\x01");

/// What a magic of another version has in common.
const SIGN: u32 = 0x00ff_ffff;

/// How long a token can be used.
pub const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Is there a daemon? Something else can be asked for on the same connection.
    Hello,
    /// A domain of rules, to be entered by one thread.
    Load {
        /// The domain the thread is in.
        parent: Option<Parent>,
        /// Whether the domain's denials are the client's to read, and not the administrator's.
        own_log: bool,
    },
    /// How many threads are in the domain of this number, one that the user loaded?
    Threads(u64),
    /// Another token for that domain.
    Again(u64),
    /// These handles are in a map of the domain that was granted on this connection, by its number in
    /// [`Domain::maps`](landlock_compiler::domain::Domain::maps), and no others.
    Change(u64),
    /// From now on the domain that was granted on this connection is not changed.
    Seal,
}

/// What a thread says that it is in. No thread that is elsewhere can use what it gets for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The engine's number.
    pub engine: u32,
    /// The domain's.
    pub domain: u64,
}

impl Request {
    /// Bytes of a request.
    pub const SIZE: usize = 32;

    /// As a message.
    pub fn encode(self) -> [u8; Request::SIZE] {
        let (kind, flags, engine, number) = match self {
            Request::Hello => (1, 0, 0, 0),
            Request::Load { parent, own_log } => {
                let parent = parent.unwrap_or(Parent { engine: 0, domain: 0 });
                (2, u32::from(own_log), parent.engine, parent.domain)
            }
            Request::Threads(number) => (3, 0, 0, number),
            Request::Again(number) => (4, 0, 0, number),
            Request::Change(map) => (5, 0, 0, map),
            Request::Seal => (6, 0, 0, 0),
        };
        let mut bytes = [0; Request::SIZE];
        for (at, word) in [(0, MAGIC), (4, kind), (8, flags), (12, engine)] {
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[16..24].copy_from_slice(&number.to_ne_bytes());
        bytes
    }

    /// From the beginning of a message, with what comes behind it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<(Request, &[u8]), Refusal> {
        if word(bytes, 0).is_some_and(|magic| magic != MAGIC && magic & SIGN == MAGIC & SIGN) {
            return Err(Refusal::new(Why::Version, "landlockd speaks version 1 of its protocol only"));
        }
        let malformed = || Refusal::new(Why::Malformed, "the request is none of landlockd's protocol");
        let (bytes, rest) = bytes.split_at_checked(Request::SIZE).ok_or_else(malformed)?;
        if word(bytes, 0) != Some(MAGIC) {
            return Err(malformed());
        }
        let [kind, flags, engine] = [4, 8, 12].map(|at| word(bytes, at).unwrap_or(u32::MAX));
        let number = long(bytes, 16).ok_or_else(malformed)?;
        let request = match (kind, flags) {
            (1, 0) => Request::Hello,
            (2, 0 | 1) => {
                let parent = (engine != 0).then_some(Parent { engine, domain: number });
                Request::Load { parent, own_log: flags == 1 }
            }
            (3, 0) => Request::Threads(number),
            (4, 0) => Request::Again(number),
            (5, 0) => Request::Change(number),
            (6, 0) => Request::Seal,
            _ => return Err(malformed()),
        };
        // One way to say a thing, so that what is added later is refused by who does not know it.
        let has_rules = matches!(request, Request::Load { .. });
        let is_whole = request.encode() == bytes && (has_rules || rest.is_empty());
        if is_whole { Ok((request, rest)) } else { Err(malformed()) }
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Hello {
        /// The number of the engine whose domains it loads.
        engine: u32,
    },
    /// The rules are in the kernel.
    Granted {
        /// Lets one thread in, by [`landlock_kernel::enter`].
        token: u64,
        /// What denials bear.
        number: u64,
        /// Names of hooks at which the domain could deny, were they in this kernel.
        lacking: Vec<String>,
    },
    /// So many threads are in the domain.
    Threads(u64),
    /// A change was made.
    Changed,
    /// Nothing was done.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// For programs.
    pub why: Why,
    /// For people.
    pub text: String,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(why: Why, text: impl Into<String>) -> Refusal {
        Refusal { why, text: text.into() }
    }
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Why {
    /// The message is none.
    Malformed = 1,
    /// The client speaks another version.
    Version = 2,
    /// A descriptor came with the message.
    Descriptor = 3,
    /// The verifier refuses a rule.
    Rules = 4,
    /// A limit of the user's, or of the machine, is reached.
    Limit = 5,
    /// There is no such domain of this user's, or for this thread to extend.
    Domain = 6,
    /// The kernel target does not work, or not for these rules.
    Kernel = 7,
    /// A kind this version does not know.
    Other = 8,
    /// The thread would have more rules than it can have.
    TooMany = 9,
}

impl Why {
    const ALL: [Why; 8] = [
        Why::Malformed,
        Why::Version,
        Why::Descriptor,
        Why::Rules,
        Why::Limit,
        Why::Domain,
        Why::Kernel,
        Why::TooMany,
    ];
}

const REFUSED: u32 = 1 << 31;

impl Answer {
    /// Bytes before the text.
    pub const HEADER: usize = 24;
    /// Most bytes of a text.
    pub const MAX_TEXT: usize = 4096;
    /// Most bytes of an answer.
    pub const MAX: usize = Answer::HEADER + Answer::MAX_TEXT;

    /// As a message; a text that is too long is cut.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, first, second, text) = match self {
            Answer::Hello { engine } => (1, u64::from(*engine), 0, String::new()),
            Answer::Granted { token, number, lacking } => (2, *token, *number, lacking.join(",")),
            Answer::Threads(threads) => (3, *threads, 0, String::new()),
            Answer::Changed => (4, 0, 0, String::new()),
            Answer::Refused(refusal) => (REFUSED | refusal.why as u32, 0, 0, refusal.text.clone()),
        };
        let words = [MAGIC, kind].map(u32::to_ne_bytes).concat();
        let text = cut(&text, Answer::MAX_TEXT);
        [words, [first, second].map(u64::to_ne_bytes).concat(), text.as_bytes().to_vec()].concat()
    }

    /// From a message; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Answer> {
        let (magic, kind) = (word(bytes, 0)?, word(bytes, 4)?);
        let (first, second) = (long(bytes, 8)?, long(bytes, 16)?);
        let text = str::from_utf8(bytes.get(Answer::HEADER..)?).ok()?;
        if magic != MAGIC || text.len() > Answer::MAX_TEXT {
            return None;
        }
        match kind {
            1 => Some(Answer::Hello { engine: u32::try_from(first).ok()? }),
            2 => {
                let lacking = text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                Some(Answer::Granted { token: first, number: second, lacking })
            }
            3 => Some(Answer::Threads(first)),
            4 => Some(Answer::Changed),
            _ if kind & REFUSED != 0 => {
                let known = Why::ALL.into_iter().find(|why| *why as u32 == kind & !REFUSED);
                Some(Answer::Refused(Refusal::new(known.unwrap_or(Why::Other), text)))
            }
            _ => None,
        }
    }
}

/// The beginning of a text that has at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layers of a domain as bytes: what comes behind a request for one. Nothing in it is believed.
//!
//! One after the other, oldest first:
//!
//! * A rule: the subtype (24 bytes); the lengths of its name and its licence in bytes and the number of its instructions
//!   (u32 each); name, licence and instructions. From ABI 2 on the number of its maps (u32) and the maps come behind that.
//! * A map: its number among all maps (u32). The first time it comes, which has to be in the order of the numbers, what its
//!   handles are of, for how many there is room, how many there are, and the length of its name (u32 each); the name.
//! * A classic filter: [`FILTER`] where a rule has its ABI, the number of its instructions (u32), and those.
//!
//! Lines of the source stay with the client. Descriptors of the handles come with the message, in the order of the maps.

mod read;

use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::abi::{MAX_INSNS, Subtype};
use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::insn::Insn;
use landlock_compiler::map::{Handle, Map};
use landlock_compiler::rule::Rule;

pub use read::{Layers, decode};

/// Most rules in a domain.
pub const MAX_RULES: usize = 64;
/// Most instructions of the rules of one request together.
pub const MAX_TOTAL_INSNS: usize = 4 * MAX_INSNS;
/// Most classic filters in a domain.
pub const MAX_FILTERS: usize = 16;
/// Most instructions of the filters of one request together.
pub const MAX_FILTER_INSNS: usize = MAX_INSNS;
/// Most maps of one request together.
pub const MAX_MAPS: usize = 8;
/// Most handles of one request together.
pub const MAX_HANDLES: usize = 128;
/// Most bytes of a name, and of a licence.
pub const MAX_TEXT: usize = 128;
/// Most bytes of the layers of a request.
pub const MAX_BYTES: usize = MAX_RULES * (HEADER + 2 * MAX_TEXT + (1 + MAX_MAPS) * WORD)
    + MAX_TOTAL_INSNS * Insn::SIZE
    + MAX_FILTERS * 2 * WORD
    + MAX_FILTER_INSNS * ClassicInsn::SIZE
    + MAX_MAPS * (4 * WORD + MAX_TEXT);

/// What a filter begins with. No rule has such an ABI.
pub const FILTER: u32 = u32::MAX;

const WORD: usize = 4;
const HEADER: usize = Subtype::SIZE + 3 * WORD;

/// What is wrong with bytes that are no layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Nothing to enforce.
    #[error("there is no rule")]
    Nothing,
    /// Too many.
    #[error("there are more than {MAX_RULES} rules")]
    TooMany,
    /// Too long together.
    #[error("the rules have more than {MAX_TOTAL_INSNS} instructions together")]
    TooLong,
    /// Too many filters, or too long together.
    #[error(
        "there are more than {MAX_FILTERS} filters, or they have more than {MAX_FILTER_INSNS} instructions together"
    )]
    Filters,
    /// Too many maps, or of something unknown.
    #[error("there are more than {MAX_MAPS} maps of handles, or one is of a kind that does not exist")]
    Maps,
    /// Too many handles.
    #[error("there are more than {MAX_HANDLES} handles, or more than a map has room for")]
    Handles,
    /// A text that is too long or not UTF-8.
    #[error("a name or licence is not UTF-8 of at most {MAX_TEXT} bytes")]
    Text,
    /// They end too early.
    #[error("the rules are cut short")]
    Short,
}

/// The layers of a domain, to be handed over. A longer name or licence is cut: no licence the verifier knows is longer.
///
/// # Errors
/// Those that [`decode`] would have, too.
pub fn encode(domain: &Domain) -> Result<Vec<u8>, Wrong> {
    with_handles(domain).map(|(bytes, _)| bytes)
}

/// The same, and the handles in its maps, which are to come with it.
///
/// # Errors
/// As [`encode`].
pub fn with_handles(domain: &Domain) -> Result<(Vec<u8>, Vec<Handle>), Wrong> {
    let mut written = Written::default();
    domain.layers().iter().try_for_each(|layer| match layer {
        Layer::Rule(rule) => written.rule(rule),
        Layer::Filter(filter) => written.filter(filter),
    })?;
    decode(&written.bytes).map(|_| (written.bytes, written.handles))
}

/// What is written so far.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    maps: Vec<Map>,
    handles: Vec<Handle>,
}

impl Written {
    fn rule(&mut self, rule: &Rule) -> Result<(), Wrong> {
        let object = rule.object();
        let subtype = object.subtype.unwrap_or_default();
        let texts = [&object.name, &object.license].map(|text| cut(text));
        self.words(&[subtype.abi, subtype.event]);
        self.bytes.extend([subtype.ability, subtype.option].into_iter().flat_map(u64::to_ne_bytes));
        let lengths = [texts[0].len(), texts[1].len(), object.insns.len()];
        lengths.into_iter().try_for_each(|length| self.count(length, Wrong::TooLong))?;
        texts.iter().for_each(|text| self.bytes.extend(text.as_bytes()));
        self.bytes.extend(object.insns.iter().flat_map(|insn| insn.encode()));
        if subtype.abi > 1 {
            self.count(object.maps.len(), Wrong::Maps)?;
            object.maps.iter().try_for_each(|map| self.map(map))?;
        }
        Ok(())
    }

    fn map(&mut self, map: &Map) -> Result<(), Wrong> {
        let known = self.maps.iter().position(|known| known.is(map));
        self.count(known.unwrap_or(self.maps.len()), Wrong::Maps)?;
        if known.is_some() {
            return Ok(());
        }
        self.maps.push(map.clone());
        let (definition, handles) = (map.definition(), map.handles());
        let name = cut(&definition.name);
        self.words(&[definition.kind as u32, definition.max_entries]);
        self.count(handles.len(), Wrong::Handles)?;
        self.count(name.len(), Wrong::Text)?;
        self.bytes.extend(name.as_bytes());
        self.handles.extend(handles);
        Ok(())
    }

    fn filter(&mut self, filter: &Filter) -> Result<(), Wrong> {
        self.words(&[FILTER]);
        self.count(filter.insns().len(), Wrong::Filters)?;
        self.bytes.extend(filter.insns().iter().flat_map(|insn| insn.encode()));
        Ok(())
    }

    fn words(&mut self, words: &[u32]) {
        self.bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn count(&mut self, count: usize, too_many: Wrong) -> Result<(), Wrong> {
        self.words(&[u32::try_from(count).map_err(|_| too_many)?]);
        Ok(())
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// The kind of a map with this number.
fn kind(number: u32) -> Result<ArrayKind, Wrong> {
    ArrayKind::from_u32(number).ok_or(Wrong::Maps)
}

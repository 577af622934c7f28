// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules as bytes: what a client puts into the memory file. Nothing in it is believed.
//!
//! One after the other, oldest first, each: the subtype (24 bytes); the lengths of its name and its licence in bytes and
//! the number of its instructions (u32 each); name, licence and instructions. Lines of the source stay with the client.

use landlock_compiler::abi::{MAX_INSNS, Subtype};
use landlock_compiler::domain::Domain;
use landlock_compiler::insn::Insn;
use landlock_compiler::object::{RuleObject, insns_from_bytes};

/// Most rules in a domain.
pub const MAX_RULES: usize = 64;
/// Most instructions of the rules of one request together.
pub const MAX_TOTAL_INSNS: usize = 4 * MAX_INSNS;
/// Most bytes of a name, and of a licence.
pub const MAX_TEXT: usize = 128;
/// Most bytes of the rules of a request.
pub const MAX_BYTES: usize = MAX_RULES * (HEADER + 2 * MAX_TEXT) + MAX_TOTAL_INSNS * Insn::SIZE;

const HEADER: usize = Subtype::SIZE + 3 * 4;

/// What is wrong with bytes that are not rules.
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
    /// A text that is too long or not UTF-8.
    #[error("a name or licence is not UTF-8 of at most {MAX_TEXT} bytes")]
    Text,
    /// They end too early.
    #[error("the rules are cut short")]
    Short,
    /// It has filters, handles or rules that this protocol does not know.
    #[error("only rules of ABI 1 can be handed to landlockd")]
    Newer,
}

/// The rules of a domain, to be handed over. A longer name or licence is cut: no licence the verifier knows is longer.
///
/// # Errors
/// Those that [`decode`] would have, too.
pub fn encode(domain: &Domain) -> Result<Vec<u8>, Wrong> {
    if domain.abi() > 1 {
        return Err(Wrong::Newer);
    }
    let mut bytes = Vec::new();
    for rule in domain.rules().iter().rev() {
        let object = rule.object();
        let subtype = object.subtype.unwrap_or_default();
        let texts = [&object.name, &object.license].map(|text| cut(text));
        bytes.extend([subtype.abi, subtype.event].into_iter().flat_map(u32::to_ne_bytes));
        bytes.extend([subtype.ability, subtype.option].into_iter().flat_map(u64::to_ne_bytes));
        let lengths = [texts[0].len(), texts[1].len(), object.insns.len()];
        for length in lengths {
            bytes.extend(u32::try_from(length).map_err(|_| Wrong::TooLong)?.to_ne_bytes());
        }
        texts.iter().for_each(|text| bytes.extend(text.as_bytes()));
        bytes.extend(object.insns.iter().flat_map(|insn| insn.encode()));
    }
    decode(&bytes).map(|_| bytes)
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// The rules in some bytes, oldest first.
///
/// # Errors
/// What is wrong with the first one that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Vec<RuleObject>, Wrong> {
    let mut rest = Rest(bytes);
    let (mut rules, mut insns) = (Vec::new(), 0);
    while !rest.0.is_empty() {
        let rule = rest.rule()?;
        insns += rule.insns.len();
        rules.push(rule);
        if rules.len() > MAX_RULES {
            return Err(Wrong::TooMany);
        }
        if insns > MAX_TOTAL_INSNS {
            return Err(Wrong::TooLong);
        }
    }
    if rules.is_empty() { Err(Wrong::Nothing) } else { Ok(rules) }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn rule(&mut self) -> Result<RuleObject, Wrong> {
        let (abi, event) = (self.word()?, self.word()?);
        let (ability, option) = (self.long()?, self.long()?);
        let [name, license, insns] = [self.word()?, self.word()?, self.word()?].map(|length| length as usize);
        if insns > MAX_TOTAL_INSNS {
            return Err(Wrong::TooLong);
        }
        let (name, license) = (self.text(name)?, self.text(license)?);
        let insns = insns_from_bytes(self.take(insns * Insn::SIZE)?).ok_or(Wrong::Short)?;
        let subtype = Some(Subtype { abi, event, ability, option });
        Ok(RuleObject { name, license, insns, subtype, ..RuleObject::default() })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Wrong::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, Wrong> {
        self.take(4)?.try_into().map(u32::from_ne_bytes).map_err(|_| Wrong::Short)
    }

    fn long(&mut self) -> Result<u64, Wrong> {
        self.take(8)?.try_into().map(u64::from_ne_bytes).map_err(|_| Wrong::Short)
    }

    fn text(&mut self, length: usize) -> Result<String, Wrong> {
        if length > MAX_TEXT {
            return Err(Wrong::Text);
        }
        str::from_utf8(self.take(length)?).map(str::to_owned).map_err(|_| Wrong::Text)
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of a statement, taken from a line one after the other.

use super::error::{Span, Wrong};
use super::lex::Token;
use super::syntax::{self, meaning};
use crate::op::{Reg, Size, Source, Width};

pub(super) type Parsed<T> = Result<T, Wrong>;

/// What is left of a line.
pub(super) struct Line<'a> {
    pub tokens: &'a [(Token, Span)],
    /// Just behind the last token, for what is missing there.
    end: Span,
}

impl<'a> Line<'a> {
    pub fn new(tokens: &'a [(Token, Span)]) -> Line<'a> {
        let end = tokens.last().map_or(0, |(_, span)| span.start + span.width);
        Line { tokens, end: Span { start: end, width: 1 } }
    }

    pub fn next_span(&self) -> Span {
        self.tokens.first().map_or(self.end, |(_, span)| *span)
    }

    fn next(&mut self, wanted: &str) -> Parsed<(&'a Token, Span)> {
        let Some(((token, span), rest)) = self.tokens.split_first() else {
            return Wrong::new(self.end, format!("the line ends where {wanted} should be"));
        };
        self.tokens = rest;
        Ok((token, *span))
    }

    pub fn peek_word(&self) -> Option<&'a str> {
        match self.tokens.first() {
            Some((Token::Word(word), _)) => Some(word),
            _ => None,
        }
    }

    pub fn word(&mut self, wanted: &str) -> Parsed<(&'a str, Span)> {
        match self.next(wanted)? {
            (Token::Word(word), at) => Ok((word, at)),
            (_, at) => Wrong::new(at, format!("expected {wanted}")),
        }
    }

    pub fn text(&mut self) -> Parsed<String> {
        match self.next("a string in quotes")? {
            (Token::Text(text), _) => Ok(text.clone()),
            (_, at) => Wrong::new(at, "expected a string in quotes"),
        }
    }

    /// A word, or a string where the name is not one.
    pub fn name(&mut self) -> Parsed<String> {
        match self.next("a name")? {
            (Token::Text(name) | Token::Word(name), _) => Ok(name.clone()),
            (_, at) => Wrong::new(at, "expected a name; in quotes if it is not a plain word"),
        }
    }

    pub fn is_operator(&self, operator: &str) -> bool {
        matches!(self.tokens.first(), Some((Token::Operator(found), _)) if *found == operator)
    }

    pub fn any_operator(&mut self, wanted: &str) -> Parsed<(&'static str, Span)> {
        match self.next(wanted)? {
            (Token::Operator(operator), at) => Ok((operator, at)),
            (_, at) => Wrong::new(at, format!("expected {wanted}")),
        }
    }

    pub fn operator(&mut self, operator: &'static str) -> Parsed<()> {
        let wanted = format!("`{operator}`");
        match self.next(&wanted)? {
            (Token::Operator(found), _) if *found == operator => Ok(()),
            (_, at) => Wrong::new(at, format!("expected {wanted}")),
        }
    }

    fn skip(&mut self, operator: &'static str) -> bool {
        let found = self.is_operator(operator);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    pub fn u64(&mut self, wanted: &str) -> Parsed<(u64, Span)> {
        match self.next(wanted)? {
            (Token::Number(number), at) => Ok((*number, at)),
            (_, at) => Wrong::new(at, format!("expected {wanted}")),
        }
    }

    pub fn u32(&mut self, wanted: &str) -> Parsed<u32> {
        let (number, at) = self.u64(wanted)?;
        u32::try_from(number).or_else(|_| Wrong::new(at, "the number does not fit into 32 bits"))
    }

    /// A number with an optional sign, and the place of its digits.
    fn signed(&mut self, wanted: &str) -> Parsed<(i128, Span)> {
        let negative = !self.skip("+") && self.skip("-");
        let (number, at) = self.u64(wanted)?;
        let number = i128::from(number);
        Ok((if negative { -number } else { number }, at))
    }

    pub fn bounded<T>(&mut self, wanted: &str, least: T, most: T) -> Parsed<T>
    where
        T: TryFrom<i128> + Into<i128>,
    {
        let (number, at) = self.signed(wanted)?;
        let range = least.into()..=most.into();
        match T::try_from(number) {
            Ok(fits) if range.contains(&number) => Ok(fits),
            _ => Wrong::new(at, format!("{wanted} is between {} and {}", range.start(), range.end())),
        }
    }

    /// A constant of an instruction: 32 bits. Where only 32 bits are used, it may be written unsigned.
    pub fn constant(&mut self, width: Width) -> Parsed<i32> {
        let (number, at) = self.signed("a register or a number")?;
        let unsigned = u32::try_from(number).ok().filter(|_| width == Width::W32).map(u32::cast_signed);
        match i32::try_from(number).ok().or(unsigned) {
            Some(constant) => Ok(constant),
            None => Wrong::new(
                at,
                "the number does not fit into 32 bits with a sign; put it into a register first, with `r… = NUMBER ll`",
            ),
        }
    }

    /// A constant of a 64-bit load, with or without a sign.
    pub fn long_constant(&mut self) -> Parsed<u64> {
        let (number, at) = self.signed("a number")?;
        let signed = i64::try_from(number).ok().map(i64::cast_unsigned);
        match u64::try_from(number).ok().or(signed) {
            Some(value) => Ok(value),
            None => Wrong::new(at, "the number does not fit into 64 bits"),
        }
    }

    pub fn operand(&mut self, width: Width) -> Parsed<Source> {
        if self.peek_word().is_none() {
            return self.constant(width).map(Source::Imm);
        }
        let at = self.next_span();
        match self.register()? {
            (reg, found) if found == width => Ok(Source::Reg(reg)),
            _ => Wrong::new(at, "32-bit (w…) and 64-bit (r…) registers cannot be mixed"),
        }
    }

    /// `*(u64 *)(r1 + 24)`
    pub fn memory(&mut self) -> Parsed<(Size, Reg, i16)> {
        self.operator("*")?;
        self.typed_address()
    }

    /// `(u64 *)(r1 + 24)`
    pub fn typed_address(&mut self) -> Parsed<(Size, Reg, i16)> {
        self.operator("(")?;
        let (word, at) = self.word("a size: u8, u16, u32 or u64")?;
        let Some(size) = meaning(&syntax::SIZE, word) else {
            return Wrong::new(at, format!("`{word}` is not a size; there are u8, u16, u32 and u64"));
        };
        self.operator("*")?;
        self.operator(")")?;
        self.operator("(")?;
        let (base, off) = self.place()?;
        self.operator(")")?;
        Ok((size, base, off))
    }

    /// `r1 + 24`
    pub fn place(&mut self) -> Parsed<(Reg, i16)> {
        let base = self.sized_register(Size::Double)?;
        if !self.is_operator("+") && !self.is_operator("-") {
            return Ok((base, 0));
        }
        Ok((base, self.bounded("an offset", i16::MIN, i16::MAX)?))
    }

    pub fn atomic_size(&self, size: Size) -> Parsed<Size> {
        match size {
            Size::Word | Size::Double => Ok(size),
            _ => Wrong::new(self.next_span(), "atomic operations have 4 or 8 bytes"),
        }
    }

    pub fn same_register(&mut self, dst: Reg, width: Width) -> Parsed<()> {
        let at = self.next_span();
        match self.register()? {
            found if found == (dst, width) => Ok(()),
            _ => Wrong::new(at, "this has to be the register that is assigned to"),
        }
    }

    /// A register as wide as what it is used for.
    pub fn sized_register(&mut self, size: Size) -> Parsed<Reg> {
        let at = self.next_span();
        match self.register()? {
            (reg, width) if width == width_of(size) => Ok(reg),
            _ if size == Size::Double => Wrong::new(at, "a 64-bit register is needed here (r0 to r10)"),
            // LLVM writes either name for the operand of a narrow access.
            (reg, _) => Ok(reg),
        }
    }

    pub fn register(&mut self) -> Parsed<(Reg, Width)> {
        let (word, at) = self.word("a register")?;
        match register(word) {
            Some(register) => Ok(register),
            None => Wrong::new(
                at,
                format!(
                    "`{word}` is not a register; there are r0 to r10, and w0 to w10 for their low 32 bits"
                ),
            ),
        }
    }
}

/// A register by its name, and how much of it is meant.
pub(super) fn register(word: &str) -> Option<(Reg, Width)> {
    let (width, number) = match word.split_at_checked(1)? {
        ("r", number) => (Width::W64, number),
        ("w", number) => (Width::W32, number),
        _ => return None,
    };
    let is_plain = number == "0" || !number.starts_with('0');
    let number =
        number.parse().ok().filter(|_| is_plain && number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((Reg::new(number)?, width))
}

/// What to add to a complaint about a word that was perhaps meant to be a register.
pub(super) fn register_hint(word: &str) -> &'static str {
    let looks_like_one = word.starts_with(['r', 'w']) && word[1..].starts_with(|c: char| c.is_ascii_digit());
    if looks_like_one { "; the registers are r0 to r10 and w0 to w10" } else { "" }
}

pub(super) fn width_of(size: Size) -> Width {
    if size == Size::Double { Width::W64 } else { Width::W32 }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line of text into what it says.

use super::cursor::{Line, Parsed, register, register_hint, width_of};
use super::error::{Span, Wrong};
use super::lex::Token;
use super::syntax::{self, meaning};
use crate::insn::Insn;
use crate::map::Definition;
use crate::op::{AluOp, AtomicOp, Callee, Imm64, Op, Reg, Size, Source, Width};

/// What a line says, apart from its label.
#[derive(Debug)]
pub(super) enum Statement {
    Rule(String),
    License(String),
    Abi(u32),
    Event(u32),
    Ability(u64),
    Option(u64),
    Map(Definition),
    Op(Op),
    /// A load of a map; which index it has is still to be found out.
    LoadMap {
        dst: Reg,
        name: String,
        at: Span,
    },
    /// A jump to a label; the distance in the operation is still to be filled in.
    JumpTo {
        op: Op,
        label: String,
        at: Span,
    },
    Raw(Insn),
}

impl<'a> Line<'a> {
    /// Takes a label, if the line begins with one.
    pub fn label(&mut self) -> Option<(&'a str, Span)> {
        let [(Token::Word(name), at), (Token::Operator(":"), _), rest @ ..] = self.tokens else {
            return None;
        };
        self.tokens = rest;
        Some((name, *at))
    }

    /// Takes the rest; `None` if there is nothing.
    pub fn statement(mut self) -> Parsed<Option<Statement>> {
        if self.tokens.is_empty() {
            return Ok(None);
        }
        let statement = match self.peek_word() {
            Some(word) if word.starts_with('.') => self.declaration()?,
            _ => self.instruction()?,
        };
        match self.tokens.first() {
            None => Ok(Some(statement)),
            Some((_, at)) => Wrong::new(*at, "the statement should end here; one statement a line"),
        }
    }

    fn instruction(&mut self) -> Parsed<Statement> {
        if self.is_operator("*") {
            return self.store().map(Statement::Op);
        }
        let (word, at) = self.word("an instruction")?;
        match word {
            "exit" => Ok(Statement::Op(Op::Exit)),
            "goto" => self.jump(Op::Jump { off: 0 }),
            "if" => self.branch(),
            "call" => self.call().map(Statement::Op),
            "lock" => self.locked().map(Statement::Op),
            _ => match register(word) {
                Some((dst, Width::W64)) if self.is_load_of_map() => self.load_map(dst),
                Some((dst, width)) => self.assignment(dst, width, at).map(Statement::Op),
                None => Wrong::new(at, format!("unknown instruction `{word}`{}", register_hint(word))),
            },
        }
    }

    fn is_load_of_map(&self) -> bool {
        matches!(self.tokens, [(Token::Operator("="), _), (Token::Word(word), _), ..] if word == "map")
    }

    fn load_map(&mut self, dst: Reg) -> Parsed<Statement> {
        self.operator("=")?;
        self.word("`map`")?;
        let at = self.next_span();
        Ok(Statement::LoadMap { dst, name: self.name()?, at })
    }

    fn store(&mut self) -> Parsed<Op> {
        let (size, base, off) = self.memory()?;
        self.operator("=")?;
        let src = match self.peek_word() {
            Some(_) => Source::Reg(self.sized_register(size)?),
            None => Source::Imm(self.constant(Width::W64)?),
        };
        Ok(Op::Store { size, base, off, src })
    }

    fn locked(&mut self) -> Parsed<Op> {
        let (size, base, off) = self.memory()?;
        let size = self.atomic_size(size)?;
        let (sign, at) = self.any_operator("an atomic operation: += |= &= ^=")?;
        let Some(op) = meaning(&syntax::LOCKED, sign) else {
            return Wrong::new(at, format!("`{sign}` is not an atomic operation; there are += |= &= ^="));
        };
        Ok(Op::Atomic { op, size, base, off, src: self.sized_register(size)? })
    }

    fn branch(&mut self) -> Parsed<Statement> {
        let (dst, width) = self.register()?;
        let (sign, at) = self.any_operator("a comparison")?;
        let Some(op) = meaning(&syntax::COMPARE, sign) else {
            return Wrong::new(
                at,
                format!("`{sign}` is not a comparison; there are == != & > >= < <= s> s>= s< s<="),
            );
        };
        let src = self.operand(width)?;
        match self.word("`goto`")? {
            ("goto", _) => self.jump(Op::Branch { op, width, dst, src, off: 0 }),
            (word, at) => Wrong::new(at, format!("expected `goto`, not `{word}`")),
        }
    }

    /// The target of `op`, the word `goto` being behind us.
    fn jump(&mut self, op: Op) -> Parsed<Statement> {
        if self.peek_word().is_some() {
            let (label, at) = self.word("a label")?;
            return Ok(Statement::JumpTo { op, label: label.to_owned(), at });
        }
        if !self.is_operator("+") && !self.is_operator("-") {
            return Wrong::new(self.next_span(), "expected a label, or a distance such as +2");
        }
        let off = self.bounded("a distance", i16::MIN, i16::MAX)?;
        Ok(Statement::Op(with_distance(op, off)))
    }

    fn call(&mut self) -> Parsed<Op> {
        if self.peek_word().is_none() {
            let id = self.bounded("a helper's number", i32::MIN, i32::MAX)?;
            return Ok(Op::Call(Callee::Helper(id)));
        }
        let (name, at) = self.word("a helper")?;
        match meaning(&syntax::HELPER, name.strip_prefix("bpf_").unwrap_or(name)) {
            Some(id) => Ok(Op::Call(Callee::Helper(id))),
            None => Wrong::new(at, format!("unknown helper `{name}`; there are {}", helpers())),
        }
    }

    /// `dst` and what follows it.
    fn assignment(&mut self, dst: Reg, width: Width, dst_at: Span) -> Parsed<Op> {
        let (sign, at) = self.any_operator("an assignment")?;
        let Some(op) = meaning(&syntax::ALU, sign) else {
            return Wrong::new(
                at,
                format!("`{sign}` is not an assignment; there are = += -= *= /= %= |= &= ^= <<= >>= s>>="),
            );
        };
        if op != AluOp::Mov {
            return Ok(Op::Alu { op, width, dst, src: self.operand(width)? });
        }
        if let [(Token::Operator("-"), _), (Token::Word(_), _), ..] = self.tokens {
            self.operator("-")?;
            self.same_register(dst, width)?;
            return Ok(Op::Neg { width, dst });
        }
        if self.is_operator("*") {
            let (size, base, off) = self.memory()?;
            return match (width, size) {
                (Width::W32, Size::Double) => {
                    Wrong::new(dst_at, "eight bytes need a 64-bit register (r0 to r10)")
                }
                _ => Ok(Op::Load { size, dst, base, off }),
            };
        }
        match self.peek_word().filter(|word| register(word).is_none()) {
            Some(word) => self.named_assignment(word, dst, width),
            None => self.constant_or_copy(dst, width),
        }
    }

    fn constant_or_copy(&mut self, dst: Reg, width: Width) -> Parsed<Op> {
        let is_long = |tokens: &[(Token, Span)]| {
            let last = tokens.last().is_some_and(|(token, _)| *token == Token::Word("ll".into()));
            last && width == Width::W64
        };
        if !is_long(self.tokens) {
            return Ok(Op::Alu { op: AluOp::Mov, width, dst, src: self.operand(width)? });
        }
        let value = self.long_constant()?;
        self.word("ll")?;
        Ok(Op::LoadImm { dst, imm: Imm64::Value(value) })
    }

    /// `dst = be16 dst`, `dst = atomic_fetch_add(…)`, `dst = xchg_64(…)`.
    fn named_assignment(&mut self, word: &str, dst: Reg, width: Width) -> Parsed<Op> {
        let (_, at) = self.word("an operation")?;
        if let Some((order, bits)) = meaning(&syntax::SWAP, word) {
            self.same_register(dst, Width::W64)?;
            return match width {
                Width::W64 => Ok(Op::Swap { order, bits, dst }),
                Width::W32 => Wrong::new(at, "byte swaps are written with 64-bit registers (r0 to r10)"),
            };
        }
        if let Some(op) = meaning(&syntax::FETCH, word) {
            self.operator("(")?;
            let (size, base, off) = self.typed_address()?;
            let size = self.atomic_size(size)?;
            return self.exchange_tail(op, size, base, off, (dst, width));
        }
        if let Some((_, op, size)) = syntax::EXCHANGE.into_iter().find(|(name, ..)| *name == word) {
            self.operator("(")?;
            let (base, off) = self.place()?;
            return self.exchange_tail(op, size, base, off, (dst, width));
        }
        Wrong::new(at, format!("unknown operation `{word}`{}", register_hint(word)))
    }

    /// The registers of an atomic operation that gives the old value back: the same on both sides.
    fn exchange_tail(
        &mut self,
        op: AtomicOp,
        size: Size,
        base: Reg,
        off: i16,
        dst: (Reg, Width),
    ) -> Parsed<Op> {
        self.operator(",")?;
        let at = self.next_span();
        self.same_register(dst.0, width_of(size))?;
        if dst.1 != width_of(size) {
            return Wrong::new(at, "the result has another width than the operation");
        }
        let mut src = dst.0;
        if op == AtomicOp::CompareExchange {
            if dst.0 != Reg::R0 {
                return Wrong::new(at, "a compare-and-exchange compares with, and answers in, r0");
            }
            self.operator(",")?;
            src = self.sized_register(size)?;
        }
        self.operator(")")?;
        Ok(Op::Atomic { op, size, base, off, src })
    }
}

/// The jump with its distance.
pub(super) fn with_distance(op: Op, distance: i16) -> Op {
    match op {
        Op::Jump { .. } => Op::Jump { off: distance },
        Op::Branch { op, width, dst, src, .. } => Op::Branch { op, width, dst, src, off: distance },
        other => other,
    }
}

fn helpers() -> String {
    syntax::HELPER.map(|(name, _)| name).join(", ")
}

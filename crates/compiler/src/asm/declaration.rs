// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines that declare something of a rule, and instructions given by their fields.

use super::cursor::{Line, Parsed};
use super::error::Wrong;
use super::statement::Statement;
use crate::abi::handles::ArrayKind;
use crate::abi::{Abilities, Event};
use crate::insn::Insn;
use crate::map::Definition;

impl Line<'_> {
    /// A statement that begins with a full stop.
    pub fn declaration(&mut self) -> Parsed<Statement> {
        let (word, at) = self.word("a declaration")?;
        match word {
            ".rule" => Ok(Statement::Rule(self.name()?)),
            ".license" => Ok(Statement::License(self.text()?)),
            ".abi" => Ok(Statement::Abi(self.u32("an ABI number")?)),
            ".event" => self.event().map(Statement::Event),
            ".ability" => self.ability().map(Statement::Ability),
            ".option" => Ok(Statement::Option(self.u64("an option number")?.0)),
            ".map" => self.map().map(Statement::Map),
            ".insn" => self.raw().map(Statement::Raw),
            _ => Wrong::new(
                at,
                format!(
                    "unknown declaration `{word}`; there are .rule, .event, .abi, .ability, .option, .license, .map and .insn"
                ),
            ),
        }
    }

    fn event(&mut self) -> Parsed<u32> {
        let Some(word) = self.peek_word() else {
            return self.u32("an event, by name or number");
        };
        let (_, at) = self.word("an event")?;
        match Event::ALL.into_iter().find(|event| event.name() == word) {
            Some(event) => Ok(event as u32),
            None => Wrong::new(
                at,
                format!("unknown event `{word}`; there are {}", Event::ALL.map(Event::name).join(", ")),
            ),
        }
    }

    fn ability(&mut self) -> Parsed<u64> {
        let Some(word) = self.peek_word() else { return Ok(self.u64("an ability: DEBUG")?.0) };
        let (_, at) = self.word("an ability")?;
        match Abilities::from_name(word) {
            Some(ability) => Ok(ability.bits()),
            None => Wrong::new(at, format!("unknown ability `{word}`; there is DEBUG")),
        }
    }

    fn map(&mut self) -> Parsed<Definition> {
        let name = self.name()?;
        let (word, at) = self.word("what the handles are for: fs or cgroup")?;
        let Some(kind) = ArrayKind::ALL.into_iter().find(|kind| kind.name() == word) else {
            return Wrong::new(at, format!("unknown kind of handle `{word}`; there are fs and cgroup"));
        };
        Ok(Definition { name, kind, max_entries: self.u32("how many handles there is room for")? })
    }

    fn raw(&mut self) -> Parsed<Insn> {
        let code = self.bounded("an opcode", 0, u8::MAX)?;
        self.operator(",")?;
        let dst = self.bounded("a register field", 0, 15)?;
        self.operator(",")?;
        let src = self.bounded("a register field", 0, 15)?;
        self.operator(",")?;
        let off = self.bounded("an offset", i16::MIN, i16::MAX)?;
        self.operator(",")?;
        let imm = self.bounded("an immediate", i32::MIN, i32::MAX)?;
        Ok(Insn { code, dst, src, off, imm })
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines of a file into rules: who declares what, and where labels are.

use std::collections::BTreeMap;

use super::cursor::Line;
use super::error::{AsmError, AsmErrors, MAX_SHOWN, Span, Wrong};
use super::lex;
use super::statement::{Statement, with_distance};
use super::{MAX_RULES, MAX_SIZE};
use crate::abi::{Event, Subtype};
use crate::insn::Insn;
use crate::map::{Definition, Map};
use crate::object::{RuleObject, SourceLine};
use crate::op::{Imm64, Op, PSEUDO_MAP, Reg};

/// The rules of an assembly text, in order; at least one. `file_name` is what errors and source lines say.
///
/// # Errors
/// Everything wrong with the text, each with its place.
pub fn parse(text: &str, file_name: &str) -> Result<Vec<RuleObject>, AsmErrors> {
    let mut file = File {
        name: file_name,
        text,
        rules: Vec::new(),
        maps: BTreeMap::new(),
        errors: AsmErrors(Vec::new()),
    };
    if text.len() > MAX_SIZE {
        file.fault(
            0,
            Span { start: 0, width: 1 },
            format!("the text has {} bytes; the limit is {MAX_SIZE}", text.len()),
        );
        return Err(file.errors);
    }
    for (index, line) in text.lines().enumerate() {
        if let Err(wrong) = file.line(index, line) {
            file.fault(index, wrong.at, wrong.message);
        }
        if file.errors.is_full() {
            return Err(file.errors);
        }
    }
    file.finish()
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
    rules: Vec<Draft>,
    /// Every map that some rule declares, by name.
    maps: BTreeMap<String, Map>,
    errors: AsmErrors,
}

/// A rule whose lines are still coming in.
#[derive(Default)]
struct Draft {
    name: String,
    license: Option<String>,
    abi: Option<u32>,
    event: Option<u32>,
    ability: Option<u64>,
    option: Option<u64>,
    maps: Vec<Map>,
    insns: Vec<Insn>,
    lines: Vec<Option<SourceLine>>,
    /// Where each label stands, as an index of `insns`.
    labels: BTreeMap<String, usize>,
    jumps: Vec<Jump>,
}

/// A jump whose label may be further down.
struct Jump {
    at: usize,
    op: Op,
    label: String,
    line: usize,
    span: Span,
}

impl File<'_> {
    fn fault(&mut self, line: usize, at: Span, message: String) {
        let text = self.text.lines().nth(line).unwrap_or_default().chars().take(MAX_SHOWN).collect();
        let (file, column) = (self.name.to_owned(), at.start + 1);
        self.errors.0.push(AsmError { file, line: line + 1, column, width: at.width, text, message });
    }

    fn line(&mut self, index: usize, text: &str) -> Result<(), Wrong> {
        let tokens = lex::tokens(text)?;
        let mut line = Line::new(&tokens);
        let start = line.next_span();
        if let Some((label, at)) = line.label() {
            let draft = self.draft(at)?;
            if draft.labels.insert(label.to_owned(), draft.insns.len()).is_some() {
                return Wrong::new(at, format!("the rule has another label `{label}`"));
            }
        }
        let Some(statement) = line.statement()? else { return Ok(()) };
        if let Statement::Rule(name) = statement {
            return self.open(name, start);
        }
        if let Statement::Map(definition) = statement {
            let map = self.map(definition, start)?;
            return self.draft(start)?.declare(map, start);
        }
        let source =
            SourceLine { file: self.name.to_owned(), line: number(index), text: text.trim().to_owned() };
        self.draft(start)?.add(statement, index, source, start)
    }

    fn open(&mut self, name: String, at: Span) -> Result<(), Wrong> {
        if self.rules.len() == MAX_RULES {
            return Wrong::new(at, format!("a file has at most {MAX_RULES} rules"));
        }
        self.rules.push(Draft { name, ..Draft::default() });
        Ok(())
    }

    /// The map of this definition: one for the whole text.
    fn map(&mut self, definition: Definition, at: Span) -> Result<Map, Wrong> {
        let map = self.maps.entry(definition.name.clone()).or_insert_with(|| Map::new(definition.clone()));
        match *map.definition() == definition {
            true => Ok(map.clone()),
            false => Wrong::new(at, "another rule has declared a map of this name otherwise"),
        }
    }

    fn draft(&mut self, at: Span) -> Result<&mut Draft, Wrong> {
        match self.rules.last_mut() {
            Some(draft) => Ok(draft),
            None => Wrong::new(at, "no rule is open yet: begin with `.rule NAME`"),
        }
    }

    fn finish(mut self) -> Result<Vec<RuleObject>, AsmErrors> {
        if self.rules.is_empty() && self.errors.0.is_empty() {
            self.fault(
                0,
                Span { start: 0, width: 1 },
                "the text holds no rule: begin with `.rule NAME`".to_owned(),
            );
        }
        let mut objects = Vec::new();
        for draft in std::mem::take(&mut self.rules) {
            match draft.finish() {
                Ok(object) => objects.push(object),
                Err(_) if self.errors.is_full() => break,
                Err((line, wrong)) => self.fault(line, wrong.at, wrong.message),
            }
        }
        self.errors.0.sort_by_key(|error| (error.line, error.column));
        if self.errors.0.is_empty() { Ok(objects) } else { Err(self.errors) }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

impl Draft {
    fn add(&mut self, statement: Statement, line: usize, source: SourceLine, at: Span) -> Result<(), Wrong> {
        match statement {
            Statement::Rule(_) | Statement::Map(_) => Ok(()),
            Statement::License(text) => once(&mut self.license, text, at),
            Statement::Abi(number) => once(&mut self.abi, number, at),
            Statement::Event(number) => once(&mut self.event, number, at),
            Statement::Ability(bits) => once(&mut self.ability, bits, at),
            Statement::Option(bits) => once(&mut self.option, bits, at),
            Statement::Raw(insn) => {
                self.push([insn], source);
                Ok(())
            }
            Statement::Op(op) => {
                let (first, second) = op.encode();
                self.push(std::iter::once(first).chain(second), source);
                Ok(())
            }
            Statement::LoadMap { dst, name, at } => {
                let (first, second) = self.load_of(dst, &name, at)?.encode();
                self.push(std::iter::once(first).chain(second), source);
                Ok(())
            }
            Statement::JumpTo { op, label, at: span } => {
                self.jumps.push(Jump { at: self.insns.len(), op, label, line, span });
                self.push([op.encode().0], source);
                Ok(())
            }
        }
    }

    fn declare(&mut self, map: Map, at: Span) -> Result<(), Wrong> {
        if self.maps.iter().any(|known| known.is(&map)) {
            return Wrong::new(at, "the rule has declared this before");
        }
        self.maps.push(map);
        Ok(())
    }

    fn load_of(&self, dst: Reg, name: &str, at: Span) -> Result<Op, Wrong> {
        match self.maps.iter().position(|map| map.definition().name == name) {
            Some(index) => {
                Ok(Op::LoadImm { dst, imm: Imm64::Pseudo { kind: PSEUDO_MAP, value: index as u64 } })
            }
            None => {
                Wrong::new(at, format!("the rule has no map `{name}`; declare it first: `.map {name} fs 10`"))
            }
        }
    }

    fn push(&mut self, insns: impl IntoIterator<Item = Insn>, source: SourceLine) {
        self.insns.extend(insns);
        self.lines.resize(self.insns.len(), Some(source));
    }

    fn finish(mut self) -> Result<RuleObject, (usize, Wrong)> {
        for jump in std::mem::take(&mut self.jumps) {
            let insn = self.resolve(&jump).map_err(|wrong| (jump.line, wrong))?;
            self.insns[jump.at] = insn;
        }
        let subtype = self.subtype();
        let license = self.license.unwrap_or_default();
        Ok(RuleObject {
            name: self.name,
            insns: self.insns,
            subtype,
            license,
            maps: self.maps,
            lines: self.lines,
        })
    }

    fn resolve(&self, jump: &Jump) -> Result<Insn, Wrong> {
        let Some(target) = self.labels.get(&jump.label) else {
            return Wrong::new(jump.span, format!("rule `{}` has no label `{}`", self.name, jump.label));
        };
        let distance = i64::try_from(*target).ok().zip(i64::try_from(jump.at + 1).ok());
        match distance.and_then(|(to, from)| i16::try_from(to - from).ok()) {
            Some(off) => Ok(with_distance(jump.op, off).encode().0),
            None => Wrong::new(
                jump.span,
                format!("`{}` is too far away: a jump skips at most 32767 instructions", jump.label),
            ),
        }
    }

    /// The lowest ABI that has what is declared.
    fn lowest_abi(&self) -> u32 {
        let event = self.event.and_then(Event::from_u32).map_or(1, Event::abi);
        if self.maps.is_empty() { event } else { 2 }
    }

    /// `None` when no part of it is declared.
    fn subtype(&self) -> Option<Subtype> {
        let declared =
            self.abi.is_some() || self.event.is_some() || self.ability.is_some() || self.option.is_some();
        declared.then(|| Subtype {
            abi: self.abi.unwrap_or(self.lowest_abi()),
            event: self.event.unwrap_or_default(),
            ability: self.ability.unwrap_or_default(),
            option: self.option.unwrap_or_default(),
        })
    }
}

fn once<T>(slot: &mut Option<T>, value: T, at: Span) -> Result<(), Wrong> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Wrong::new(at, "the rule has declared this before"),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules and instructions into text.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::syntax::{self, word};
use crate::abi::{Abilities, Event, Subtype};
use crate::insn::Insn;
use crate::map::Map;
use crate::object::RuleObject;
use crate::op::{self, AtomicOp, Callee, Imm64, Op, PSEUDO_MAP, Reg, Size, Source, Width};

/// A rule as text that [`super::parse`] reads back. Source lines become comments.
pub fn print(rule: &RuleObject) -> String {
    let mut text = format!(".rule {}\n", quoted_unless_plain(&rule.name));
    if let Some(subtype) = &rule.subtype {
        text += &declarations(subtype);
    }
    if !rule.license.is_empty() {
        text += &format!(".license {}\n", quoted(&rule.license));
    }
    text += &rule.maps.iter().map(definition).collect::<String>();
    let program = Program::of(rule);
    let labels = program.labels();
    let mut at = 0;
    while at < rule.insns.len() {
        text += &source_line(rule, at);
        if labels.contains(&at) {
            text += &format!("L{at}:\n");
        }
        let statement = match (program.goes_to(at).filter(|to| labels.contains(to)), program.printable(at)) {
            (Some(to), Some(op)) => program.statement(op, &format!("L{to}")),
            _ => program.print(at),
        };
        text += &format!("    {statement}\n");
        at += program.slots(at);
    }
    text
}

fn definition(map: &Map) -> String {
    let said = map.definition();
    format!(".map {} {} {}\n", quoted_unless_plain(&said.name), said.kind.name(), said.max_entries)
}

/// The instruction at `at` as text, jumps with their distance. The second half of a 64-bit load, and
/// whatever is not an instruction of rules, has the raw form.
///
/// # Panics
/// If `at` is not an index of `insns`.
pub fn print_insn(insns: &[Insn], at: usize) -> String {
    Program { insns, maps: &[] }.print(at)
}

/// As [`print_insn`]; loads of the rule's maps have their names.
pub(crate) fn print_insn_of(rule: &RuleObject, at: usize) -> String {
    Program::of(rule).print(at)
}

/// Each instruction of a program, also of the kernel's, as [`print_insn`] has it, with its index before it;
/// second halves of 64-bit loads are left out.
pub fn listing(insns: &[Insn]) -> impl Iterator<Item = (usize, String)> {
    let slots = |at| Op::decode(insns, at).map_or(1, Op::slots);
    let starts = std::iter::successors(Some(0), move |at| Some(at + slots(*at)));
    let starts = starts.take_while(|at| *at < insns.len());
    starts.map(|at| (at, format!("{at:5}: {}", print_insn(insns, at))))
}

struct Program<'a> {
    insns: &'a [Insn],
    maps: &'a [Map],
}

impl<'a> Program<'a> {
    fn of(rule: &'a RuleObject) -> Program<'a> {
        Program { insns: &rule.insns, maps: &rule.maps }
    }

    fn print(&self, at: usize) -> String {
        if let Some(op) = self.printable(at) {
            let distance = match op {
                Op::Jump { off } | Op::Branch { off, .. } => format!("{off:+}"),
                _ => String::new(),
            };
            return self.statement(op, &distance);
        }
        let Insn { code, dst, src, off, imm } = self.insns[at];
        format!(".insn {code:#04x}, {dst}, {src}, {off}, {imm}")
    }

    /// The operation, if it has a form of its own that says everything its encoding does.
    fn printable(&self, at: usize) -> Option<Op> {
        let op = Op::decode(self.insns, at).ok()?;
        let foreign = match op {
            Op::LoadImm { imm: imm @ Imm64::Pseudo { .. }, .. } => self.map(imm).is_none(),
            op => matches!(op, Op::LoadPacket | Op::Call(Callee::Local(_) | Callee::Kernel(_))),
        };
        (!foreign && op.encode().0 == self.insns[at]).then_some(op)
    }

    /// The map a load is of.
    fn map(&self, imm: Imm64) -> Option<&Map> {
        match imm {
            Imm64::Pseudo { kind: PSEUDO_MAP, value } => self.maps.get(usize::try_from(value).ok()?),
            _ => None,
        }
    }

    fn slots(&self, at: usize) -> usize {
        self.printable(at).map_or(1, Op::slots)
    }

    /// Indices that get a label: the targets of jumps that are the start of a statement.
    fn labels(&self) -> BTreeSet<usize> {
        let starts: BTreeSet<usize> = std::iter::successors(Some(0), |at| Some(at + self.slots(*at)))
            .take_while(|at| *at < self.insns.len())
            .collect();
        starts.iter().filter_map(|at| self.goes_to(*at)).filter(|to| starts.contains(to)).collect()
    }

    fn goes_to(&self, at: usize) -> Option<usize> {
        match self.printable(at)? {
            Op::Jump { off } | Op::Branch { off, .. } => op::target(at, off),
            _ => None,
        }
    }

    fn statement(&self, op: Op, target: &str) -> String {
        let Op::LoadImm { dst, imm } = op else { return statement(op, target) };
        match self.map(imm) {
            Some(map) => format!("{dst} = map {}", quoted_unless_plain(&map.definition().name)),
            None => statement(op, target),
        }
    }
}

fn statement(op: Op, target: &str) -> String {
    match op {
        Op::Alu { op, width, dst, src } => {
            let sign = word(&syntax::ALU, &op).unwrap_or("=");
            format!("{} {sign} {}", reg(dst, width), operand(src, width))
        }
        Op::Neg { width, dst } => format!("{0} = -{0}", reg(dst, width)),
        Op::Swap { order, bits, dst } => {
            format!("{dst} = {} {dst}", word(&syntax::SWAP, &(order, bits)).unwrap_or_default())
        }
        Op::LoadImm { dst, imm: Imm64::Value(value) } => format!("{dst} = {value:#x} ll"),
        Op::Load { size, dst, base, off } => format!("{dst} = *({} *)({})", type_of(size), place(base, off)),
        Op::Store { size, base, off, src } => {
            format!("*({} *)({}) = {}", type_of(size), place(base, off), operand(src, Width::W64))
        }
        Op::Atomic { op, size, base, off, src } => atomic(op, size, &place(base, off), src),
        Op::Jump { .. } => format!("goto {target}"),
        Op::Branch { op, width, dst, src, .. } => {
            let sign = word(&syntax::COMPARE, &op).unwrap_or_default();
            format!("if {} {sign} {} goto {target}", reg(dst, width), operand(src, width))
        }
        Op::Call(Callee::Helper(id)) => {
            format!("call {}", word(&syntax::HELPER, &id).map_or_else(|| id.to_string(), str::to_owned))
        }
        Op::Exit => "exit".to_owned(),
        Op::LoadPacket | Op::LoadImm { .. } | Op::Call(_) => unreachable!("printable() left it raw"),
    }
}

fn atomic(op: AtomicOp, size: Size, place: &str, src: Reg) -> String {
    let src_name = reg(src, if size == Size::Word { Width::W32 } else { Width::W64 });
    if let Some(sign) = word(&syntax::LOCKED, &op) {
        return format!("lock *({} *)({place}) {sign} {src_name}", type_of(size));
    }
    if let Some(name) = word(&syntax::FETCH, &op) {
        return format!("{src_name} = {name}(({} *)({place}), {src_name})", type_of(size));
    }
    let name = syntax::EXCHANGE.iter().find(|(_, known, known_size)| (*known, *known_size) == (op, size));
    let name = name.map_or("", |(name, ..)| *name);
    match op {
        AtomicOp::CompareExchange => {
            let r0 = reg(Reg::R0, if size == Size::Word { Width::W32 } else { Width::W64 });
            format!("{r0} = {name}({place}, {r0}, {src_name})")
        }
        _ => format!("{src_name} = {name}({place}, {src_name})"),
    }
}

fn reg(reg: Reg, width: Width) -> String {
    let letter = if width == Width::W32 { 'w' } else { 'r' };
    format!("{letter}{}", reg.number())
}

fn operand(src: Source, width: Width) -> String {
    match src {
        Source::Reg(src) => reg(src, width),
        Source::Imm(imm) => number(imm),
    }
}

/// Big numbers are masks, modes and requests: hexadecimal.
fn number(imm: i32) -> String {
    if imm >= 1024 { format!("{imm:#x}") } else { imm.to_string() }
}

fn place(base: Reg, off: i16) -> String {
    let sign = if off < 0 { '-' } else { '+' };
    format!("{base} {sign} {}", off.unsigned_abs())
}

fn type_of(size: Size) -> &'static str {
    word(&syntax::SIZE, &size).unwrap_or_default()
}

fn declarations(subtype: &Subtype) -> String {
    let mut text = String::new();
    let event =
        Event::from_u32(subtype.event).map_or_else(|| subtype.event.to_string(), |event| event.name().into());
    let _ = writeln!(text, ".event {event}\n.abi {}", subtype.abi);
    if subtype.ability == Abilities::DEBUG.bits() {
        text += ".ability DEBUG\n";
    } else if subtype.ability != 0 {
        let _ = writeln!(text, ".ability {:#x}", subtype.ability);
    }
    if subtype.option != 0 {
        let _ = writeln!(text, ".option {:#x}", subtype.option);
    }
    text
}

fn source_line(rule: &RuleObject, at: usize) -> String {
    let line = |at: usize| rule.lines.get(at).and_then(Option::as_ref);
    let previous = at.checked_sub(1).and_then(line);
    match line(at).filter(|line| Some(*line) != previous) {
        Some(line) => {
            let comment = format!("{}:{}: {}", line.file, line.line, line.text);
            format!("    ; {}\n", comment.replace(char::is_control, " "))
        }
        None => String::new(),
    }
}

fn quoted_unless_plain(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_plain && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

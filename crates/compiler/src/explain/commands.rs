// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which commands of an ioctl, a lock or an fcntl are treated in a way of their own.

mod names;

use super::Explained;
use super::operations::{Arg2, Operation};
use super::reply::{Command, Commands, Reply, put, reply};
use crate::abi::Event;
use crate::domain::{Composed, Domain};
use crate::op::{Op, Source, immediate};
use crate::specialise::{Bits, Field, Residual};

/// Most commands that are looked into.
const MAX_COMMANDS: usize = 256;

/// The reply to an operation, and to the commands that get another one.
pub(super) fn explained(domain: &Domain, operation: &Operation) -> Explained {
    let explain = |reply, commands| Explained { operation: operation.name, reply, commands };
    let overall = reply(domain, operation, &Commands::ALL);
    let event = operation.asks.iter().find_map(|ask| match ask.arg2 {
        Arg2::Command(event) => Some(event),
        Arg2::Actions(_) => None,
    });
    match (overall, event) {
        (Some(overall @ Reply::Depends { .. }), Some(event)) => {
            let special = special(domain, operation);
            // Without any other command left, there is nothing the overall reply would hide.
            let others = Commands { within: Bits::ANY32, except: &special };
            let others = reply(domain, operation, &others).unwrap_or(overall);
            let replies = special.iter().enumerate().filter_map(|(index, bits)| {
                let narrower: Vec<Bits> =
                    special[..index].iter().copied().filter(|other| bits.includes(*other)).collect();
                Some((*bits, reply(domain, operation, &Commands { within: *bits, except: &narrower })?))
            });
            let commands = told(&replies.collect::<Vec<_>>(), &others);
            explain(others, commands.into_iter().map(|(bits, reply)| command(event, bits, reply)).collect())
        }
        (overall, _) => explain(overall.unwrap_or(Reply::Denied), Vec::new()),
    }
}

/// The commands that have to be told: those that get another reply than the others, and those among them that do
/// not.
fn told(replies: &[(Bits, Reply)], others: &Reply) -> Vec<(Bits, Reply)> {
    let mut told: Vec<(Bits, Reply)> = Vec::new();
    for (bits, reply) in replies.iter().rev() {
        if reply != others || told.iter().any(|(wider, _)| wider.includes(*bits)) {
            told.push((*bits, reply.clone()));
        }
    }
    told.reverse();
    told
}

fn command(event: Event, bits: Bits, reply: Reply) -> Command {
    let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    let (value, mask) = (low(bits.value), low(!bits.unknown));
    let name = if mask == u32::MAX { names::name(event, value) } else { None };
    Command { value, mask, name, reply }
}

/// The commands that the rules tell apart, single ones first, then those under ever fewer bits.
fn special(domain: &Domain, operation: &Operation) -> Vec<Bits> {
    let mut found: Vec<Bits> = Vec::new();
    for ask in operation.asks.iter().filter(|ask| matches!(ask.arg2, Arg2::Command(_))) {
        for file_type in operation.types {
            if let Some(Composed::Residuals(left)) = put(domain, ask, *file_type, &Commands::ALL) {
                found.extend(left.iter().flat_map(|(_, residual)| told_apart(residual)));
            }
        }
    }
    let mut found: Vec<Bits> = found.into_iter().flat_map(spelled_out).collect();
    found.retain(|bits| *bits != Bits::ANY32 && Bits::ANY32.includes(*bits));
    found.sort_by_key(|bits| (bits.unknown.count_ones(), bits.value, bits.unknown));
    found.dedup();
    found.truncate(MAX_COMMANDS);
    found
}

/// The sets of commands that a residual's cases are made of, or else the constants it compares with.
fn told_apart(residual: &Residual) -> Vec<Bits> {
    if let Some(cases) = residual.cases() {
        let sets = cases.iter().map(|case| case.inputs.field(Field::Arg2));
        return sets
            .flat_map(|set| std::iter::once(set.bits()).chain(set.except().iter().copied()))
            .collect();
    }
    let constants = residual.ops().iter().flatten().filter_map(|op| match op {
        Op::Branch { src: Source::Imm(imm), .. } => Some(immediate(*imm) & Bits::ANY32.unknown),
        _ => None,
    });
    constants.map(Bits::exactly).collect()
}

/// A few commands one by one; many under a mask as they are.
fn spelled_out(bits: Bits) -> Vec<Bits> {
    const FEW: u32 = 3;
    let bits = bits.intersect(Bits::ANY32).unwrap_or(bits);
    if bits.unknown.count_ones() > FEW {
        return vec![bits];
    }
    let mut all = vec![bits];
    while let Some(open) = all[0].known().is_none().then_some(all[0].unknown) {
        let bit = open & open.wrapping_neg();
        all = all
            .iter()
            .flat_map(|bits| {
                [0, bit].map(|value| Bits { value: bits.value | value, unknown: bits.unknown & !bit })
            })
            .collect();
    }
    all
}

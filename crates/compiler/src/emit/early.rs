// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaving before anything is computed, where the mask of a call says that no rule denies.
//!
//! `inode_permission` runs for each folder on the way to a file, and hardly any rule minds that a folder is
//! walked through. Whether none does is asked of the specialiser, not guessed.

use super::EmitError;
use super::code::Code;
use super::object::Arguments;
use crate::abi::Actions;
use crate::domain::{Composed, Domain};
use crate::hooks::{self, Arg2, Instance};
use crate::op::{CompareOp, Reg, Width};
use crate::specialise::{Bits, Field, Known};

/// Returns 0 unless the call's mask has a bit that rules may mind. Clobbers `r0` and `r1`.
pub(super) fn leave(
    code: &mut Code,
    arguments: Arguments<'_>,
    domain: &Domain,
    (instance, composed): (&Instance, &Composed),
) -> Result<(), EmitError> {
    let Some(actions) = decisive(domain, instance, composed) else { return Ok(()) };
    let bits = (0..31).map(|bit| 1 << bit).filter(|bit| hooks::may(*bit).intersects(actions));
    let ask = code.label();
    arguments.follow(code, "mask", ask)?;
    code.branch(CompareOp::Set, Width::W32, Reg::R1, bits.sum::<u32>().cast_signed(), ask);
    code.set(Reg::R0, 0);
    code.exit();
    code.place(ask);
    Ok(())
}

/// Actions without which no rule denies or traces; none if `arg2` is not of a mask, or there are no such.
fn decisive(domain: &Domain, instance: &Instance, composed: &Composed) -> Option<Actions> {
    if instance.arg2 != Arg2::Mask {
        return None;
    }
    let known = super::known(instance);
    let looked_at = composed.looks_at(Field::Arg2) & known.arg2.unknown;
    let without = Known { arg2: Bits::but_for(0, known.arg2.unknown & !looked_at), ..known };
    matches!(domain.specialise(&without), Composed::Allow).then(|| Actions::from_bits_truncate(looked_at))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loading a rule, in the order v7 checked.

use std::os::fd::OwnedFd;

use landlock_compiler::abi::{MAX_INSNS, PROG_TYPE_LANDLOCK_RULE, Subtype};
use landlock_compiler::insn::Insn;
use landlock_compiler::object::{RuleObject, insns_from_bytes};
use landlock_compiler::verify::{Loader, Problems, verify};
use rustix::io::Errno;

use crate::attr::Attr;
use crate::descriptor::described;
use crate::memory::{self, Memory};

/// Verifies what the attributes describe for `loader` and gives a descriptor for it, closed on exec.
///
/// # Errors
/// v7's: see `landlock_load` in `<landlock/landlock.h>`.
pub fn load(memory: &impl Memory, loader: &Loader, attr: &Attr) -> Result<OwnedFd, Errno> {
    const STRICT_ALIGNMENT: u32 = 1;
    const LICENSE: usize = 128;
    attr.is_extended()?;
    if attr.prog_flags() & !STRICT_ALIGNMENT != 0 {
        return Err(Errno::INVAL);
    }
    let license = memory::read_string(memory, attr.license(), LICENSE)?;
    let count = usize::try_from(attr.insn_cnt()).map_err(|_| Errno::TOOBIG)?;
    if count == 0 || count > MAX_INSNS {
        return Err(Errno::TOOBIG);
    }
    if attr.prog_type() != PROG_TYPE_LANDLOCK_RULE {
        return Err(Errno::INVAL);
    }
    let insns = memory.read(attr.insns(), count * Insn::SIZE)?;
    let insns = insns_from_bytes(&insns).ok_or(Errno::INVAL)?;
    let subtype = subtype(memory, attr)?;
    let object = RuleObject { subtype, license, insns, name: "rule".to_owned(), ..RuleObject::default() };
    verified(memory, loader, &object, attr)?;
    described(&object)
}

/// The verifier's answer as an errno.
pub fn errno(problems: &Problems) -> Errno {
    Errno::from_raw_os_error(problems.errno().number())
}

/// Missing bytes are 0; without an address there is none, which the verifier refuses.
fn subtype(memory: &impl Memory, attr: &Attr) -> Result<Option<Subtype>, Errno> {
    let (address, size) = (attr.subtype(), attr.subtype_size() as usize);
    if address == 0 {
        return if size == 0 { Ok(None) } else { Err(Errno::INVAL) };
    }
    let mut bytes = [0; Subtype::SIZE];
    let (known, is_all) = memory::read_extensible(memory, address, size, Subtype::SIZE)?;
    if !is_all {
        return Err(Errno::TOOBIG);
    }
    bytes[..known.len()].copy_from_slice(&known);
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
    };
    let word = |at| u32::try_from(number(at, 4)).map_err(|_| Errno::INVAL);
    Ok(Some(Subtype { abi: word(0)?, event: word(4)?, ability: number(8, 8), option: number(16, 8) }))
}

/// Verifies, and tells what is wrong where the caller wants to know.
fn verified(memory: &impl Memory, loader: &Loader, object: &RuleObject, attr: &Attr) -> Result<(), Errno> {
    const LEAST_LOG: usize = 128;
    const MOST_LOG: usize = (u32::MAX >> 8) as usize;
    let (level, size, buffer) = (attr.log_level(), attr.log_size() as usize, attr.log_buf());
    let result = verify(object.clone(), loader);
    let wants = level != 0;
    let is_valid = wants == (buffer != 0) && (!wants || (LEAST_LOG..=MOST_LOG).contains(&size));
    match result {
        // A subtype that is none is refused before anybody looks at the log.
        Err(problems) if subtype_is_wrong(object, loader) => Err(errno(&problems)),
        _ if !is_valid && (wants || size != 0 || buffer != 0) => Err(Errno::INVAL),
        Ok(_) if wants => memory.write(buffer, b"\0"),
        Ok(_) => Ok(()),
        Err(problems) if wants => {
            let mut text = problems.to_string().into_bytes();
            let fits = text.len() < size;
            text.truncate(size - 1);
            text.push(0);
            memory.write(buffer, &text)?;
            Err(if fits { errno(&problems) } else { Errno::NOSPC })
        }
        Err(problems) => Err(errno(&problems)),
    }
}

/// Whether the subtype alone would be refused: with the smallest program there is.
fn subtype_is_wrong(object: &RuleObject, loader: &Loader) -> bool {
    let insns = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].map(Insn::decode).to_vec();
    let probe = RuleObject { subtype: object.subtype, insns, ..RuleObject::default() };
    verify(probe, loader).is_err()
}

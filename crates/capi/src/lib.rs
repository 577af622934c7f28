// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock v7's two calls for C. `include/landlock/landlock.h` says what they do; this says how.
//!
//! A rule's descriptor is a sealed memory file that holds the rule. Who makes one up has made a rule like everybody
//! can: it is verified again where it is used, by the supervisor too.

mod memory;

use std::ffi::{c_int, c_uint};
use std::fs::File;
use std::io::Write;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use ebpf_landlock::loader;
use landlock_compiler::abi::{MAX_INSNS, PROG_TYPE_LANDLOCK_RULE, Subtype};
use landlock_compiler::domain::Domain;
use landlock_compiler::insn::Insn;
use landlock_compiler::object::{RuleObject, insns_from_bytes};
use landlock_compiler::verify::verify;
use landlock_supervisor::denial::Log;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// Loads a rule; see the header.
///
/// # Safety
/// None to keep: every address is read and written by the kernel, which checks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn landlock_load(attr: *const u8, size: c_uint) -> c_int {
    answer(load(attr.addr(), size as usize).map(|rule| rule.into_raw_fd()))
}

/// Prepends a rule to the calling thread; see the header.
///
/// # Safety
/// None to keep: the address is read by the kernel, which checks it. A descriptor of that number stays open for the call, or
/// the caller closes it in another thread and gets `EBADF` or another rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn landlock_prepend(flags: c_uint, rule: *const c_int) -> c_int {
    answer(prepend(flags, rule.addr()).map(|()| 0))
}

fn answer(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(|errno| {
        memory::set_errno(errno.raw_os_error());
        -1
    })
}

/// Bytes of the attributes up to their last field, and with the padding behind it.
const ATTR_USED: usize = 60;
const ATTR_SIZE: usize = 64;
const PAGE: usize = 4096;

struct Attr([u8; ATTR_SIZE]);

impl Attr {
    fn read(address: usize, size: usize) -> Result<Attr, Errno> {
        let known = memory::read_extensible(address, size, ATTR_SIZE)?;
        let mut attr = [0; ATTR_SIZE];
        attr[..known.len()].copy_from_slice(&known);
        Ok(Attr(attr))
    }

    fn u32(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.0[at..at + 4]);
        u32::from_ne_bytes(word)
    }

    fn address(&self, at: usize) -> Result<usize, Errno> {
        let mut word = [0; 8];
        word.copy_from_slice(&self.0[at..at + 8]);
        usize::try_from(u64::from_ne_bytes(word)).map_err(|_| Errno::FAULT)
    }
}

/// In the order v7 checked.
fn load(address: usize, size: usize) -> Result<OwnedFd, Errno> {
    const STRICT_ALIGNMENT: u32 = 1;
    const LICENSE: usize = 128;
    let attr = Attr::read(address, size)?;
    if attr.0[ATTR_USED..].iter().any(|byte| *byte != 0) || attr.u32(44) & !STRICT_ALIGNMENT != 0 {
        return Err(Errno::INVAL);
    }
    let license = memory::read_string(attr.address(16)?, LICENSE)?;
    let count = usize::try_from(attr.u32(4)).map_err(|_| Errno::TOOBIG)?;
    if count == 0 || count > MAX_INSNS {
        return Err(Errno::TOOBIG);
    }
    if attr.u32(0) != PROG_TYPE_LANDLOCK_RULE {
        return Err(Errno::INVAL);
    }
    let insns = memory::read(attr.address(8)?, count * Insn::SIZE)?;
    let insns = insns_from_bytes(&insns).ok_or(Errno::INVAL)?;
    let subtype = subtype(attr.address(48)?, attr.u32(56) as usize)?;
    let object = RuleObject { subtype, license, insns, name: "rule".to_owned(), ..RuleObject::default() };
    verified(&object, &attr)?;
    described(&object)
}

/// Missing bytes are 0; without an address there is none, which the verifier refuses.
fn subtype(address: usize, size: usize) -> Result<Option<Subtype>, Errno> {
    if address == 0 {
        return if size == 0 { Ok(None) } else { Err(Errno::INVAL) };
    }
    let mut bytes = [0; Subtype::SIZE];
    let known = memory::read_extensible(address, size, Subtype::SIZE)?;
    bytes[..known.len()].copy_from_slice(&known);
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
    };
    let word = |at| u32::try_from(number(at, 4)).map_err(|_| Errno::INVAL);
    Ok(Some(Subtype { abi: word(0)?, event: word(4)?, ability: number(8, 8), option: number(16, 8) }))
}

/// Verifies, and tells what is wrong where the caller wants to know.
fn verified(object: &RuleObject, attr: &Attr) -> Result<(), Errno> {
    const LEAST_LOG: usize = 128;
    const MOST_LOG: usize = (u32::MAX >> 8) as usize;
    let (level, size, buffer) = (attr.u32(24), attr.u32(28) as usize, attr.address(32)?);
    let result = verify(object.clone(), &loader());
    let wants = level != 0;
    let is_valid = wants == (buffer != 0) && (!wants || (LEAST_LOG..=MOST_LOG).contains(&size));
    match result {
        // A subtype that is none is refused before anybody looks at the log.
        Err(problems) if object_is_wrong(object) => Err(errno(&problems)),
        _ if !is_valid && (wants || size != 0 || buffer != 0) => Err(Errno::INVAL),
        Ok(_) if wants => memory::write(buffer, b"\0"),
        Ok(_) => Ok(()),
        Err(problems) if wants => {
            let mut text = problems.to_string().into_bytes();
            let fits = text.len() < size;
            text.truncate(size - 1);
            text.push(0);
            memory::write(buffer, &text)?;
            Err(if fits { errno(&problems) } else { Errno::NOSPC })
        }
        Err(problems) => Err(errno(&problems)),
    }
}

fn errno(problems: &landlock_compiler::verify::Problems) -> Errno {
    Errno::from_raw_os_error(problems.errno().number())
}

/// Whether the subtype alone would be refused: with the smallest program there is.
fn object_is_wrong(object: &RuleObject) -> bool {
    let insns = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].map(Insn::decode).to_vec();
    let probe = RuleObject { subtype: object.subtype, insns, ..RuleObject::default() };
    verify(probe, &loader()).is_err()
}

/// What a descriptor of a rule has; nothing can change the rule in it.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);
/// More than any rule takes.
const MAX_RULE: u64 = 1 << 20;

fn described(object: &RuleObject) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"landlock-rule", flags)?);
    let bytes = serde_json::to_vec(object).map_err(|_| Errno::NOMEM)?;
    file.write_all(&bytes).map_err(io_errno)?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

fn io_errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// In the order v7 checked, but for the privilege: nobody needs one who gains none.
fn prepend(flags: c_uint, address: usize) -> Result<(), Errno> {
    if !landlock_supervisor::is_offered() {
        return Err(Errno::INVAL);
    }
    if address == 0 {
        return Err(Errno::FAULT);
    }
    if flags != 0 {
        return Err(Errno::INVAL);
    }
    let mut number = [0; size_of::<c_int>()];
    number.copy_from_slice(&memory::read(address, size_of::<c_int>())?);
    let number = c_int::from_ne_bytes(number);
    let file = File::from(memory::duplicate(number)?);
    let rule = verify(rule_in(&file)?, &loader()).map_err(|problems| errno(&problems))?;
    match landlock_supervisor::enter(&Domain::prepended([rule]), &Log::none()) {
        Ok(()) => Ok(()),
        Err(landlock_supervisor::Error::NotNested { errno, .. }) => {
            Err(match Errno::from_raw_os_error(errno) {
                Errno::NOSPC => Errno::NOMEM,
                errno => errno,
            })
        }
        Err(_) => Err(Errno::NOMEM),
    }
}

fn rule_in(file: &File) -> Result<RuleObject, Errno> {
    let sealed = rustix::fs::fcntl_get_seals(file).unwrap_or(SealFlags::empty());
    let size = file.metadata().map_err(io_errno)?.len();
    if !sealed.contains(SEALS) || size > MAX_RULE {
        return Err(Errno::INVAL);
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| Errno::INVAL)?];
    file.read_exact_at(&mut bytes, 0).map_err(io_errno)?;
    serde_json::from_slice(&bytes).map_err(|_| Errno::INVAL)
}

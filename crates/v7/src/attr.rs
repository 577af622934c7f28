// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attributes of a load: v7's `union bpf_attr`.

use landlock_compiler::abi::PROG_TYPE_LANDLOCK_RULE;
use rustix::io::Errno;

use crate::memory::{self, Memory};

/// Bytes of the attributes up to their last field, and with the padding behind it.
const USED: usize = 60;
const SIZE: usize = 64;
/// Where v7 has the address of the subtype, and later kernels the name of the program.
const SUBTYPE: usize = 48;

/// A copy of them. Fields that were not given are 0.
#[derive(Clone, Debug)]
pub struct Attr {
    known: [u8; SIZE],
    size: usize,
    /// Nothing but 0 behind what is known.
    is_all: bool,
}

impl Attr {
    /// Copies `size` bytes at `address`, once. Of more than a page, which [`load`](crate::load) refuses, it has the
    /// beginning: whose they are is to be told also then.
    ///
    /// # Errors
    /// `EFAULT`; `E2BIG` if that is more than a page.
    pub fn copy(memory: &impl Memory, address: u64, size: usize) -> Result<Attr, Errno> {
        let (bytes, is_all) = match size > memory::PAGE {
            true => (memory.read(address, SIZE).map_err(|_| Errno::TOOBIG)?, false),
            false => memory::read_extensible(memory, address, size, SIZE)?,
        };
        let mut known = [0; SIZE];
        known[..bytes.len()].copy_from_slice(&bytes);
        Ok(Attr { known, size, is_all })
    }

    /// Whether they are those of a rule, and not of a program that kernels of today give the number to
    /// (`BPF_PROG_TYPE_CGROUP_DEVICE`).
    ///
    /// Where v7 has the subtype's address and size, that type has the 16 bytes of a name. What such a kernel takes
    /// for a name, letters, digits, `_` and `.`, and then 0, is no address of a process together with a size. Without
    /// either, the length tells: v7's attributes end there.
    pub fn are_of_a_rule(&self) -> bool {
        let name = &self.known[SUBTYPE..];
        let letters = name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte));
        let letters = letters.count();
        let is_name = letters < name.len() && name[letters..].iter().all(|byte| *byte == 0);
        self.prog_type() == PROG_TYPE_LANDLOCK_RULE
            && match is_name {
                true => letters == 0 && (USED..=SIZE).contains(&self.size),
                false => true,
            }
    }

    /// `E2BIG` for fields that nobody knows, `EINVAL` for what stands behind the last one.
    pub(crate) fn is_extended(&self) -> Result<(), Errno> {
        if !self.is_all {
            return Err(Errno::TOOBIG);
        }
        if self.known[USED..].iter().any(|byte| *byte != 0) { Err(Errno::INVAL) } else { Ok(()) }
    }

    fn u32(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.known[at..at + 4]);
        u32::from_ne_bytes(word)
    }

    fn u64(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.known[at..at + 8]);
        u64::from_ne_bytes(word)
    }

    pub(crate) fn prog_type(&self) -> u32 {
        self.u32(0)
    }

    pub(crate) fn insn_cnt(&self) -> u32 {
        self.u32(4)
    }

    pub(crate) fn insns(&self) -> u64 {
        self.u64(8)
    }

    pub(crate) fn license(&self) -> u64 {
        self.u64(16)
    }

    pub(crate) fn log_level(&self) -> u32 {
        self.u32(24)
    }

    pub(crate) fn log_size(&self) -> u32 {
        self.u32(28)
    }

    pub(crate) fn log_buf(&self) -> u64 {
        self.u64(32)
    }

    pub(crate) fn prog_flags(&self) -> u32 {
        self.u32(44)
    }

    pub(crate) fn subtype(&self) -> u64 {
        self.u64(SUBTYPE)
    }

    pub(crate) fn subtype_size(&self) -> u32 {
        self.u32(56)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(size: usize, prog_type: u8, behind_48: &[u8]) -> Attr {
        let mut known = [0; SIZE];
        known[0] = prog_type;
        known[SUBTYPE..SUBTYPE + behind_48.len()].copy_from_slice(behind_48);
        Attr { known, size, is_all: true }
    }

    #[test]
    fn a_subtype_is_not_taken_for_a_name() {
        let given = |address: u64, size: u8| [&address.to_ne_bytes()[..], &[size]].concat();
        for address in [0x7ffd_1234_5678, 0x5555_5555_9010, 8, 0, u64::MAX] {
            let subtype = given(address, 24);
            assert!(attr(64, 15, &subtype).are_of_a_rule(), "{address:#x}");
            assert!(attr(120, 15, &subtype).are_of_a_rule(), "{address:#x}");
            assert!(!attr(64, 1, &subtype).are_of_a_rule(), "{address:#x}");
        }
        assert!(attr(64, 15, &given(0x7ffd_1234_5678, 0)).are_of_a_rule());
    }

    #[test]
    fn a_name_is_not_taken_for_a_subtype() {
        for name in ["d", "sd_devs", "sd_devices", "a.b", "fifteen_letters"] {
            for size in [64, 72, 148] {
                assert!(!attr(size, 15, name.as_bytes()).are_of_a_rule(), "{name} {size}");
            }
        }
    }

    struct Zeros;

    impl Memory for Zeros {
        fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
            if address == 8 { Err(Errno::FAULT) } else { Ok(vec![0; len]) }
        }

        fn write(&self, _: u64, _: &[u8]) -> Result<(), Errno> {
            Err(Errno::FAULT)
        }
    }

    #[test]
    fn more_than_a_page_is_too_much_whatever_is_in_it() {
        let said = |address, size| Attr::copy(&Zeros, address, size).and_then(|attr| attr.is_extended());
        assert_eq!((said(4096, 4096), said(4096, 4097)), (Ok(()), Err(Errno::TOOBIG)));
        assert_eq!((said(8, 4096), said(8, 4097)), (Err(Errno::FAULT), Err(Errno::TOOBIG)));
    }

    #[test]
    fn without_either_the_length_tells() {
        for (size, ours) in [(48, false), (60, true), (64, true), (72, false), (148, false)] {
            assert_eq!(attr(size, 15, &[]).are_of_a_rule(), ours, "{size}");
        }
    }
}

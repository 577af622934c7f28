// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules from wherever they are. All go through the same verifier.

use std::os::linux::fs::MetadataExt;
use std::path::Path;

use landlock_compiler::abi::Subtype;
use landlock_compiler::insn::Insn;
use landlock_compiler::object::RuleObject;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};
use landlock_compiler::{asm, elf, read};
use rustix::thread::{CapabilitySet, capabilities};

use crate::Error;

/// The rules of a `.c`, `.s` or `.o` file, in the file's order; at least one. C needs clang.
///
/// # Errors
/// [`Error::File`] and [`Error::Refused`]; both name what they are about.
///
/// ```
/// use ebpf_landlock::{Domain, from_file};
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules/no-removal.s");
/// let domain = Domain::prepended(from_file(path)?);
/// assert_eq!(domain.rules()[0].name(), "no-removal");
/// assert!(from_file("none.s").unwrap_err().to_string().contains("none.s"));
/// # Ok::<(), ebpf_landlock::Error>(())
/// ```
pub fn from_file(path: impl AsRef<Path>) -> Result<Vec<Rule>, Error> {
    verified(read::read_file(path.as_ref())?)
}

/// The rules of an ELF object in memory, as `landlock build` or clang makes it.
///
/// # Errors
/// [`Error::Object`] and [`Error::Refused`].
///
/// ```
/// use ebpf_landlock::{Error, from_object};
///
/// assert!(matches!(from_object(b"\x7fELF, or so it says"), Err(Error::Object(_))));
/// ```
pub fn from_object(bytes: &[u8]) -> Result<Vec<Rule>, Error> {
    verified(elf::read_elf(bytes)?)
}

/// The rules of an assembly text.
///
/// # Errors
/// [`Error::Assembly`], with every line that is wrong, and [`Error::Refused`].
///
/// ```
/// let rules = ebpf_landlock::from_assembly(".rule allow\n.event FS\nr0 = 0\nexit")?;
/// assert_eq!(rules[0].name(), "allow");
/// # Ok::<(), ebpf_landlock::Error>(())
/// ```
pub fn from_assembly(text: &str) -> Result<Vec<Rule>, Error> {
    verified(asm::parse(text, "assembly")?)
}

/// A rule of instructions in memory. The helper for modes needs a licence compatible with the GPL.
///
/// # Errors
/// [`Error::Refused`].
///
/// ```
/// use ebpf_landlock::{Insn, Subtype, from_insns};
///
/// let [mov_r0_1, exit] = [Insn { code: 0xb7, imm: 1, ..Insn::default() }, Insn { code: 0x95, ..Insn::default() }];
/// let subtype = Subtype { abi: 1, event: 1, ..Subtype::default() };
/// let rule = from_insns("deny_all", vec![mov_r0_1, exit], subtype, "GPL")?;
/// assert_eq!(rule.insns().len(), 2);
///
/// // No exit:
/// assert!(from_insns("endless", vec![mov_r0_1], subtype, "GPL").is_err());
/// # Ok::<(), ebpf_landlock::Error>(())
/// ```
pub fn from_insns(name: &str, insns: Vec<Insn>, subtype: Subtype, license: &str) -> Result<Rule, Error> {
    Ok(verify_newest(RuleObject::from_insns(name, insns, subtype, license), &loader())?)
}

fn verified(objects: Vec<RuleObject>) -> Result<Vec<Rule>, Error> {
    let loader = loader();
    objects.into_iter().map(|object| Ok(verify_newest(object, &loader)?)).collect()
}

/// What this process may load: debug rules need CAP_SYS_ADMIN, which counts only in the initial user namespace.
pub fn loader() -> Loader {
    const INITIAL: u64 = 0xefff_fffd;
    let effective = capabilities(None).map(|sets| sets.effective).unwrap_or(CapabilitySet::empty());
    let initial = || std::fs::metadata("/proc/self/ns/user").is_ok_and(|ns| ns.st_ino() == INITIAL);
    Loader { cap_sys_admin: effective.contains(CapabilitySet::SYS_ADMIN) && initial() }
}

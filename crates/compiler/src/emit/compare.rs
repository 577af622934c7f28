// SPDX-License-Identifier: MIT OR Apache-2.0
//! Comparisons with handles: functions of the program that answer what the evaluator's comparisons answer.
//!
//! A map of handles holds one map, memory that the engine has filled and does not change: see
//! [`handles`](super::handles). A comparison takes it once, so it sees a change whole or not at all. Addresses of the kernel's are
//! numbers here and are read through a helper that cannot fault, since a mount can only be left by arithmetic the
//! verifier allows with numbers alone. Whatever cannot be read, or takes too many steps, cannot be told.

mod cgroup;
mod compared;
mod leg;
mod prop;
mod walk;

use super::code::{Code, Function, Functions, Part};
use super::handles::{CGROUP, COUNT, FLAGS, FS, MAX_OBJECTS, SEEN, entry};
use super::object::Arguments;
use super::residual::Results;
use super::{EmitError, MapSlot, Member};
use crate::abi::HandleKind;
use crate::abi::handles::{ArrayKind, OP_OR, Options};
use crate::abi::helper;
use crate::map::Map;
use crate::op::{AluOp, CompareOp, Reg, Size, Width};
pub(super) use compared::comparing;
pub use compared::{Compared, compared};

/// What a comparison answers besides what rules see: it cannot be told.
pub(super) const UNKNOWN: i32 = 2;
const MATCH: i32 = 0;
const NO_MATCH: i32 = 1;
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
const MAP_LOOKUP_ELEM: i32 = 1;
const PROBE_READ_KERNEL: i32 = 113;
/// Where the object of a question is, from the frame pointer of the program: its dentry and its mount, as numbers, and
/// the hook's arguments, which lead to it.
pub(super) const DENTRY: i16 = super::ERRNO - 8;
pub(super) const MOUNT: i16 = DENTRY - 8;
pub(super) const ARGUMENTS: i16 = MOUNT - 8;
/// Bytes of stack a comparison may take, with what it calls.
pub(super) const STACK: usize = 32 + 96 + 96;

/// The comparisons of what is asked about with handles.
#[derive(Clone, Copy)]
pub(super) struct Comparisons<'a> {
    pub arguments: Arguments<'a>,
    /// The object, over the arguments.
    pub expression: &'static str,
    pub handle: HandleKind,
}

/// One comparison, as a rule calls it.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub helper: i32,
    pub results: Results,
    /// Its options, if they are known.
    pub options: Option<u64>,
}

impl Comparisons<'_> {
    /// The function for a rule's map: `r1` options or properties, `r3` the operation, `r4` the object, `r5` the frame
    /// pointer of the program.
    pub fn function(&self, functions: &mut Functions, call: Call, map: &Map) -> Result<Function, EmitError> {
        let slot = self.arguments.maps.iter().position(|known| known.is(map)).unwrap_or(usize::MAX);
        let of = Of { comparisons: self, slot, capacity: map.definition().max_entries, call };
        if of.capacity > super::handles::MAX_HANDLES {
            let map = map.definition().name.clone();
            return Err(EmitError::TooManyHandles { map, limit: super::handles::MAX_HANDLES });
        }
        let part = match (call.helper, map.definition().kind) {
            (helper::CMP_FS_PROP, ArrayKind::Fs) => of.prop()?,
            (helper::CMP_FS_BENEATH, ArrayKind::Fs) => of.beneath(functions)?,
            (helper::CMP_CGROUP_BENEATH, ArrayKind::Cgroup) => of.cgroup_beneath()?,
            // A rule that the verifier accepted, with another of its maps: never called.
            _ => unknown()?,
        };
        Ok(functions.get(part))
    }
}

/// Answers that it cannot be told.
fn unknown() -> Result<Part, EmitError> {
    let mut code = Code::default();
    answer(&mut code, UNKNOWN);
    code.part()
}

fn answer(code: &mut Code, result: i32) {
    code.set(Reg::R0, result);
    code.exit();
}

/// A comparison with one map.
struct Of<'a> {
    comparisons: &'a Comparisons<'a>,
    slot: usize,
    capacity: u32,
    call: Call,
}

/// Registers that are kept: options or properties, the program's frame, the map's memory.
const FLAGS_ASKED: Reg = Reg::R6;
const FRAME: Reg = Reg::R7;
const HANDLES: Reg = Reg::R8;

impl Of<'_> {
    fn entries(&self) -> impl Iterator<Item = (i32, i16)> + use<> {
        let size = if self.call.helper == helper::CMP_CGROUP_BENEATH { CGROUP.size } else { FS.size };
        (0..).zip(0..self.capacity).map(move |(index, _)| (index, entry(index, size)))
    }

    /// Answers what is the same for all: no file, flags that do not exist, another operation, no handles.
    fn begin(&self, code: &mut Code, known: u64) {
        let [there, flags, op] = [(); 3].map(|()| code.label());
        if self.call.results == Results::Errnos && self.call.helper != helper::CMP_CGROUP_BENEATH {
            code.branch(CompareOp::Ne, Width::W64, Reg::R4, 0, there);
            answer(code, -ENOENT);
            code.place(there);
        }
        code.branch(CompareOp::Le, Width::W64, Reg::R1, small(known), flags);
        answer(code, -EINVAL);
        code.place(flags);
        code.branch(CompareOp::Eq, Width::W64, Reg::R3, small(OP_OR), op);
        answer(code, -EINVAL);
        code.place(op);
        code.set(FLAGS_ASKED, Reg::R1);
        code.set(FRAME, Reg::R5);
        code.store(Size::Word, Reg::R10, KEY, 0);
        code.map(Reg::R1, MapSlot::Handles(self.slot));
        for _ in 0..2 {
            let found = code.label();
            code.set(Reg::R2, Reg::R10);
            code.alu(AluOp::Add, Reg::R2, i32::from(KEY));
            code.helper(MAP_LOOKUP_ELEM);
            code.branch(CompareOp::Ne, Width::W64, Reg::R0, 0, found);
            answer(code, UNKNOWN);
            code.place(found);
            code.set(Reg::R1, Reg::R0);
        }
        code.set(HANDLES, Reg::R1);
        let some = code.label();
        code.load(Size::Double, Reg::R1, HANDLES, COUNT);
        code.branch(CompareOp::Ne, Width::W64, Reg::R1, 0, some);
        answer(code, NO_MATCH);
        code.place(some);
    }

    /// Answers that it cannot be told if an inode behind a handle was lost, or, where `names` matter, a descriptor.
    fn unless_lost(&self, code: &mut Code, names: impl Fn(&mut Code, super::code::Label)) {
        let [fresh, told] = [(); 2].map(|()| code.label());
        code.map_value(Reg::R9, MapSlot::LostHandles);
        code.load(Size::Double, Reg::R1, HANDLES, SEEN);
        code.load(Size::Double, Reg::R2, Reg::R9, 0);
        code.branch(CompareOp::Eq, Width::W64, Reg::R1, Reg::R2, fresh);
        code.set(Reg::R4, 0);
        code.set(Reg::R5, 0);
        for (_, at) in self.entries() {
            for (member, sum) in [(FS.inode_object, Reg::R4), (FS.file_object, Reg::R5)] {
                code.load(Size::Double, Reg::R1, HANDLES, at + member);
                code.alu(AluOp::And, Reg::R1, small(u64::from(MAX_OBJECTS - 1)));
                code.set(Reg::R2, Reg::R9);
                code.alu(AluOp::Add, Reg::R2, Reg::R1);
                code.load(Size::Byte, Reg::R1, Reg::R2, FLAGS);
                code.alu(AluOp::Or, sum, Reg::R1);
            }
        }
        let lost = code.label();
        code.branch(CompareOp::Ne, Width::W64, Reg::R4, 0, lost);
        code.branch(CompareOp::Eq, Width::W64, Reg::R5, 0, fresh);
        names(code, told);
        code.jump(fresh);
        code.place(told);
        code.place(lost);
        answer(code, UNKNOWN);
        code.place(fresh);
        code.forget(FLAGS_ASKED);
    }

    /// `cmp_fs_beneath`.
    fn beneath(&self, functions: &mut Functions) -> Result<Part, EmitError> {
        let layout = self.comparisons.arguments.layout;
        let mut code = Code::default();
        let reverse = code.label();
        let may_reverse = self.call.options != Some(0);
        self.begin(&mut code, Options::all().bits());
        self.unless_lost(&mut code, |code, told| {
            if may_reverse {
                code.branch(CompareOp::Ne, Width::W64, FLAGS_ASKED, 0, told);
            }
        });
        if may_reverse {
            code.branch(CompareOp::Ne, Width::W64, FLAGS_ASKED, 0, reverse);
        }
        let step = functions.get(walk::step(layout, walk::Target::Map(self.capacity))?);
        let start = functions.get(walk::start(layout, step)?);
        leg::walk(&mut code, self, start)?;
        if may_reverse {
            code.place(reverse);
            self.reverse(&mut code, functions)?;
        }
        code.part()
    }

    /// Walks up from each handle to the object.
    fn reverse(&self, code: &mut Code, functions: &mut Functions) -> Result<(), EmitError> {
        let layout = self.comparisons.arguments.layout;
        let step = functions.get(walk::step(layout, walk::Target::Inode)?);
        let start = functions.get(walk::start(layout, step)?);
        let [none, unknown, yes] = [(); 3].map(|()| code.label());
        code.load(Size::Double, Reg::R9, FRAME, DENTRY);
        read(code, -8, 8, Reg::R9, layout.offset(Member::DentryInode)?, unknown);
        code.load(Size::Double, FLAGS_ASKED, Reg::R10, -8);
        code.branch(CompareOp::Eq, Width::W64, FLAGS_ASKED, 0, unknown);
        code.set(Reg::R9, NO_MATCH);
        code.forget(Reg::R9);
        for (index, at) in self.entries() {
            let next = code.label();
            code.load(Size::Double, Reg::R1, HANDLES, COUNT);
            code.branch(CompareOp::Le, Width::W64, Reg::R1, index, none);
            code.load(Size::Double, Reg::R1, HANDLES, at + FS.dentry);
            code.load(Size::Double, Reg::R2, HANDLES, at + FS.mount);
            code.set(Reg::R3, FLAGS_ASKED);
            code.set(Reg::R4, 0);
            code.set(Reg::R5, HANDLES);
            code.call(start);
            code.forget(Reg::R0);
            code.branch(CompareOp::Eq, Width::W64, Reg::R0, MATCH, yes);
            code.branch(CompareOp::Eq, Width::W64, Reg::R0, NO_MATCH, next);
            code.set(Reg::R9, UNKNOWN);
            code.forget(Reg::R9);
            code.place(next);
        }
        code.place(none);
        code.set(Reg::R0, Reg::R9);
        code.exit();
        code.place(yes);
        answer(code, MATCH);
        code.place(unknown);
        answer(code, UNKNOWN);
        Ok(())
    }
}

/// Where the key of maps is until something is read, from a function's own frame pointer.
const KEY: i16 = -8;
/// Reads `len` bytes at `address + off` onto the stack, or goes to `unknown`. Clobbers `r0` to `r5`.
fn read(code: &mut Code, to: i16, len: i32, address: Reg, off: i16, unknown: super::code::Label) {
    code.set(Reg::R1, Reg::R10);
    code.alu(AluOp::Add, Reg::R1, i32::from(to));
    code.set(Reg::R2, len);
    code.set(Reg::R3, address);
    code.alu(AluOp::Add, Reg::R3, i32::from(off));
    code.helper(PROBE_READ_KERNEL);
    code.branch(CompareOp::Ne, Width::W64, Reg::R0, 0, unknown);
}

fn small(number: u64) -> i32 {
    i32::try_from(number).expect("a few bits")
}

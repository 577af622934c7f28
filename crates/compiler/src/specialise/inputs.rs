// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sets of inputs: what a path through a rule, or a hook instance, can be asked about.

use super::{Bits, Known, ObjectKnown};
use crate::evaluate::Input;

/// One thing a rule can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Action bits, or the command.
    Arg2,
    /// 1 if the object exists, 0 for a negative dentry.
    Exists,
    /// The mode of the object; means nothing if it does not exist.
    Mode,
    /// `AUDIT_ARCH_*`.
    Arch,
    /// Syscall number.
    SyscallNr,
    /// Thread group id and thread id of the caller.
    PidTgid,
    /// Group id and user id of the caller.
    UidGid,
    /// First half of the caller's command name, in the order of memory.
    CommLow,
    /// Second half.
    CommHigh,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 9] = [
        Field::Arg2,
        Field::Exists,
        Field::Mode,
        Field::Arch,
        Field::SyscallNr,
        Field::PidTgid,
        Field::UidGid,
        Field::CommLow,
        Field::CommHigh,
    ];

    /// What the field of `input` is.
    fn of(self, input: &Input) -> u64 {
        let half = |at| u64::from_le_bytes(std::array::from_fn(|byte| input.current.comm[at + byte]));
        match self {
            Field::Arg2 => input.arg2,
            Field::Exists => u64::from(input.mode.is_some()),
            Field::Mode => input.mode.map_or(0, u64::from),
            Field::Arch => u64::from(input.arch),
            Field::SyscallNr => u64::from(input.syscall_nr),
            Field::PidTgid => input.current.pid_tgid,
            Field::UidGid => input.current.uid_gid,
            Field::CommLow => half(0),
            Field::CommHigh => half(8),
        }
    }
}

/// Most exceptions a [`ValueSet`] keeps. It forgets further ones: the set is larger then, and says so.
const MAX_EXCEPT: usize = 256;
/// Nodes of the search for a value outside all exceptions.
const SEARCH: u32 = 256;

/// Values of one field: those that agree with `bits` and with none of `except`. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSet {
    bits: Bits,
    except: Vec<Bits>,
    /// An exception was forgotten, or not every one was taken note of.
    loose: bool,
}

impl ValueSet {
    fn new(bits: Bits) -> ValueSet {
        ValueSet { bits, except: Vec::new(), loose: false }
    }

    /// The bits all values have in common.
    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// What the values are not.
    pub fn except(&self) -> &[Bits] {
        &self.except
    }

    /// Whether `value` is one of them.
    pub fn contains(&self, value: u64) -> bool {
        self.bits.contains(value) && !self.except.iter().any(|except| except.contains(value))
    }

    /// No more than the number of values there are: exceptions that overlap are counted twice.
    pub(super) fn len_at_least(&self) -> u128 {
        let len = |bits: Bits| 1u128 << bits.unknown.count_ones();
        let inside = self.except.iter().filter_map(|except| except.intersect(self.bits));
        inside.fold(len(self.bits), |left, except| left.saturating_sub(len(except)))
    }

    /// Keeps the values that `restriction` admits. `false` if none is left; the set is unusable then.
    fn restrict(&mut self, restriction: &Restriction) -> bool {
        let Some(bits) = self.bits.intersect(restriction.within) else { return false };
        self.bits = bits;
        self.except.extend_from_slice(&restriction.except);
        self.settle() && !covered(self.bits, &self.except, &mut { SEARCH })
    }

    /// Drops exceptions that no longer matter, and turns those that leave one bit open into a known bit.
    fn settle(&mut self) -> bool {
        loop {
            let bits = self.bits;
            self.except.retain(|except| except.intersect(bits).is_some());
            let mut single = None;
            for except in &self.except {
                let extra = bits.unknown & !except.unknown;
                match extra.count_ones() {
                    0 => return false,
                    1 => {
                        single =
                            Some(Bits::but_for(bits.value | (extra & !except.value), bits.unknown & !extra))
                    }
                    _ => {}
                }
            }
            match single {
                Some(bits) => self.bits = bits,
                None => break,
            }
        }
        if self.except.len() > MAX_EXCEPT {
            self.except.truncate(MAX_EXCEPT);
            self.loose = true;
        }
        true
    }

    /// Grows to include `other`; loose unless they were equal.
    fn join(&mut self, other: &ValueSet) {
        if self == other {
            return;
        }
        let outside = |except: &Bits, set: &ValueSet| {
            set.bits.intersect(*except).is_none() || set.except.iter().any(|theirs| theirs.includes(*except))
        };
        let mut except: Vec<Bits> = self.except.drain(..).filter(|except| outside(except, other)).collect();
        except.extend(other.except.iter().filter(|except| self.bits.intersect(**except).is_none()));
        *self = ValueSet { bits: self.bits.hull(other.bits), except, loose: true };
    }
}

/// Whether the exceptions leave nothing of `bits`. Out of `fuel` the answer is no.
fn covered(bits: Bits, except: &[Bits], fuel: &mut u32) -> bool {
    let extra = |except: &Bits| (bits.unknown & !except.unknown).count_ones();
    let touching: Vec<Bits> =
        except.iter().copied().filter(|except| except.intersect(bits).is_some()).collect();
    // The share of `bits` that the exceptions take, in units of 2^-100: too little covers nothing.
    let share: u128 = touching.iter().map(|except| 1u128 << (100 - extra(except))).sum();
    let Some(widest) = touching.iter().min_by_key(|except| extra(except)).filter(|_| share >= 1 << 100)
    else {
        return false;
    };
    let open = bits.unknown & !widest.unknown;
    if open == 0 {
        return true;
    }
    let Some(left) = fuel.checked_sub(1) else { return false };
    *fuel = left;
    let bit = open & open.wrapping_neg();
    let unknown = bits.unknown & !bit;
    covered(Bits { value: bits.value, unknown }, &touching, fuel)
        && covered(Bits { value: bits.value | bit, unknown }, &touching, fuel)
}

/// What a test of one field admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Restriction {
    pub within: Bits,
    pub except: Vec<Bits>,
}

impl Restriction {
    pub fn within(within: Bits) -> Restriction {
        Restriction { within, except: Vec::new() }
    }

    pub fn except(except: Vec<Bits>) -> Restriction {
        Restriction { within: Bits::ANY, except }
    }
}

/// A set of inputs: any combination of one value per field. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSet([ValueSet; Field::ALL.len()]);

impl InputSet {
    /// Every input a hook instance can have that knows this much.
    pub fn of(known: &Known) -> InputSet {
        let half = |bits: Bits| Bits {
            value: bits.value & Bits::ANY32.unknown,
            unknown: bits.unknown & Bits::ANY32.unknown,
        };
        let (exists, mode) = match known.object {
            ObjectKnown::Mode(mode) => (Bits::exactly(1), half(mode)),
            ObjectKnown::Absent => (Bits::exactly(0), Bits::ANY32),
            ObjectKnown::Any => (Bits { value: 0, unknown: 1 }, Bits::ANY32),
        };
        InputSet(Field::ALL.map(|field| {
            let bits = match field {
                Field::Arg2 => known.arg2,
                Field::Exists => exists,
                Field::Mode => mode,
                Field::Arch => half(known.arch),
                Field::SyscallNr => half(known.syscall_nr),
                Field::PidTgid | Field::UidGid | Field::CommLow | Field::CommHigh => Bits::ANY,
            };
            // A caller may have left rubbish under the unknown bits.
            ValueSet::new(Bits::but_for(bits.value, bits.unknown))
        }))
    }

    /// The values of one field.
    pub fn field(&self, field: Field) -> &ValueSet {
        &self.0[field as usize]
    }

    /// Whether `input` is in the set; its event is not looked at.
    pub fn contains(&self, input: &Input) -> bool {
        Field::ALL.into_iter().all(|field| {
            let means_nothing = field == Field::Mode && input.mode.is_none();
            means_nothing || self.field(field).contains(field.of(input))
        })
    }

    /// Whether the set has inputs that no path meant to admit.
    pub(super) fn is_loose(&self) -> bool {
        self.0.iter().any(|set| set.loose)
    }

    /// Keeps the inputs a test admits; `None` if there are none.
    pub(super) fn restricted(&self, field: Field, restriction: &Restriction) -> Option<InputSet> {
        let mut set = self.clone();
        set.0[field as usize].restrict(restriction).then_some(set)
    }

    /// Without the inputs whose `field` is in one of `except`; `None` if there are no others.
    pub(crate) fn without(&self, field: Field, except: &[Bits]) -> Option<InputSet> {
        self.restricted(field, &Restriction::except(except.to_vec()))
    }

    /// Grows to include `other`.
    pub(super) fn join(&mut self, other: &InputSet) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| mine.join(theirs));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hostile objects: real ones (of clang 14, 16 and 19) with something wrong, and random bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Fault, MAX_SIZE, read_elf};
use crate::testing::fuzz;

const REAL: [&[u8]; 3] = [
    include_bytes!("../../tests/objects/several-clang14.o"),
    include_bytes!("../../tests/objects/several-clang16.o"),
    include_bytes!("../../tests/objects/several-clang19.o"),
];

/// Of `tests/rules/handles.c`: maps defined in both ways.
const MAPS: &[u8] = include_bytes!("../../tests/objects/handles-clang19.o");

/// Fields of the file header and of a section header: offset and size in bytes.
const MACHINE: (usize, usize) = (0x12, 2);
const SECTION_TABLE: (usize, usize) = (0x28, 8);
const SECTION_COUNT: (usize, usize) = (0x3c, 2);
const NAMES_INDEX: (usize, usize) = (0x3e, 2);
const SH_NAME: (usize, usize) = (0x00, 4);
const SH_TYPE: (usize, usize) = (0x04, 4);
const SH_FLAGS: (usize, usize) = (0x08, 8);
const SH_OFFSET: (usize, usize) = (0x18, 8);
const SH_SIZE: (usize, usize) = (0x20, 8);
const SH_LINK: (usize, usize) = (0x28, 4);
const SH_INFO: (usize, usize) = (0x2c, 4);

/// An object to be damaged.
struct Object(Vec<u8>);

impl Object {
    fn real() -> Object {
        Object(REAL[2].to_vec())
    }

    fn get(&self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.0[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    fn set(&mut self, (at, size): (usize, usize), value: u64) {
        self.0[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    fn header(&self, index: u64) -> usize {
        usize::try_from(self.get(SECTION_TABLE.0, 8) + 64 * index).unwrap()
    }

    /// Index of the section of this name.
    fn section(&self, name: &str) -> u64 {
        let names = self.header(self.get(NAMES_INDEX.0, 2));
        let names = usize::try_from(self.get(names + SH_OFFSET.0, 8)).unwrap();
        let matches = |index: &u64| {
            let start = names + usize::try_from(self.get(self.header(*index) + SH_NAME.0, 4)).unwrap();
            self.0[start..].starts_with(format!("{name}\0").as_bytes())
        };
        (0..self.get(SECTION_COUNT.0, 2)).find(matches).unwrap_or_else(|| panic!("no section {name}"))
    }

    fn set_in(&mut self, section: &str, (offset, size): (usize, usize), value: u64) {
        let header = self.header(self.section(section));
        self.set((header + offset, size), value);
    }

    /// Where the bytes of a section begin.
    fn data(&self, section: &str) -> usize {
        usize::try_from(self.get(self.header(self.section(section)) + SH_OFFSET.0, 8)).unwrap()
    }

    fn fault(&self) -> Fault {
        read_elf(&self.0).expect_err("it is damaged").fault
    }
}

/// What a change of one field leads to.
fn fault(section: &str, field: (usize, usize), value: u64) -> Fault {
    let mut object = Object::real();
    object.set_in(section, field, value);
    object.fault()
}

#[test]
fn the_objects_are_fine_before_they_are_damaged() {
    let read = REAL.map(|object| read_elf(object).unwrap());
    let names = |rules: &Vec<crate::object::RuleObject>| {
        rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&read[0]), ["no_removal", "no_locks", "no_exec", "no_read"]);
    assert!(read.iter().all(|rules| names(rules) == names(&read[0])));
    assert!(read.iter().flatten().all(|rule| rule.lines.iter().all(Option::is_some)));
}

#[test]
fn every_truncation_is_refused() {
    for object in REAL.into_iter().chain([MAPS]) {
        for length in 0..object.len() {
            read_elf(&object[..length]).expect_err("the section table stands at the end");
        }
    }
}

#[test]
fn sections_that_share_bytes_are_refused() {
    let object = Object::real();
    let shared = object.data("landlock/no_locks") as u64;
    assert_eq!(fault("license", SH_OFFSET, shared), Fault::Overlap { other: "landlock/no_locks".into() });
    assert_eq!(fault("license", SH_SIZE, 40), Fault::Overlap { other: ".debug_abbrev".into() });
}

#[test]
fn sections_outside_of_the_file_are_refused() {
    for (field, value) in
        [(SH_OFFSET, u64::MAX), (SH_OFFSET, 1 << 40), (SH_SIZE, u64::MAX), (SH_SIZE, 1 << 20)]
    {
        let outside = Fault::Damaged { what: "it reaches outside of the file" };
        assert_eq!(fault("license", field, value), outside, "{field:?} {value:#x}");
    }
}

#[test]
fn tables_that_refer_to_themselves_are_refused_or_harmless() {
    let object = Object::real();
    let (symbols, lines) = (object.section(".symtab"), object.section(".rel.debug_line"));
    assert_eq!(fault(".symtab", SH_LINK, symbols), Fault::Damaged { what: "bad symbol table" });
    let mut harmless = Object::real();
    harmless.set_in(".rel.debug_line", SH_INFO, lines);
    assert_eq!(read_elf(&harmless.0).unwrap().len(), 4, "relocations nobody asks for");
}

#[test]
fn lying_counts_are_refused() {
    let mut object = Object::real();
    object.set(SECTION_COUNT, 0xffff);
    assert_eq!(object.fault(), Fault::Damaged { what: "bad section table" });
    // A count of 0 means that the first section header holds it.
    let mut object = Object::real();
    object.set(SECTION_COUNT, 0);
    let first = object.header(0);
    object.set((first + SH_SIZE.0, 8), u64::MAX);
    assert_eq!(object.fault(), Fault::Damaged { what: "bad section table" });
    let mut object = Object::real();
    object.0.resize(MAX_SIZE, 0);
    object.set(SECTION_COUNT, 1025);
    assert_eq!(object.fault(), Fault::Damaged { what: "more than 1024 sections" });
    object.0.push(0);
    assert_eq!(object.fault(), Fault::TooLarge { size: MAX_SIZE + 1 });
}

#[test]
fn bad_names_are_refused() {
    assert_eq!(
        fault("license", SH_NAME, 0x7fff_ffff),
        Fault::Damaged { what: "a name outside of the name table" }
    );
    let mut object = Object::real();
    object.set(NAMES_INDEX, 0xfff0);
    assert_eq!(object.fault(), Fault::Damaged { what: "bad section name table" });
    let mut object = Object::real();
    let names = object.data(".strtab");
    object.0[names..names + 300].fill(b'a');
    assert_eq!(object.fault(), Fault::Damaged { what: "a name without an end" });
}

#[test]
fn function_symbols_that_do_not_divide_the_code_are_refused() {
    // A symbol is 24 bytes: name, kind, …, section at 6, value at 8, size at 16.
    let object = Object::real();
    let pair = object.section("landlock_pair");
    let table = object.data(".symtab");
    let symbols = (0..40).map(|index| table + index * 24);
    let function = |at: &usize| object.get(at + 4, 1) & 0xf == 2 && object.get(at + 6, 2) == pair;
    let functions: Vec<usize> = symbols.filter(function).collect();
    assert_eq!(functions.len(), 2);
    for (field, value) in [(8, 8), (8, u64::MAX), (16, 4), (16, 0), (16, u64::MAX)] {
        let mut damaged = Object(object.0.clone());
        damaged.set((functions[0] + field, 8), value);
        assert_eq!(damaged.fault(), Fault::BadFunctions, "{field} {value:#x}");
    }
}

#[test]
fn relocations_of_an_unknown_kind_are_refused_where_they_matter() {
    let mut object = Object::real();
    let pair = object.section("landlock_pair");
    object.set_in(".rel.debug_line", SH_INFO, pair);
    assert!(matches!(object.fault(), Fault::Relocation { .. } | Fault::DataReference { .. }));
    object.set_in(".rel.debug_line", SH_TYPE, 0x6000_0001);
    assert_eq!(object.fault(), Fault::Damaged { what: "unknown kind of relocation section" });
    object.set_in(".rel.debug_line", SH_FLAGS, 0);
    assert_eq!(read_elf(&object.0).unwrap().len(), 4, "no longer linked to the rule");
}

#[test]
fn damaged_line_information_is_refused() {
    for (offset, value) in [(0, 0), (4, 0xffff), (16, 0xffff), (20, 0xffff)] {
        let mut object = Object::real();
        let data = object.data(".BTF.ext");
        object.set((data + offset, 4), value);
        assert!(matches!(object.fault(), Fault::DamagedBtf { .. }), "{offset}");
    }
}

#[test]
fn damaged_types_are_refused_if_there_are_maps() {
    let with = |change: &dyn Fn(&mut Object, usize)| {
        let mut object = Object(MAPS.to_vec());
        let data = object.data(".BTF");
        change(&mut object, data);
        object.fault()
    };
    for (offset, value) in [(0, 0), (4, 0xffff), (12, 0xffff), (8, 0xffff)] {
        let fault = with(&|object, data| object.set((data + offset, 4), value));
        assert!(matches!(fault, Fault::DamagedBtf { .. }), "{offset}: {fault}");
    }
    // The first type becomes one that is made from itself; then one of a kind there is not.
    let first = 24;
    let itself = with(&|object, data| {
        for type_at in (data + first..data + first + 400).step_by(4) {
            object.set((type_at, 4), 0x0800_0000);
        }
    });
    assert!(matches!(itself, Fault::DamagedBtf { .. } | Fault::Map { .. }), "{itself}");
    let unknown = with(&|object, data| object.set((data + first + 4, 4), 0x1f00_0000));
    assert_eq!(unknown, Fault::DamagedBtf { what: "a kind of type that is not known" });
}

#[test]
fn maps_that_share_a_name_or_a_place_are_refused() {
    // A symbol is 24 bytes: name, kind, …, section at 6, value at 8, size at 16.
    let object = Object(MAPS.to_vec());
    let (section, table) = (object.section(".maps"), object.data(".symtab"));
    let is_map = |at: &usize| object.get(at + 4, 1) & 0xf == 1 && object.get(at + 6, 2) == section;
    let maps: Vec<usize> = (0..60).map(|index| table + index * 24).filter(is_map).collect();
    let [first, second] = maps[..] else { panic!("two maps, not {maps:?}") };
    let set = |(offset, size): (usize, usize)| {
        let mut damaged = Object(object.0.clone());
        damaged.set((second + offset, size), object.get(first + offset, size));
        let Fault::Map { what, .. } = damaged.fault() else { panic!("{}", damaged.fault()) };
        what
    };
    assert_eq!(set((0, 4)), "there is another of this name");
    assert_eq!(set((8, 8)), "another begins at the same place");
    let mut damaged = Object(object.0.clone());
    damaged.set((first + 8, 8), 1 << 40);
    assert!(matches!(damaged.fault(), Fault::MapReference { .. } | Fault::DataReference { .. }));
}

#[test]
fn core_is_refused_also_when_the_types_are_gone() {
    let mut object = Object::real();
    let data = object.data(".BTF.ext");
    // Where the relocations are and their length, which is 0; then the name of .BTF.
    object.set((data + 24, 4), 0);
    object.set((data + 28, 4), 4);
    assert_eq!(object.fault(), Fault::CoRe);
    object.set_in(".BTF", SH_NAME, 0);
    assert_eq!(object.fault(), Fault::CoRe);
}

#[test]
fn other_machines_are_refused() {
    let mut object = Object::real();
    object.set(MACHINE, 62);
    assert_eq!(object.fault(), Fault::NotBpf { what: "for machine 62".into() });
    let mut object = Object::real();
    object.0[5] = 2;
    assert_eq!(object.fault(), Fault::NotBpf { what: "not little endian".into() });
    object.0[4] = 1;
    assert_eq!(object.fault(), Fault::NotBpf { what: "not 64-bit".into() });
}

/// Changes that keep most of an object whole.
fn change() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>)>> {
    let interesting =
        prop::sample::select(vec![0u64, 1, 7, 8, 0x18, 0x40, 0xfff1, 0xffff, 1 << 31, 1 << 63, u64::MAX]);
    let field = (interesting, 1..9usize).prop_map(|(value, size)| value.to_le_bytes()[..size].to_vec());
    let bytes = prop_oneof![field, vec(any::<u8>(), 1..4)];
    vec((any::<prop::sample::Index>(), bytes), 1..6)
}

fn changed(object: &[u8], changes: &[(prop::sample::Index, Vec<u8>)]) -> Vec<u8> {
    let mut object = object.to_vec();
    for (at, bytes) in changes {
        let at = at.index(object.len());
        let end = object.len().min(at + bytes.len());
        object[at..end].copy_from_slice(&bytes[..end - at]);
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_objects_are_read_or_refused(which in 0..5usize, changes in change()) {
        fuzz::elf(&changed(REAL.get(which).copied().unwrap_or(MAPS), &changes));
    }

    /// The same, where it hurts: in the section headers.
    #[test]
    fn changed_headers_are_read_or_refused(which in 0..4usize, changes in change()) {
        let object = Object(REAL.get(which).copied().unwrap_or(MAPS).to_vec());
        let (head, headers) = object.0.split_at(object.header(0));
        fuzz::elf(&[head, &changed(headers, &changes)].concat());
    }

    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..2000), magic: bool) {
        let start = if magic { &REAL[0][..64] } else { &[] };
        fuzz::elf(&[start, &bytes].concat());
        fuzz::assembly(&bytes);
    }
}

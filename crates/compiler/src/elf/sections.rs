// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file's skeleton: headers believed only after they were checked.

use object::SymbolIndex;
use object::elf::{self, FileHeader64, SectionHeader64};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader, SectionTable, Sym, SymbolTable};

use super::error::{Fault, ReadError};

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Most sections a file may have; clang makes about 30 and three for each rule.
const MAX_SECTIONS: usize = 1024;
/// Longest name of a section or symbol, in bytes.
const MAX_NAME: usize = 255;

/// One section whose bytes are inside the file and shared with no other.
pub(super) struct Section<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
    pub is_code: bool,
    pub header: &'a SectionHeader64<LittleEndian>,
}

/// An object for eBPF with sound section headers.
pub(super) struct Elf<'a> {
    bytes: &'a [u8],
    /// By section index; the first is the null section.
    sections: Vec<Section<'a>>,
    table: SectionTable<'a, Header>,
    symbols: SymbolTable<'a, Header>,
    symbol_names: &'a [u8],
}

/// A symbol, as far as anybody here cares.
pub(super) struct Symbol<'a> {
    pub name: &'a str,
    /// `None` when it is not defined in this file.
    pub section: Option<usize>,
    pub value: u64,
    pub size: u64,
}

impl Section<'_> {
    /// Bytes it would have in memory; a section may have none in the file.
    pub fn size(&self) -> u64 {
        self.header.sh_size(LE)
    }
}

impl<'a> Elf<'a> {
    /// Checks headers, section bounds, overlaps and names.
    pub fn open(bytes: &'a [u8]) -> Result<Elf<'a>, ReadError> {
        let header = file_header(bytes)?;
        let headers = header.section_headers(LE, bytes).map_err(|_| damaged("bad section table"))?;
        if headers.len() > MAX_SECTIONS {
            return Err(damaged("more than 1024 sections"));
        }
        let table = header.sections(LE, bytes).map_err(|_| damaged("bad section name table"))?;
        let names = section_names(header, bytes, &table)?;
        let sections =
            headers.iter().map(|header| section(header, bytes, names)).collect::<Result<Vec<_>, _>>()?;
        apart(&sections)?;
        let symbols = table.symbols(LE, bytes, elf::SHT_SYMTAB).map_err(|_| damaged("bad symbol table"))?;
        let symbol_names = sections.get(symbols.string_section().0).map_or(&[][..], |section| section.data);
        Ok(Elf { bytes, sections, table, symbols, symbol_names })
    }

    /// All sections with their indices.
    pub fn sections(&self) -> impl Iterator<Item = (usize, &Section<'a>)> {
        self.sections.iter().enumerate().skip(1)
    }

    /// The section with this index.
    pub fn section(&self, index: usize) -> Option<&Section<'a>> {
        self.sections.get(index).filter(|_| index != 0)
    }

    /// The one section of this name.
    pub fn unique(&self, name: &str) -> Result<Option<&Section<'a>>, ReadError> {
        let mut found =
            self.sections().filter(|(_, section)| section.name == name).map(|(_, section)| section);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(ReadError::section(name, Fault::Duplicate)),
            (one, None) => Ok(one),
        }
    }

    /// Function symbols of a section, in no particular order.
    pub fn functions_of(&self, section: usize) -> impl Iterator<Item = Result<Symbol<'a>, ReadError>> {
        self.symbols_of(section, |symbol| symbol.st_type() == elf::STT_FUNC)
    }

    /// Variables of a section, in no particular order.
    pub fn variables_of(&self, section: usize) -> impl Iterator<Item = Result<Symbol<'a>, ReadError>> {
        self.symbols_of(section, |symbol| symbol.st_type() == elf::STT_OBJECT)
    }

    fn symbols_of(
        &self,
        section: usize,
        wanted: impl Fn(&elf::Sym64<LittleEndian>) -> bool,
    ) -> impl Iterator<Item = Result<Symbol<'a>, ReadError>> {
        let wanted = self.symbols.enumerate().filter(move |(_, symbol)| wanted(symbol));
        wanted
            .map(|(index, _)| index)
            .filter(move |index| self.symbol_section(*index) == Some(section))
            .map(|index| self.symbol(index))
    }

    /// The symbol with this index.
    pub fn symbol(&self, index: SymbolIndex) -> Result<Symbol<'a>, ReadError> {
        let symbol = self.symbols.symbol(index).map_err(|_| damaged("bad symbol index"))?;
        Ok(Symbol {
            name: name_at(self.symbol_names, symbol.st_name(LE))?,
            section: self.symbol_section(index),
            value: symbol.st_value(LE),
            size: symbol.st_size(LE),
        })
    }

    fn symbol_section(&self, index: SymbolIndex) -> Option<usize> {
        let symbol = self.symbols.symbol(index).ok()?;
        let section = self.symbols.symbol_section(LE, symbol, index).ok()??;
        Some(section.0)
    }

    /// The relocations that patch one of the sections `wanted` picks.
    pub fn relocations(&self, wanted: impl Fn(usize) -> bool) -> Result<Vec<Relocation>, ReadError> {
        let mut all = Vec::new();
        for header in self.table.iter() {
            let target = header.info_link(LE).0;
            let kind = header.sh_type(LE);
            let patches = matches!(kind, elf::SHT_REL | elf::SHT_RELA) || header.has_info_link(LE);
            if patches && wanted(target) {
                self.relocations_in(header, target, &mut all)?;
            }
        }
        Ok(all)
    }

    fn relocations_in(
        &self,
        header: &SectionHeader64<LittleEndian>,
        target: usize,
        all: &mut Vec<Relocation>,
    ) -> Result<(), ReadError> {
        let bad = |_| damaged("bad relocation section");
        let mut add = |offset, kind: elf::RelocationType, symbol| {
            all.push(Relocation { target, offset, kind: kind.0, symbol });
        };
        if let Some((list, _)) = header.rel(LE, self.bytes).map_err(bad)? {
            list.iter().for_each(|rel| add(rel.r_offset(LE), rel.r_type(LE), rel.symbol(LE)));
        } else if let Some((list, _)) = header.rela(LE, self.bytes).map_err(bad)? {
            list.iter().for_each(|rel| add(rel.r_offset(LE), rel.r_type(LE, false), rel.symbol(LE, false)));
        } else {
            return Err(damaged("unknown kind of relocation section"));
        }
        Ok(())
    }
}

/// One place a linker would have to patch.
pub(super) struct Relocation {
    pub target: usize,
    pub offset: u64,
    pub kind: u32,
    pub symbol: Option<SymbolIndex>,
}

fn file_header(bytes: &[u8]) -> Result<&Header, ReadError> {
    if bytes.len() > super::MAX_SIZE {
        return Err(ReadError::file(Fault::TooLarge { size: bytes.len() }));
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(ReadError::file(Fault::NotElf));
    }
    let (header, _) = object::pod::from_bytes::<Header>(bytes).map_err(|()| damaged("cut short"))?;
    let ident = header.e_ident();
    if ident.class != elf::ELFCLASS64 {
        return Err(not_bpf("not 64-bit"));
    }
    if ident.data != elf::ELFDATA2LSB {
        return Err(not_bpf("not little endian"));
    }
    if !header.is_supported() {
        return Err(damaged("bad file header"));
    }
    if header.e_machine(LE) != elf::EM_BPF {
        return Err(not_bpf(&format!("for machine {}", header.e_machine(LE).0)));
    }
    if header.e_type(LE) != elf::ET_REL {
        return Err(not_bpf("not a relocatable object (.o)"));
    }
    Ok(header)
}

fn section_names<'a>(
    header: &Header,
    bytes: &'a [u8],
    table: &SectionTable<'a, Header>,
) -> Result<&'a [u8], ReadError> {
    if table.is_empty() {
        return Ok(&[]);
    }
    let names =
        header.section_strings_index(LE, bytes).and_then(|index| table.section(index)?.data(LE, bytes));
    names.map_err(|_| damaged("bad section name table"))
}

fn section<'a>(
    header: &'a SectionHeader64<LittleEndian>,
    bytes: &'a [u8],
    names: &'a [u8],
) -> Result<Section<'a>, ReadError> {
    if header.sh_type(LE) == elf::SHT_NULL {
        return Ok(Section { name: "", data: &[], is_code: false, header });
    }
    let name = name_at(names, header.sh_name(LE))?;
    let data = header
        .data(LE, bytes)
        .map_err(|_| ReadError::section(name, Fault::Damaged { what: "it reaches outside of the file" }))?;
    let is_code = header.sh_type(LE) == elf::SHT_PROGBITS && header.sh_flags(LE).contains(elf::SHF_EXECINSTR);
    Ok(Section { name, data, is_code, header })
}

/// No two sections share bytes of the file, so everything done once per section is linear in its size.
fn apart(sections: &[Section]) -> Result<(), ReadError> {
    let with_data = sections.iter().filter(|section| !section.data.is_empty());
    let mut ranges: Vec<_> = with_data
        .map(|section| (section.header.sh_offset(LE), section.header.sh_size(LE), section.name))
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let [(start, size, name), (next, _, other)] = [pair[0], pair[1]];
        if start + size > next {
            return Err(ReadError::section(name, Fault::Overlap { other: other.to_owned() }));
        }
    }
    Ok(())
}

fn name_at(names: &[u8], offset: u32) -> Result<&str, ReadError> {
    let rest = names.get(offset as usize..).ok_or_else(|| damaged("a name outside of the name table"))?;
    let window = &rest[..rest.len().min(MAX_NAME + 1)];
    let end = window.iter().position(|byte| *byte == 0).ok_or_else(|| damaged("a name without an end"))?;
    std::str::from_utf8(&window[..end]).map_err(|_| damaged("a name that is not UTF-8"))
}

fn damaged(what: &'static str) -> ReadError {
    ReadError::file(Fault::Damaged { what })
}

fn not_bpf(what: &str) -> ReadError {
    ReadError::file(Fault::NotBpf { what: what.to_owned() })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Source lines of instructions, from `.BTF` (strings) and `.BTF.ext` (line records).
//!
//! Types are not read: rules need none. CO-RE relocations are refused, because a program that needs them
//! means something else than its instructions say. Damaged tables are an error rather than no lines.

use super::Function;
use super::error::{Fault, ReadError};
use super::sections::Elf;
use crate::abi::MAX_INSNS;
use crate::insn::Insn;
use crate::object::SourceLine;

const MAGIC: u16 = 0xeb9f;
/// Bytes of a line record: instruction offset, file name, text, line and column; later formats may add.
const RECORD: u32 = 16;
/// Longest file name or text kept of a line, in bytes; the rest is cut off.
const MAX_TEXT: usize = 256;

/// Line records of each section.
pub(super) struct LineTable<'a> {
    strings: &'a [u8],
    records: Vec<Records<'a>>,
}

struct Records<'a> {
    section: &'a str,
    size: usize,
    bytes: &'a [u8],
}

impl<'a> LineTable<'a> {
    /// Reads the two sections; without them the table is empty.
    pub fn read(elf: &Elf<'a>) -> Result<LineTable<'a>, ReadError> {
        let none = LineTable { strings: &[], records: Vec::new() };
        let Some(ext) = elf.unique(".BTF.ext")? else { return Ok(none) };
        let in_ext = |what| ReadError::section(".BTF.ext", Fault::DamagedBtf { what });
        let ext = Blob::open(ext.data).map_err(in_ext)?;
        if ext.header.len() >= 32 && !ext.part(24).map_err(in_ext)?.is_empty() {
            return Err(ReadError::section(".BTF.ext", Fault::CoRe));
        }
        let Some(btf) = elf.unique(".BTF")? else { return Ok(none) };
        let in_btf = |what| ReadError::section(".BTF", Fault::DamagedBtf { what });
        let strings = Blob::open(btf.data).and_then(|blob| blob.part(16)).map_err(in_btf)?;
        let records = ext.part(16).and_then(|part| records(part, strings)).map_err(in_ext)?;
        Ok(LineTable { strings, records })
    }

    /// The line of each instruction of a function. A record holds until the next one. Programs that are too
    /// long to be accepted get none.
    pub fn of(&self, function: &Function) -> Vec<Option<SourceLine>> {
        let count = function.insns.len();
        let records = self.records.iter().find(|records| records.section == function.section_name);
        let Some(records) = records.filter(|_| count <= MAX_INSNS) else { return Vec::new() };
        let mut lines = vec![None; count];
        for record in records.bytes.chunks_exact(records.size) {
            let field = |index| u32_at(record, index).unwrap_or_default();
            let Some(offset) = (field(0) as usize).checked_sub(function.start) else { continue };
            if let Some(line) = lines.get_mut(offset / Insn::SIZE) {
                *line = self.line(field(4), field(8), field(12) >> 10);
            }
        }
        for index in 1..count {
            if lines[index].is_none() {
                lines[index] = lines[index - 1].clone();
            }
        }
        lines
    }

    /// A line number of 0 means that the compiler could not tell.
    fn line(&self, file: u32, text: u32, line: u32) -> Option<SourceLine> {
        let file = string_at(self.strings, file)?;
        let text = string_at(self.strings, text)?.trim().to_owned();
        (line != 0).then_some(SourceLine { file, line, text })
    }
}

/// A header and the data behind it, which both sections begin with.
pub(super) struct Blob<'a> {
    header: &'a [u8],
    data: &'a [u8],
}

impl<'a> Blob<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Blob<'a>, &'static str> {
        let magic = bytes.first_chunk().map(|magic| u16::from_le_bytes(*magic));
        if magic != Some(MAGIC) || bytes.get(2) != Some(&1) {
            return Err("not BTF, version 1, little endian");
        }
        let length = u32_at(bytes, 4).ok_or("cut short")? as usize;
        let (header, data) = bytes.split_at_checked(length).ok_or("a header longer than the section")?;
        if header.len() < 24 { Err("a header that is too short") } else { Ok(Blob { header, data }) }
    }

    /// The part of the data whose offset and length stand at `field` of the header.
    pub fn part(&self, field: usize) -> Result<&'a [u8], &'static str> {
        let start = u32_at(self.header, field).ok_or("cut short")? as usize;
        let length = u32_at(self.header, field + 4).ok_or("cut short")? as usize;
        let rest = self.data.get(start..).ok_or("a part outside of the section")?;
        rest.get(..length).ok_or("a part outside of the section")
    }
}

/// Divides the line part by section. Every byte of it is used once.
fn records<'a>(part: &'a [u8], strings: &'a [u8]) -> Result<Vec<Records<'a>>, &'static str> {
    if part.is_empty() {
        return Ok(Vec::new());
    }
    let size =
        u32_at(part, 0).filter(|size| *size >= RECORD && size % 4 == 0).ok_or("a bad record size")? as usize;
    let mut rest = &part[4..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let name = u32_at(rest, 0).ok_or("cut short")?;
        let count = u32_at(rest, 4).ok_or("cut short")? as usize;
        let length = count.checked_mul(size).ok_or("more records than the section holds")?;
        let (bytes, next) =
            rest[8..].split_at_checked(length).ok_or("more records than the section holds")?;
        all.push(Records { section: name_at(strings, name).ok_or("a bad section name")?, size, bytes });
        rest = next;
    }
    Ok(all)
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Up to [`MAX_TEXT`] bytes of a string.
fn bytes_at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = strings.get(offset as usize..)?;
    let window = &rest[..rest.len().min(MAX_TEXT)];
    window.split(|byte| *byte == 0).next()
}

pub(super) fn name_at(strings: &[u8], offset: u32) -> Option<&str> {
    std::str::from_utf8(bytes_at(strings, offset)?).ok()
}

fn string_at(strings: &[u8], offset: u32) -> Option<String> {
    Some(String::from_utf8_lossy(bytes_at(strings, offset)?).into_owned())
}

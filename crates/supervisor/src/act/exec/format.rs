// SPDX-License-Identifier: MIT OR Apache-2.0
//! What else the kernel opens to run a file: the interpreter after `#!`, the loader an ELF file names.
//!
//! Read only as far as needed to ask in time. What is malformed, or in a format registered by binfmt_misc, is
//! [`Format::Other`]: the kernel refuses it, or runs something that is judged after the exec.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The format of an executable file.
#[derive(Debug, PartialEq, Eq)]
pub enum Format {
    /// A script for this interpreter.
    Script(CString),
    /// Run by this loader.
    Loaded(CString),
    /// An ELF file without a loader.
    Static,
    /// Anything else.
    Other,
}

/// As much of a file as the kernel looks at to tell its format; zeroes behind its end.
const HEAD: usize = 256;

impl Format {
    /// Of an open file.
    pub fn of(file: &File) -> std::io::Result<Format> {
        let mut head = [0; HEAD];
        let mut have = 0;
        while have < HEAD {
            match file.read_at(&mut head[have..], have as u64)? {
                0 => break,
                got => have += got,
            }
        }
        Ok(if let Some(line) = head.strip_prefix(b"#!") {
            interpreter(line).map_or(Format::Other, Format::Script)
        } else if head.starts_with(b"\x7fELF") {
            elf(file, &head).unwrap_or(Format::Other)
        } else {
            Format::Other
        })
    }
}

/// The first word of the line behind `#!`. `None` where it may be cut off, or there is none.
fn interpreter(head: &[u8]) -> Option<CString> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    // The last byte the kernel has is not part of a line without an end.
    let end = match head.iter().find(|byte| matches!(byte, b'\n' | 0)) {
        Some(b'\n') => head.iter().position(|&byte| byte == b'\n')?,
        _ => head.len() - 1,
    };
    let begin = head[..end].iter().position(|byte| !blank(byte))?;
    let word = &head[begin..];
    let len = word.iter().position(|byte| blank(byte) || matches!(byte, b'\n' | 0))?;
    (len != 0).then(|| CString::new(&word[..len]).ok()).flatten()
}

/// The machines this kernel may run: i386, i486, x86-64.
const MACHINES: [u64; 3] = [3, 6, 62];
const PT_INTERP: u64 = 3;
const PATH_MAX: u64 = 4096;

/// Offsets in the file header and a program header; they differ between 32 and 64 bits.
struct Layout {
    word: usize,
    table: usize,
    entry_size: usize,
    entry_count: usize,
    entry: usize,
    offset: usize,
    size: usize,
}

const ELF32: Layout =
    Layout { word: 4, table: 28, entry_size: 42, entry_count: 44, entry: 32, offset: 4, size: 16 };
const ELF64: Layout =
    Layout { word: 8, table: 32, entry_size: 54, entry_count: 56, entry: 56, offset: 8, size: 32 };

fn elf(file: &File, head: &[u8]) -> Option<Format> {
    let layout = match head[4] {
        1 => ELF32,
        2 => ELF64,
        _ => return None,
    };
    if !MACHINES.contains(&number(head, 18, 2)) || number(head, layout.entry_size, 2) != layout.entry as u64 {
        return None;
    }
    let count = usize::try_from(number(head, layout.entry_count, 2)).ok()?;
    let mut table = vec![0; count * layout.entry];
    file.read_exact_at(&mut table, number(head, layout.table, layout.word)).ok()?;
    let Some(entry) = table.chunks(layout.entry).find(|entry| number(entry, 0, 4) == PT_INTERP) else {
        return Some(Format::Static);
    };
    let size = number(entry, layout.size, layout.word);
    if !(2..=PATH_MAX).contains(&size) {
        return None;
    }
    let mut path = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut path, number(entry, layout.offset, layout.word)).ok()?;
    if path.last() != Some(&0) {
        return None;
    }
    path.truncate(path.iter().position(|&byte| byte == 0)?);
    CString::new(path).ok().map(Format::Loaded)
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules from files: C, assembly or objects, whichever it is.
//!
//! An object is known by its first bytes; text by its name, `.c` or `.s`. Only regular files are read, and
//! no more of them than the limits of the formats.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::asm::{self, AsmErrors};
use crate::clang::{BuildError, Clang};
use crate::classic::{Filter, FilterError};
use crate::elf::{self, ReadError};
use crate::object::RuleObject;

/// Most bytes of a rule file, whatever its format.
pub const MAX_SIZE: usize = elf::MAX_SIZE;

/// Why a file gave no rules.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A folder, a device, a pipe or the like.
    #[error("{}: not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Larger than any rule.
    #[error("{}: larger than {MAX_SIZE} bytes, the limit for a rule file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Neither an object, nor named like a source.
    #[error("{}: not a rule file: it is no ELF object, and its name does not end in .c or .s", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// An object that is refused.
    #[error("{}: {error}{}", path.display(), error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default())]
    Object {
        /// The object, or the C file it was made from.
        path: PathBuf,
        /// Why.
        error: ReadError,
    },
    /// An assembly text that is refused.
    #[error(transparent)]
    Assembly(#[from] AsmErrors),
    /// A filter that the kernel would not take.
    #[error("{}: {error}", path.display())]
    Filter {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: FilterError,
    },
    /// A C file that does not compile.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The rules of a `.c`, `.s` or `.o` file, in order; at least one. The only rule of a file is named like
/// the file (`deny-exec` for `rules/deny-exec.s`); one of several, `FILE/RULE`.
///
/// # Errors
/// Why the file has no rules; every error names it.
pub fn read_file(path: &Path) -> Result<Vec<RuleObject>, FileError> {
    let bytes = read_bounded(path)?;
    let mut rules = rules_of(path, &bytes)?;
    name_after(path, &mut rules);
    Ok(rules)
}

/// The seccomp filter in a file: an array of `struct sock_filter`, as libseccomp exports it (`seccomp_export_bpf`)
/// and bubblewrap reads it. It may say `SECCOMP_RET_LANDLOCK | cookie`.
///
/// # Errors
/// Why there is none; every error names the file.
pub fn read_filter(path: &Path) -> Result<Filter, FileError> {
    let bytes = read_bounded(path)?;
    Filter::from_bytes(&bytes).map_err(|error| FileError::Filter { path: path.to_owned(), error })
}

/// Names rules so that a denial tells which file to look into.
pub(crate) fn name_after(path: &Path, rules: &mut [RuleObject]) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_only = rules.len() == 1;
    for rule in rules {
        rule.name = if is_only { stem.to_string() } else { format!("{stem}/{}", rule.name) };
    }
}

fn rules_of(path: &Path, bytes: &[u8]) -> Result<Vec<RuleObject>, FileError> {
    let object = |bytes: &[u8]| {
        elf::read_elf(bytes).map_err(|error| FileError::Object { path: path.to_owned(), error })
    };
    if bytes.starts_with(b"\x7fELF") {
        return object(bytes);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("c") => object(&Clang::find()?.compile(path)?),
        Some("s" | "S") => Ok(asm::parse(&String::from_utf8_lossy(bytes), &path.to_string_lossy())?),
        Some("o") => object(bytes),
        _ => Err(FileError::UnknownKind { path: path.to_owned() }),
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, FileError> {
    let io_error = |error| FileError::Io { path: path.to_owned(), error };
    // Asked before opening: opening a pipe nobody writes to would not return.
    if !fs::metadata(path).map_err(io_error)?.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io_error)?;
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() > MAX_SIZE {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

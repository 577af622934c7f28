// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF: the kernel's description of its own types and functions.
//!
//! A [`Btf`] is the raw blob plus an index; types are decoded when asked for. Opening checks that every
//! type's record lies within the blob; everything else (references, names) is checked when followed.
//! Any input gives an answer or an error, in time linear in its size: chains of types are followed a
//! bounded number of steps.
//!
//! * [`query`]: structures, members, functions, enumerators, by name.
//! * [`subset`]: a small blob with a few types of a large one, for tests.
//! * [`build`]: blobs of our own, for maps that need them.

pub mod build;
pub mod query;
pub mod subset;

use std::path::Path;

pub use build::{Builder, LoadedBtf};
pub use query::{Function, Member, Parameter, Place};

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Bytes of the header this reader knows.
const HEADER_SIZE: usize = 24;
/// Bytes every type's record begins with.
const RECORD_SIZE: usize = 12;
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The number of a type; 0 is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`: nothing, or the end of a chain.
    pub const VOID: TypeId = TypeId(0);
}

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the format's names")]
pub enum Kind {
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    const ALL: [Kind; 19] = [
        Kind::Int,
        Kind::Ptr,
        Kind::Array,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Fwd,
        Kind::Typedef,
        Kind::Volatile,
        Kind::Const,
        Kind::Restrict,
        Kind::Func,
        Kind::FuncProto,
        Kind::Var,
        Kind::Datasec,
        Kind::Float,
        Kind::DeclTag,
        Kind::TypeTag,
        Kind::Enum64,
    ];

    /// Bytes after the record's beginning: a fixed part, or so many per element.
    fn tail(self, elements: usize) -> usize {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 4,
            Kind::Array => 12,
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 12 * elements,
            Kind::Enum | Kind::FuncProto => 8 * elements,
            Kind::Ptr
            | Kind::Fwd
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::Float
            | Kind::TypeTag => 0,
        }
    }

    /// How C writes it before a name; for error messages.
    pub fn keyword(self) -> &'static str {
        match self {
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum | Kind::Enum64 => "enum",
            Kind::Typedef => "typedef",
            Kind::Func => "function",
            _ => "type",
        }
    }
}

/// Why BTF does not give what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The kernel's BTF, or a saved one, could not be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The blob is not BTF.
    #[error("not BTF this reader understands: {0}")]
    Malformed(String),
    /// There is nothing of that name.
    #[error("this kernel has no {} {name}", kind.keyword())]
    Missing {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// There are several of that name, so none can be chosen.
    #[error("this kernel has more than one {} {name}", kind.keyword())]
    Ambiguous {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A structure has no such member.
    #[error("{aggregate} has no member {member} on this kernel")]
    NoMember {
        /// The structure.
        aggregate: String,
        /// The member.
        member: String,
    },
    /// An enumeration has no such name.
    #[error("enum {enumeration} has no {name} on this kernel")]
    NoEnumerator {
        /// The enumeration.
        enumeration: String,
        /// The name.
        name: String,
    },
}

impl BtfError {
    /// Whether the blob is sound and simply has no such thing: another kernel might.
    pub fn is_missing(&self) -> bool {
        use BtfError::{Missing, NoEnumerator, NoMember};
        matches!(self, Missing { .. } | NoMember { .. } | NoEnumerator { .. })
    }
}

/// A readable BTF blob.
pub struct Btf {
    blob: Vec<u8>,
    strings: std::ops::Range<usize>,
    /// Where each type's record begins in `blob`; type 1 first.
    records: Vec<u32>,
    /// Named types by the hash of kind and name, sorted.
    names: Vec<(u64, TypeId)>,
}

/// A type, as it is in the blob.
#[derive(Clone, Copy)]
pub(crate) struct Type<'a> {
    pub(crate) id: TypeId,
    pub(crate) kind: Kind,
    pub(crate) name: u32,
    /// The format's kind flag: for structures, whether offsets hold bit field widths.
    pub(crate) flag: bool,
    pub(crate) elements: u16,
    /// Size in bytes, or the type referred to.
    pub(crate) size_or_type: u32,
    pub(crate) tail: &'a [u8],
}

impl Type<'_> {
    /// The `index`th word of the tail; 0 past its end, which the checks at opening leave no way to.
    pub(crate) fn word(&self, index: usize) -> u32 {
        word(self.tail, index * 4).unwrap_or_default()
    }

    pub(crate) fn target(&self) -> TypeId {
        TypeId(self.size_or_type)
    }
}

impl Btf {
    /// The running kernel's types.
    pub fn of_running_kernel() -> Result<Btf, BtfError> {
        Btf::open(Path::new(VMLINUX))
    }

    /// A saved blob.
    pub fn open(path: &Path) -> Result<Btf, BtfError> {
        let blob = std::fs::read(path);
        Btf::parse(blob.map_err(|error| BtfError::File { path: path.display().to_string(), error })?)
    }

    /// A blob in memory.
    pub fn parse(blob: Vec<u8>) -> Result<Btf, BtfError> {
        let (types, strings) = sections(&blob)?;
        let mut btf = Btf { blob, strings, records: Vec::new(), names: Vec::new() };
        let mut at = types.start;
        while at < types.end {
            let id = TypeId(as_u32(btf.records.len() + 1));
            let record = decode(&btf.blob[at..types.end], id)?;
            if record.name != 0 {
                btf.names.push((hash(record.kind, btf.bytes(record.name)?), id));
            }
            let size = RECORD_SIZE + record.tail.len();
            btf.records.push(as_u32(at));
            at += size;
        }
        btf.names.sort_unstable();
        Ok(btf)
    }

    /// The one type of this kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Result<TypeId, BtfError> {
        let wanted = hash(kind, name.as_bytes());
        let first = self.names.partition_point(|&(hash, _)| hash < wanted);
        let same_hash = self.names[first..].iter().take_while(|&&(hash, _)| hash == wanted);
        let mut found = None;
        for &(_, id) in same_hash {
            let candidate = self.get(id)?;
            if candidate.kind == kind && self.string(candidate.name)? == name {
                if found.is_some() {
                    return Err(BtfError::Ambiguous { kind, name: name.to_owned() });
                }
                found = Some(id);
            }
        }
        found.ok_or_else(|| BtfError::Missing { kind, name: name.to_owned() })
    }

    /// How many types there are, void not counted.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn get(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        let index = (id.0 as usize).checked_sub(1);
        let start = index.and_then(|index| self.records.get(index));
        let start = start.ok_or_else(|| malformed(format!("there is no type {}", id.0)))?;
        decode(&self.blob[*start as usize..], id)
    }

    pub(crate) fn string(&self, offset: u32) -> Result<&str, BtfError> {
        let bytes = self.bytes(offset)?;
        std::str::from_utf8(bytes).map_err(|_| malformed(format!("name {offset} is not UTF-8")))
    }

    fn bytes(&self, offset: u32) -> Result<&[u8], BtfError> {
        let strings = &self.blob[self.strings.clone()];
        let bytes = strings.get(offset as usize..).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0);
        Ok(&bytes[..end.ok_or_else(|| malformed(format!("no name at string offset {offset}")))?])
    }
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Btf({} types)", self.len())
    }
}

/// Where the types and the strings are.
fn sections(blob: &[u8]) -> Result<(std::ops::Range<usize>, std::ops::Range<usize>), BtfError> {
    let field = |at: usize| word(blob, at).map(|word| word as usize);
    let header = || Some((word(blob, 0)?, [field(4)?, field(8)?, field(12)?, field(16)?, field(20)?]));
    let (magic, [size, types, types_size, strings, strings_size]) =
        header().ok_or_else(|| malformed("it is shorter than a header".into()))?;
    if magic & 0xffff != u32::from(MAGIC) || (magic >> 16) & 0xff != u32::from(VERSION) {
        return Err(malformed(format!("it begins with {magic:#x}")));
    }
    let section = |offset: usize, length: usize| {
        let range = size + offset..size + offset + length;
        (size >= HEADER_SIZE && range.end <= blob.len()).then_some(range)
    };
    let sections = section(types, types_size).zip(section(strings, strings_size));
    sections.ok_or_else(|| malformed("a section does not fit".into()))
}

/// The record at the beginning of `bytes`.
fn decode(bytes: &[u8], id: TypeId) -> Result<Type<'_>, BtfError> {
    let cut = || malformed(format!("type {} is cut off", id.0));
    let info = word(bytes, 4).ok_or_else(cut)?;
    let number = (info >> 24) & 0x1f;
    let kind = Kind::ALL.into_iter().find(|&kind| kind as u32 == number);
    let kind = kind.ok_or_else(|| malformed(format!("type {} is of unknown kind {number}", id.0)))?;
    let elements = (info & 0xffff) as u16;
    let tail = bytes.get(RECORD_SIZE..RECORD_SIZE + kind.tail(elements.into())).ok_or_else(cut)?;
    Ok(Type {
        id,
        kind,
        name: word(bytes, 0).ok_or_else(cut)?,
        flag: info >> 31 != 0,
        elements,
        size_or_type: word(bytes, 8).ok_or_else(cut)?,
        tail,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// FNV-1a. A kernel has a hundred thousand names; std's hash made opening its BTF half as slow again.
fn hash(kind: Kind, name: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.iter().chain(&[kind as u8]).fold(0xcbf2_9ce4_8422_2325, step)
}

fn malformed(what: String) -> BtfError {
    BtfError::Malformed(what)
}

/// Offsets within a blob fit: its header describes it in 32-bit fields.
fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

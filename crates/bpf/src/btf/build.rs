// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF blobs of our own: written, and loaded into the kernel.
//!
//! Task storage demands types for its key and value. Nothing of ours needs more than integers and
//! arrays of them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{HEADER_SIZE, Kind, MAGIC, TypeId, VERSION, as_u32};
use crate::error::{Command, Error, Result};
use crate::sys;

/// A blob in the making. Types are numbered in the order they are added, from 1.
pub struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    offsets: BTreeMap<String, u32>,
    count: u32,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder { types: Vec::new(), strings: vec![0], offsets: BTreeMap::new(), count: 0 }
    }
}

impl Builder {
    /// An unsigned integer.
    pub fn unsigned(&mut self, name: &str, bytes: u8) -> TypeId {
        let bits = u32::from(bytes) * 8;
        self.add(name, Kind::Int, (false, 0), bytes.into(), &[bits])
    }

    /// An array. `index` is the type of its index, any unsigned integer.
    pub fn array(&mut self, element: TypeId, index: TypeId, length: u32) -> TypeId {
        self.add("", Kind::Array, (false, 0), 0, &[element.0, index.0, length])
    }

    /// A static function without arguments: programs' own functions are called with what they are called with.
    pub fn function(&mut self, name: &str, result: TypeId) -> TypeId {
        const STATIC: u16 = 0;
        let prototype = self.add("", Kind::FuncProto, (false, 0), result.0, &[]);
        self.add(name, Kind::Func, (false, STATIC), prototype.0, &[])
    }

    /// The blob.
    pub fn finish(&self) -> Vec<u8> {
        let sizes = [0, as_u32(self.types.len()), as_u32(self.types.len()), as_u32(self.strings.len())];
        let mut blob = MAGIC.to_le_bytes().to_vec();
        blob.extend([VERSION, 0]);
        blob.extend(as_u32(HEADER_SIZE).to_le_bytes());
        blob.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        blob.extend(&self.types);
        blob.extend(&self.strings);
        blob
    }

    /// Adds a type of any kind: the kind flag and the number of elements, the size or type, the tail.
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: Kind,
        (flag, elements): (bool, u16),
        size_or_type: u32,
        tail: &[u32],
    ) -> TypeId {
        let info = u32::from(flag) << 31 | (kind as u32) << 24 | u32::from(elements);
        let head = [self.name(name), info, size_or_type];
        self.types.extend(head.iter().chain(tail).flat_map(|word| word.to_le_bytes()));
        self.count += 1;
        TypeId(self.count)
    }

    /// The offset of a name; the same name is there once.
    pub(super) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        *self.offsets.entry(name.to_owned()).or_insert_with(|| {
            let offset = as_u32(self.strings.len());
            self.strings.extend(name.bytes().chain([0]));
            offset
        })
    }
}

/// A blob the kernel has accepted.
#[derive(Debug)]
pub struct LoadedBtf {
    fd: OwnedFd,
}

impl LoadedBtf {
    /// Loads a blob.
    pub fn load(blob: &[u8]) -> Result<LoadedBtf> {
        let refused = |errno| Error::Refused {
            command: Command::BtfLoad,
            object: format!("{} bytes of BTF", blob.len()),
            errno,
        };
        Ok(LoadedBtf { fd: sys::btf_load(blob).map_err(refused)? })
    }
}

impl AsFd for LoadedBtf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays of handles that rules compare with: pure data, shared by the rules of a file and by whoever fills them.
//!
//! A handle holds a descriptor, which keeps alive what it stands for. Nothing here looks at it: that is the business
//! of who puts it in, and of the targets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::abi::handles::{ArrayKind, HandleType, UPDATE_EXIST, UPDATE_NOEXIST};

/// A file, a directory or a cgroup that rules compare with. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Held>);

#[derive(Debug)]
struct Held {
    number: u64,
    descriptor: Option<OwnedFd>,
}

/// Handles with a descriptor count from here.
static NEXT: AtomicU64 = AtomicU64::new(1 << 32);

impl Handle {
    /// What `descriptor` refers to (`O_PATH` is enough), for as long as the handle is in use.
    pub fn held(descriptor: OwnedFd) -> Handle {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Handle(Arc::new(Held { number, descriptor: Some(descriptor) }))
    }

    /// One that stands for nothing but its number, below 2^32: for questions about rules, not for enforcing them.
    pub fn numbered(number: u64) -> Handle {
        Handle(Arc::new(Held { number, descriptor: None }))
    }

    /// Its number, which no other handle of the process has.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// What keeps alive what it stands for.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.descriptor.as_ref().map(AsFd::as_fd)
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Handle) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Handle {}

/// What a file says of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Definition {
    /// Its name, by which it is filled.
    pub name: String,
    /// What its handles stand for.
    pub kind: ArrayKind,
    /// How many handles it has room for.
    pub max_entries: u32,
}

/// An array of handles as rules refer to it. Clones are the same array; what is put into it takes effect at once.
///
/// Only its definition is written out: what is read back is an empty array of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Definition", into = "Definition")]
pub struct Map(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    definition: Definition,
    array: RwLock<Array>,
}

/// By definition: whether two rules mean the same array is [`Map::is`].
impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        self.definition() == other.definition()
    }
}

impl Eq for Map {}

impl From<Definition> for Map {
    fn from(definition: Definition) -> Map {
        Map::new(definition)
    }
}

impl From<Map> for Definition {
    fn from(map: Map) -> Definition {
        map.definition().clone()
    }
}

impl Map {
    /// An empty one.
    pub fn new(definition: Definition) -> Map {
        let array = Array::new(Some(definition.kind), definition.max_entries);
        Map(Arc::new(Inner { definition, array: RwLock::new(array) }))
    }

    /// What was said of it.
    pub fn definition(&self) -> &Definition {
        &self.0.definition
    }

    /// Whether both are the same array.
    pub fn is(&self, other: &Map) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The handles in it now.
    pub fn handles(&self) -> Vec<Handle> {
        self.0.array.read().unwrap_or_else(PoisonError::into_inner).handles.clone()
    }

    /// Puts a handle behind the last one.
    ///
    /// # Errors
    /// There is no room.
    pub fn append(&self, handle: Handle) -> Result<(), ArrayError> {
        let handle_type = match self.definition().kind {
            ArrayKind::Fs => HandleType::FsFd,
            ArrayKind::Cgroup => HandleType::CgroupFd,
        };
        self.change(|array| array.update(array.len(), handle_type as u32, handle, 0)).map(drop)
    }

    /// Takes all handles out, and closes what nobody else has of them.
    pub fn clear(&self) {
        let taken = self.change(|array| std::mem::take(&mut array.handles));
        drop(taken);
    }

    /// Changes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Array) -> T) -> T {
        change(&mut self.0.array.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why an array was not changed. The answer of the kernel's interface is [`ArrayError::errno`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ArrayError {
    #[error("flags {flags:#x} do not exist")]
    Flags { flags: u64 },
    #[error("entries are replaced or appended, never only made")]
    Exists,
    #[error("there is room for {max} handles, index {index} is beyond")]
    Full { index: u32, max: u32 },
    #[error("the array has {len} handles: the next index is {len}, not {index}")]
    Gap { index: u32, len: u32 },
    #[error("handle type {number} does not exist, or cannot be stored")]
    HandleType { number: u32 },
    #[error("the array holds {} handles only", .kind.name())]
    Kind { kind: ArrayKind },
    #[error("only the last handle can be deleted")]
    NotLast,
    #[error("handles cannot be looked up")]
    Lookup,
}

impl ArrayError {
    /// Linux's number of the errno.
    pub fn errno(self) -> i32 {
        const E2BIG: i32 = 7;
        const EEXIST: i32 = 17;
        const EINVAL: i32 = 22;
        match self {
            ArrayError::Exists => EEXIST,
            ArrayError::Full { .. } => E2BIG,
            _ => EINVAL,
        }
    }
}

/// Handles without gaps: replaced anywhere, appended and deleted at the end.
#[derive(Clone, Debug)]
pub struct Array {
    /// What it holds; fixed by the definition or else by the first update.
    kind: Option<ArrayKind>,
    max_entries: u32,
    handles: Vec<Handle>,
}

impl Array {
    /// An empty array; without a kind, the first update decides about it.
    pub fn new(kind: Option<ArrayKind>, max_entries: u32) -> Array {
        Array { kind, max_entries, handles: Vec::new() }
    }

    /// What it holds, if that is decided.
    pub fn kind(&self) -> Option<ArrayKind> {
        self.kind
    }

    /// The handles in it.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Replaces the handle at `index` or appends there. The replaced one, which is no longer needed here, is
    /// given back. `number` is a [`HandleType`]'s.
    ///
    /// # Errors
    /// In the order the kernel would find them; nothing has changed then, but for the kind a glob fixes.
    pub fn update(
        &mut self,
        index: u32,
        number: u32,
        handle: Handle,
        flags: u64,
    ) -> Result<Option<Handle>, ArrayError> {
        let len = self.len();
        if flags > UPDATE_EXIST {
            return Err(ArrayError::Flags { flags });
        }
        if index >= self.max_entries {
            return Err(ArrayError::Full { index, max: self.max_entries });
        }
        if index > len {
            return Err(ArrayError::Gap { index, len });
        }
        if flags == UPDATE_NOEXIST {
            return Err(ArrayError::Exists);
        }
        let handle_type = HandleType::from_u32(number).ok_or(ArrayError::HandleType { number })?;
        let kind = *self.kind.get_or_insert(handle_type.kind());
        if handle_type.kind() != kind {
            return Err(ArrayError::Kind { kind });
        }
        if handle_type == HandleType::FsGlob {
            return Err(ArrayError::HandleType { number });
        }
        match self.handles.get_mut(index as usize) {
            Some(old) => Ok(Some(std::mem::replace(old, handle))),
            None => {
                self.handles.push(handle);
                Ok(None)
            }
        }
    }

    /// Deletes the last handle, which is given back.
    ///
    /// # Errors
    /// `index` is not the last one's.
    pub fn delete(&mut self, index: u32) -> Result<Handle, ArrayError> {
        match index.checked_add(1) {
            Some(len) if len == self.len() => self.handles.pop().ok_or(ArrayError::NotLast),
            _ => Err(ArrayError::NotLast),
        }
    }

    /// Handles are not for looking at.
    ///
    /// # Errors
    /// Always.
    pub fn lookup(&self, _index: u32) -> Result<Handle, ArrayError> {
        Err(ArrayError::Lookup)
    }

    /// The index after `index`, as arrays of the kernel count: all there is room for; 0 after what is none.
    pub fn next_index(&self, index: u32) -> Option<u32> {
        match index.checked_add(1) {
            Some(next) if next < self.max_entries => Some(next),
            Some(next) if next == self.max_entries => None,
            _ => Some(0),
        }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.handles.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small blob with a few types of a large one: what tests keep of each kernel series.
//!
//! Named types that were not asked for are cut off: an aggregate or enumeration keeps its name and size
//! and loses what is in it, and one that is only pointed to becomes a forward declaration. So every
//! question about the types asked for has the same answer in the subset, types' numbers apart.

use std::collections::{BTreeMap, BTreeSet};

use super::{Btf, BtfError, Builder, Kind, Type, TypeId};

/// How much of a type is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Keep {
    /// Its name.
    Forward,
    /// Its name and size.
    Opaque,
    /// All of it.
    Whole,
}

impl Btf {
    /// The subset with these types whole.
    pub fn subset(&self, wanted: &[TypeId]) -> Result<Vec<u8>, BtfError> {
        let keep = self.reachable(wanted)?;
        let numbers: BTreeMap<TypeId, TypeId> = keep.keys().copied().zip((1..).map(TypeId)).collect();
        let number = |id: TypeId| numbers.get(&id).copied().unwrap_or(TypeId::VOID).0;
        let mut builder = Builder::default();
        for (&id, &keep) in &keep {
            self.copy(self.get(id)?, keep, &number, &mut builder)?;
        }
        Ok(builder.finish())
    }

    /// Everything that has to be there, and how much of it.
    fn reachable(&self, wanted: &[TypeId]) -> Result<BTreeMap<TypeId, Keep>, BtfError> {
        let asked: BTreeSet<TypeId> = wanted.iter().copied().collect();
        let mut reached: BTreeMap<TypeId, Keep> = BTreeMap::new();
        let mut open: Vec<(TypeId, Keep)> = wanted.iter().map(|&id| (id, Keep::Whole)).collect();
        while let Some((id, keep)) = open.pop() {
            if id == TypeId::VOID || reached.get(&id).is_some_and(|&known| known >= keep) {
                continue;
            }
            let source = self.get(id)?;
            reached.insert(id, keep);
            if keep < Keep::Whole {
                continue;
            }
            for target in targets(&source) {
                let target_type = (target != TypeId::VOID).then(|| self.get(target)).transpose()?;
                let named = target_type.is_some_and(|t| t.name != 0 && can_be_cut(t.kind));
                let keep = match source.kind {
                    _ if asked.contains(&target) || !named => Keep::Whole,
                    Kind::Ptr => Keep::Forward,
                    _ => Keep::Opaque,
                };
                open.push((target, keep));
            }
        }
        Ok(reached)
    }

    fn copy(
        &self,
        source: Type<'_>,
        keep: Keep,
        number: &dyn Fn(TypeId) -> u32,
        into: &mut Builder,
    ) -> Result<(), BtfError> {
        let name = self.string(source.name)?;
        let is_union = source.kind == Kind::Union;
        match keep {
            Keep::Forward if !matches!(source.kind, Kind::Enum | Kind::Enum64) => {
                into.add(name, Kind::Fwd, (is_union, 0), 0, &[]);
                return Ok(());
            }
            Keep::Forward | Keep::Opaque => {
                into.add(name, source.kind, (false, 0), source.size_or_type, &[]);
                return Ok(());
            }
            Keep::Whole => {}
        }
        let mut tail: Vec<u32> = (0..source.tail.len() / 4).map(|index| source.word(index)).collect();
        let layout = layout(source.kind);
        for element in tail.chunks_mut(layout.words) {
            if let Some(at) = layout.name {
                element[at] = into.name(self.string(element[at])?);
            }
            for &at in layout.types {
                element[at] = number(TypeId(element[at]));
            }
        }
        let size_or_type = match refers(source.kind) {
            true => number(source.target()),
            false => source.size_or_type,
        };
        into.add(name, source.kind, (source.flag, source.elements), size_or_type, &tail);
        Ok(())
    }
}

/// What a kind's tail is made of: words per element, and which of them are a name or types.
struct Layout {
    words: usize,
    name: Option<usize>,
    types: &'static [usize],
}

fn layout(kind: Kind) -> Layout {
    match kind {
        Kind::Struct | Kind::Union => Layout { words: 3, name: Some(0), types: &[1] },
        Kind::FuncProto => Layout { words: 2, name: Some(0), types: &[1] },
        Kind::Enum => Layout { words: 2, name: Some(0), types: &[] },
        Kind::Enum64 => Layout { words: 3, name: Some(0), types: &[] },
        Kind::Array => Layout { words: 3, name: None, types: &[0, 1] },
        Kind::Datasec => Layout { words: 3, name: None, types: &[0] },
        _ => Layout { words: 1, name: None, types: &[] },
    }
}

/// Whether the record's third word is a type rather than a size.
fn refers(kind: Kind) -> bool {
    use Kind::{Const, DeclTag, Func, FuncProto, Ptr, Restrict, TypeTag, Typedef, Var, Volatile};
    matches!(kind, Ptr | Typedef | Const | Volatile | Restrict | TypeTag | Func | FuncProto | Var | DeclTag)
}

fn can_be_cut(kind: Kind) -> bool {
    matches!(kind, Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64)
}

/// The types a type refers to.
fn targets(source: &Type<'_>) -> Vec<TypeId> {
    let layout = layout(source.kind);
    let elements = source.tail.len() / 4 / layout.words;
    let in_tail = (0..elements).flat_map(|element| {
        layout.types.iter().map(move |&at| TypeId(source.word(element * layout.words + at)))
    });
    in_tail.chain(refers(source.kind).then(|| source.target())).collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to BTF, by name: where a member is, what a function takes, what an enumerator is worth.

use super::{Btf, BtfError, Kind, Type, TypeId, malformed};

/// Steps through typedefs, qualifiers and arrays before a chain of types is called malformed.
const CHAIN_MAX: u32 = 64;
/// Fields looked at for one member. The kernel's largest structures have a few hundred.
const FIELDS_MAX: u32 = 1 << 16;

/// Where a member of a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it is, from the beginning of the outermost structure.
    pub place: Place,
    /// Its type, as declared.
    pub type_id: TypeId,
}

/// A place within a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Whole bytes.
    Bytes {
        /// Bytes before it.
        offset: u32,
        /// Bytes it takes.
        size: u32,
    },
    /// A bit field.
    Bits {
        /// Bits before it, counted from the least significant one of each byte.
        offset: u32,
        /// Bits it takes.
        width: u32,
    },
}

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The number programs attach by.
    pub id: TypeId,
    /// What it takes, in order.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: TypeId,
}

/// One parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type, as declared.
    pub type_id: TypeId,
}

impl Function {
    /// The position of the parameter with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| parameter.name == name)
    }
}

/// One named or unnamed part of a structure or union.
struct Field {
    name: u32,
    type_id: TypeId,
    bit_offset: u32,
    /// Of a bit field; none for whole bytes.
    width: Option<u32>,
}

impl Type<'_> {
    fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        (0..usize::from(self.elements)).map(|index| {
            let offset = self.word(index * 3 + 2);
            let (bit_offset, width) = match self.flag {
                true => (offset & 0x00ff_ffff, Some(offset >> 24).filter(|&width| width != 0)),
                false => (offset, None),
            };
            let type_id = TypeId(self.word(index * 3 + 1));
            Field { name: self.word(index * 3), type_id, bit_offset, width }
        })
    }
}

impl Btf {
    /// The member a path of names leads to: `member("struct file", "f_path.dentry")`. Anonymous structures
    /// and unions on the way are seen through; pointers are not followed.
    pub fn member(&self, aggregate: &str, path: &str) -> Result<Member, BtfError> {
        let kind = if aggregate.starts_with("union ") { Kind::Union } else { Kind::Struct };
        let name = aggregate.trim_start_matches("struct ").trim_start_matches("union ");
        let missing = || BtfError::NoMember { aggregate: aggregate.to_owned(), member: path.to_owned() };
        let mut type_id = self.find(kind, name)?;
        let (mut bit_offset, mut width) = (0, None);
        for part in path.split('.') {
            let aggregate = self.get(self.resolve(type_id)?)?;
            let field = self.field(aggregate, part)?.ok_or_else(missing)?;
            bit_offset = add(bit_offset, field.bit_offset)?;
            (type_id, width) = (field.type_id, field.width);
        }
        let place = match width {
            Some(width) => Place::Bits { offset: bit_offset, width },
            None => Place::Bytes { offset: bit_offset / 8, size: self.size_of(type_id)? },
        };
        Ok(Member { place, type_id })
    }

    /// The function with this name.
    pub fn function(&self, name: &str) -> Result<Function, BtfError> {
        let id = self.find(Kind::Func, name)?;
        let prototype = self.get(self.get(id)?.target())?;
        if prototype.kind != Kind::FuncProto {
            return Err(malformed(format!("function {name} has no prototype")));
        }
        let parameter = |index: usize| {
            let name = self.string(prototype.word(index * 2))?.to_owned();
            Ok(Parameter { name, type_id: TypeId(prototype.word(index * 2 + 1)) })
        };
        let parameters = (0..usize::from(prototype.elements)).map(parameter).collect::<Result<_, _>>()?;
        Ok(Function { id, parameters, returns: prototype.target() })
    }

    /// The value of a name of an enumeration.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Result<i64, BtfError> {
        let id = match self.find(Kind::Enum, enumeration) {
            Err(error) if error.is_missing() => self.find(Kind::Enum64, enumeration)?,
            found => found?,
        };
        let list = self.get(id)?;
        let words = if list.kind == Kind::Enum64 { 3 } else { 2 };
        for at in (0..usize::from(list.elements)).map(|index| index * words) {
            if self.string(list.word(at))? == name {
                return Ok(match (list.kind, list.flag) {
                    (Kind::Enum64, _) => {
                        (u64::from(list.word(at + 1)) | u64::from(list.word(at + 2)) << 32).cast_signed()
                    }
                    (_, true) => list.word(at + 1).cast_signed().into(),
                    (_, false) => list.word(at + 1).into(),
                });
            }
        }
        Err(BtfError::NoEnumerator { enumeration: enumeration.to_owned(), name: name.to_owned() })
    }

    /// A type without its typedefs and qualifiers.
    pub fn resolve(&self, mut id: TypeId) -> Result<TypeId, BtfError> {
        use Kind::{Const, Restrict, TypeTag, Typedef, Volatile};
        for _ in 0..CHAIN_MAX {
            if id == TypeId::VOID {
                return Ok(id);
            }
            let step = self.get(id)?;
            if !matches!(step.kind, Typedef | Const | Volatile | Restrict | TypeTag) {
                return Ok(id);
            }
            id = step.target();
        }
        Err(malformed(format!("type {} is an endless chain", id.0)))
    }

    /// What a type is, seen through typedefs and qualifiers; none for void.
    pub fn kind_of(&self, id: TypeId) -> Result<Option<Kind>, BtfError> {
        match self.resolve(id)? {
            TypeId::VOID => Ok(None),
            id => Ok(Some(self.get(id)?.kind)),
        }
    }

    /// Bytes a value of the type takes.
    pub fn size_of(&self, mut id: TypeId) -> Result<u32, BtfError> {
        let mut count: u32 = 1;
        for _ in 0..CHAIN_MAX {
            id = self.resolve(id)?;
            let overflow = || malformed(format!("type {} is larger than 4 GiB", id.0));
            let step = self.get(id)?;
            let size = match step.kind {
                Kind::Array => {
                    count = count.checked_mul(step.word(2)).ok_or_else(overflow)?;
                    id = TypeId(step.word(0));
                    continue;
                }
                Kind::Ptr => 8,
                Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => {
                    step.size_or_type
                }
                _ => return Err(malformed(format!("type {} has no size", id.0))),
            };
            return count.checked_mul(size).ok_or_else(overflow);
        }
        Err(malformed(format!("type {} is an endless chain", id.0)))
    }

    /// A type as C writes it, without array bounds, function types and what qualifies a pointer itself:
    /// `const struct path *`.
    pub fn type_name(&self, mut id: TypeId) -> Result<String, BtfError> {
        let mut suffix = String::new();
        let mut prefix = "";
        for _ in 0..CHAIN_MAX {
            if id == TypeId::VOID {
                return Ok(format!("{prefix}void{suffix}"));
            }
            let step = self.get(id)?;
            match step.kind {
                Kind::Ptr => suffix.insert_str(0, if suffix.starts_with('*') { "*" } else { " *" }),
                Kind::Const if !self.is_pointer(step.target()) => prefix = "const ",
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {}
                Kind::Array => {
                    suffix.push_str("[]");
                    id = TypeId(step.word(0));
                    continue;
                }
                Kind::FuncProto => return Ok(format!("{prefix}function{suffix}")),
                kind => {
                    return self.named(kind, step.flag, step.name).map(|n| format!("{prefix}{n}{suffix}"));
                }
            }
            id = step.target();
        }
        Err(malformed(format!("type {} is an endless chain", id.0)))
    }

    fn is_pointer(&self, id: TypeId) -> bool {
        self.get(id).is_ok_and(|target| target.kind == Kind::Ptr)
    }

    fn named(&self, kind: Kind, flag: bool, name: u32) -> Result<String, BtfError> {
        let name = if name == 0 { "(anonymous)" } else { self.string(name)? };
        Ok(match kind {
            Kind::Struct => format!("struct {name}"),
            Kind::Union => format!("union {name}"),
            Kind::Fwd => format!("{} {name}", if flag { "union" } else { "struct" }),
            Kind::Enum | Kind::Enum64 => format!("enum {name}"),
            _ => name.to_owned(),
        })
    }

    /// The field with this name, in the aggregate or in an anonymous one within it.
    fn field(&self, aggregate: Type<'_>, name: &str) -> Result<Option<Field>, BtfError> {
        let mut open = vec![(aggregate, 0)];
        let mut budget = FIELDS_MAX;
        while let Some((part, base)) = open.pop() {
            if !matches!(part.kind, Kind::Struct | Kind::Union) {
                continue;
            }
            for field in part.fields() {
                let spent = || malformed(format!("type {} is nested without end", aggregate.id.0));
                budget = budget.checked_sub(1).ok_or_else(spent)?;
                let bit_offset = add(base, field.bit_offset)?;
                if field.name == 0 {
                    open.push((self.get(self.resolve(field.type_id)?)?, bit_offset));
                } else if self.string(field.name)? == name {
                    return Ok(Some(Field { bit_offset, ..field }));
                }
            }
        }
        Ok(None)
    }
}

fn add(outer: u32, inner: u32) -> Result<u32, BtfError> {
    outer.checked_add(inner).ok_or_else(|| malformed("a member lies beyond 512 MiB".to_owned()))
}

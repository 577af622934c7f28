// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two contexts: that of the events of a file system, and that of the hooks.

use super::fact::Fact;
use super::state::Value;
use crate::abi::hook::{self, Arg};
use crate::abi::{Event, context};
use crate::op::Size;

/// A load of a field of the context that rules of this event see.
pub(super) fn field(event: Option<Event>, size: Size, off: i16) -> Result<Value, Fact> {
    match event {
        Some(event) if event.is_hook() => at_hook(event, size, off),
        _ => of_file_system(size, off),
    }
}

/// From a field's start, in any size; the handle whole.
fn of_file_system(size: Size, off: i16) -> Result<Value, Fact> {
    match off {
        context::ARG1 if size == Size::Double => Ok(Value::Handle),
        context::ARG1 => Err(Fact::PartOfHandle { size }),
        context::STATUS | context::EVENT | context::ARG2 | context::ARCH | context::SYSCALL_NR => {
            Ok(Value::Number(None))
        }
        _ => Err(Fact::ContextOffset { off }),
    }
}

/// Every field whole, and no argument that the hook does not have.
fn at_hook(event: Event, size: Size, off: i16) -> Result<Value, Fact> {
    let whole = |field, wanted: Size, value| match size == wanted {
        true => Ok(value),
        false => Err(Fact::HookFieldSize { field, size, wanted: wanted.bytes() }),
    };
    match (off, hook::arg_at(off)) {
        (hook::HOOK, _) => whole("hook", Size::Word, Value::Number(None)),
        (hook::COOKIE, _) => whole("cookie", Size::Half, Value::Number(None)),
        (_, Some(index)) => match hook::args(event).get(index) {
            Some(Arg::File { nullable }) => {
                whole("the file", Size::Double, Value::File { nullable: *nullable })
            }
            Some(Arg::Cred) => whole("the credentials", Size::Double, Value::Cred),
            Some(Arg::Number(name)) => whole(name, Size::Double, Value::Number(None)),
            None => Err(Fact::NoArgument { event, index }),
        },
        _ => Err(Fact::HookOffset { off }),
    }
}

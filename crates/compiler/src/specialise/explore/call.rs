// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of helpers.

use super::*;

impl Explorer {
    pub(super) fn call(&mut self, at: usize, number: i32, mut state: State) {
        self.seen.marks[at].fields = helper_fields(number);
        let result = match number {
            helper::HANDLE_FS_GET_MODE => match state.inputs.field(Field::Exists).bits().known() {
                Some(0) => Word::exactly(immediate(-2)),
                Some(_) => Word::of(Field::Mode),
                None if self.tried(at, &state, [Copies { field: Field::Exists, mask: 1 }, Copies::NONE]) => {
                    return;
                }
                None => Word::ANY,
            },
            // What handles stand for, and where, is never known beforehand.
            helper::CMP_FS_PROP | helper::CMP_FS_BENEATH | helper::CMP_CGROUP_BENEATH => Word::ANY,
            helper::GET_CURRENT_PID_TGID => Word::of(Field::PidTgid),
            helper::GET_CURRENT_UID_GID => Word::of(Field::UidGid),
            helper::GET_CURRENT_COMM => {
                let (buffer, size) = (state.get(Reg::R1), state.get(Reg::R2));
                write_comm(&mut state, buffer, size);
                Word::exactly(0)
            }
            helper::TRACE_PRINTK => {
                self.seen.traces = true;
                self.seen.marks[at].reads_stack = true;
                Word::ANY
            }
            _ => return self.case(at, true, state.inputs),
        };
        for reg in Reg::arguments() {
            state.set(reg, Value::Unusable);
        }
        self.leave(at, at + 1, state, Reg::R0, Value::Word(result));
    }
}

/// The fields of the input a helper looks at.
fn helper_fields(number: i32) -> &'static [Field] {
    match number {
        helper::HANDLE_FS_GET_MODE => &[Field::Exists, Field::Mode],
        helper::GET_CURRENT_PID_TGID => &[Field::PidTgid],
        helper::GET_CURRENT_UID_GID => &[Field::UidGid],
        helper::GET_CURRENT_COMM => &[Field::CommLow, Field::CommHigh],
        _ => &[],
    }
}

/// What `get_current_comm` leaves in its buffer: the name, cut, and zeros.
fn write_comm(state: &mut State, buffer: Value, size: Value) {
    let (Value::Stack(buffer), Value::Word(size)) = (buffer, size) else {
        return state.store(Value::Unusable, 0, Size::Byte, Value::Unusable);
    };
    let Some(size) = size.known().and_then(|size| i64::try_from(size).ok()).filter(|size| *size <= 512)
    else {
        return state.store(Value::Unusable, 0, Size::Byte, Value::Unusable);
    };
    for at in 0..size {
        let byte = match u8::try_from(at) {
            Ok(at @ 0..8) if i64::from(at) < size - 1 => Word::of(Field::CommLow).extract(at, 1),
            Ok(at @ 8..16) if i64::from(at) < size - 1 => Word::of(Field::CommHigh).extract(at - 8, 1),
            _ => Word::exactly(0),
        };
        state.store_stack(buffer.wrapping_add(at), 1, Value::Word(byte));
    }
}

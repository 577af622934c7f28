// SPDX-License-Identifier: MIT OR Apache-2.0
//! What filters say, for people.

use std::fmt;

use super::check::code;
use super::{ACTION, Action, Filter, TRACE, USER_NOTIF};

/// Actions without their data.
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = Action::ALLOW.0;

impl Action {
    /// Whether the system call is not carried out, whoever else has a say. An action that is unknown kills.
    pub fn stops(self) -> bool {
        !matches!(self.without_data(), USER_NOTIF | TRACE | LOG | ALLOW) && self.cookie().is_none()
    }
}

impl Filter {
    /// What it may say, whatever the system call is, each once; `None` if that is calculated.
    pub fn may_say_of_any(&self) -> Option<Vec<Action>> {
        let mut said = Vec::new();
        for insn in self.0.iter() {
            match insn.code {
                code::RET_A => return None,
                code::RET_K if !said.contains(&Action(insn.k)) => said.push(Action(insn.k)),
                _ => {}
            }
        }
        Some(said)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.0 & !ACTION;
        if let Some(cookie) = self.cookie() {
            return write!(f, "cookie {cookie}");
        }
        match self.without_data() {
            ALLOW => f.write_str("ALLOW"),
            KILL_PROCESS => f.write_str("KILL_PROCESS"),
            KILL_THREAD => f.write_str("KILL_THREAD"),
            TRAP => write!(f, "TRAP {data}"),
            ERRNO => write!(f, "ERRNO {data}"),
            USER_NOTIF => f.write_str("USER_NOTIF"),
            TRACE => write!(f, "TRACE {data}"),
            LOG => f.write_str("LOG"),
            _ => write!(f, "{:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::ClassicInsn;

    #[test]
    fn actions_have_their_names_and_end_system_calls_or_not() {
        let said =
            [0x8000_0000, 0, 0x0003_0000, 0x0005_000d, 0x0007_0005, 0x7fc0_0000, 0x7ff0_0001, 0x7ffc_0000];
        let said = said.map(Action);
        let names = said.map(|action| action.to_string());
        assert_eq!(
            names,
            ["KILL_PROCESS", "KILL_THREAD", "TRAP 0", "ERRNO 13", "cookie 5", "USER_NOTIF", "TRACE 1", "LOG"]
        );
        assert_eq!(said.map(Action::stops), [true, true, true, true, false, false, false, false]);
        assert!(!Action::ALLOW.stops() && Action(0x1234_0000).stops());
    }

    #[test]
    fn what_is_calculated_may_be_anything() {
        let ret = |code, k| ClassicInsn { code, k, ..ClassicInsn::default() };
        assert_eq!(Filter::always(5).may_say_of_any(), Some(vec![Action(0x0007_0005)]));
        let calculated = Filter::new(vec![ret(code::LD_IMM, 1), ret(code::RET_A, 0)]).unwrap();
        assert_eq!(calculated.may_say_of_any(), None);
    }
}

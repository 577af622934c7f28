// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rules tied to a hook answer: always the same, or depending on what they look at.

use std::fmt;

use serde::Serialize;

use super::text::and;
use crate::abi::hook::{self, Arg};
use crate::abi::{Event, helper};
use crate::classic::Filter;
use crate::domain::is_list;
use crate::object::Printable;
use crate::op::{Callee, Imm64, Op, PSEUDO_MAP};
use crate::rule::Rule;
use crate::specialise::{Answer, Bits, Known, specialise};

/// The answer of one rule at its hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hooked {
    /// Its name.
    pub rule: String,
    /// The name of the hook's event.
    pub event: &'static str,
    /// Those it may be asked for; `None` if it was not said which filters there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookies: Option<Cookies>,
    /// Its answer.
    #[serde(flatten)]
    pub reply: HookReply,
    /// At FILE_OPEN, if it looks at what the file is beneath: whether `landlock run --lower` can leave it to mainline Landlock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowering: Option<Lowering>,
}

/// Whether mainline Landlock can decide in place of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lowering {
    /// If somebody wants it.
    Possible,
    /// It cannot, for this reason.
    Not(String),
}

/// Cookies that filters may hand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// They are calculated.
    Any,
    /// None but these.
    These(Vec<u16>),
}

impl Cookies {
    /// And those of one more filter.
    pub(super) fn add(&mut self, filter: &Filter) {
        match (&mut *self, filter.may_say_of_any()) {
            (Cookies::These(known), Some(said)) => {
                known.extend(said.into_iter().filter_map(|action| action.cookie()));
                known.sort_unstable();
                known.dedup();
            }
            _ => *self = Cookies::Any,
        }
    }
}

/// What a rule answers at its hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum HookReply {
    /// Always.
    Allowed,
    /// Always.
    Denied,
    /// It may depend on these.
    Depends {
        /// On what the rule looks at, which is not to say that it matters.
        on: Vec<HookFactor>,
    },
}

/// What a rule tied to a hook can look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookFactor {
    /// The cookie.
    Cookie,
    /// A number among the arguments.
    Argument(&'static str),
    /// Whether there is a file.
    File,
    /// What the file has in common with handles.
    Properties,
    /// What the file is beneath, or what is beneath it.
    Beneath,
    /// Which cgroup the caller is in.
    Cgroup,
    /// The handles of this map.
    Map(String),
}

pub(super) fn explained(rule: &Rule, cookies: Option<Cookies>) -> Hooked {
    let reply = match specialise(rule, &Known::new(rule.event(), Bits::ANY)).always() {
        Some(Answer::Allow) => HookReply::Allowed,
        Some(Answer::Deny) => HookReply::Denied,
        None => HookReply::Depends { on: factors(rule) },
    };
    let handed_on = match &cookies {
        Some(Cookies::These(cookies)) => cookies.clone(),
        Some(Cookies::Any) | None => (0..=u16::MAX).collect(),
    };
    let compares = matches!(&reply, HookReply::Depends { on } if on.contains(&HookFactor::Beneath));
    let lowering = (rule.event() == Event::FileOpen && compares).then(|| match is_list(rule, &handed_on) {
        Ok(()) => Lowering::Possible,
        Err((Some(cookie), why)) => Lowering::Not(format!("with cookie {cookie}, {why}")),
        Err((None, why)) => Lowering::Not(why.to_string()),
    });
    Hooked { rule: rule.name().to_owned(), event: rule.event().name(), cookies, reply, lowering }
}

fn factors(rule: &Rule) -> Vec<HookFactor> {
    let mut factors = Vec::new();
    for factor in rule.ops().iter().flatten().filter_map(|op| factor(rule, *op)) {
        if !factors.contains(&factor) {
            factors.push(factor);
        }
    }
    // The file is loaded to be compared; then it is not a factor of its own.
    if factors.iter().any(|factor| matches!(factor, HookFactor::Properties | HookFactor::Beneath)) {
        factors.retain(|factor| *factor != HookFactor::File);
    }
    factors
}

/// Loads may also be of the stack; nothing is missed then.
fn factor(rule: &Rule, op: Op) -> Option<HookFactor> {
    match op {
        Op::Load { off: hook::COOKIE, .. } => Some(HookFactor::Cookie),
        Op::Load { off, .. } => argument(rule.event(), off),
        Op::Call(Callee::Helper(helper::CMP_FS_PROP)) => Some(HookFactor::Properties),
        Op::Call(Callee::Helper(helper::CMP_FS_BENEATH)) => Some(HookFactor::Beneath),
        Op::Call(Callee::Helper(helper::CMP_CGROUP_BENEATH)) => Some(HookFactor::Cgroup),
        Op::LoadImm { imm: Imm64::Pseudo { kind: PSEUDO_MAP, value }, .. } => {
            let map = rule.maps().get(usize::try_from(value).ok()?)?;
            Some(HookFactor::Map(map.definition().name.clone()))
        }
        _ => None,
    }
}

fn argument(event: Event, off: i16) -> Option<HookFactor> {
    match hook::args(event).get(hook::arg_at(off)?)? {
        Arg::Number(name) => Some(HookFactor::Argument(name)),
        Arg::File { nullable: true } => Some(HookFactor::File),
        Arg::File { nullable: false } | Arg::Cred => None,
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.event, Printable(&self.rule))?;
        match &self.cookies {
            None => {}
            Some(Cookies::Any) => write!(f, ", for any cookie")?,
            Some(Cookies::These(none)) if none.is_empty() => {
                return f.write_str(": never asked, no filter before it hands a cookie on");
            }
            Some(Cookies::These(cookies)) => {
                let several = if cookies.len() > 1 { "s" } else { "" };
                write!(f, ", for cookie{several} {}", and(cookies.iter().map(ToString::to_string)))?;
            }
        }
        f.write_str(": ")?;
        match &self.reply {
            HookReply::Allowed => f.write_str("always allowed"),
            HookReply::Denied => f.write_str("always denied"),
            HookReply::Depends { on } => {
                write!(f, "may depend on {}", and(on.iter().map(ToString::to_string)))
            }
        }?;
        match &self.lowering {
            Some(Lowering::Possible) => f.write_str("; run --lower leaves it to mainline Landlock"),
            Some(Lowering::Not(why)) => write!(f, "; run --lower cannot: {}", Printable(why)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HookFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookFactor::Cookie => f.write_str("the cookie"),
            HookFactor::Argument(name) => f.write_str(name),
            HookFactor::File => f.write_str("whether there is a file"),
            HookFactor::Properties => f.write_str("what the file has in common with handles"),
            HookFactor::Beneath => f.write_str("what the file is beneath"),
            HookFactor::Cgroup => f.write_str("the caller's cgroup"),
            HookFactor::Map(name) => write!(f, "the handles of {}", Printable(name)),
        }
    }
}

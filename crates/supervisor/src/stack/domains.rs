// SPDX-License-Identifier: MIT OR Apache-2.0
//! The domains of one supervisor, and who is in which.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use landlock_compiler::domain::{Domain, Layer};
use rustix::io::Errno;

use super::definition::are_same;
use super::tag;
use crate::compat::Keeper;
use crate::denial::Log;
use crate::filter::{self, Installed, Plan, Stacking};
use crate::judge::Judge;
use crate::lowered::Lowered;
use crate::object::errno;
use crate::proc;

/// Most rules on a thread: v7's budget of 64 pages, a page for each.
pub const MAX_RULES: usize = 64;
/// Most instructions in all nested domains together, so that nobody inside can use up our memory.
const MAX_INSNS: usize = 1 << 20;
/// Most handles in them: each is one of our descriptors.
const MAX_HANDLES: usize = 16_384;

/// Every domain a thread of the tree may be in. They are kept as long as the supervisor lives: nobody tells it
/// when the last thread of one is gone.
#[derive(Debug)]
pub struct Domains {
    /// What the filter notifies.
    watched: Vec<Plan>,
    /// Whether the tree's own calls of v7 are answered.
    pub answers_v7: bool,
    /// Who keeps their rules then, if it is not us: there is nothing else to do.
    pub keeper: Option<Box<dyn Keeper>>,
    /// What mainline Landlock decides about.
    pub lowered: Option<Lowered>,
    outermost: Arc<Judge>,
    nested: RwLock<Vec<Nested>>,
    /// Threads that make a layer of the ptrace boundary now.
    layering: Mutex<HashSet<u32>>,
}

#[derive(Debug)]
struct Nested {
    judge: Arc<Judge>,
    /// Number of the domain it adds rules to.
    outer: u32,
    has_log: bool,
    /// What it adds.
    layers: Vec<Layer>,
}

impl Nested {
    fn insns(&self) -> usize {
        self.layers.iter().map(insns_of).sum()
    }

    fn handles(&self) -> usize {
        self.layers.iter().map(handles_of).sum()
    }
}

fn insns_of(layer: &Layer) -> usize {
    match layer {
        Layer::Filter(filter) => filter.insns().len(),
        Layer::Rule(rule) => rule.insns().len(),
    }
}

/// A map of several rules counts several times.
fn handles_of(layer: &Layer) -> usize {
    match layer {
        Layer::Filter(_) => 0,
        Layer::Rule(rule) => rule.maps().iter().map(|map| map.handles().len()).sum(),
    }
}

impl Domains {
    /// A tree's first domain.
    pub fn new(outermost: Judge, stacking: Stacking) -> Domains {
        let watched = filter::plan_of_tree(&outermost.domain, stacking);
        Domains { answers_v7: stacking == Stacking::V7, ..Domains::watching(outermost, watched) }
    }

    fn watching(outermost: Judge, watched: Vec<Plan>) -> Domains {
        Domains {
            watched,
            answers_v7: false,
            keeper: None,
            lowered: None,
            outermost: Arc::new(outermost),
            nested: RwLock::default(),
            layering: Mutex::default(),
        }
    }

    /// A tree's first domain, of which mainline Landlock decides about opens.
    pub fn lowered(outermost: Judge, lowered: Lowered) -> Domains {
        let watched = filter::plan_lowered(&outermost.domain);
        Domains { lowered: Some(lowered), ..Domains::watching(outermost, watched) }
    }

    /// What the filter has to notify for `domain`.
    fn needed(&self, domain: &Domain) -> Vec<Plan> {
        if self.lowered.is_some() { filter::plan_lowered(domain) } else { filter::plan(domain) }
    }

    /// For a tree whose rules somebody else keeps.
    pub fn kept_by(keeper: Box<dyn Keeper>) -> Domains {
        let nothing = Judge::new(Domain::default(), Log::none());
        Domains { keeper: Some(keeper), answers_v7: true, ..Domains::watching(nothing, Vec::new()) }
    }

    /// What the command installs.
    ///
    /// # Errors
    /// A filter is too long; for people.
    pub fn installed(&self) -> Result<Installed, String> {
        match self.keeper {
            Some(_) => Ok(Installed { filter: filter::only_v7(), filters: Vec::new() }),
            None => filter::installed(&self.outermost.domain, self.watched.clone()),
        }
    }

    /// The domain everybody starts in.
    pub fn outermost(&self) -> &Arc<Judge> {
        &self.outermost
    }

    fn nested(&self) -> RwLockReadGuard<'_, Vec<Nested>> {
        self.nested.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all threads are in the outermost domain.
    pub fn is_flat(&self) -> bool {
        self.nested().is_empty()
    }

    /// The domain a thread is in. What is read is the thread's own only while its syscall waits.
    ///
    /// # Errors
    /// What keeps us from looking; `EPERM` for a number that is none of ours.
    pub fn of(&self, tid: u32) -> Result<Arc<Judge>, Errno> {
        if self.is_flat() {
            return Ok(Arc::clone(&self.outermost));
        }
        self.numbered(tag::of(personality(&tid.to_string())?)).ok_or(Errno::PERM)
    }

    /// The domain of this number, if there is one.
    pub fn numbered(&self, number: u32) -> Option<Arc<Judge>> {
        match number.checked_sub(1) {
            None => Some(Arc::clone(&self.outermost)),
            Some(index) => Some(Arc::clone(&self.nested().get(usize::try_from(index).ok()?)?.judge)),
        }
    }

    /// Whether a domain has all the rules of another, because it was made from it.
    pub fn extends(&self, mut number: u32, other: u32) -> bool {
        let nested = self.nested();
        // An outer domain is older and has a lower number, so this ends.
        while number > other {
            match nested.get(number as usize - 1) {
                Some(domain) => number = domain.outer,
                None => return false,
            }
        }
        number == other
    }

    /// Whether every thread of a process is in a domain that extends `number`: whoever is in that one may look
    /// into the process, then.
    pub fn all_extend(&self, process: u32, number: u32) -> Result<bool, Errno> {
        for thread in std::fs::read_dir(format!("/proc/{process}/task")).map_err(errno)? {
            let thread = thread.map_err(errno)?.file_name();
            let theirs = personality(&format!("{process}/task/{}", thread.display()))?;
            if !self.extends(tag::of(theirs), number) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The number of a domain with these layers, oldest first, on top of those of `outer`. The same without a log is
    /// the same domain.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: a rule could deny what the filter does not notify. `EBUSY`: one filter hands on a system call for
    /// which another may have a cookie, and they are not both new. `E2BIG`: too many rules on a thread.
    /// `ENOSPC`: too many domains, instructions or handles in them.
    pub fn define(&self, outer: u32, layers: Vec<Layer>, log: Option<Log>) -> Result<u32, Errno> {
        let outside = self.numbered(outer).ok_or(Errno::PERM)?;
        let has_log = log.is_some();
        let is_known = |known: &Nested| {
            !has_log && !known.has_log && known.outer == outer && are_same(&known.layers, &layers)
        };
        let number = |index: usize| u32::try_from(index + 1).map_err(|_| Errno::NOSPC);
        if let Some(index) = self.nested().iter().position(is_known) {
            return number(index);
        }
        let domain = outside.domain.extended(layers.iter().cloned());
        self.is_kept(&outside.domain, &layers, &domain)?;
        let new = Nested { judge: Arc::clone(&outside), outer, has_log, layers };
        let mut nested = self.nested.write().unwrap_or_else(PoisonError::into_inner);
        let all = || nested.iter().chain([&new]);
        let is_full = nested.len() >= tag::MAX as usize
            || all().map(Nested::insns).sum::<usize>() > MAX_INSNS
            || all().map(Nested::handles).sum::<usize>() > MAX_HANDLES;
        if is_full {
            return Err(Errno::NOSPC);
        }
        let index = number(nested.len())?;
        nested.push(Nested { judge: Arc::new(outside.inside(domain, log, index)), ..new });
        Ok(index)
    }

    /// Whether `domain`, made of `outside` and new layers, can be had behind the filters there are.
    fn is_kept(&self, outside: &Domain, new: &[Layer], domain: &Domain) -> Result<(), Errno> {
        if domain.rules().len() > MAX_RULES {
            return Err(Errno::TOOBIG);
        }
        let added = Domain::layered(new.iter().cloned());
        // Who is inside opens files without us there, whatever new rules on hooks would say of it.
        let is_watched = self.lowered.is_none() || added.abi() < 2;
        if !is_watched || !filter::covers(&self.watched, &self.needed(domain)) {
            return Err(Errno::OPNOTSUPP);
        }
        if filter::contend(outside, &added) { Err(Errno::BUSY) } else { Ok(()) }
    }

    fn layers(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.layering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a thread begins to make a layer of the ptrace boundary, or has done so.
    pub fn layering(&self, tid: u32, begins: bool) {
        if begins {
            self.layers().insert(tid);
        } else {
            self.layers().remove(&tid);
        }
    }

    /// Whether a thread has said that it makes a layer of the ptrace boundary.
    pub fn is_layering(&self, tid: u32) -> bool {
        self.layers().contains(&tid)
    }

    /// Closes the log that came with a domain inside `outer`. `EPERM`: not inside, or without one.
    pub fn forget_log(&self, number: u32, outer: u32) -> Result<(), Errno> {
        let is_inside = number != outer && self.extends(number, outer);
        let nested = self.nested();
        let domain = nested.get(number.wrapping_sub(1) as usize);
        let domain = domain.filter(|domain| is_inside && domain.has_log).ok_or(Errno::PERM)?;
        domain.judge.logs.forget_innermost();
        Ok(())
    }
}

/// The personality of a thread, named as under `/proc`.
pub fn personality(thread: &str) -> Result<u32, Errno> {
    let text = proc::contents(format!("/proc/{thread}/personality"))?;
    let text = std::str::from_utf8(text.trim_ascii_end()).map_err(|_| Errno::IO)?;
    u32::from_str_radix(text, 16).map_err(|_| Errno::IO)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lane does of what clients ask.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use landlock_compiler::domain::Domain;
use landlock_compiler::map::{Handle, Map};
use rustix::fs::{OFlags, fcntl_getfl};

use super::{Grant, Kept, Lane};
use crate::limits::{KEPT, MAX_KEPT};
use crate::protocol::{Answer, Parent, Refusal, Request, Why};
use crate::rules;
use crate::server::{Enforcer, lock};
use crate::socket::Message;

/// Milliseconds a log is waited for whose domain was just collected: the kernel takes a moment to see that nobody has it.
const PAUSES: [u64; 6] = [5, 10, 20, 50, 100, 200];

/// An answer, the descriptors that belong to it, and what is kept for the client.
type Reply<D> = (Answer, Vec<OwnedFd>, Option<Grant<D>>);

impl<E: Enforcer> Lane<E> {
    /// Does what a message asks for.
    pub(super) fn fulfil(&mut self, message: Message) -> Result<Reply<E::Domain>, Refusal> {
        if message.is_cut {
            return Err(Refusal::new(
                Why::Malformed,
                "the message has more bytes or descriptors than any request",
            ));
        }
        let (request, rules) = Request::decode(&message.bytes)?;
        let has_handles = matches!(request, Request::Load { .. });
        if !has_handles && !message.descriptors.is_empty() {
            return Err(Refusal::new(Why::Descriptor, "no descriptor belongs to such a request"));
        }
        match request {
            Request::Load { parent, own_log } => {
                let wanted = Wanted { rules: rules.to_vec(), descriptors: message.descriptors };
                self.grant(wanted, parent, own_log)
            }
            Request::Hello => Ok((Answer::Hello { engine: lock(&self.enforcer).id() }, Vec::new(), None)),
            Request::Threads(number) => {
                let threads = lock(&self.enforcer).threads(self.user, number)?;
                Ok((Answer::Threads(threads), Vec::new(), None))
            }
            Request::Again(number) => self.again(number),
            Request::Change(_) | Request::Seal => Err(Refusal::new(
                Why::Domain,
                "no domain was granted on this connection that could be changed",
            )),
        }
    }

    fn grant(
        &mut self,
        mut wanted: Wanted,
        parent: Option<Parent>,
        own_log: bool,
    ) -> Result<Reply<E::Domain>, Refusal> {
        let is_shared = !own_log && parent.is_none();
        if is_shared && let Some(domain) = self.kept(&wanted) {
            return self.granted(domain, false, false);
        }
        let judged = wanted.verified()?;
        let domain = self.load(&judged, parent, own_log)?;
        let changes = !judged.maps().is_empty();
        if is_shared && !changes {
            self.keep(wanted.rules, domain.clone());
        }
        self.granted(domain, own_log, changes)
    }

    fn granted(
        &self,
        hold: Arc<E::Domain>,
        own_log: bool,
        changes: bool,
    ) -> Result<Reply<E::Domain>, Refusal> {
        let enforcer = lock(&self.enforcer);
        if !enforcer.is_current() {
            return Err(Refusal::new(Why::Kernel, "the kernel target's state was removed; try again"));
        }
        let (number, lacking) = enforcer.describe(&hold);
        let log = if own_log { enforcer.log(&hold)? } else { Vec::new() };
        let token = enforcer.token(&hold)?;
        let grant = Grant { token: Some(token), hold, stays: own_log || changes, changes };
        Ok((Answer::Granted { token, number, lacking }, log, Some(grant)))
    }

    /// Another token for a domain that is there.
    fn again(&self, number: u64) -> Result<Reply<E::Domain>, Refusal> {
        let hold = lock(&self.enforcer).hold(self.user, number)?;
        let gone = "the domain is gone: landlockd was started anew when no thread was in it; load it again";
        let hold = hold.ok_or_else(|| Refusal::new(Why::Domain, gone))?;
        self.granted(Arc::new(hold), false, false)
    }

    /// The domain of these rules that the user's threads share. The same bytes were verified before.
    fn kept(&mut self, wanted: &Wanted) -> Option<Arc<E::Domain>> {
        let is_known = |kept: &&mut Kept<_>| wanted.descriptors.is_empty() && kept.rules == wanted.rules;
        let kept = self.kept.iter_mut().find(is_known)?;
        kept.until = Instant::now() + KEPT;
        Some(kept.domain.clone())
    }

    /// Keeps a domain for the next who wants these rules. Maps are one client's; and what the handles of a domain
    /// below another are may have changed by the next time.
    fn keep(&mut self, rules: Vec<u8>, domain: Arc<E::Domain>) {
        if self.kept.len() >= MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Kept { rules, domain, until: Instant::now() + KEPT });
    }

    /// Changes what a map of a client has.
    pub(super) fn change(
        &self,
        domain: &E::Domain,
        map: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Refusal> {
        are_paths(&descriptors)?;
        let handles: Vec<Handle> = descriptors.into_iter().map(Handle::held).collect();
        let changed =
            lock(&self.enforcer).change(domain, usize::try_from(map).unwrap_or(usize::MAX), &handles);
        // What is closed here waits for nobody but its user.
        drop(handles);
        changed
    }

    /// A domain, if there is a place for it, also after what nobody needs any more is gone.
    fn load(
        &mut self,
        newer: &Domain,
        parent: Option<Parent>,
        own_log: bool,
    ) -> Result<Arc<E::Domain>, Refusal> {
        let (user, enforcer) = (self.user, self.enforcer.clone());
        let load = || lock(&enforcer).load(user, newer, parent, own_log);
        let mut loaded = load();
        if is_full(&loaded) {
            self.kept.clear();
            lock(&self.enforcer).collect();
            loaded = load();
        }
        let mut pauses = PAUSES.into_iter().filter(|_| own_log);
        while is_full(&loaded)
            && let Some(pause) = pauses.next()
        {
            std::thread::sleep(Duration::from_millis(pause));
            loaded = load();
        }
        // The client keeps open what its handles are. Nobody but its user waits for what is closed here.
        newer.maps().into_iter().for_each(Map::clear);
        loaded.map(Arc::new)
    }
}

/// Whether there was no place.
fn is_full<D>(loaded: &Result<D, Refusal>) -> bool {
    loaded.as_ref().is_err_and(|refusal| refusal.why == Why::Limit)
}

/// What a client wants enforced.
struct Wanted {
    rules: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Wanted {
    /// As a domain of a client, who has no privilege that counted. It takes the descriptors, so it can be had once.
    fn verified(&mut self) -> Result<Domain, Refusal> {
        let wrong = |text: String| Refusal::new(Why::Rules, text);
        let layers = rules::decode(&self.rules).map_err(|error| wrong(error.to_string()))?;
        let (wanted, came) = (layers.handles(), self.descriptors.len());
        if wanted != came {
            let text =
                format!("there are {wanted} handles in the maps, and {came} descriptors came for them");
            return Err(Refusal::new(Why::Descriptor, text));
        }
        are_paths(&self.descriptors)?;
        layers.verified(std::mem::take(&mut self.descriptors)).map_err(wrong)
    }
}

/// Of descriptors only such are taken with which no call reaches their file system, which may be the client's own and never
/// answer.
fn are_paths(descriptors: &[OwnedFd]) -> Result<(), Refusal> {
    let is_path = |one: &OwnedFd| fcntl_getfl(one).is_ok_and(|flags| flags.contains(OFlags::PATH));
    match descriptors.iter().all(is_path) {
        true => Ok(()),
        false => Err(Refusal::new(Why::Descriptor, "a handle is not opened with O_PATH")),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lane: the thread that serves one user's clients, one after the other. It ends with the last of them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use landlock_compiler::domain::Domain;
use landlock_compiler::map::{Handle, Map};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::{Count, Enforcer, lock};
use crate::limits::{KEPT, MAX_CONNECTIONS, MAX_KEPT, PATIENCE, limit};
use crate::protocol::{Answer, Parent, Refusal, Request, TOKEN_LIFE, Why};
use crate::rules::{self, MAX_BYTES};
use crate::socket::{self, Message};

/// How often is looked which tokens were used.
const LOOK: Duration = Duration::from_millis(500);

/// Milliseconds a log is waited for whose domain was just collected: the kernel takes a moment to see that nobody has it.
const PAUSES: [u64; 6] = [5, 10, 20, 50, 100, 200];

/// Most bytes of a request.
const MOST: usize = Request::SIZE + MAX_BYTES;

pub struct Lane<E: Enforcer> {
    user: u32,
    enforcer: Arc<Mutex<E>>,
    inbox: Receiver<OwnedFd>,
    wake: Arc<OwnedFd>,
    count: Arc<Count>,
    clients: Vec<Client<E::Domain>>,
    /// The domains that were asked for last, so that the next who wants one finds it.
    kept: Vec<Kept<E::Domain>>,
}

struct Client<D> {
    socket: OwnedFd,
    until: Instant,
    grant: Option<Grant<D>>,
}

/// What a client was given.
struct Grant<D> {
    /// If it was not used yet, and can be.
    token: Option<u64>,
    hold: Arc<D>,
    /// Whether the domain stays for the client, who may ask for another token.
    stays: bool,
    /// Whether the client may change what handles are in its maps.
    changes: bool,
}

struct Kept<D> {
    parent: Option<Parent>,
    rules: Vec<u8>,
    domain: Arc<D>,
    until: Instant,
}

/// What becomes of a client.
enum Next<D> {
    Wait,
    Hold(Grant<D>),
    Close,
}

impl<E: Enforcer> Lane<E> {
    pub fn new(
        user: u32,
        enforcer: Arc<Mutex<E>>,
        inbox: Receiver<OwnedFd>,
        wake: Arc<OwnedFd>,
        count: Arc<Count>,
    ) -> Lane<E> {
        Lane { user, enforcer, inbox, wake, count, clients: Vec::new(), kept: Vec::new() }
    }

    pub fn serve(mut self) {
        while !self.is_over() {
            let ready = self.wait();
            let now = Instant::now();
            let clients = std::mem::take(&mut self.clients);
            for (client, ready) in clients.into_iter().zip(ready) {
                match self.attend(client, ready, now) {
                    Some(client) => self.clients.push(client),
                    None => self.discount(),
                }
            }
            self.welcome();
            self.kept.retain(|kept| kept.until > now);
        }
    }

    /// One client less.
    fn discount(&self) {
        let mut count = lock(&self.count);
        *count = count.map(|count| count - 1);
    }

    /// Whether there is nothing left to do; from then on no client is given to this lane.
    fn is_over(&self) -> bool {
        let mut count = lock(&self.count);
        let is_over = self.clients.is_empty() && self.kept.is_empty() && *count == Some(0);
        if is_over {
            *count = None;
        }
        is_over
    }

    /// Waits until a client says something, there is a new one, or time has passed. Says which ones are to be heard.
    fn wait(&self) -> Vec<bool> {
        let sockets = self.clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN));
        let mut ready: Vec<_> =
            std::iter::once(PollFd::new(&self.wake, PollFlags::IN)).chain(sockets).collect();
        let wait = Timespec::try_from(LOOK).ok();
        if poll(&mut ready, wait.as_ref()).is_err() {
            return vec![false; self.clients.len()];
        }
        ready.iter().skip(1).map(|ready| !ready.revents().is_empty()).collect()
    }

    /// Takes in who is new.
    fn welcome(&mut self) {
        let mut woken = [0; 8];
        // Nothing to read: nobody is new.
        let _ = rustix::io::read(&self.wake, &mut woken);
        while let Ok(socket) = self.inbox.try_recv() {
            if self.clients.len() >= MAX_CONNECTIONS {
                let refusal =
                    limit(format!("this user has {MAX_CONNECTIONS} connections to landlockd; try later"));
                answer(&socket, &Answer::Refused(refusal), &[]);
                self.discount();
                continue;
            }
            self.clients.push(Client { socket, until: Instant::now() + PATIENCE, grant: None });
        }
    }

    /// Does what a client wants, if it wants something; `None`: it is done with.
    fn attend(
        &mut self,
        mut client: Client<E::Domain>,
        ready: bool,
        now: Instant,
    ) -> Option<Client<E::Domain>> {
        let is_late = client.until <= now;
        if let Some(grant) = &mut client.grant {
            let is_over = ready && !self.is_changed(&client.socket, grant);
            return self.is_needed(grant, is_over, is_late).then_some(client);
        }
        if ready {
            match self.hear(&client.socket) {
                Next::Close => return None,
                Next::Wait => {}
                Next::Hold(grant) => {
                    client.grant = Some(grant);
                    client.until = Instant::now() + TOKEN_LIFE;
                    return Some(client);
                }
            }
        }
        (!is_late).then_some(client)
    }

    /// Hears a client that has a grant, and does what it wants. If that is no change that it may make, it closed its end, or
    /// talks nonsense.
    fn is_changed(&self, client: &OwnedFd, grant: &mut Grant<E::Domain>) -> bool {
        let Ok(message) = socket::receive(client, MOST, RecvFlags::DONTWAIT) else { return false };
        let reply = match Request::decode(&message.bytes) {
            _ if !grant.changes || message.is_cut => return false,
            Ok((Request::Seal, _)) if message.descriptors.is_empty() => {
                grant.changes = false;
                Answer::Changed
            }
            Ok((Request::Change(map), _)) => match self.change(&grant.hold, map, message.descriptors) {
                Ok(()) => Answer::Changed,
                Err(refusal) => Answer::Refused(refusal),
            },
            _ => return false,
        };
        answer(client, &reply, &[])
    }

    fn change(&self, domain: &E::Domain, map: u64, descriptors: Vec<OwnedFd>) -> Result<(), Refusal> {
        are_paths(&descriptors)?;
        let handles: Vec<Handle> = descriptors.into_iter().map(Handle::held).collect();
        let changed =
            lock(&self.enforcer).change(domain, usize::try_from(map).unwrap_or(usize::MAX), &handles);
        // What is closed here waits for nobody but its user.
        drop(handles);
        changed
    }

    /// Whether a grant is to be kept.
    fn is_needed(&self, grant: &mut Grant<E::Domain>, is_over: bool, is_late: bool) -> bool {
        if let Some(token) = grant.token {
            let enforcer = lock(&self.enforcer);
            let is_used = enforcer.is_used(token);
            if !is_used && (is_over || is_late) {
                enforcer.revoke(token);
            }
            if is_used || is_late {
                grant.token = None;
            }
        }
        !is_over && (grant.stays || grant.token.is_some())
    }

    /// Hears a client's request, and answers.
    fn hear(&mut self, client: &OwnedFd) -> Next<E::Domain> {
        let message = match socket::receive(client, MOST, RecvFlags::DONTWAIT) {
            Ok(message) => message,
            Err(Errno::AGAIN) => return Next::Wait,
            Err(_) => return Next::Close,
        };
        if message.bytes.is_empty() && message.descriptors.is_empty() {
            return Next::Close;
        }
        let (reply, log, grant) =
            self.fulfil(message).unwrap_or_else(|refusal| (Answer::Refused(refusal), Vec::new(), None));
        match (answer(client, &reply, &log), grant) {
            (true, Some(grant)) => Next::Hold(grant),
            // It has still to say what it wants, in the time that is left.
            (true, None) if matches!(reply, Answer::Hello { .. }) => Next::Wait,
            (_, grant) => {
                if let Some(token) = grant.and_then(|grant| grant.token) {
                    lock(&self.enforcer).revoke(token);
                }
                Next::Close
            }
        }
    }

    fn fulfil(&mut self, message: Message) -> Result<Reply<E::Domain>, Refusal> {
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
        let (hold, changes) = match own_log || !wanted.descriptors.is_empty() {
            true => {
                let judged = wanted.verified()?;
                (self.load(&judged, parent, own_log)?, !judged.maps().is_empty())
            }
            false => self.shared(wanted, parent)?,
        };
        self.granted(hold, own_log, changes)
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

    /// The domain of these rules that the user's threads share, unless it has maps; and whether it has. The same bytes were
    /// verified before.
    fn shared(
        &mut self,
        mut wanted: Wanted,
        parent: Option<Parent>,
    ) -> Result<(Arc<E::Domain>, bool), Refusal> {
        let until = Instant::now() + KEPT;
        let is_known = |kept: &&mut Kept<_>| kept.parent == parent && kept.rules == wanted.rules;
        if let Some(kept) = self.kept.iter_mut().find(is_known) {
            kept.until = until;
            return Ok((kept.domain.clone(), false));
        }
        let judged = wanted.verified()?;
        let (domain, has_maps) = (self.load(&judged, parent, false)?, !judged.maps().is_empty());
        // Below another, what its handles are may have changed by the next time.
        if has_maps || parent.is_some() {
            return Ok((domain, has_maps));
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Kept { parent, rules: wanted.rules, domain: domain.clone(), until });
        Ok((domain, false))
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

/// An answer, the descriptors that belong to it, and what is kept for the client.
type Reply<D> = (Answer, Vec<OwnedFd>, Option<Grant<D>>);

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

/// Whether the client has the answer. It never has to be waited for: a client that asked once has room for it.
fn answer(client: &OwnedFd, answer: &Answer, descriptors: &[OwnedFd]) -> bool {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    socket::send(client, &answer.encode(), &descriptors, SendFlags::DONTWAIT).is_ok()
}

impl<E: Enforcer> Drop for Lane<E> {
    /// Also if it panicked: the next client of the user gets another lane.
    fn drop(&mut self) {
        *lock(&self.count) = None;
    }
}

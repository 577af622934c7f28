// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lane: the thread that serves one user's clients, one after the other. It ends with the last of them.

mod requests;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::{Count, Enforcer, lock};
use crate::limits::{MAX_CONNECTIONS, PATIENCE, limit};
use crate::protocol::{Answer, Request, TOKEN_LIFE};
use crate::rules::MAX_BYTES;
use crate::socket;

/// How often is looked which tokens were used.
const LOOK: Duration = Duration::from_millis(500);

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

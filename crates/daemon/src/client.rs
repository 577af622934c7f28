// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the daemon, for programs that confine themselves or others.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use landlock_bpf::map::Map;
use landlock_bpf::ring::Ring;
use landlock_compiler::domain::Domain;
use landlock_compiler::hooks;
use landlock_compiler::map::Handle;
use landlock_kernel::DomainId;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect,
    shutdown, socket_with,
};
use rustix::process::Uid;

use crate::listen::abstract_name;
use crate::protocol::{Answer, Parent, Refusal, Request};
use crate::{SOCKET, rules, socket};

/// How long the daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer, or a refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("landlockd does not answer at {path}: {errno}")]
    Absent {
        /// Where.
        path: String,
        /// Of connect(2).
        errno: Errno,
    },
    /// Who listens is not root, so it is not landlockd.
    #[error("who answers at {0} is not landlockd: it is not root")]
    Stranger(String),
    /// Here root may be anybody.
    #[error("landlockd is not believed in a user namespace: who is root at {0} may be anybody")]
    Namespace(String),
    /// It said no.
    #[error("landlockd: {0}")]
    Refused(#[from] Refusal),
    /// It said nothing, or what is no answer.
    #[error("landlockd did not answer: {0}")]
    Silent(#[source] io::Error),
    /// The rules cannot be handed over.
    #[error(transparent)]
    Rules(#[from] rules::Wrong),
    /// What the denials are read from is not.
    #[error(transparent)]
    Log(#[from] landlock_bpf::Error),
}

/// The daemon of this machine.
#[derive(Clone, Debug)]
pub struct Daemon {
    path: String,
    user: u32,
}

impl Default for Daemon {
    fn default() -> Daemon {
        Daemon { path: SOCKET.to_owned(), user: 0 }
    }
}

/// A token, good for one thread, for a minute, and as long as its connection is.
#[derive(Debug)]
pub struct Grant {
    /// For [`landlock_kernel::enter`].
    pub token: u64,
    /// The domain's number, which its denials bear.
    pub number: u64,
    /// Hooks at which the domain could deny and which this kernel lacks, or lets nobody attach to.
    pub lacking: Vec<&'static str>,
    /// The domain's denials, if they were to be its own.
    pub log: Option<OwnLog>,
    /// Without it the token is worth nothing. A domain with a log of its own stays as long as this.
    pub connection: Connection,
}

/// A connection, for one request, before which there may be a hello. What is granted on it depends on it: it is closed
/// with the last clone.
#[derive(Clone, Debug)]
pub struct Connection {
    /// One asks at a time.
    socket: Arc<Mutex<OwnedFd>>,
}

/// The denials of a domain with a log of its own. Reading them takes no privilege and no daemon.
#[derive(Debug)]
pub struct OwnLog {
    /// The denials.
    pub denials: Ring,
    /// Those that found no place.
    pub lost: Lost,
}

/// Denials that found no place.
#[derive(Debug)]
pub struct Lost(Map);

impl Lost {
    /// How many.
    ///
    /// # Errors
    /// If the kernel does not tell this process.
    pub fn count(&self) -> Result<u64, landlock_bpf::Error> {
        let value = self.0.lookup(&[0; 4])?.unwrap_or_default();
        Ok(value.first_chunk().map_or(0, |lost| u64::from_ne_bytes(*lost)))
    }
}

impl Daemon {
    /// One at another place, run by this user.
    pub fn at(path: &Path, user: u32) -> Daemon {
        Daemon { path: path.display().to_string(), user }
    }

    /// Whether it is there, and the number of the engine whose domains it loads, to be asked
    /// [which of them](DomainId::of_this_thread_in) a thread is in.
    ///
    /// # Errors
    /// Why not.
    pub fn hello(&self) -> Result<u32, Error> {
        self.connect()?.hello()
    }

    /// As [`Connection::load`], on a connection of its own.
    ///
    /// # Errors
    /// The same, and those of [`Daemon::connect`].
    pub fn load(&self, domain: &Domain, parent: Option<DomainId>, own_log: bool) -> Result<Grant, Error> {
        self.connect()?.load(domain, parent, own_log)
    }

    /// Another token for a domain with a log of its own, which stays while a connection that it was granted on does, or a
    /// thread is in it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is gone; the others.
    pub fn again(&self, number: u64) -> Result<Grant, Error> {
        let connection = self.connect()?;
        let (answer, _) = connection.ask(Request::Again(number), &[], &[])?;
        granted(answer, connection)
    }

    /// How many threads are in a domain that this user loaded; 0 also if it is gone.
    ///
    /// # Errors
    /// Those of [`Daemon::hello`].
    pub fn threads(&self, number: u64) -> Result<u64, Error> {
        match self.connect()?.ask(Request::Threads(number), &[], &[])? {
            (Answer::Threads(threads), _) => Ok(threads),
            _ => Err(nonsense()),
        }
    }

    /// Connects, to say within ten seconds what is wanted: to the path, or to the name where a rule, or somebody, denies the
    /// way there.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Stranger`] and [`Error::Namespace`].
    pub fn connect(&self) -> Result<Connection, Error> {
        let path = SocketAddrUnix::new(self.path.as_str()).map_err(|errno| absent(&self.path, errno));
        match self.connect_at(&self.path, &path?) {
            Err(Error::Absent { errno: Errno::PERM | Errno::ACCESS, .. }) => {
                let shown = format!("@{}", self.path);
                let name = abstract_name(&self.path).map_err(|errno| absent(&shown, errno))?;
                self.connect_at(&shown, &name)
            }
            connected => connected,
        }
    }

    fn connect_at(&self, shown: &str, address: &SocketAddrUnix) -> Result<Connection, Error> {
        let absent = |errno| absent(shown, errno);
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(absent)?;
        for which in [Timeout::Send, Timeout::Recv] {
            set_socket_timeout(&socket, which, Some(PATIENCE)).map_err(absent)?;
        }
        connect(&socket, address).map_err(absent)?;
        // Somebody else's daemon could give a token of its own choice.
        match socket_peercred(&socket) {
            Ok(credentials) if credentials.uid.as_raw() != self.user => {
                Err(Error::Stranger(shown.to_owned()))
            }
            Ok(_) if every_user_is_known(&socket) => Ok(Connection { socket: Arc::new(Mutex::new(socket)) }),
            Ok(_) => Err(Error::Namespace(shown.to_owned())),
            Err(errno) => Err(absent(errno)),
        }
    }
}

impl Connection {
    /// As [`Daemon::hello`].
    ///
    /// # Errors
    /// [`Error::Silent`] and [`Error::Refused`].
    pub fn hello(&self) -> Result<u32, Error> {
        match self.ask(Request::Hello, &[], &[])? {
            (Answer::Hello { engine }, _) => Ok(engine),
            _ => Err(nonsense()),
        }
    }

    /// The domain of the daemon's engine that the calling thread is in: what it can extend.
    ///
    /// # Errors
    /// As [`Connection::hello`].
    pub fn domain_of_this_thread(&self) -> Result<Option<DomainId>, Error> {
        match DomainId::of_this_thread() {
            Some(_) => Ok(DomainId::of_this_thread_in(self.hello()?)),
            // In none of any engine, so nothing has to be asked.
            None => Ok(None),
        }
    }

    /// A domain of these rules, and those of `parent`, for a thread that is in that. What handles in its maps are of, which
    /// has to be opened with `O_PATH`, stays known as long as this process keeps them.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason; the others. Nothing has changed then.
    pub fn load(self, domain: &Domain, parent: Option<DomainId>, own_log: bool) -> Result<Grant, Error> {
        let (rules, handles) = rules::with_handles(domain)?;
        let parent = parent.map(|DomainId { engine, domain }| Parent { engine, domain });
        let (answer, descriptors) = self.ask(Request::Load { parent, own_log }, &rules, &handles)?;
        let mut grant = granted(answer, self)?;
        let mut descriptors = descriptors.into_iter();
        grant.log = match (own_log, descriptors.next(), descriptors.next()) {
            (false, None, None) => None,
            (true, Some(denials), Some(lost)) => Some(OwnLog {
                denials: Ring::new(Map::received(denials)?)?,
                lost: Lost(Map::received(lost)?),
            }),
            _ => return Err(nonsense()),
        };
        Ok(grant)
    }

    /// Puts these handles into a map of the domain that was granted on this connection, by its number in [`Domain::maps`],
    /// and takes all others out.
    ///
    /// # Errors
    /// [`Error::Refused`], and nothing has changed; [`Error::Silent`] if the daemon is gone: nobody can change the domain
    /// any more.
    pub fn change(&self, map: usize, handles: &[Handle]) -> Result<(), Error> {
        self.tell(Request::Change(map as u64), handles)
    }

    /// From now on nobody changes that domain. If the daemon does not say so the connection is closed, and so the domain
    /// goes, if no thread is in it.
    pub fn seal(&self) {
        if self.tell(Request::Seal, &[]).is_err() {
            let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
            // There is nothing to close that is closed.
            let _ = shutdown(&*socket, Shutdown::Both);
        }
    }

    fn tell(&self, request: Request, handles: &[Handle]) -> Result<(), Error> {
        match self.ask(request, &[], handles)? {
            (Answer::Changed, _) => Ok(()),
            _ => Err(nonsense()),
        }
    }

    fn ask(
        &self,
        request: Request,
        rules: &[u8],
        handles: &[Handle],
    ) -> Result<(Answer, Vec<OwnedFd>), Error> {
        let request = [&request.encode(), rules].concat();
        let handles: Vec<BorrowedFd<'_>> = handles.iter().filter_map(Handle::descriptor).collect();
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |errno: Errno| Error::Silent(errno.into());
        // A daemon that has said no before it heard anything does not listen, but what it said can be heard.
        let sent = socket::send(&*socket, &request, &handles, SendFlags::empty());
        let message = socket::receive(&*socket, Answer::MAX, RecvFlags::empty()).map_err(silent)?;
        match Answer::decode(&message.bytes) {
            Some(Answer::Refused(refusal)) => Err(refusal.into()),
            Some(_) if message.is_cut => Err(nonsense()),
            Some(answer) => Ok((answer, message.descriptors)),
            None => Err(sent.err().map_or_else(nonsense, silent)),
        }
    }
}

/// Whether numbers of users are the machine's: in a user namespace of somebody's own root is who made it, and the last number
/// is nobody. The kernel says so before it asks anybody whether this may be changed, which takes no file of `/proc`.
fn every_user_is_known(socket: &OwnedFd) -> bool {
    const LAST: u32 = u32::MAX - 1;
    rustix::fs::fchown(socket, Some(Uid::from_raw(LAST)), None) != Err(Errno::INVAL)
}

fn absent(path: &str, errno: Errno) -> Error {
    Error::Absent { path: path.to_owned(), errno }
}

fn granted(answer: Answer, connection: Connection) -> Result<Grant, Error> {
    let Answer::Granted { token, number, lacking } = answer else { return Err(nonsense()) };
    let known = |name: String| hooks::by_name(&name).map(|hook| hook.name);
    let lacking = lacking.into_iter().filter_map(known).collect();
    Ok(Grant { token, number, lacking, log: None, connection })
}

fn nonsense() -> Error {
    Error::Silent(io::Error::new(
        io::ErrorKind::InvalidData,
        "it closed the connection, or said what is no answer",
    ))
}

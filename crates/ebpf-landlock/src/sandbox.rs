// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands and threads confined.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Mutex;

use landlock_compiler::domain::Domain;
use landlock_supervisor::denial::Log;
use landlock_supervisor::{Ended, Running, Stacking};

use crate::maps::{Handles, Links};
use crate::{Denials, Error};

/// What enforces rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A process beside the confined ones.
    Supervisor,
}

/// What enforces rules on the calling thread; `None`: no sandbox of ours that could be asked for more.
///
/// ```
/// assert_eq!(ebpf_landlock::target(), None);
/// ```
pub fn target() -> Option<Target> {
    landlock_supervisor::is_offered().then_some(Target::Supervisor)
}

/// A domain that commands or threads are to be put into.
#[derive(Debug)]
pub struct Sandbox {
    domain: Domain,
    stacking: Stacking,
    /// Where denials go, once somebody wants them.
    log: Mutex<Option<std::fs::File>>,
    /// Who is to hear of changes to arrays.
    links: Links,
}

impl Sandbox {
    /// A sandbox with the rules of `domain`.
    pub fn new(domain: Domain) -> Sandbox {
        Sandbox { domain, stacking: Stacking::default(), log: Mutex::new(None), links: Links::default() }
    }

    /// Lets what runs inside confine itself further by any rules, not only by such that deny what this sandbox watches
    /// anyway. It makes everything slow that any rule could deny. In a sandbox it changes nothing: the outermost one has
    /// decided.
    #[must_use]
    pub fn stackable(mut self, stackable: bool) -> Sandbox {
        self.stacking = if stackable { Stacking::Any } else { Stacking::Covered };
        self
    }

    /// The array of this name that the rules compare with; the newest rule's, if several have one. To be changed
    /// before anything is started or while it runs.
    pub fn handles(&self, name: &str) -> Option<Handles> {
        let maps = self.domain.maps();
        let place = maps.iter().position(|map| map.definition().name == name)?;
        let links = self.links.clone();
        Some(Handles { map: maps[place].clone(), place: u32::try_from(place).ok()?, links })
    }

    /// The denials of what is started in the sandbox from now on. The last call counts.
    ///
    /// # Errors
    /// [`Error::Denials`].
    pub fn denials(&self) -> Result<Denials, Error> {
        let (written, denials) = Denials::new()?;
        *self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(written);
        Ok(denials)
    }

    fn log(&self) -> Result<Log, Error> {
        match &*self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(file) => Ok(Log::json(file.try_clone().map_err(Error::Denials)?)),
            None => Ok(Log::none()),
        }
    }

    /// Starts a command confined. no_new_privs is set for it.
    ///
    /// The calling process must have one thread. Of the command's input and output, `Stdio::piped` is not
    /// supported; give it one end of `std::io::pipe` instead.
    ///
    /// # Errors
    /// [`Error::Sandbox`]: nothing ran.
    ///
    /// ```
    /// use ebpf_landlock::{Actions, Domain, RuleBuilder, Sandbox, When};
    /// use std::process::Command;
    ///
    /// let rule = RuleBuilder::new("no_exec").deny(When::actions(Actions::EXEC)).build()?;
    /// let refused = Sandbox::new(Domain::prepended([rule])).spawn(Command::new("/bin/true"))?.wait();
    /// assert!(matches!(refused, Err(ebpf_landlock::Error::NotStarted(_))));
    ///
    /// let allowed = Sandbox::new(Domain::default()).spawn(Command::new("/bin/true"))?.wait()?;
    /// assert!(allowed.success());
    /// # Ok::<(), ebpf_landlock::Error>(())
    /// ```
    pub fn spawn(&self, command: Command) -> Result<Child, Error> {
        let mut links = self.links.lock();
        let (domain, log) = (self.domain.clone(), self.log()?);
        let (running, link) = landlock_supervisor::spawn_linked(domain, log, command, self.stacking)?;
        links.extend(link);
        Ok(Child { running })
    }

    /// Prepends the rules to those in force on the calling thread, for ever, for it and all it starts from now on. Other
    /// threads of the process are not affected. no_new_privs is in force already.
    ///
    /// # Errors
    /// [`Error::NoSupervisor`] outside of a sandbox; [`Error::Sandbox`] if the outer one does not watch what the rules
    /// can deny, or a limit is reached. Nothing has changed then.
    ///
    /// ```
    /// use ebpf_landlock::{Domain, Error, Sandbox};
    ///
    /// assert!(matches!(Sandbox::new(Domain::default()).enter(), Err(Error::NoSupervisor)));
    /// ```
    pub fn enter(&self) -> Result<(), Error> {
        Ok(landlock_supervisor::enter(&self.domain, &self.log()?)?)
    }
}

/// A confined command. **Dropping it kills the command**; what that has started goes on, confined.
#[derive(Debug)]
pub struct Child {
    running: Running,
}

impl Child {
    /// The process id; `None` if the command could not be executed.
    pub fn id(&self) -> Option<u32> {
        self.running.id()
    }

    /// Waits for the command's end; the same answer every time.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::SupervisorDied`].
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        match self.running.wait()? {
            Ended::Exited(code) => Ok(ExitStatus::from_raw((code & 0xff) << 8)),
            Ended::Killed(signal) => Ok(ExitStatus::from_raw(signal & 0x7f)),
            Ended::NotStarted(errno) => Err(Error::NotStarted(std::io::Error::from_raw_os_error(errno))),
        }
    }

    /// Kills the command.
    pub fn kill(&mut self) {
        self.running.kill();
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands and threads confined.

use std::fs::File;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use landlock_compiler::domain::Domain;
use landlock_supervisor::denial::Log;
use landlock_supervisor::{Lowered, Running, Stacking};

use crate::maps::{Enforcers, Handles};
use crate::target::Ready;
use crate::{Child, Choice, Denials, Error, Target, kernel};

/// A domain that commands or threads are to be put into.
#[derive(Debug)]
pub struct Sandbox {
    domain: Domain,
    choice: Choice,
    stacking: Stacking,
    /// Whether mainline Landlock is to decide about opens.
    lowered: bool,
    /// Who is to hear of changes to arrays.
    enforcers: Enforcers,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Once it is known.
    target: Option<Ready>,
    /// Where a supervisor is to write denials, once somebody wants them.
    log: Option<File>,
}

impl Sandbox {
    /// A sandbox with the rules of `domain`.
    pub fn new(domain: Domain) -> Sandbox {
        let (choice, stacking) = (Choice::default(), Stacking::default());
        let (enforcers, state) = (Enforcers::default(), Mutex::default());
        Sandbox { domain, choice, stacking, lowered: false, enforcers, state }
    }

    /// Chooses what enforces the rules.
    #[must_use]
    pub fn with_target(mut self, choice: Choice) -> Sandbox {
        self.choice = choice;
        self.state = Mutex::default();
        self
    }

    /// What enforces the rules on what is started from now on. On the kernel target they are loaded with that.
    ///
    /// # Errors
    /// [`Error::Kernel`] and [`Error::OnlySupervisor`], if it is to be the kernel and cannot.
    ///
    /// ```
    /// use ebpf_landlock::{Choice, Domain, Sandbox, Target};
    ///
    /// let sandbox = Sandbox::new(Domain::default()).with_target(Choice::Supervisor);
    /// assert_eq!(sandbox.target()?, Target::Supervisor);
    /// # Ok::<(), ebpf_landlock::Error>(())
    /// ```
    pub fn target(&self) -> Result<Target, Error> {
        match self.ready(&mut self.state())? {
            Ready::Kernel(_) => Ok(Target::Kernel),
            Ready::Supervisor { .. } => Ok(Target::Supervisor),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready<'a>(&self, state: &'a mut State) -> Result<&'a Ready, Error> {
        if state.target.is_none() {
            state.target = Some(self.load(self.choice, false)?);
        }
        state.target.as_ref().ok_or(Error::NoSupervisor)
    }

    /// Has what is in the kernel hear of changes to arrays.
    fn load(&self, choice: Choice, own_log: bool) -> Result<Ready, Error> {
        let mut who = self.enforcers.lock();
        let ready = choice.ready(&self.domain, own_log)?;
        if let Ready::Kernel(prepared) = &ready
            && !self.domain.maps().is_empty()
        {
            who.domains.push(prepared.changer());
        }
        Ok(ready)
    }

    /// Lets what runs inside confine itself further by any rules, not only by such that deny what this sandbox watches
    /// anyway. It makes everything slow that any rule could deny. In a sandbox it changes nothing: the outermost one has
    /// decided. On the kernel target it costs nothing and changes nothing.
    #[must_use]
    pub fn stackable(mut self, stackable: bool) -> Sandbox {
        self.stacking = if stackable { Stacking::Any } else { Stacking::Covered };
        self
    }

    /// On the supervisor target, lets mainline Landlock decide about opens: several times as fast, and not quite the same.
    /// It takes rules on `FILE_OPEN` that refuse, with `EACCES`, what is not at or beneath a handle of one array, behind a
    /// filter that hands on a cookie at every open; with others nothing is started ([`Error::NotLowered`]). The handles are
    /// what they are when a command is started. What is different:
    ///
    /// * what was deleted counts as where it last was, pipes and memory can be opened again through `/proc`, and what
    ///   could not be told is decided;
    /// * refused opens are no denials that could be read, so [`Sandbox::denials`] is an error;
    /// * what runs inside can add no rules that deny opens, whatever [`Sandbox::stackable`] says.
    ///
    /// On the kernel target it changes nothing. In a sandbox nothing is started.
    #[must_use]
    pub fn lowered(mut self, lowered: bool) -> Sandbox {
        self.lowered = lowered;
        self
    }

    /// The array of this name that the rules compare with; the newest rule's, if several have one. To be changed
    /// before anything is started or while it runs.
    pub fn handles(&self, name: &str) -> Option<Handles> {
        let maps = self.domain.maps();
        let place = maps.iter().position(|map| map.definition().name == name)?;
        let enforcers = self.enforcers.clone();
        Some(Handles { map: maps[place].clone(), place: u32::try_from(place).ok()?, enforcers })
    }

    /// The denials of what is started in the sandbox from now on. The last call counts.
    ///
    /// # Errors
    /// [`Error::Denials`], also where opens are [lowered](Sandbox::lowered), and those of [`Sandbox::target`].
    pub fn denials(&self) -> Result<Denials, Error> {
        let state = &mut *self.state();
        if let Ready::Kernel(_) = self.ready(state)? {
            // A domain with a log of its own is another one.
            let logged = self.load(Choice::Kernel, true)?;
            if let Ready::Kernel(prepared) = &logged {
                let denials = Denials::of_kernel(prepared.log()?);
                state.target = Some(logged);
                return Ok(denials);
            }
        }
        if self.lowered {
            return Err(Error::Denials(std::io::ErrorKind::Unsupported.into()));
        }
        let (written, denials) = Denials::of_supervisor()?;
        state.log = Some(written);
        Ok(denials)
    }

    /// Starts a command confined.
    ///
    /// Of the command's input and output, `Stdio::piped` is not supported; give it one end of `std::io::pipe` instead.
    /// On the supervisor target no_new_privs is set for it, and the calling process must have one thread. On the
    /// kernel target no_new_privs is set only without CAP_SYS_ADMIN, and any number of threads will do.
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::Sandbox`] and so on: nothing ran.
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
        let state = &mut *self.state();
        match self.ready(state)? {
            Ready::Kernel(prepared) => {
                let entry = prepared.entry()?;
                let entered = move || entry.enter().is_ok();
                let started = landlock_supervisor::spawn_entering(command, entered);
                Ok(Child::entered(started.map_err(kernel::Error::Process)?))
            }
            Ready::Supervisor { .. } => Ok(Child::supervised(self.supervised(command, state.log()?)?)),
        }
    }

    fn supervised(&self, command: Command, log: Log) -> Result<Running, Error> {
        let mut who = self.enforcers.lock();
        let domain = self.domain.clone();
        if self.lowered {
            let lowered = Lowered::of(&domain).map_err(|why| Error::NotLowered(why.to_string()))?;
            let running = landlock_supervisor::spawn_lowered(domain, log, command, lowered)?;
            who.has_fixed = true;
            return Ok(running);
        }
        let (running, link) = landlock_supervisor::spawn(domain, log, command, self.stacking)?;
        who.has_fixed |= link.is_none() && !self.domain.maps().is_empty();
        who.links.extend(link);
        Ok(running)
    }

    /// Prepends the rules to those in force on the calling thread, for ever, for it and all it starts from now on. Other
    /// threads of the process are not affected.
    ///
    /// It works on the kernel target, and in a sandbox of the supervisor target. A thread that is confined by the
    /// kernel already needs landlockd for more.
    ///
    /// # Errors
    /// [`Error::Kernel`]; [`Error::NoSupervisor`] where there is neither; [`Error::Sandbox`] if the outer sandbox does
    /// not watch what the rules can deny, or a limit is reached. Nothing has changed then, but that no_new_privs may
    /// be set; with [`kernel::Error::Filter`], and with [`Error::Sandbox`] that tells of a filter, the rules are in force,
    /// and not all classic filters.
    ///
    /// ```
    /// use ebpf_landlock::{Choice, Domain, Error, Sandbox};
    ///
    /// let sandbox = Sandbox::new(Domain::default()).with_target(Choice::Supervisor);
    /// assert!(matches!(sandbox.enter(), Err(Error::NoSupervisor)));
    /// ```
    pub fn enter(&self) -> Result<(), Error> {
        let state = &mut *self.state();
        match self.ready(state)? {
            Ready::Kernel(prepared) => Ok(prepared.enter()?),
            Ready::Supervisor { .. } => {
                let mut who = self.enforcers.lock();
                landlock_supervisor::enter(&self.domain, &state.log()?)?;
                who.has_fixed |= !self.domain.maps().is_empty();
                Ok(())
            }
        }
    }
}

impl State {
    fn log(&self) -> Result<Log, Error> {
        match &self.log {
            Some(file) => Ok(Log::json(file.try_clone().map_err(Error::Denials)?)),
            None => Ok(Log::none()),
        }
    }
}

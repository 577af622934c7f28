// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hooks with a dispatcher: those at which some published domain can deny, and no others.
//!
//! `hooks/<hook>` holds `programs`, the domains' programs by slot, and `dispatch`, the attached dispatcher.
//! It is filled under another name and renamed when it is complete, and renamed away before it is emptied.
//! All of this under the lock of [`crate::change`].

use landlock_bpf::map::{Map, MapKind, MapSpec};
use landlock_bpf::pin::Folder;
use landlock_bpf::program::Program;
use landlock_compiler::hooks::{self, Hook};

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::loaded::bit;
use crate::lock::Lock;
use crate::programs::{self, SLOTS};
use crate::state::{Maps, SPEC};

pub(crate) const HOOKS: &str = "hooks";
/// Before the name of what is not published, or not any more.
pub(crate) const UNPUBLISHED: &str = "unpublished-";
const PROGRAMS: &str = "programs";
const DISPATCH: &str = "dispatch";

/// The attached hooks.
#[derive(Debug)]
pub(crate) struct Attached {
    folder: Folder,
}

impl Attached {
    pub(crate) fn new(format: &Folder) -> Result<Attached> {
        Ok(Attached { folder: format.folder(HOOKS)? })
    }

    pub(crate) fn names(&self) -> Result<Vec<&'static str>> {
        let names = self.folder.names()?;
        let mut hooks: Vec<_> =
            names.iter().filter_map(|name| hooks::by_name(name)).map(|hook| hook.name).collect();
        hooks.sort_unstable();
        Ok(hooks)
    }

    /// The domains' programs at an attached hook.
    pub(crate) fn programs(&self, hook: &str) -> Result<Map> {
        Ok(Map::from_pin(&self.folder.folder(hook)?, PROGRAMS)?)
    }

    /// Whether the hook has everything it needs.
    pub(crate) fn is_whole(&self, hook: &str) -> Result<bool> {
        let names = self.folder.folder(hook)?.names()?;
        Ok([PROGRAMS, DISPATCH].iter().all(|pin| names.iter().any(|name| name == pin)))
    }

    /// Attaches the hook's dispatcher if it is not. None if the kernel lets nobody attach there.
    pub(crate) fn attach(&self, kernel: &Kernel, maps: &Maps, hook: &'static Hook) -> Result<Option<Map>> {
        if self.folder.names()?.iter().any(|name| name == hook.name) {
            match self.is_whole(hook.name)? {
                true => return self.programs(hook.name).map(Some),
                // Nobody looked at what nobody needed.
                false => self.detach(hook.name)?,
            }
        }
        let spec = MapSpec { name: PROGRAMS, kind: MapKind::ProgArray, key_size: 4, value_size: 4, ..SPEC };
        let programs = Map::create(&MapSpec { max_entries: SLOTS, ..spec })?;
        let Some(dispatch) = dispatch(kernel, hook, maps, &programs)? else { return Ok(None) };
        let unpublished = format!("{UNPUBLISHED}{}", hook.name);
        let folder = self.folder.folder(&unpublished)?;
        folder.pin(&programs, PROGRAMS)?;
        folder.pin(kernel.target()?.attach(&dispatch)?, DISPATCH)?;
        self.folder.rename(&unpublished, &self.folder, hook.name)?;
        Ok(Some(programs))
    }

    /// Keeps every hook attached that is, until the lock is given back and somebody collects; None if somebody
    /// does so already.
    ///
    /// The kernel takes a tenth of a second to detach a hook, and meanwhile attaches none: commands that are run one after the
    /// other would wait for seconds for what the last one left.
    pub(crate) fn keep(self) -> Result<Option<Lock>> {
        Lock::try_exclusive(self.folder)
    }

    /// Detaches the hook. No thread is in a domain that has a program there.
    pub(crate) fn detach(&self, hook: &str) -> Result<()> {
        self.folder.rename(hook, &self.folder, &format!("{UNPUBLISHED}{hook}"))?;
        self.sweep()
    }

    /// Removes what a killed process left unpublished.
    pub(crate) fn sweep(&self) -> Result<()> {
        for name in self.folder.names()?.iter().filter(|name| name.starts_with(UNPUBLISHED)) {
            self.folder.folder(name)?.clear()?;
            self.folder.remove_folder(name)?;
        }
        Ok(())
    }
}

/// The dispatcher; none if the kernel refuses any program at the hook.
fn dispatch(kernel: &Kernel, hook: &'static Hook, maps: &Maps, programs: &Map) -> Result<Option<Program>> {
    let target = kernel.target()?;
    match programs::dispatch(target, hook.name, bit(hook), maps, programs) {
        Ok(program) => Ok(Some(program)),
        Err(Error::Bpf(_)) if target.is_closed(hook.name)? => Ok(None),
        Err(error) => Err(error),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the running kernel looks like. Its types are read when they are first needed: who finds everything loaded
//! already need not know them.

use std::sync::OnceLock;

use landlock_bpf::btf::Btf;
use landlock_compiler::emit::Layout;

use crate::attachment::{self, Attachment};
use crate::error::Result;
use crate::programs::Target;

/// The running kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Which of its functions programs attach to. It was the same for who made the state that is there: the
    /// security modules are chosen at boot.
    pub(crate) attachment: Attachment,
    types: OnceLock<(Btf, Layout)>,
}

impl Kernel {
    pub(crate) fn new() -> Result<Kernel> {
        Ok(Kernel { attachment: attachment::attachment()?, types: OnceLock::new() })
    }

    pub(crate) fn target(&self) -> Result<Target<'_>> {
        Ok(Target { btf: &self.types()?.0, attachment: self.attachment })
    }

    pub(crate) fn layout(&self) -> Result<&Layout> {
        Ok(&self.types()?.1)
    }

    fn types(&self) -> Result<&(Btf, Layout)> {
        if let Some(types) = self.types.get() {
            return Ok(types);
        }
        let btf = Btf::of_running_kernel()?;
        let layout = crate::layout::read(&btf, self.attachment)?;
        Ok(self.types.get_or_init(|| (btf, layout)))
    }
}

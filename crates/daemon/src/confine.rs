// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon's own sandbox: whoever takes it over has bpf(2), one folder of a bpf file system and its clients, and
//! nothing else of the machine.
//!
//! It holds for the calling thread and those it starts from then on.

mod calls;

use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// What loading programs for LSM hooks takes: CAP_BPF, and CAP_PERFMON because such programs follow the
/// kernel's pointers. Both are there from Linux 5.8 on; CAP_SYS_ADMIN is not needed.
const KEPT: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

/// Bytes of memory, stacks of threads included.
const MEMORY: u64 = 1 << 30;
/// Descriptors: of clients, and of what they were given.
const DESCRIPTORS: u64 = 8192;

/// Types of the kernel, without which nothing can be compiled for it.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// What a descriptor of bpf(2) is of, is said there.
const DESCRIBED: &str = "/proc/self/fdinfo";

/// What must stay open, so that the paths the sandbox allows stay the same files.
#[derive(Debug)]
pub struct Confined {
    _paths: Vec<OwnedFd>,
    /// Whether mainline Landlock holds all there is to hold; it may be switched off on the machine.
    pub landlock: bool,
}

/// Gives up what is not needed, for good. `state` is the folder in the bpf file system that is.
///
/// # Errors
/// With the step that failed. What was given up by then is given up.
pub fn confine(state: Option<&Path>) -> Result<Confined> {
    limit_resources()?;
    set_no_new_privs(true).context("no_new_privs")?;
    drop_capabilities().context("capabilities")?;
    let confined = restrict_files(state).context("mainline Landlock")?;
    calls::restrict().context("seccomp")?;
    Ok(confined)
}

fn limit_resources() -> Result<()> {
    let limits = [
        (Resource::Data, MEMORY),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
    ];
    for (resource, most) in limits {
        let most = Some(most);
        setrlimit(resource, Rlimit { current: most, maximum: most })
            .with_context(|| format!("limit {resource:?}"))?;
    }
    Ok(())
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let had = capabilities(None)?;
    // no_new_privs lets no program have more anyway; so this is not missed by who may not do it.
    if had.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().difference(KEPT) {
            // A kernel that does not know one has nobody who has it.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    let kept = had.permitted.intersection(KEPT);
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)
}

fn restrict_files(state: Option<&Path>) -> Result<Confined> {
    let abi = ABI::V6;
    let pins: BitFlags<AccessFs> = AccessFs::ReadDir
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::RemoveDir
        | AccessFs::RemoveFile;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile.into();
    let allowed = state.map(|state| (state, pins)).into_iter();
    let allowed = allowed.chain([(Path::new(TYPES), read), (Path::new(DESCRIBED), read)]);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let mut paths = Vec::new();
    for (path, access) in allowed {
        // Without types nothing is loaded; that is said when it comes to it.
        let Ok(opened) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            continue;
        };
        ruleset = ruleset.add_rule(PathBeneath::new(&opened, access))?;
        paths.push(opened);
    }
    let status = ruleset.restrict_self()?;
    Ok(Confined { _paths: paths, landlock: status.ruleset != RulesetStatus::NotEnforced })
}

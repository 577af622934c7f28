// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small model of a file system and of cgroups, for what handles relate to.

use proptest::prelude::*;

use crate::abi::handles::{HandleType, Properties};
use crate::evaluate::{Direction, Relation};
use crate::map::{Handle, Map};
use crate::rule::Rule;

/// A file or a directory.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The directory it is in; none for a root, and for what was deleted.
    pub parent: Option<usize>,
    /// Its file system.
    pub device: u8,
    /// Its mount.
    pub mount: u8,
    /// Its number there; other names may have the same.
    pub inode: u64,
}

/// Files and cgroups, by index; a parent's index is lower. A handle stands for the node with its number.
#[derive(Clone, Debug)]
pub struct Model {
    /// The files.
    pub nodes: Vec<Node>,
    /// The parents of cgroups.
    pub cgroups: Vec<Option<usize>>,
    /// The file of the question.
    pub object: usize,
    /// The cgroup of the caller.
    pub cgroup: usize,
    /// The handles of files, and of cgroups, in maps.
    pub handles: [Vec<usize>; 2],
}

impl Model {
    /// Puts the handles into the first two maps of a rule: of files, then of cgroups.
    pub fn fill(&self, rule: &Rule) {
        for ((map, handles), handle_type) in
            rule.maps().iter().zip(&self.handles).zip([HandleType::FsFd, HandleType::CgroupFd])
        {
            fill(map, handle_type, handles);
        }
    }
}

/// Replaces what is in a map.
///
/// # Panics
/// If there is no room.
pub fn fill(map: &Map, handle_type: HandleType, handles: &[usize]) {
    map.change(|array| {
        while let Some(last) = array.handles().len().checked_sub(1) {
            array.delete(u32::try_from(last).expect("few")).expect("the last one");
        }
        for (index, handle) in (0..).zip(handles) {
            array
                .update(index, handle_type as u32, Handle::numbered(*handle as u64), 0)
                .expect("there is room");
        }
    });
}

/// Whether `node` is `above` or beneath it.
fn reaches(node: usize, above: usize, parent: impl Fn(usize) -> Option<usize>) -> bool {
    std::iter::successors(Some(node), |node| parent(*node)).any(|node| node == above)
}

fn directed(direction: Direction, ours: usize, theirs: usize) -> (usize, usize) {
    match direction {
        Direction::Beneath => (ours, theirs),
        Direction::Reverse => (theirs, ours),
    }
}

impl Relation for Model {
    fn shared(&self, handle: &Handle) -> Option<Properties> {
        let index = usize::try_from(handle.number()).ok()?;
        let (ours, theirs) = (self.nodes[self.object], self.nodes.get(index)?);
        let mut shared = Properties::empty();
        shared.set(Properties::DENTRY, index == self.object);
        shared.set(Properties::INODE, ours.inode == theirs.inode && ours.inode != 0);
        shared.set(Properties::DEVICE, ours.device == theirs.device);
        shared.set(Properties::MOUNT, ours.mount == theirs.mount);
        Some(shared)
    }

    fn beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        let (low, high) = directed(direction, self.object, usize::try_from(handle.number()).ok()?);
        Some(reaches(low, high, |node| self.nodes.get(node)?.parent))
    }

    fn cgroup_beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        let (low, high) = directed(direction, self.cgroup, usize::try_from(handle.number()).ok()?);
        Some(reaches(low, high, |cgroup| *self.cgroups.get(cgroup)?))
    }
}

/// Random trees, handles into them, and who asks about what.
pub fn model() -> impl Strategy<Value = Model> {
    let node = (any::<prop::sample::Index>(), any::<bool>(), 0..3_u8, 0..3_u8, 0..4_u64);
    let nodes = proptest::collection::vec(node, 1..12);
    let cgroups = proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..8);
    let picks = || proptest::collection::vec(any::<prop::sample::Index>(), 0..4);
    let asked = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (nodes, cgroups, asked, picks(), picks()).prop_map(|(nodes, cgroups, asked, files, groups)| {
        let parent =
            |at: usize, pick: prop::sample::Index, is_in: bool| (is_in && at > 0).then(|| pick.index(at));
        let nodes: Vec<Node> = nodes
            .into_iter()
            .enumerate()
            .map(|(at, (pick, is_in, device, mount, inode))| Node {
                parent: parent(at, pick, is_in),
                device,
                mount,
                inode,
            })
            .collect();
        let cgroups: Vec<_> =
            cgroups.into_iter().enumerate().map(|(at, (pick, is_in))| parent(at, pick, is_in)).collect();
        let handles = [
            files.into_iter().map(|pick| pick.index(nodes.len())).collect(),
            groups.into_iter().map(|pick| pick.index(cgroups.len())).collect(),
        ];
        let (object, cgroup) = (asked.0.index(nodes.len()), asked.1.index(cgroups.len()));
        Model { nodes, cgroups, object, cgroup, handles }
    })
}

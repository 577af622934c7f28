// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user says of the handles in maps: nothing here is asked of a file system.

use landlock_compiler::abi::handles::{ArrayKind, Properties};
use landlock_compiler::evaluate::{Direction, Relation};
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;

/// One handle: the map it is in, and how things relate to it.
#[derive(Clone, Debug)]
pub struct Match {
    map: String,
    how: How,
}

#[derive(Clone, Copy, Debug)]
struct How {
    shared: Properties,
    beneath: bool,
    above: bool,
}

/// What the user said; handles are indices.
pub struct Told(Vec<How>);

/// `MAP=HOW,…`
pub fn parsed(text: &str) -> Result<Match, String> {
    let (map, words) = text.split_once('=').ok_or("it takes the form MAP=HOW,…")?;
    let mut how = How { shared: Properties::empty(), beneath: false, above: false };
    for word in words.split(',').map(str::trim) {
        match word {
            "same" => how = How { shared: Properties::all(), beneath: true, above: true },
            "beneath" => how.beneath = true,
            "above" => how.above = true,
            _ => how.shared |= property(word)?,
        }
    }
    Ok(Match { map: map.to_owned(), how })
}

fn property(word: &str) -> Result<Properties, String> {
    let known = Properties::all().iter_names().find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|(_, property)| property).ok_or_else(|| {
        format!("unknown: {word}; there are same, beneath, above, dentry, inode, device and mount")
    })
}

/// Puts a handle for each match into every map of its name.
pub fn fill(rules: &[Rule], matches: &[Match]) -> Result<Told, String> {
    for (handle, wanted) in (0..).zip(matches) {
        let mut filled = Vec::new();
        for map in rules.iter().flat_map(Rule::maps).filter(|map| map.definition().name == wanted.map) {
            if filled.iter().any(|other| map.is(other)) {
                continue;
            }
            let has_properties = !(wanted.how.shared.is_empty() || wanted.how.above && wanted.how.beneath);
            if map.definition().kind == ArrayKind::Cgroup && has_properties {
                return Err(format!("map {} is of cgroups: they have no properties", wanted.map));
            }
            map.append(Handle::numbered(handle)).map_err(|error| format!("map {}: {error}", wanted.map))?;
            filled.push(map.clone());
        }
        if filled.is_empty() {
            return Err(format!("no rule has a map {}", wanted.map));
        }
    }
    Ok(Told(matches.iter().map(|wanted| wanted.how).collect()))
}

impl Told {
    fn of(&self, handle: &Handle) -> Option<&How> {
        self.0.get(usize::try_from(handle.number()).ok()?)
    }
}

impl Relation for Told {
    fn shared(&self, handle: &Handle) -> Option<Properties> {
        Some(self.of(handle)?.shared)
    }

    fn beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        let how = self.of(handle)?;
        Some(if direction == Direction::Beneath { how.beneath } else { how.above })
    }

    fn cgroup_beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        self.beneath(handle, direction)
    }
}

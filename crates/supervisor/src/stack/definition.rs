// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a thread asks for: rules, filters and handles as it writes them, and as we read them. Nothing in it is believed.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::map::{Handle, Map};
use landlock_compiler::object::RuleObject;
use landlock_compiler::verify::{Loader, verify_newest};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::domains::MAX_RULES;
use crate::request::{Request, Status};

/// Most filters of one definition, and most handles.
const MAX_FILTERS: usize = 64;
const MAX_HANDLES: usize = 1024;

/// Layers to be added to those of the asking thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Definition {
    /// Oldest first.
    layers: Vec<Written>,
    /// What is in each array of the rules, as descriptors of the asking thread's.
    arrays: Vec<Vec<u32>>,
    /// Where else refusals are to be written.
    pub log: Option<LogTo>,
}

/// A descriptor of the asking thread's.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogTo {
    pub descriptor: u32,
    /// Sentences for people instead of JSON.
    pub text: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Written {
    Filter(Vec<ClassicInsn>),
    /// A rule, and which of the arrays each of its maps is.
    Rule(RuleObject, Vec<usize>),
}

impl Definition {
    /// Of the layers of a domain. `None` for a handle without a descriptor, which nothing can be compared with.
    pub fn of(domain: &Domain, log: Option<LogTo>) -> Option<Definition> {
        let maps = domain.maps();
        let place = |map: &Map| maps.iter().position(|known| known.is(map));
        let written = |layer: &Layer| match layer {
            Layer::Filter(filter) => Some(Written::Filter(filter.insns().to_vec())),
            Layer::Rule(rule) => {
                let arrays = rule.maps().iter().map(place).collect::<Option<_>>()?;
                Some(Written::Rule(rule.object().clone(), arrays))
            }
        };
        let number = |handle: &Handle| {
            let descriptor = handle.descriptor()?;
            u32::try_from(descriptor.as_raw_fd()).ok()
        };
        let array = |map: &&Map| map.handles().iter().map(number).collect::<Option<_>>();
        let layers = domain.layers().iter().map(written).collect::<Option<_>>()?;
        Some(Definition { layers, arrays: maps.iter().map(array).collect::<Option<_>>()?, log })
    }

    /// The layers, verified for `loader`, and their arrays filled.
    ///
    /// # Errors
    /// `E2BIG` for more than is kept, `EINVAL` for what is no definition, what the verifier gives, and what keeps us from
    /// taking a descriptor.
    pub fn read(self, request: &Request<'_>, loader: &Loader) -> Result<Vec<Layer>, Errno> {
        let filters = self.layers.iter().filter(|layer| matches!(layer, Written::Filter(_))).count();
        if filters > MAX_FILTERS || self.layers.len() - filters > MAX_RULES {
            return Err(Errno::TOOBIG);
        }
        if self.arrays.iter().map(Vec::len).sum::<usize>() > MAX_HANDLES {
            return Err(Errno::NOSPC);
        }
        let mut maps = vec![None; self.arrays.len()];
        let read = |layer| match layer {
            Written::Filter(insns) => Filter::new(insns).map(Layer::Filter).map_err(|_| Errno::INVAL),
            Written::Rule(mut object, arrays) => {
                share(&mut object, &arrays, &mut maps)?;
                let refused = |number| Errno::from_raw_os_error(number);
                let rule =
                    verify_newest(object, loader).map_err(|problems| refused(problems.errno().number()))?;
                Ok(Layer::Rule(rule))
            }
        };
        let layers = self.layers.into_iter().map(read).collect::<Result<_, _>>()?;
        maps.iter().zip(&self.arrays).try_for_each(|(map, array)| fill(request, map.as_ref(), array))?;
        Ok(layers)
    }
}

/// Makes the maps of rules that mean one array the same map.
fn share(object: &mut RuleObject, arrays: &[usize], maps: &mut [Option<Map>]) -> Result<(), Errno> {
    if arrays.len() != object.maps.len() {
        return Err(Errno::INVAL);
    }
    for (map, array) in object.maps.iter_mut().zip(arrays) {
        let known = maps.get_mut(*array).ok_or(Errno::INVAL)?.get_or_insert_with(|| map.clone());
        if known != map {
            return Err(Errno::INVAL);
        }
        *map = known.clone();
    }
    Ok(())
}

fn fill(request: &Request<'_>, map: Option<&Map>, array: &[u32]) -> Result<(), Errno> {
    let map = map.ok_or(Errno::INVAL)?;
    for descriptor in array {
        let held = landlock_handles::held(request.file(*descriptor)?, map.definition().kind);
        let handle = held.map_err(|_| Errno::INVAL)?;
        map.append(handle).map_err(|error| Errno::from_raw_os_error(error.errno()))?;
    }
    Ok(())
}

/// Whether layers say the same of everything, as long as nobody changes an array of theirs.
pub fn are_same(one: &[Layer], other: &[Layer]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Layer::Filter(one), Layer::Filter(other)) => one == other,
            (Layer::Rule(one), Layer::Rule(other)) => {
                let mut maps = one.maps().iter().zip(other.maps());
                one.object() == other.object() && maps.all(|(one, other)| hold_the_same(one, other))
            }
            _ => false,
        })
}

fn hold_the_same(one: &Map, other: &Map) -> bool {
    let (one, other) = (one.handles(), other.handles());
    let same = |(one, other)| matches!((whereabouts(one), whereabouts(other)), (Some(one), Some(other)) if one == other);
    one.len() == other.len() && one.iter().zip(&other).all(same)
}

/// Mount, inode and path of what a handle holds: as it is held, nothing else can have all three. Nothing for
/// what was deleted. No file system is asked.
fn whereabouts(handle: &Handle) -> Option<(u32, String, PathBuf)> {
    let number = handle.descriptor()?.as_raw_fd();
    let info = Status::of(format!("/proc/thread-self/fdinfo/{number}")).ok()?;
    let path = std::fs::read_link(format!("/proc/thread-self/fd/{number}")).ok()?;
    let is_gone = path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
    (!is_gone).then_some((info.number("mnt_id:")?, info.field("ino:")?.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use landlock_compiler::abi::handles::ArrayKind;
    use landlock_compiler::{asm, verify};
    use rustix::fs::{CWD, Mode, OFlags, openat};

    use super::*;

    /// A rule that compares with what is at these paths now.
    fn list(paths: &[&std::path::Path]) -> Vec<Layer> {
        let text = ".rule r\n.event FILE_OPEN\n.abi 2\n.license \"GPL\"\n.map list fs 4\nr6 = r1\nr1 = 0\nr2 = map list\n\
                    r3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nr0 = 0\nexit\n";
        let object = asm::parse(text, "r.s").unwrap().remove(0);
        let rule = verify::verify_newest(object, &Loader::default()).unwrap();
        for path in paths {
            let descriptor = openat(CWD, *path, OFlags::PATH, Mode::empty()).unwrap();
            rule.maps()[0].append(landlock_handles::held(descriptor, ArrayKind::Fs).unwrap()).unwrap();
        }
        vec![Layer::Filter(Filter::always(1)), Layer::Rule(rule)]
    }

    #[test]
    fn layers_are_the_same_if_filters_rules_and_what_handles_stand_for_are() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, moved] = ["one", "two", "moved"].map(|name| folder.path().join(name));
        for path in [&one, &two] {
            std::fs::write(path, "").unwrap();
        }
        let first = list(&[&one]);
        assert!(are_same(&first, &list(&[&one])) && are_same(&list(&[]), &list(&[])));
        for other in [list(&[&two]), list(&[]), list(&[&one, &one]), list(&[&one]).split_off(1)] {
            assert!(!are_same(&first, &other));
        }
        // Another name of the same file, and another file of the same name.
        std::fs::hard_link(&one, &moved).unwrap();
        assert!(!are_same(&first, &list(&[&moved])));
        std::fs::rename(&two, &one).unwrap();
        assert!(!are_same(&first, &list(&[&one])) && !are_same(&first, &first));
    }

    #[test]
    fn rules_that_share_an_array_still_do_when_they_are_read() {
        let Layer::Rule(rule) = list(&[]).remove(1) else { unreachable!("a rule is second") };
        let mut objects = [rule.object().clone(), rule.object().clone()];
        let mut maps = vec![None];
        objects.iter_mut().for_each(|object| {
            object.maps = serde_json::from_value(serde_json::to_value(&object.maps).unwrap()).unwrap();
            share(object, &[0], &mut maps).unwrap();
        });
        assert!(objects[0].maps[0].is(&objects[1].maps[0]));
        assert_eq!(share(&mut objects[0], &[], &mut maps), Err(Errno::INVAL));
        assert_eq!(share(&mut objects[0], &[1], &mut maps), Err(Errno::INVAL));
    }
}

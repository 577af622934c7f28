// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;

const FS: u32 = HandleType::FsFd as u32;
const GLOB: u32 = HandleType::FsGlob as u32;
const CGROUP: u32 = HandleType::CgroupFd as u32;
const ANY: u64 = 0;

fn array(len: u32) -> Array {
    let mut array = Array::new(Some(ArrayKind::Fs), 3);
    (0..len)
        .for_each(|index| assert_eq!(array.update(index, FS, Handle::numbered(index.into()), ANY), Ok(None)));
    array
}

fn errno<T>(result: Result<T, ArrayError>) -> i32 {
    result.err().expect("it should be refused").errno()
}

#[test]
fn handles_are_appended_and_replaced_without_gaps() {
    let mut array = array(2);
    assert_eq!(array.update(1, FS, Handle::numbered(7), ANY), Ok(Some(Handle::numbered(1))));
    assert_eq!(array.update(2, FS, Handle::numbered(8), UPDATE_EXIST), Ok(None));
    assert_eq!(array.handles(), [Handle::numbered(0), Handle::numbered(7), Handle::numbered(8)]);
    assert_eq!(errno(array.update(3, FS, Handle::numbered(9), ANY)), 7);
    assert_eq!(errno(self::array(0).update(1, FS, Handle::numbered(9), ANY)), 22);
}

#[test]
fn flags_are_those_of_maps_and_only_making_always_fails() {
    assert_eq!(errno(array(1).update(0, FS, Handle::numbered(9), 3)), 22);
    assert_eq!(errno(array(1).update(0, FS, Handle::numbered(9), UPDATE_NOEXIST)), 17);
    assert_eq!(errno(array(1).update(1, FS, Handle::numbered(9), UPDATE_NOEXIST)), 17);
    assert!(array(1).update(1, FS, Handle::numbered(9), UPDATE_EXIST).is_ok());
}

#[test]
fn the_kind_is_the_definition_s_or_the_first_update_s() {
    assert_eq!(errno(array(1).update(1, CGROUP, Handle::numbered(9), ANY)), 22);
    let mut open = Array::new(None, 3);
    assert_eq!(open.kind(), None);
    assert_eq!(open.update(0, CGROUP, Handle::numbered(1), ANY), Ok(None));
    assert_eq!(open.kind(), Some(ArrayKind::Cgroup));
    assert_eq!(
        open.update(1, FS, Handle::numbered(2), ANY),
        Err(ArrayError::Kind { kind: ArrayKind::Cgroup })
    );
    for unknown in [0, 4, u32::MAX] {
        assert_eq!(errno(array(1).update(0, unknown, Handle::numbered(9), ANY)), 22);
    }
}

#[test]
fn a_glob_fixes_the_kind_and_is_refused() {
    let mut open = Array::new(None, 3);
    assert_eq!(errno(open.update(0, GLOB, Handle::numbered(1), ANY)), 22);
    assert_eq!((open.kind(), open.handles().len()), (Some(ArrayKind::Fs), 0));
    assert_eq!(errno(open.update(0, CGROUP, Handle::numbered(1), ANY)), 22);
}

#[test]
fn only_the_last_is_deleted_and_nothing_is_looked_up() {
    let mut array = array(2);
    for index in [0, 2, u32::MAX] {
        assert_eq!(errno(array.delete(index)), 22);
    }
    assert_eq!(array.delete(1), Ok(Handle::numbered(1)));
    assert_eq!(array.delete(0), Ok(Handle::numbered(0)));
    assert_eq!(errno(array.delete(0)), 22);
    assert_eq!(errno(self::array(1).lookup(0)), 22);
}

#[test]
fn indices_follow_each_other_as_in_arrays() {
    let array = array(0);
    let all: Vec<_> = [0, 1, 2, 3, u32::MAX].map(|index| array.next_index(index)).into();
    assert_eq!(all, [Some(1), Some(2), None, Some(0), Some(0)]);
}

#[test]
fn a_change_is_seen_by_every_clone_and_by_no_other_map() {
    let definition = Definition { name: "allowed".into(), kind: ArrayKind::Fs, max_entries: 1 };
    let (map, other) = (Map::new(definition.clone()), Map::new(definition));
    let clone = map.clone();
    assert_eq!(map.change(|array| array.update(0, FS, Handle::numbered(5), ANY)), Ok(None));
    assert_eq!((clone.handles(), other.handles()), (vec![Handle::numbered(5)], vec![]));
    assert!(map.is(&clone) && !map.is(&other) && map == other);
}

proptest! {
    /// Whatever is tried, the array is dense, within its bounds and of one kind; a refusal changes nothing.
    #[test]
    fn arrays_stay_in_order(tries in proptest::collection::vec((0..6_u32, 0..5_u32, 0..4_u64, any::<bool>()), 0..40)) {
        let mut array = Array::new(None, 4);
        for (step, (index, number, flags, delete)) in (0..).zip(tries) {
            let before = array.handles().to_vec();
            let kind = array.kind();
            let done = match delete {
                true => array.delete(index).map(Some),
                false => array.update(index, number, Handle::numbered(step), flags),
            };
            match done {
                Err(_) => prop_assert_eq!(array.handles(), &before[..]),
                Ok(given_back) => {
                    let grown = array.handles().len() + usize::from(given_back.is_some());
                    prop_assert_eq!(grown, before.len() + usize::from(!delete));
                }
            }
            prop_assert!(array.handles().len() <= 4);
            prop_assert!(kind.is_none() || array.kind() == kind);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! bpf(2): one function per command, and the layout of what each command takes.
//!
//! Every attribute structure has its padding spelled out, starts at zero, and is compared with the
//! kernel's own by `tests/kernel.rs`. The kernel takes shorter attributes than its own, and longer ones
//! whose unknown end is zero.
//!
//! Functions that hand the kernel memory of a size it learns elsewhere are `unsafe`: the caller vouches
//! for the size. All others are safe for any argument: a wrong one is an errno.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::error::Command;

type Answer<T> = Result<T, Errno>;

/// The kernel's `BPF_OBJ_NAME_LEN`, with the terminating zero.
pub const NAME_SIZE: usize = 16;

/// A structure bpf(2) reads and writes as bytes.
///
/// # Safety
/// `repr(C)`, no padding, valid for every bit pattern.
pub unsafe trait Plain: Default + Copy {}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        #[allow(missing_docs, reason = "the kernel's names")]
        pub struct $name { $(pub $field: $type),+ }
        // No padding: the fields' sizes add up.
        const _: () = assert!(size_of::<$name>() == $size && $size == 0 $(+ size_of::<$type>())+);
        // SAFETY: repr(C), integers and arrays of integers only, and the sizes add up.
        unsafe impl Plain for $name {}
    };
}

plain!(MapCreate, 72 {
    map_type: u32, key_size: u32, value_size: u32, max_entries: u32, map_flags: u32, inner_map_fd: u32,
    numa_node: u32, map_name: [u8; NAME_SIZE], map_ifindex: u32, btf_fd: u32, btf_key_type_id: u32,
    btf_value_type_id: u32, btf_vmlinux_value_type_id: u32, map_extra: u64,
});
plain!(MapElem, 32 { map_fd: u32, pad: u32, key: u64, value: u64, flags: u64 });
plain!(MapBatch, 56 {
    in_batch: u64, out_batch: u64, keys: u64, values: u64, count: u32, map_fd: u32, elem_flags: u64, flags: u64,
});
plain!(ProgLoad, 112 {
    prog_type: u32, insn_cnt: u32, insns: u64, license: u64, log_level: u32, log_size: u32, log_buf: u64,
    kern_version: u32, prog_flags: u32, prog_name: [u8; NAME_SIZE], prog_ifindex: u32,
    expected_attach_type: u32, prog_btf_fd: u32, func_info_rec_size: u32, func_info: u64, func_info_cnt: u32,
    line_info_rec_size: u32, line_info: u64, line_info_cnt: u32, attach_btf_id: u32,
});
plain!(Obj, 16 { pathname: u64, bpf_fd: u32, file_flags: u32 });
plain!(Id, 12 { id: u32, next_id: u32, open_flags: u32 });
plain!(Info, 16 { bpf_fd: u32, info_len: u32, info: u64 });
plain!(BtfLoad, 32 { btf: u64, btf_log_buf: u64, btf_size: u32, btf_log_size: u32, btf_log_level: u32, pad: u32 });
plain!(LinkCreate, 32 { prog_fd: u32, target_fd: u32, attach_type: u32, flags: u32, iter_info: u64, iter_info_len: u32, unused: u32 });
plain!(MapFreeze, 4 { map_fd: u32 });
plain!(IterCreate, 8 { link_fd: u32, flags: u32 });

plain!(
    /// The part of `struct bpf_prog_info` in use here.
    ProgInfo, 232 {
    prog_type: u32, id: u32, tag: [u8; 8], jited_prog_len: u32, xlated_prog_len: u32, jited_prog_insns: u64,
    xlated_prog_insns: u64, load_time: u64, created_by_uid: u32, nr_map_ids: u32, map_ids: u64,
    name: [u8; NAME_SIZE], ifindex: u32, flags: u32, netns_dev: u64, netns_ino: u64, nr_jited_ksyms: u32,
    nr_jited_func_lens: u32, jited_ksyms: u64, jited_func_lens: u64, btf_id: u32, func_info_rec_size: u32,
    func_info: u64, nr_func_info: u32, nr_line_info: u32, line_info: u64, jited_line_info: u64,
    nr_jited_line_info: u32, line_info_rec_size: u32, jited_line_info_rec_size: u32, nr_prog_tags: u32,
    prog_tags: u64, run_time_ns: u64, run_cnt: u64, recursion_misses: u64, verified_insns: u32,
    attach_btf_obj_id: u32, attach_btf_id: u32, pad: u32,
});
plain!(
    /// The part of `struct bpf_map_info` in use here.
    MapInfo, 40 {
    map_type: u32, id: u32, key_size: u32, value_size: u32, max_entries: u32, map_flags: u32,
    name: [u8; NAME_SIZE],
});
plain!(
    /// `struct bpf_link_info` of a tracing link, which LSM links are as well.
    LinkInfo, 28 {
    link_type: u32, id: u32, prog_id: u32, pad: u32, attach_type: u32, target_obj_id: u32, target_btf_id: u32,
});

/// bpf(2).
///
/// # Safety
/// Every address in `attributes` is of memory as large as the command will read or write there.
unsafe fn bpf<T: Plain>(command: Command, attributes: &mut T) -> Answer<RawFd> {
    let address: *mut T = attributes;
    let size = size_of::<T>();
    // SAFETY: `attributes` is `size` bytes, any of which the kernel may overwrite (Plain); the memory it
    // points to is the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, address, size) };
    match RawFd::try_from(answer) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}

/// As [`bpf`], for commands that answer with a descriptor.
///
/// # Safety
/// As [`bpf`], and the command answers with a new descriptor.
unsafe fn bpf_fd<T: Plain>(command: Command, attributes: &mut T) -> Answer<OwnedFd> {
    // SAFETY: both promises are the caller's.
    unsafe { bpf(command, attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A borrowed descriptor is never negative.
    fd.as_raw_fd().unsigned_abs()
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance() as u64
}

fn address_mut<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr().expose_provenance() as u64
}

fn length<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

/// BPF_MAP_CREATE.
pub fn map_create(mut attributes: MapCreate) -> Answer<OwnedFd> {
    // SAFETY: the attributes hold no address; the answer is a descriptor.
    unsafe { bpf_fd(Command::MapCreate, &mut attributes) }
}

/// BPF_MAP_LOOKUP_ELEM.
///
/// # Safety
/// `key` and `value` have the sizes of the map (per-CPU maps: 8-aligned, times the possible CPUs).
pub unsafe fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> Answer<()> {
    let mut elem =
        MapElem { map_fd: number(map), key: address(key), value: address_mut(value), ..MapElem::default() };
    // SAFETY: the caller's promise about both slices.
    unsafe { bpf(Command::MapLookupElem, &mut elem).map(drop) }
}

/// BPF_MAP_UPDATE_ELEM.
///
/// # Safety
/// As [`map_lookup`].
pub unsafe fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> Answer<()> {
    let mut elem = MapElem { map_fd: number(map), pad: 0, key: address(key), value: address(value), flags };
    // SAFETY: the caller's promise about both slices, which are only read.
    unsafe { bpf(Command::MapUpdateElem, &mut elem).map(drop) }
}

/// BPF_MAP_DELETE_ELEM.
///
/// # Safety
/// `key` has the map's key size.
pub unsafe fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> Answer<()> {
    let mut elem = MapElem { map_fd: number(map), key: address(key), ..MapElem::default() };
    // SAFETY: the caller's promise about the key.
    unsafe { bpf(Command::MapDeleteElem, &mut elem).map(drop) }
}

/// BPF_MAP_GET_NEXT_KEY.
///
/// # Safety
/// `key`, if any, and `next` have the map's key size.
pub unsafe fn map_next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> Answer<()> {
    let key = key.map_or(0, address);
    let mut elem = MapElem { map_fd: number(map), key, value: address_mut(next), ..MapElem::default() };
    // SAFETY: the caller's promise about both slices; a null key is allowed.
    unsafe { bpf(Command::MapGetNextKey, &mut elem).map(drop) }
}

/// BPF_MAP_LOOKUP_BATCH: reads up to `count` elements after `cursor`, moves the cursor, and gives how
/// many were read and whether there may be more.
///
/// # Safety
/// `keys` and `values` hold `count` keys and values of the map's sizes; `cursor` and `next` hold at least
/// the larger of 4 bytes and a key.
pub unsafe fn map_lookup_batch(
    map: BorrowedFd<'_>,
    cursor: Option<&[u8]>,
    next: &mut [u8],
    (keys, values): (&mut [u8], &mut [u8]),
    count: u32,
) -> Answer<(u32, bool)> {
    let mut batch = MapBatch {
        in_batch: cursor.map_or(0, address),
        out_batch: address_mut(next),
        keys: address_mut(keys),
        values: address_mut(values),
        count,
        map_fd: number(map),
        ..MapBatch::default()
    };
    // SAFETY: the caller's promise about all four slices; a null cursor means the beginning.
    match unsafe { bpf(Command::MapLookupBatch, &mut batch) } {
        Ok(_) => Ok((batch.count, true)),
        Err(Errno::NOENT) => Ok((batch.count, false)),
        Err(errno) => Err(errno),
    }
}

/// BPF_MAP_FREEZE: from now on no process writes the map; programs still do.
pub fn map_freeze(map: BorrowedFd<'_>) -> Answer<()> {
    // SAFETY: the attributes hold no address.
    unsafe { bpf(Command::MapFreeze, &mut MapFreeze { map_fd: number(map) }).map(drop) }
}

/// BPF_PROG_LOAD. `attributes` has everything but what is passed apart.
/// `functions` has, for each, where it starts and its type in the BTF of `attributes`.
pub fn prog_load(
    attributes: ProgLoad,
    (insns, functions): (&[[u8; 8]], &[[u32; 2]]),
    license: &CStr,
    log: &mut [u8],
) -> Answer<OwnedFd> {
    let mut load = ProgLoad {
        insns: address(insns),
        insn_cnt: length(insns),
        license: license.as_ptr().expose_provenance() as u64,
        log_buf: if log.is_empty() { 0 } else { address_mut(log) },
        log_size: length(log),
        log_level: u32::from(!log.is_empty()),
        func_info: if functions.is_empty() { 0 } else { address(functions) },
        func_info_cnt: length(functions),
        func_info_rec_size: if functions.is_empty() { 0 } else { 8 },
        line_info: 0,
        line_info_cnt: 0,
        ..attributes
    };
    // SAFETY: instructions, functions and log are as long as is said beside them, the license ends in zero, and there
    // are no other addresses; the answer is a descriptor.
    unsafe { bpf_fd(Command::ProgLoad, &mut load) }
}

/// BPF_OBJ_PIN.
pub fn obj_pin(object: BorrowedFd<'_>, path: &CStr) -> Answer<()> {
    let pathname = path.as_ptr().expose_provenance() as u64;
    // SAFETY: the path ends in zero.
    unsafe { bpf(Command::ObjPin, &mut Obj { pathname, bpf_fd: number(object), file_flags: 0 }).map(drop) }
}

/// BPF_OBJ_GET.
pub fn obj_get(path: &CStr) -> Answer<OwnedFd> {
    let pathname = path.as_ptr().expose_provenance() as u64;
    // SAFETY: the path ends in zero; the answer is a descriptor.
    unsafe { bpf_fd(Command::ObjGet, &mut Obj { pathname, bpf_fd: 0, file_flags: 0 }) }
}

/// BPF_{PROG,MAP,LINK}_GET_NEXT_ID: the lowest id above this one.
pub fn next_id(command: Command, id: u32) -> Answer<Option<u32>> {
    let mut attributes = Id { id, ..Id::default() };
    // SAFETY: the attributes hold no address.
    match unsafe { bpf(command, &mut attributes) } {
        Ok(_) => Ok(Some(attributes.next_id)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// BPF_{PROG,MAP,LINK}_GET_FD_BY_ID.
pub fn fd_by_id(command: Command, id: u32) -> Answer<OwnedFd> {
    debug_assert!(format!("{command}").ends_with("_GET_FD_BY_ID"));
    // SAFETY: the attributes hold no address; these commands answer with a descriptor.
    unsafe { bpf_fd(command, &mut Id { id, ..Id::default() }) }
}

/// BPF_OBJ_GET_INFO_BY_FD. `info` is of the structure that belongs to the object's kind, or zeros.
pub fn obj_info<T: Plain>(object: BorrowedFd<'_>) -> Answer<T> {
    let mut info = T::default();
    let info_len = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    let address = address_mut(std::slice::from_mut(&mut info));
    let mut attributes = Info { bpf_fd: number(object), info_len, info: address };
    // SAFETY: the kernel writes at most `info_len` bytes to `info`, of any value (Plain). What it reads
    // there are zeros, so it is asked for none of the lists that need further memory.
    unsafe { bpf(Command::ObjGetInfoByFd, &mut attributes)? };
    Ok(info)
}

/// BPF_LINK_CREATE.
pub fn link_create(program: BorrowedFd<'_>, attach_type: u32) -> Answer<OwnedFd> {
    let mut attributes = LinkCreate { prog_fd: number(program), attach_type, ..LinkCreate::default() };
    // SAFETY: the attributes hold no address; the answer is a descriptor.
    unsafe { bpf_fd(Command::LinkCreate, &mut attributes) }
}

/// BPF_LINK_CREATE, at something that a descriptor stands for.
pub fn link_create_at(program: BorrowedFd<'_>, attach_type: u32, target: BorrowedFd<'_>) -> Answer<OwnedFd> {
    let (prog_fd, target_fd) = (number(program), number(target));
    let mut attributes = LinkCreate { prog_fd, target_fd, attach_type, ..LinkCreate::default() };
    // SAFETY: the attributes hold no address; the answer is a descriptor.
    unsafe { bpf_fd(Command::LinkCreate, &mut attributes) }
}

/// BPF_LINK_CREATE of an iterator, over the tasks of this process only.
pub fn link_create_over(program: BorrowedFd<'_>, attach_type: u32, process: u32) -> Answer<OwnedFd> {
    // `union bpf_iter_link_info`: `task.tid`, `task.pid`, and what is 0.
    let which: Vec<u8> = [0, process, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let mut attributes = LinkCreate {
        prog_fd: number(program),
        attach_type,
        iter_info: address(&which),
        iter_info_len: length(&which),
        ..LinkCreate::default()
    };
    // SAFETY: what the iterator is told is as long as is said; the answer is a descriptor.
    unsafe { bpf_fd(Command::LinkCreate, &mut attributes) }
}

/// BPF_ITER_CREATE.
pub fn iter_create(link: BorrowedFd<'_>) -> Answer<OwnedFd> {
    // SAFETY: the attributes hold no address; the answer is a descriptor.
    unsafe { bpf_fd(Command::IterCreate, &mut IterCreate { link_fd: number(link), flags: 0 }) }
}

/// BPF_BTF_LOAD.
pub fn btf_load(blob: &[u8]) -> Answer<OwnedFd> {
    let mut attributes = BtfLoad { btf: address(blob), btf_size: length(blob), ..BtfLoad::default() };
    // SAFETY: the blob is as long as is said; no log is asked for; the answer is a descriptor.
    unsafe { bpf_fd(Command::BtfLoad, &mut attributes) }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::btf::{Btf, Place};

    const SAVED: [&[u8]; 3] = [
        include_bytes!("../btf/6.1.btf"),
        include_bytes!("../btf/6.12.btf"),
        include_bytes!("../btf/7.3.btf"),
    ];

    fn number(size: usize) -> u32 {
        size.try_into().unwrap()
    }

    /// Every member a kernel has is where our structure has it, and as large.
    macro_rules! mirrors {
        ($ours:ident, $kernels:literal: $($field:ident $(as $theirs:literal)?),+) => {
            for blob in SAVED {
                let btf = Btf::parse(blob.to_vec()).unwrap();
                $({
                    let theirs = [$($theirs,)? stringify!($field)][0];
                    let place = btf.member($kernels, theirs).unwrap().place;
                    let size = number(size_of_val(&$ours::default().$field));
                    let ours = Place::Bytes { offset: number(offset_of!($ours, $field)), size };
                    assert_eq!(place, ours, "{} {}", $kernels, theirs);
                })+
            }
        };
    }

    #[test]
    fn our_attributes_are_the_kernels() {
        mirrors!(MapCreate, "union bpf_attr": map_type, key_size, value_size, max_entries, map_flags,
            inner_map_fd, numa_node, map_name, map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id,
            btf_vmlinux_value_type_id, map_extra);
        mirrors!(MapElem, "union bpf_attr": map_fd, key, value);
        mirrors!(MapBatch, "union bpf_attr": in_batch as "batch.in_batch", out_batch as "batch.out_batch",
            keys as "batch.keys", values as "batch.values", count as "batch.count", map_fd as "batch.map_fd",
            elem_flags as "batch.elem_flags", flags as "batch.flags");
        mirrors!(ProgLoad, "union bpf_attr": prog_type, insn_cnt, insns, license, log_level, log_size, log_buf,
            kern_version, prog_flags, prog_name, prog_ifindex, expected_attach_type, prog_btf_fd,
            func_info_rec_size, func_info, func_info_cnt, line_info_rec_size, line_info, line_info_cnt,
            attach_btf_id);
        mirrors!(Obj, "union bpf_attr": pathname, bpf_fd, file_flags);
        mirrors!(Id, "union bpf_attr": id as "start_id", next_id, open_flags);
        mirrors!(Info, "union bpf_attr": bpf_fd as "info.bpf_fd", info_len as "info.info_len", info as "info.info");
        mirrors!(BtfLoad, "union bpf_attr": btf, btf_log_buf, btf_size, btf_log_size, btf_log_level);
        mirrors!(LinkCreate, "union bpf_attr": prog_fd as "link_create.prog_fd",
            target_fd as "link_create.target_fd", attach_type as "link_create.attach_type",
            flags as "link_create.flags", iter_info as "link_create.iter_info",
            iter_info_len as "link_create.iter_info_len");
        mirrors!(MapFreeze, "union bpf_attr": map_fd);
        mirrors!(IterCreate, "union bpf_attr": link_fd as "iter_create.link_fd", flags as "iter_create.flags");
    }

    #[test]
    fn our_information_is_the_kernels() {
        mirrors!(ProgInfo, "struct bpf_prog_info": prog_type as "type", id, tag, jited_prog_len, load_time,
            nr_map_ids, map_ids, name, btf_id, func_info, line_info, prog_tags, run_cnt, recursion_misses,
            verified_insns, attach_btf_obj_id, attach_btf_id);
        mirrors!(MapInfo, "struct bpf_map_info": map_type as "type", id, key_size, value_size, max_entries,
            map_flags, name);
        mirrors!(LinkInfo, "struct bpf_link_info": link_type as "type", id, prog_id,
            attach_type as "tracing.attach_type", target_obj_id as "tracing.target_obj_id",
            target_btf_id as "tracing.target_btf_id");
    }

    #[test]
    fn our_numbers_are_the_kernels() {
        use crate::map::MapKind;
        use crate::program::ProgramKind;
        for blob in SAVED {
            let btf = Btf::parse(blob.to_vec()).unwrap();
            let value = |list: &str, name: &str| u32::try_from(btf.enumerator(list, name).unwrap()).unwrap();
            for command in Command::ALL {
                assert_eq!(value("bpf_cmd", &command.to_string()), command as u32, "{command}");
            }
            for kind in MapKind::ALL {
                let name = format!("BPF_MAP_TYPE_{}", kind.kernel_name());
                assert_eq!(value("bpf_map_type", &name), kind as u32, "{name}");
            }
            let attach = |name: &str| value("bpf_attach_type", name);
            assert_eq!(attach("BPF_LSM_MAC"), ProgramKind::Lsm.attach_type());
            assert_eq!(attach("BPF_MODIFY_RETURN"), ProgramKind::ModifyReturn.attach_type());
            assert_eq!(attach("BPF_TRACE_FENTRY"), ProgramKind::Entry.attach_type());
            assert_eq!(attach("BPF_TRACE_FEXIT"), ProgramKind::Exit.attach_type());
            assert_eq!(attach("BPF_TRACE_ITER"), ProgramKind::Iterator.attach_type());
            assert_eq!(attach("BPF_CGROUP_SYSCTL"), ProgramKind::Sysctl.attach_type());
            let program = |name: &str| value("bpf_prog_type", name);
            assert_eq!(program("BPF_PROG_TYPE_CGROUP_SYSCTL"), ProgramKind::Sysctl.program_type());
            assert_eq!(program("BPF_PROG_TYPE_LSM"), ProgramKind::Lsm.program_type());
            assert_eq!(program("BPF_PROG_TYPE_TRACING"), ProgramKind::ModifyReturn.program_type());
        }
    }
}

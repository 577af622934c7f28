// SPDX-License-Identifier: MIT OR Apache-2.0
//! The BTF reader on what `cargo xtask btf-subset` saved of stock kernels, and on what no kernel wrote.

use landlock_bpf::btf::{Btf, BtfError, Builder, Kind, Place, TypeId};
use proptest::prelude::*;

const SERIES: [(&str, &[u8]); 3] = [
    ("6.1", include_bytes!("../btf/6.1.btf")),
    ("6.12", include_bytes!("../btf/6.12.btf")),
    ("7.3", include_bytes!("../btf/7.3.btf")),
];

fn each(check: impl Fn(&str, &Btf)) {
    for (series, blob) in SERIES {
        check(series, &Btf::parse(blob.to_vec()).unwrap());
    }
}

fn signature(btf: &Btf, function: &str) -> String {
    let function = btf.function(function).unwrap();
    let parameter = |p: &landlock_bpf::btf::Parameter| {
        format!("{} {}", btf.type_name(p.type_id).unwrap(), p.name).replace("* ", "*")
    };
    let parameters: Vec<String> = function.parameters.iter().map(parameter).collect();
    format!("{}({})", btf.type_name(function.returns).unwrap(), parameters.join(", "))
}

#[test]
fn functions_have_the_arguments_their_series_gave_them() {
    each(|series, btf| {
        let setattr = signature(btf, "bpf_lsm_inode_setattr");
        match series {
            "6.1" => assert_eq!(setattr, "int(struct dentry *dentry, struct iattr *attr)"),
            _ => {
                assert_eq!(setattr, "int(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)")
            }
        }
        let open = btf.function("bpf_lsm_file_open").unwrap();
        assert_eq!(open.position("file"), Some(0));
        assert_eq!(open.position("inode"), None);
        assert_eq!(btf.function("security_file_open").unwrap().parameters, open.parameters);
        let rename = signature(btf, "security_inode_rename");
        assert!(rename.ends_with("struct dentry *new_dentry, unsigned int flags)"), "{rename}");
        assert_eq!(signature(btf, "bpf_lsm_sb_mount").matches("const char *").count(), 2);
    });
}

#[test]
fn members_are_found_through_named_and_anonymous_structures() {
    each(|_, btf| {
        let bytes = |aggregate: &str, path: &str| match btf.member(aggregate, path).unwrap().place {
            Place::Bytes { offset, size } => (offset, size),
            Place::Bits { .. } => panic!("{path} is a bit field"),
        };
        let path = bytes("struct file", "f_path");
        let dentry = bytes("struct file", "f_path.dentry");
        let within = bytes("struct path", "dentry");
        assert_eq!(dentry, (path.0 + within.0, 8));
        assert_eq!(bytes("struct inode", "i_mode"), (0, 2));
        // In an anonymous union of struct bpf_attr's anonymous structure.
        assert_eq!(bytes("union bpf_attr", "next_key"), bytes("union bpf_attr", "value"));
        assert_eq!(bytes("union bpf_attr", "map_name"), (28, 16));
    });
}

#[test]
fn bit_fields_are_told_from_bytes() {
    each(|_, btf| {
        let member = btf.member("struct task_struct", "sched_reset_on_fork").unwrap();
        assert!(matches!(member.place, Place::Bits { width: 1, offset } if offset > 64), "{member:?}");
    });
}

#[test]
fn what_is_not_there_is_missing_and_says_so() {
    each(|series, btf| {
        let function = btf.function("bpf_lsm_no_such_hook").unwrap_err();
        assert!(function.is_missing());
        assert_eq!(function.to_string(), "this kernel has no function bpf_lsm_no_such_hook");
        let member = btf.member("struct file", "f_path.no_such").unwrap_err();
        assert_eq!(member.to_string(), "struct file has no member f_path.no_such on this kernel");
        assert!(btf.member("struct file", "f_inode.i_mode").is_err(), "a pointer was followed");
        assert!(btf.enumerator("bpf_attach_type", "BPF_NONE").unwrap_err().is_missing());
        assert_eq!(btf.function("bpf_lsm_file_truncate").is_ok(), series != "6.1");
    });
}

#[test]
fn two_of_one_name_are_nobodys_choice() {
    let mut builder = Builder::default();
    builder.unsigned("int", 4);
    builder.unsigned("int", 8);
    let btf = Btf::parse(builder.finish()).unwrap();
    assert!(matches!(btf.find(Kind::Int, "int"), Err(BtfError::Ambiguous { .. })));
}

#[test]
fn our_own_blobs_read_back() {
    let mut builder = Builder::default();
    let word = builder.unsigned("u64", 8);
    let index = builder.unsigned("u32", 4);
    let array = builder.array(word, index, 5);
    let btf = Btf::parse(builder.finish()).unwrap();
    assert_eq!(btf.size_of(array).unwrap(), 40);
    assert_eq!(btf.type_name(array).unwrap(), "u64[]");
    assert_eq!(btf.find(Kind::Int, "u32").unwrap(), index);
}

#[test]
fn a_subset_answers_as_the_whole_does() {
    each(|_, btf| {
        let wanted = ["bpf_lsm_inode_rename", "bpf_lsm_file_open"].map(|f| btf.function(f).unwrap().id);
        let structs = ["file", "path"].map(|name| btf.find(Kind::Struct, name).unwrap());
        let wanted = [wanted, structs].concat();
        let small = Btf::parse(btf.subset(&wanted).unwrap()).unwrap();
        assert!(small.len() < btf.len() / 2);
        for function in ["bpf_lsm_inode_rename", "bpf_lsm_file_open"] {
            assert_eq!(signature(&small, function), signature(btf, function));
        }
        for path in ["f_path.dentry", "f_mode", "f_inode"] {
            let (theirs, ours) = (small.member("struct file", path), btf.member("struct file", path));
            assert_eq!(theirs.unwrap().place, ours.unwrap().place);
        }
        assert!(small.member("struct dentry", "d_inode").is_err(), "what was not asked for is cut off");
    });
}

#[test]
fn truncated_blobs_are_refused() {
    for (_, blob) in SERIES {
        for length in [0, 1, 23, 24, 1000, blob.len() - 1] {
            assert!(Btf::parse(blob[..length].to_vec()).is_err(), "{length}");
        }
    }
}

#[test]
fn endless_chains_end() {
    // const of itself; struct s { struct s; struct s; } with anonymous members.
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let types = words(&[0, 10 << 24, 1, 1, 4 << 24 | 2, 8, 0, 2, 0, 0, 2, 0]);
    let strings = b"\0s\0";
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let mut blob = words(&[0x0001_eb9f, 24, 0, size(&types), size(&types), size(strings)]);
    blob.extend(types);
    blob.extend(strings);
    let btf = Btf::parse(blob).unwrap();
    assert!(btf.resolve(TypeId(1)).is_err());
    assert!(btf.size_of(TypeId(1)).is_err());
    assert!(btf.type_name(TypeId(1)).is_err());
    assert!(btf.member("struct s", "x").is_err());
    assert!(btf.subset(&[TypeId(1), TypeId(2)]).is_ok());
}

/// Asks everything of every type.
fn interrogate(btf: &Btf) {
    for id in (0..=u32::try_from(btf.len()).unwrap() + 1).map(TypeId) {
        let _ = (btf.type_name(id), btf.size_of(id), btf.kind_of(id));
    }
    for name in ["bpf_lsm_file_open", "security_inode_rename"] {
        let _ = btf.function(name);
    }
    for (aggregate, path) in [("struct file", "f_path.dentry"), ("union bpf_attr", "next_key")] {
        let _ = btf.member(aggregate, path);
    }
    let _ = btf.enumerator("bpf_cmd", "BPF_MAP_FREEZE");
    let _ = btf.subset(&(0..16).map(TypeId).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_blobs_are_refused_or_answer(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut blob = SERIES[0].1.to_vec();
        for (at, byte) in damage {
            let at = at.index(blob.len());
            blob[at] = byte;
        }
        if let Ok(btf) = Btf::parse(blob) {
            interrogate(&btf);
        }
    }
}

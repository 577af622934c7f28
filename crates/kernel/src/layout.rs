// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a kernel's BTF to what the emitter has to know of it.
//!
//! A hook or a member the kernel lacks is left out, and the emitter refuses what needs it. A member of
//! another size, or a bit field, is taken for lacking.

use landlock_bpf::btf::{Btf, BtfError, Place};
use landlock_compiler::emit::{Attachment, Layout, Member};
use landlock_compiler::hooks;

/// The kernel's layout, for programs attached in this way.
pub fn read(btf: &Btf, attachment: Attachment) -> Result<Layout, BtfError> {
    let mut layout = Layout { attachment, ..Layout::default() };
    for hook in hooks::TABLE {
        if let Some(function) = unless_missing(btf.function(&attachment.function(hook.name)))? {
            let names = function.parameters.into_iter().map(|parameter| parameter.name).collect();
            layout.hooks.insert(hook.name.to_owned(), names);
        }
    }
    for member in Member::ALL {
        let place = unless_missing(btf.member(member.aggregate(), member.path()))?.map(|found| found.place);
        if let Some(Place::Bytes { offset, size }) = place
            && size == u32::from(member.size().bytes())
            && let Ok(offset) = i16::try_from(offset)
        {
            layout.members.insert(*member, offset);
        }
    }
    Ok(layout)
}

fn unless_missing<T>(found: Result<T, BtfError>) -> Result<Option<T>, BtfError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The layouts the emitter is tested with are those of the saved kernels. `BLESS=1` writes them.
    #[test]
    fn saved_layouts_are_those_of_the_saved_kernels() {
        for (series, blob) in [
            ("6.1", include_bytes!("../../bpf/btf/6.1.btf").as_slice()),
            ("6.12", include_bytes!("../../bpf/btf/6.12.btf")),
            ("7.3", include_bytes!("../../bpf/btf/7.3.btf")),
        ] {
            for (attachment, name) in [(Attachment::Lsm, ""), (Attachment::ModifyReturn, "-modify-return")] {
                let layout = read(&Btf::parse(blob.to_vec()).unwrap(), attachment).unwrap();
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(format!("../compiler/layouts/{series}{name}.json"));
                if std::env::var_os("BLESS").is_some() {
                    std::fs::write(&path, serde_json::to_string_pretty(&layout).unwrap() + "\n").unwrap();
                }
                let saved: Layout = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                assert_eq!(saved, layout, "{series}{name}");
                assert_eq!(layout.members.len(), Member::ALL.len(), "{series} lacks a member");
            }
        }
    }
}

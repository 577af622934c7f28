// SPDX-License-Identifier: MIT OR Apache-2.0
//! What real compilers make of C is accepted, and messages lead back to the source.

mod common;

use std::path::Path;

use common::{clang_names, compile_text, newest_clang, run, shipped_rules};
use landlock_compiler::elf::read_elf;
use landlock_compiler::object::RuleObject;
use landlock_compiler::read::read_file;
use landlock_compiler::verify::{Errno, Loader, verify, verify_newest};

const ADMIN: Loader = Loader { cap_sys_admin: true };
const NOBODY: Loader = Loader { cap_sys_admin: false };

fn compile_for(clang: &str, cpu: &str, level: &str, source: &Path) -> Vec<RuleObject> {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("rule.o");
    let options = ["-target", "bpf", "-I", "../../include", "-g", "-c", "-o"];
    let mut args: Vec<_> = [cpu, level].into_iter().chain(options).map(Into::into).collect();
    args.extend([object.clone().into(), source.into()]);
    run(clang, args);
    read_elf(&std::fs::read(&object).unwrap()).unwrap_or_else(|error| panic!("{clang} {cpu}: {error}"))
}

#[test]
fn what_clang_makes_is_accepted() {
    for clang in clang_names() {
        for cpu in ["-mcpu=v1", "-mcpu=v2", "-mcpu=v3"] {
            for level in ["-O1", "-O2", "-O3", "-Os"] {
                let rules = compile_for(&clang, cpu, level, "tests/rules/demanding.c".as_ref());
                assert_eq!(rules.len(), 5);
                for rule in rules {
                    verify(rule, &ADMIN)
                        .unwrap_or_else(|problems| panic!("{clang} {cpu} {level}: {problems}"));
                }
            }
        }
    }
}

/// v7's sample declares ability DEBUG, as it did; the others must not need a privilege.
#[test]
fn the_shipped_rules_are_accepted_from_everybody() {
    for path in shipped_rules() {
        let rules = read_file(&path).unwrap_or_else(|error| panic!("{error}"));
        for rule in rules {
            let loader = if rule.name == "landlock1" { ADMIN } else { NOBODY };
            verify_newest(rule, &loader).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        }
    }
}

#[test]
fn a_message_shows_the_line_of_c() {
    let source = "#include <landlock/rule.h>
LANDLOCK_RULE(leaky, FS, 0)
{
	return ctx->arg1 == 7;
}
LANDLOCK_LICENSE(\"GPL\");
";
    let rules = read_elf(&compile_text(&newest_clang(), source)).unwrap();
    let problems = verify(rules.into_iter().next().unwrap(), &NOBODY).unwrap_err();
    assert_eq!(problems.errno(), Errno::Acces);
    let text = problems.to_string();
    assert!(text.contains("rule.c:4: return ctx->arg1 == 7;"), "{text}");
    assert!(text.contains("help: compare numbers"), "{text}");
}

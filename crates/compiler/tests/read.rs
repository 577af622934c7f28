// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever a rule file is, it is read the same way, and what it is not is said.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{newest_clang, shipped_rules};
use landlock_compiler::clang::{self, BuildError};
use landlock_compiler::object::RuleObject;
use landlock_compiler::read::{FileError, MAX_SIZE, read_file};

fn written(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn refusal(path: &Path) -> String {
    read_file(path).expect_err("not a rule file").to_string()
}

#[test]
fn every_shipped_rule_is_read_and_named_like_its_file() {
    for path in shipped_rules() {
        let rules = read_file(&path).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().unwrap().to_str().unwrap();
        for rule in &rules {
            let name = rule.name.strip_prefix(stem).unwrap_or_else(|| panic!("{} in {stem}", rule.name));
            assert_eq!(name.is_empty(), rules.len() == 1, "{}", rule.name);
            assert_eq!(rule.lines.len(), rule.insns.len());
        }
    }
}

#[test]
fn source_object_and_assembly_are_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new("tests/rules/several.c");
    let object = written(&folder, "several.o", newest_clang().compile(source).unwrap());
    let from_object = read_file(&object).unwrap();
    let names: Vec<_> = from_object.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["several/no_removal", "several/no_locks", "several/no_exec", "several/no_read"]);

    let bare = |mut rule: RuleObject| {
        rule.name = rule.name.trim_start_matches("several/").to_owned();
        rule.lines.clear();
        rule
    };
    let rules: Vec<_> = from_object.into_iter().map(bare).collect();
    let text: String = rules.iter().map(landlock_compiler::asm::print).collect();
    let from_text = read_file(&written(&folder, "several.s", text)).unwrap();
    assert_eq!(from_text.into_iter().map(bare).collect::<Vec<_>>(), rules);
}

#[test]
fn an_object_needs_no_particular_name() {
    let folder = tempfile::tempdir().unwrap();
    let object = newest_clang().compile("../../rules/deny-get.c".as_ref()).unwrap();
    assert_eq!(read_file(&written(&folder, "rule", &object)).unwrap()[0].name, "rule");
}

#[test]
fn what_is_not_a_rule_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        refusal(&folder.path().join("none.c")).ends_with("none.c: No such file or directory (os error 2)")
    );
    assert!(matches!(read_file(folder.path()), Err(FileError::NotRegular { .. })));
    assert!(matches!(read_file("/dev/zero".as_ref()), Err(FileError::NotRegular { .. })));
    let huge = written(&folder, "huge.o", vec![0; MAX_SIZE + 1]);
    assert!(matches!(read_file(&huge), Err(FileError::TooLarge { .. })));
    let text = refusal(&written(&folder, "rule.txt", "hello"));
    assert!(text.ends_with("its name does not end in .c or .s"), "{text}");
    let object = refusal(&written(&folder, "rule.o", "hello"));
    assert!(object.contains("rule.o: not an ELF object\nhelp: "), "{object}");
    let assembly = refusal(&written(&folder, "rule.s", ".rule x\nexit 5\n"));
    assert!(assembly.contains("rule.s:2:6: the statement should end here"), "{assembly}");
}

#[test]
fn a_pipe_nobody_writes_to_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.c");
    common::run("mkfifo", [pipe.clone().into()]);
    assert!(matches!(read_file(&pipe), Err(FileError::NotRegular { .. })));
}

#[test]
fn the_compilers_complaints_are_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        written(&folder, "bad.c", "#include <landlock/rule.h>\nLANDLOCK_RULE(bad, FS, 0) { return oops; }\n");
    let text = refusal(&source);
    assert!(text.contains("bad.c:2:") && text.contains("use of undeclared identifier 'oops'"), "{text}");
}

#[test]
fn a_rule_without_a_section_does_not_vanish() {
    let folder = tempfile::tempdir().unwrap();
    let forgotten = "static int forgotten(struct landlock_context *ctx) { return 1; }";
    let good = "LANDLOCK_RULE(good, FS, 0) { return 0; }";
    let source =
        |text: &str| written(&folder, "two.c", format!("#include <landlock/rule.h>\n{good}\n{text}\n"));
    assert!(refusal(&source(forgotten)).contains("unused function 'forgotten'"));
    assert_eq!(read_file(&source("")).unwrap().len(), 1);
}

#[test]
fn a_build_writes_what_it_returns_and_nothing_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("rule.o");
    let no_rule = written(&folder, "none.c", "int x;\n");
    assert!(matches!(clang::build(&no_rule, Some(&output)), Err(BuildError::Object { .. })));
    assert!(!output.exists());
    let source =
        "LANDLOCK_RULE(leaks, FS, 0)\n{\n\treturn ctx->arg1;\n}\nLANDLOCK_RULE(good, FS, 0) { return 0; }\n";
    let refused = written(&folder, "bad.c", format!("#include <landlock/rule.h>\n{source}"));
    let error = clang::build(&refused, Some(&output)).unwrap_err().to_string();
    assert!(error.starts_with("rule bad/leaks: refused (EACCES)"), "{error}");
    assert!(error.contains("bad.c:4: return ctx->arg1;"), "{error}");
    assert!(!output.exists());
    let object = clang::build("../../rules/read-only.c".as_ref(), Some(&output)).unwrap();
    assert_eq!(fs::read(&output).unwrap(), object);
    assert_eq!(read_file(&output).unwrap()[0].name, "rule");
}

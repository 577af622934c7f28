// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel modules and what they need. Packages carry no `modules.dep`, so each module is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};

use super::kernel::Kernel;

/// One module, ready to be inserted.
pub struct Module {
    /// The kernel's name for it.
    pub name: String,
    /// The uncompressed ELF object.
    pub object: Vec<u8>,
}

/// The named modules and everything they need, in an order in which they can be inserted. Names that
/// are built into the kernel need nothing and give nothing.
pub fn closure(kernel: &Kernel, names: &[&str]) -> Result<Vec<Module>> {
    let builtin = std::fs::read_to_string(kernel.modules.join("modules.builtin"))?;
    let mut search = Search {
        files: module_files(&kernel.modules)?,
        builtin: builtin.lines().map(|line| module_name(Path::new(line))).collect(),
        seen: BTreeSet::new(),
        ordered: Vec::new(),
    };
    for name in names {
        search.visit(name).with_context(|| format!("module {name} of kernel {}", kernel.release))?;
    }
    Ok(search.ordered)
}

struct Search {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
    seen: BTreeSet<String>,
    ordered: Vec<Module>,
}

impl Search {
    fn visit(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        if self.builtin.contains(&name) || !self.seen.insert(name.clone()) {
            return Ok(());
        }
        let file =
            self.files.get(&name).with_context(|| format!("the kernel package has no module {name}"))?;
        let object = read(file)?;
        for needed in dependencies(&object)? {
            self.visit(&needed)?;
        }
        self.ordered.push(Module { name, object });
        Ok(())
    }
}

fn module_files(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.join("kernel")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => drop(files.insert(module_name(&entry.path()), entry.path())),
            }
        }
    }
    Ok(files)
}

/// The kernel's name for the module in a file: "virtio-blk.ko.xz" is virtio_blk.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko").next().unwrap_or_default().replace('-', "_")
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "ko") {
        return Ok(std::fs::read(file)?);
    }
    ensure!(file.extension().is_some_and(|e| e == "xz"), "{}: neither .ko nor .ko.xz", file.display());
    let output = Command::new("xz").arg("--decompress").arg("--stdout").arg(file).output();
    let output = output.context("cannot run xz: apt-get install xz-utils")?;
    ensure!(output.status.success(), "xz: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn dependencies(module: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(module)?;
    let section = file.section_by_name(".modinfo").context("no .modinfo section")?;
    let info = std::str::from_utf8(section.data()?)?;
    match info.split('\0').find_map(|entry| entry.strip_prefix("depends=")) {
        Some(depends) => Ok(depends.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        None => bail!(".modinfo does not say what the module depends on"),
    }
}

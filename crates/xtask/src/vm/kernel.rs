// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest kernels: which release a series means, and the files of an unpacked one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::debian::{Archive, pinned_dependencies};

const PACKAGE_PREFIX: &str = "linux-image-";

/// What `--kernel` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// The newest kernel the mirror has.
    Latest,
    /// The newest kernel of this series.
    Numbered {
        /// The 6 of 6.12.
        major: u32,
        /// The 12 of 6.12.
        minor: u32,
    },
}

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Series> {
        if text == "latest" {
            return Ok(Series::Latest);
        }
        let (major, minor) = text.split_once('.').context("a series such as 6.12, or \"latest\"")?;
        Ok(Series::Numbered { major: major.parse()?, minor: minor.parse()? })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Series::Latest => f.write_str("latest"),
            Series::Numbered { major, minor } => write!(f, "{major}.{minor}"),
        }
    }
}

impl Series {
    /// The newest of the releases (`uname -r`) that is of this series.
    fn newest<'a>(self, releases: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let of_series = |numbers: &[u64]| match self {
            Series::Latest => true,
            Series::Numbered { major, minor } => numbers.starts_with(&[major.into(), minor.into()]),
        };
        let candidates = releases.map(|release| (numbers(release), release));
        candidates.filter(|(numbers, _)| of_series(numbers)).max().map(|(_, release)| release)
    }
}

/// The numbers of a release, in order: 6.1.0-50-cloud-amd64 is [6, 1, 0, 50, 64].
fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// An unpacked kernel.
pub struct Kernel {
    /// What `uname -r` must say.
    pub release: String,
    /// The compressed kernel image.
    pub image: PathBuf,
    /// The configuration it was built with.
    pub config: PathBuf,
    /// The folder of its modules.
    pub modules: PathBuf,
}

impl Kernel {
    /// The kernel of this release unpacked in `folder`, in the places old or new packages put its files.
    pub fn open(folder: &Path, release: &str) -> Result<Kernel> {
        let first = |places: [String; 2]| {
            let found = places.iter().map(|place| folder.join(place)).find(|path| path.exists());
            found.with_context(|| format!("the kernel package has neither {}", places.join(" nor ")))
        };
        Ok(Kernel {
            release: release.to_owned(),
            image: first([format!("usr/lib/modules/{release}/vmlinuz"), format!("boot/vmlinuz-{release}")])?,
            config: first([format!("usr/lib/modules/{release}/config"), format!("boot/config-{release}")])?,
            modules: first([format!("usr/lib/modules/{release}"), format!("lib/modules/{release}")])?,
        })
    }

    /// Finds the newest release of a series on the mirror.
    pub fn find(archive: &Archive, series: Series) -> Result<String> {
        let packages = archive.names(&format!("^{PACKAGE_PREFIX}[0-9].*-cloud-amd64$"))?;
        let releases = packages.iter().filter_map(|name| name.strip_prefix(PACKAGE_PREFIX));
        match series.newest(releases) {
            Some(release) => Ok(release.to_owned()),
            None => bail!("the mirror has no cloud kernel {series}; it has: {}", packages.join(" ")),
        }
    }

    /// Unpacks the packages of a release into `folder`: newer ones come in several.
    pub fn unpack(archive: &Archive, release: &str, folder: &Path) -> Result<()> {
        let image = archive.newest(&format!("{PACKAGE_PREFIX}{release}"))?;
        let field = |name: &str| image.get(name).with_context(|| format!("package {release} lacks {name}"));
        let mut packages = vec![format!("{}={}", field("Package")?, field("Version")?)];
        packages.extend(pinned_dependencies(&image).into_iter().filter(|name| name.contains(release)));
        archive.unpack(&packages, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASES: [&str; 6] = [
        "6.1.0-9-cloud-amd64",
        "6.1.0-50-cloud-amd64",
        "6.12.94+deb13-cloud-amd64",
        "6.12.107+deb13-cloud-amd64",
        "7.3.4+deb13-cloud-amd64",
        "7.2.13+deb14-cloud-amd64",
    ];

    fn newest(series: &str) -> Option<&'static str> {
        series.parse::<Series>().unwrap().newest(RELEASES.into_iter())
    }

    #[test]
    fn a_series_means_its_newest_release_by_number_not_by_letter() {
        assert_eq!(newest("6.1"), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest("6.12"), Some("6.12.107+deb13-cloud-amd64"));
        assert_eq!(newest("latest"), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(newest("6.9"), None);
    }

    #[test]
    fn a_series_is_two_numbers() {
        for text in ["6", "6.", "6.1.0", "newest", "../6.1", ""] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }
}

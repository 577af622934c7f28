# SPDX-License-Identifier: MIT OR Apache-2.0
# A workspace of a library, a program with a build script, and their tests.
set -eu
export CARGO_TERM_QUIET=true CARGO_INCREMENTAL=1 CARGO_BUILD_JOBS=2 RUST_TEST_THREADS=2
export CARGO_TARGET_DIR="$PWD/../target"
mkdir -p library/src library/tests program/src
printf '[workspace]\nresolver = "3"\nmembers = ["library", "program"]\n' >Cargo.toml
printf '[package]\nname = "library"\nversion = "0.1.0"\nedition = "2024"\n' >library/Cargo.toml
printf '[package]\nname = "program"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\nlibrary = { path = "../library" }\n' >program/Cargo.toml
cat >library/src/lib.rs <<'RUST'
/// ```
/// assert_eq!(library::double(2), 4);
/// ```
pub fn double(n: u32) -> u32 { n * 2 }
RUST
cat >library/tests/it.rs <<'RUST'
#[test] fn doubles() { assert_eq!(library::double(21), 42); }
#[test] fn writes() {
    let path = std::env::temp_dir().join("written by a test");
    std::fs::write(&path, "x").unwrap();
    std::fs::remove_file(path).unwrap();
}
RUST
cat >program/build.rs <<'RUST'
fn main() { std::fs::write(format!("{}/made.rs", std::env::var("OUT_DIR").unwrap()), "const MADE: u32 = 21;").unwrap(); }
RUST
cat >program/src/main.rs <<'RUST'
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() { println!("{}", library::double(MADE)); }
RUST
cargo build --offline
cargo test --offline | sed 's/finished in .*//; /all doctests ran in/d'
cargo run --offline
echo 'broken' >>program/src/main.rs
cargo build --offline 2>/dev/null && echo built || echo "fails with $?"

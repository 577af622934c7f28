// SPDX-License-Identifier: MIT OR Apache-2.0
//! For tests and fuzz targets: short ways to write rules, and strategies that make them.
//!
//! * [`build`]: one function per instruction, for programs written out in tests;
//! * [`filters`]: random classic filters;
//! * [`rules`]: random rules the verifier accepts, and inputs to run them on;
//! * [`relations`]: what handles relate to, in a small model;
//! * [`streams`]: random instructions, most of which it refuses;
//! * [`worlds`]: what every accepted rule must do when it runs;
//! * [`fuzz`]: entry points for raw bytes.

pub mod build;
pub mod filters;
pub mod fuzz;
pub mod relations;
pub mod rules;
pub mod streams;
pub mod worlds;

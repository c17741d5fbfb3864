//! Collectors of what runs: one module per kind of runtime.

pub mod docker;
pub mod paths;
pub mod processes;

//! Buildah: an engine without a daemon, with a storage of this run's alone for every sample.
//!
//! Nothing of the user's storage is used for building: `--root` and `--runroot` lie in the run's own
//! folder, and so does what Buildah would note down elsewhere (temporary files, and which registry
//! has which layer). Where that is allowed, each command runs in a mount and process namespace of
//! its own: what it mounts is gone with it, and so is every process that it started.

mod engine;
mod host;
mod leftovers;
mod output;
mod place;
mod program;

pub use host::BuildahHost;
pub use leftovers::remove_leftovers;

//! The shared storage on a real S3 server (`s3s-fs`) in a process of its own on loopback, and
//! behind a front that spoils what goes through it.

mod faults;
mod front;
mod others;
mod process;
mod rig;
mod s3;
mod server;

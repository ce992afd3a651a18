//! The link's proxies with real sockets on this machine.

mod faults;
mod rewriting;
mod shaping;
mod storage;
mod support;
mod through;

//! The program on the real engine. No engine is a failure, never a skip.

mod export;
mod faults;
mod harness;
mod lab;
mod login;
mod private;
mod replay;
mod resume;
mod runs;
mod traps;
mod traps_around;
mod traps_engine;
mod traps_hits;
mod traps_structure;

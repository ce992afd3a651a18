//! The program on the real engine. No engine is a failure, never a skip.

mod export;
mod faults;
mod harness;
mod private;
mod replay;
mod runs;
mod traps;

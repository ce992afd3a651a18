//! The program on the real engine. No engine is a failure, never a skip.

mod faults;
mod harness;
mod runs;
mod traps;

//! Carrying out a plan: rounds of samples, each recorded before the next begins.

pub mod clock;
pub mod journal;
pub mod scheduler;

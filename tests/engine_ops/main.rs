//! The shared engine's operations on a real engine. Without one every test here fails; none is
//! skipped. Everything that a test makes is named after it and removed again by name or id.

#[cfg(test)]
mod build;
#[cfg(test)]
mod leave;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod upkeep;

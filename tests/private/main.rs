//! Private engines on a real engine. Without one, or without the image that
//! `scripts/engine-image.sh` makes, every test here fails; none is skipped. Each compares what is on
//! the user's engine before and after.

#[cfg(test)]
mod caches;
#[cfg(test)]
mod life;
#[cfg(test)]
mod rig;
#[cfg(test)]
#[path = "../storage/server.rs"]
mod server;
#[cfg(test)]
mod swarm;

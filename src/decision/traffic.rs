//! What a job moved between itself and registry and storage.

use crate::model::{Phase, Sample};

/// Bytes and requests of one job; `None` where a part of them was not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Traffic {
    /// Bytes from registry and storage.
    pub(super) down: Option<f64>,
    /// Bytes to registry and storage.
    pub(super) up: Option<f64>,
    /// Those of `up` that went to the storage, where an archive takes the place of the one before.
    pub(super) stored: f64,
    /// Requests; an archive that is fetched or stored is at least one.
    pub(super) requests: Option<f64>,
}

impl Traffic {
    pub(super) fn of(sample: &Sample) -> Self {
        let mut all = Self { down: Some(0.0), up: Some(0.0), stored: 0.0, requests: Some(0.0) };
        let add = |sum: Option<f64>, count: Option<u64>| Some(sum? + count? as f64);
        for row in sample.phases.iter().filter(|row| !row.within) {
            match row.phase {
                Phase::Pull | Phase::Build | Phase::Push => {
                    all.down = add(all.down, row.bytes_down);
                    all.up = add(all.up, row.bytes_up);
                    all.requests = add(all.requests, row.requests);
                }
                Phase::Fetch => {
                    all.down = add(all.down, row.bytes_down);
                    all.requests = add(all.requests, row.requests.or(Some(1)));
                }
                Phase::Store => {
                    all.up = add(all.up, row.bytes_up);
                    all.stored += row.bytes_up.unwrap_or(0) as f64;
                    all.requests = add(all.requests, row.requests.or(Some(1)));
                }
                Phase::Load | Phase::Save => {}
            }
        }
        all
    }
}

//! Registry, storage and workspace against the real things: CNCF distribution and a real engine.

#[cfg(test)]
mod infra {
    mod context;
    pub mod docker;
    mod external;
    mod leftovers;
    mod managed;
    mod storage;
}

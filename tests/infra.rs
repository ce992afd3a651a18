//! Registry, storage and workspace against the real things: CNCF distribution and a real engine.

mod infra {
    pub mod docker;
    mod external;
    mod leftovers;
    mod managed;
}

//! What a failed job says: traps 28 and 32.

use crate::engine::EngineError;
use crate::model::Finding;
use crate::model::finding as kinds;
use crate::run::job::JobError;

/// What is to be said of a job that did not come to its end.
pub fn of_failure(error: &JobError) -> Option<Finding> {
    let kind = match error {
        JobError::TimedOut { .. } => &kinds::TIMED_OUT,
        JobError::Engine(EngineError::Failed { operation, cause, .. })
            if operation == "build" && refuses_cache_manifest(cause) =>
        {
            &kinds::CACHE_MANIFEST_REFUSED
        }
        _ => return None,
    };
    Some(Finding::new(kind, error.to_string()))
}

/// BuildKit names the export that failed, and what the registry answered to the manifest.
fn refuses_cache_manifest(cause: &str) -> bool {
    let of_cache = ["exporting cache", "exporting to registry", "writing cache manifest"];
    let of_manifest = ["writing manifest", "/manifests/", "manifest invalid", "MANIFEST_INVALID"];
    let refusals = ["400", "403", "405", "415", "422", "invalid", "unsupported", "not supported"];
    let has = |signs: &[&str]| signs.iter().any(|sign| cause.contains(sign));
    has(&of_cache) && has(&of_manifest) && has(&refusals)
        || cause.contains("writing manifest blob") && has(&refusals)
}

//! What others do on an engine.

use super::EngineError;
use super::connection::{connect, failure};
use bollard::query_parameters::{EventsOptions, ListContainersOptions};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::path::PathBuf;
use time::OffsetDateTime;

/// What goes on on an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// Names of containers that run.
    pub containers: Vec<String>,
    /// What happened to containers and images lately.
    pub events: usize,
    /// The engine's own folder, where it lies on this machine.
    pub root: Option<PathBuf>,
}

/// Looks at the engine at this address, and back over the last `recent_s` seconds.
pub async fn activity(address: &str, recent_s: u32) -> Result<Activity, EngineError> {
    let (docker, address) = connect(Some(address)).await?;
    let fail = |what: &str, error| failure("list", what, &address, error);
    let info =
        docker.info().await.map_err(|error| failure("ask", "the engine", &address, error))?;
    let options = ListContainersOptions::default();
    let running = docker.list_containers(Some(options)).await;
    let running = running.map_err(|error| fail("containers", error))?;
    let name =
        |names: Vec<String>| names.first().map(|name| name.trim_start_matches('/').to_owned());
    let containers = running
        .into_iter()
        .map(|one| one.names.and_then(name).or(one.id).unwrap_or_default())
        .collect();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let kinds = ["container", "image", "builder"].map(str::to_owned).to_vec();
    let options = EventsOptions {
        since: Some((now - i64::from(recent_s)).to_string()),
        until: Some(now.to_string()),
        filters: Some(HashMap::from([("type".to_owned(), kinds)])),
    };
    let mut events = docker.events(Some(options));
    let mut count = 0;
    while let Some(event) = events.next().await {
        event.map_err(|error| fail("events", error))?;
        count += 1;
    }
    let here = address.starts_with("unix://");
    Ok(Activity {
        containers,
        events: count,
        root: info.docker_root_dir.map(PathBuf::from).filter(|root| here && root.is_dir()),
    })
}

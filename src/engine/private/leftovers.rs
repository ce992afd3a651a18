//! What a run that was killed left of its private engines.

use super::{LABEL, remove_container};
use crate::engine::EngineError;
use crate::engine::connection::{connect, failure};
use bollard::query_parameters::{
    ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions,
};
use std::collections::HashMap;

/// Removes the containers, volumes and networks that this run made on the user's engine, found by
/// the label that only they carry. Returns how many there were. Goes on after an error and returns
/// the first one. Not for a run that lives.
pub async fn remove_leftovers(user_engine: Option<&str>, run: &str) -> Result<usize, EngineError> {
    let (docker, address) = connect(user_engine).await?;
    let filters = Some(HashMap::from([("label".to_owned(), vec![format!("{LABEL}={run}")])]));
    let fail = |operation: &str, on: &str, error| failure(operation, on, &address, error);
    let mut removed = 0;
    let mut first = None;
    let mut keep = |result: Result<(), EngineError>| match result {
        Ok(()) => removed += 1,
        // Gone since it was listed.
        Err(EngineError::NotFound { .. }) => {}
        Err(error) => _ = first.get_or_insert(error),
    };

    let options =
        ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
    let containers = docker.list_containers(Some(options)).await;
    for container in containers.map_err(|error| fail("list", "containers", error))? {
        let id = container.id.unwrap_or_default();
        keep(remove_container(&docker, &address, &id).await);
    }
    // Volumes go with their container, except where that was removed without them.
    let options = ListVolumesOptions { filters: filters.clone() };
    let volumes = docker.list_volumes(Some(options)).await;
    let volumes = volumes.map_err(|error| fail("list", "volumes", error))?.volumes;
    for volume in volumes.unwrap_or_default() {
        let gone = docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        keep(gone.map_err(|error| fail("remove the volume", &volume.name, error)));
    }
    let networks = docker.list_networks(Some(ListNetworksOptions { filters })).await;
    for network in networks.map_err(|error| fail("list", "networks", error))? {
        let id = network.id.unwrap_or_default();
        let gone = docker.remove_network(&id).await;
        keep(gone.map_err(|error| fail("remove the network", &id, error)));
    }
    first.map_or(Ok(removed), Err)
}

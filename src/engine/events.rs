//! What happened on an engine meanwhile, and what of it was not ours (trap 34).

use super::connection::failure;
use super::{EngineError, Owned};
use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use std::collections::HashMap;
use time::OffsetDateTime;

/// Something that happened to an image or a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// When, by the engine's clock.
    pub at: OffsetDateTime,
    /// Of what kind, such as `container start` or `image pull`.
    pub what: String,
    /// The image: its name or id, as whoever did it called it.
    pub image: String,
    /// The run of Breakeven's that it is labelled with.
    pub run: Option<String>,
}

impl EngineEvent {
    /// Whether it is not of a run: neither of an image that the run made, nor of a container of
    /// such an image or of one of `bases`, nor labelled as a run's.
    pub fn is_foreign(&self, owned: &Owned, bases: &[String]) -> bool {
        let short = self.image.strip_prefix("sha256:").unwrap_or(&self.image);
        let same = |id: &String| {
            let id = id.strip_prefix("sha256:").unwrap_or(id);
            short.len() >= 12 && id.len() >= 12 && (id.starts_with(short) || short.starts_with(id))
        };
        let ours = self.run.is_some()
            || owned.tags.contains(&self.image)
            || owned.images.iter().any(same)
            || bases.iter().any(|base| *base == self.image || same(base));
        !ours
    }
}

/// Events of images and containers within a span that has passed, oldest first.
pub(super) async fn events(
    docker: &Docker,
    address: &str,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<EngineEvent>, EngineError> {
    let moment = |at: OffsetDateTime| {
        // The engine takes seconds with a fraction.
        Some(format!("{}.{:09}", at.unix_timestamp(), at.nanosecond()))
    };
    let kinds = ["container", "image"].map(str::to_owned).to_vec();
    let options = EventsOptions {
        since: moment(from),
        until: moment(to),
        filters: Some(HashMap::from([("type".to_owned(), kinds)])),
    };
    let mut answer = Box::pin(docker.events(Some(options)));
    let mut events = Vec::new();
    while let Some(event) = answer.next().await {
        let event = event.map_err(|error| failure("list", "events", address, error))?;
        events.extend(read(event));
    }
    Ok(events)
}

fn read(event: EventMessage) -> Option<EngineEvent> {
    let kind = event.typ?.to_string();
    let actor = event.actor.unwrap_or_default();
    let mut attributes = actor.attributes.unwrap_or_default();
    let image = match kind.as_str() {
        "container" => attributes.remove("image"),
        _ => actor.id,
    };
    Some(EngineEvent {
        at: OffsetDateTime::from_unix_timestamp_nanos(event.time_nano?.into()).ok()?,
        what: format!("{kind} {}", event.action.unwrap_or_default()),
        image: image.unwrap_or_default(),
        run: attributes.remove("breakeven.run"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_did_is_not_foreign() {
        let id = "0123456789ab".repeat(5) + "0123";
        let owned = Owned {
            tags: ["r/service:main".to_owned()].into(),
            images: [format!("sha256:{id}")].into(),
            ..Owned::default()
        };
        let bases = ["ruby:3.3".to_owned()];
        let event = |image: &str, run: Option<&str>| EngineEvent {
            at: OffsetDateTime::UNIX_EPOCH,
            what: "container start".to_owned(),
            image: image.to_owned(),
            run: run.map(str::to_owned),
        };
        for ours in ["r/service:main", &id, &format!("sha256:{id}"), &id[..12], "ruby:3.3"] {
            assert!(!event(ours, None).is_foreign(&owned, &bases), "{ours}");
        }
        assert!(!event("engine:1", Some("r")).is_foreign(&owned, &bases));
        for foreign in ["postgres:16", "", "0123", "sha256:f123456789ab"] {
            assert!(event(foreign, None).is_foreign(&owned, &bases), "{foreign}");
        }
    }
}

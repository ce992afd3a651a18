//! Whether the registry works and the engines accept it: a tiny image is pushed and pulled.

use super::subject::Subject;
use super::trial::Trial;
use super::{Check, Line, State};
use crate::engine::{EngineError, StepLog};
use crate::model::plan::RegistryPlan;
use crate::run::RunError;
use crate::run::bench::{Begun, Site};
use futures_util::FutureExt;

pub(super) const CHECK: Check = Check { id: "registry", run: |subject| lines(subject).boxed() };

async fn lines(subject: &Subject<'_>) -> Vec<Line> {
    if let Err(error) = &subject.registry {
        return vec![Line::of_error(State::Fail, error)];
    }
    let what = match &subject.plan.registry {
        RegistryPlan::Managed => "managed".to_owned(),
        RegistryPlan::External { address, .. } => address.clone(),
    };
    let mut lines = Vec::new();
    for (name, site) in subject.sites() {
        let tried = subject.on(site, async |begun| exchange(subject, site, begun).await).await;
        lines.push(match tried.and_then(|outcome| outcome) {
            Ok(()) => Line::ok(
                subject.of(name, format!("{what}: the engine pushed to it and pulled from it")),
            ),
            Err(error) => refused(&subject.of(name, format!("{what}: {error}"))),
        });
    }
    match (lines.is_empty(), &subject.sites) {
        (true, Err(cause)) => vec![Line::fail(cause, "See above.")],
        (true, Ok(())) => {
            vec![Line::unknown(format!("{what}: it answers; no engine to try it with"))]
        }
        (false, _) => lines,
    }
}

/// Pushes an image, removes it from the engine, and pulls it.
async fn exchange(subject: &Subject<'_>, site: &Site, begun: &Begun) -> Result<(), RunError> {
    let engine = begun.engine.as_ref();
    let Some(builder) = subject.builder(engine).await else {
        return Err(RunError::Engine(EngineError::NotCapable {
            what: "trying the registry".to_owned(),
            cause: "no builder works".to_owned(),
            advice: "See the lines on builders".to_owned(),
        }));
    };
    let trial = Trial::new(subject, site, "registry")?;
    trial.build(subject, begun, builder, false, None).await?;
    engine.push(&trial.tag, &mut StepLog::default()).await?;
    // Asked, so that an external registry forgets it again when it is closed.
    site.registry.digest(&trial.tag).await?;
    engine.reset(&subject.bench.ledger.owned(), &begun.before).await?;
    engine.pull(&trial.tag, &mut StepLog::default()).await?;
    Ok(())
}

fn refused(error: &str) -> Line {
    let without_tls = error.contains("server gave HTTP response to HTTPS client");
    Line::fail(
        error,
        match without_tls {
            true => {
                "The engine speaks TLS to it and it does not: give it TLS, or name it in \
                 insecure-registries of the engine's daemon.json; Podman reads registries.conf: \
                 [[registry]] with location = \"127.0.0.1\" and insecure = true."
            }
            false => "Look at the registry's and the engine's log; try `docker push` by hand.",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_without_tls_is_told_what_helps() {
        let line = refused("push x: http: server gave HTTP response to HTTPS client");
        assert_eq!(line.state, State::Fail);
        assert!(line.advice.unwrap().contains("insecure-registries"));
        assert!(refused("push x: denied").advice.unwrap().contains("by hand"));
    }
}

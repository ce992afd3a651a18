//! Which builders can be used.

use super::subject::Subject;
use super::{Check, Line, State};
use crate::engine::{Engine, EngineError};
use crate::model::Builder;
use futures_util::FutureExt;

pub(super) const CHECK: Check = Check { id: "builders", run: |subject| lines(subject).boxed() };

async fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, one) in subject.answered() {
        let buildx = one.facts.buildx.as_deref();
        let builders = subject.plan.engines.get(name).map_or(&[][..], |plan| plan.builders());
        let site = subject.sites().find(|(of, site)| *of == name && site.host.is_private());
        let found = match site {
            // Asked itself, not the user's engine that it is on.
            Some((_, site)) => subject
                .on(site, async |begun| of_engine(begun.engine.as_ref(), builders, buildx).await)
                .await
                .unwrap_or_else(|error| vec![Line::of_error(State::Fail, &error)]),
            None => of_engine(one.host.users(), builders, buildx).await,
        };
        lines.extend(
            found.into_iter().map(|line| Line { found: subject.of(name, line.found), ..line }),
        );
    }
    lines
}

/// Without any builder there is no run; without one of them there is half of it.
async fn of_engine(engine: &dyn Engine, builders: &[Builder], buildx: Option<&str>) -> Vec<Line> {
    let mut tried: Vec<(Builder, Result<(), EngineError>)> = Vec::new();
    for &builder in builders {
        tried.push((builder, engine.supports(builder).await));
    }
    let none = tried.iter().all(|(_, outcome)| outcome.is_err());
    let state = if none { State::Fail } else { State::Warn };
    let line = |(builder, outcome): (Builder, Result<(), EngineError>)| match (builder, outcome) {
        (Builder::Buildkit, Ok(())) => {
            Line::ok(format!("{builder}, through buildx {}", buildx.unwrap_or("n/a")))
        }
        (_, Ok(())) => Line::ok(builder.to_string()),
        (_, Err(error)) => Line::of_error(state, &error),
    };
    tried.into_iter().map(line).collect()
}

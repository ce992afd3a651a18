//! How reports say what a node pays to pull a final image.

use super::text::{self, NOT_MEASURED};
use crate::decision::{Deploy, Trade};
use crate::stats::Estimate;

/// `1.20 s`, `[1.10, 1.30], n = 5`; `3.40 s`, `computed`; or `n/a` with the reason.
pub(super) fn parts(deploy: &Deploy) -> (String, String) {
    let reason = || deploy.reason.clone().unwrap_or_default();
    match time(deploy.measured_s.as_ref(), deploy.n, deploy.computed_s) {
        Some((seconds, more)) if deploy.failed > 0 => {
            (seconds, format!("{more}; {} failed: {}", deploy.failed, reason()))
        }
        Some(parts) => parts,
        None => (NOT_MEASURED.to_owned(), reason()),
    }
}

/// The same where the trade between build and deploy is shown.
pub(super) fn parts_of_trade(trade: &Trade) -> (String, String) {
    time(trade.deploy_measured_s.as_ref(), trade.deploy_n, trade.deploy_s)
        .unwrap_or_else(|| (NOT_MEASURED.to_owned(), String::new()))
}

fn time(
    measured: Option<&Estimate>,
    pulls: usize,
    computed: Option<f64>,
) -> Option<(String, String)> {
    if let Some(measured) = measured {
        let (point, interval) = text::seconds_parts(measured);
        return Some((point, format!("{interval}, n = {pulls}")));
    }
    Some((format!("{} s", text::plain_seconds(computed?)), "computed".to_owned()))
}

/// What the node had of the image before it pulled, in words; empty where nothing was pulled.
pub(super) fn node(deploy: &Deploy) -> String {
    match deploy.present.as_slice() {
        [] if deploy.n == 0 => String::new(),
        [] => "nothing".to_owned(),
        bases => bases.join(", "),
    }
}

/// `article over link office, engine shared (classic)`.
pub(super) fn place(deploy: &Deploy) -> String {
    let Deploy { workload, link, engine, builder, .. } = deploy;
    format!("{workload} over link {link}, engine {engine} ({builder})")
}

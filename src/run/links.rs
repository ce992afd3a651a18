//! Links are measured before their first use: what was asked is not taken for what is there.

use super::RunError;
use super::bench::Bench;
use crate::link::{self, Shape};
use crate::model::finding as kinds;
use crate::model::plan::LinkPlan;
use crate::model::{Cell, Event, Finding};

/// Measures every shaped link that one of these cells uses, on every engine that it is used with.
/// Afterwards nothing is shaped.
pub async fn measure(bench: &Bench<'_>, cells: &[&Cell]) -> Result<Vec<Event>, RunError> {
    let mut events = Vec::new();
    for (engine, site) in &bench.world.sites {
        let Some(proxy) = &site.link else { continue };
        for (name, plan) in &bench.plan.links {
            let used = cells.iter().any(|cell| cell.link == *name && cell.engine == *engine);
            if !used || plan.is_unshaped() {
                continue;
            }
            let shape = Shape::from(plan);
            proxy.set_shape(&shape);
            let measured = link::measure(proxy).await?;
            events.push(Event::LinkMeasured {
                link: name.clone(),
                down_bps: measured.down_bps,
                up_bps: measured.up_bps,
                rtt_s: measured.rtt.as_secs_f64(),
            });
            let off = measured.off(&shape);
            if !off.is_empty() {
                let detail = format!("link {name}: {}", off.join(", "));
                let finding = Finding::new(&kinds::LINK_NOT_AS_ASKED, detail);
                events.push(Event::RunFinding { finding });
            }
        }
        site.shape(&LinkPlan::default());
    }
    Ok(events)
}

//! Each engine of a plan with the registry as that engine reaches it.

use super::RunError;
use super::bench::{Site, Sites};
use super::lifecycle::Hosts;
use crate::engine::EngineHost;
use crate::engine::bases::mirrored_path;
use crate::link::{Limiter, Proxy, Upstream};
use crate::model::plan::RegistryPlan;
use crate::model::{ImageRef, Plan};
use crate::registry::{self, Behind, Registry, Seed};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Makes the sites of a plan, whose links are this line. Those that are made are in `sites` also
/// when a later one fails.
pub async fn open(
    plan: &Plan,
    hosts: Hosts,
    registry: &Arc<dyn Registry>,
    line: &Limiter,
    sites: &mut Sites,
) -> Result<(), RunError> {
    for (name, host) in hosts {
        let prepared = host.prepare().await;
        // Whatever became of it, the host knows what to remove.
        let site = Site { host, registry: Arc::clone(registry), link: None, bases: None };
        let site = sites.entry(name.clone()).or_insert(site);
        let listen = prepared?;
        if needs_link(plan, site) {
            let upstream = upstream(registry.prefix());
            let proxy = Proxy::start_on(listen, upstream, line).await?;
            let address = proxy.address().to_string();
            site.host.trust(&address).await;
            if let RegistryPlan::External { address: own, .. } = &plan.registry {
                site.host.alias(&address, own);
            }
            site.registry = Arc::new(Behind::new(Arc::clone(registry), address));
            site.link = Some(proxy);
        }
        if site.host.is_private() && plan.registry == RegistryPlan::Managed {
            let seed = Seed(format!("{name}-bases"));
            registry.restore(&[]).await?;
            let pushed = publish_bases(plan, site.host.as_ref(), registry.prefix()).await?;
            registry.remember(&seed, &pushed).await?;
            site.bases = Some(seed);
        }
    }
    Ok(())
}

/// Puts the workloads' base images where a private engine looks for them, before anything is timed.
async fn publish_bases(
    plan: &Plan,
    host: &dyn EngineHost,
    prefix: &str,
) -> Result<Vec<ImageRef>, RunError> {
    let address = prefix.split('/').next().unwrap_or_default();
    let bases: BTreeSet<&String> =
        plan.workloads.values().flat_map(|workload| &workload.bases).collect();
    let mut published = Vec::new();
    for base in bases {
        let Some(path) = mirrored_path(base) else { continue };
        let Some((repository, tag)) = path.rsplit_once(':') else { continue };
        let reference = ImageRef::new(format!("{address}/{repository}"), tag);
        host.publish_base(base, &reference).await?;
        published.push(reference);
    }
    Ok(published)
}

/// Ends every link and every engine of ours. Goes on after an error and returns the first one.
pub async fn close(sites: &Sites) -> Result<(), RunError> {
    let mut closed = Ok(());
    for site in sites.values() {
        closed = closed.and(site.host.close().await.map_err(RunError::from));
        if let Some(proxy) = &site.link {
            proxy.close().await;
        }
    }
    closed
}

/// A link counts what goes over it, so that there always is one in front of a registry of ours.
/// In front of the user's own it is there only if it is asked for: jobs name the registry by the
/// link's address then.
fn needs_link(plan: &Plan, site: &Site) -> bool {
    let asked = plan.links.iter().any(|(name, link)| name != "unshaped" || !link.is_unshaped());
    asked || site.host.is_private() || plan.registry == RegistryPlan::Managed
}

/// The registry whose repositories have this prefix.
fn upstream(prefix: &str) -> Upstream {
    let address = prefix.split('/').next().unwrap_or_default();
    if registry::speaks_tls(address) { Upstream::https(address) } else { Upstream::http(address) }
}

//! The link between jobs and the shared storage, where one is shaped.

use super::RunError;
use crate::link::{Forward, Limiter, Shape};
use crate::model::Plan;
use crate::model::plan::LinkPlan;
use crate::storage::{Access, Address, Pace};
use async_trait::async_trait;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// What goes to the shared storage and comes from it is held up here: what goes to an object store
/// by a proxy, a folder by a pace.
pub struct Line {
    limiter: Limiter,
    forward: Option<Forward>,
}

impl Line {
    /// What lies on a line between a plan's jobs and the storage; none where no link is shaped, so
    /// that nothing lies in between.
    pub async fn open(plan: &Plan, limiter: &Limiter) -> Result<Option<Self>, RunError> {
        if plan.links.values().all(LinkPlan::is_unshaped) {
            return Ok(None);
        }
        let address = plan.storage.as_deref().map(Address::parse);
        let forward = match address {
            Some(Ok(Address::Bucket { .. })) => {
                Some(Forward::start(Ipv4Addr::LOCALHOST.into(), limiter).await?)
            }
            _ => None,
        };
        Ok(Some(Self { limiter: limiter.clone(), forward }))
    }

    /// How the storage is to be opened so that it is held up.
    pub fn access(&self) -> Access {
        let proxy = self.forward.as_ref().map(|forward| format!("http://{}", forward.address()));
        let pace = proxy.is_none().then(|| Arc::new(Paced(self.limiter.clone())) as Arc<dyn Pace>);
        Access { proxy, pace, ..Access::of_process() }
    }

    /// Gives it a shape.
    pub fn shape(&self, link: &LinkPlan) {
        self.limiter.set_shape(&Shape::from(link));
    }

    /// Ends it.
    pub async fn close(&self) {
        if let Some(forward) = &self.forward {
            forward.close().await;
        }
    }
}

/// A folder as slow as a link.
struct Paced(Limiter);

#[async_trait]
impl Pace for Paced {
    async fn request(&self) {
        self.0.round_trip().await;
    }

    async fn down(&self, bytes: u64) {
        self.0.down(bytes).await;
    }

    async fn up(&self, bytes: u64) {
        self.0.up(bytes).await;
    }
}

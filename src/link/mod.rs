//! The network between the job and its registry or storage: a proxy that imitates a link's
//! bandwidth and round trip, and counts what goes over it.
//!
//! [`Proxy`] stands in front of a registry, [`Forward`] is what a client of the shared storage is
//! given as its HTTP proxy, and a [`Limiter`] is the line that both of them share. See
//! docs/links.md for what is imitated and what is not.

mod alarm;
mod body;
mod exchange;
mod forward;
pub(crate) mod fuzz;
mod headers;
mod limiter;
mod listener;
mod measure;
mod origins;
mod proxy;
mod rate;
mod traffic;
mod upstream;

pub use forward::Forward;
pub use limiter::{Direction, Limiter, Stream};
pub use measure::{Measured, measure};
pub use proxy::Proxy;
pub use rate::{rate, round_trip};
pub use traffic::{Count, Kind, Method, Traffic};
pub use upstream::Upstream;

use crate::model::plan::LinkPlan;
use std::net::IpAddr;
use std::time::Duration;

/// What a link is like. The default is no limit and no delay.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Shape {
    /// Bits a second to the job; `None` for unlimited.
    pub down_bps: Option<f64>,
    /// Bits a second from the job; `None` for unlimited.
    pub up_bps: Option<f64>,
    /// Time there and back.
    pub rtt: Duration,
}

impl From<&LinkPlan> for Shape {
    fn from(plan: &LinkPlan) -> Self {
        let LinkPlan { down_bps, up_bps, rtt_s } = *plan;
        Self { down_bps, up_bps, rtt: Duration::try_from_secs_f64(rtt_s).unwrap_or_default() }
    }
}

/// Why a link could not be set up or measured.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No port of the address could be listened on.
    #[error(
        "listen on {address} for the link's proxy: {source}. The address must be one of this machine"
    )]
    Listen {
        /// Where.
        address: IpAddr,
        /// The operating system's message.
        source: std::io::Error,
    },
    /// What stands behind the link has no address that can be used.
    #[error("the address {address:?} behind the link is no host:port: {cause}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No server's certificate could be checked.
    #[error(
        "certificate authorities for the registry at {address}: {cause}. Install the system's \
         (Debian: ca-certificates), or name a file with SSL_CERT_FILE"
    )]
    Certificates {
        /// Which registry.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// The link does not carry what it should measure.
    #[error(
        "measure the link through its proxy at {address}: {cause}. A fault of breakeven, or a machine without memory or file descriptors: see `ulimit -n`"
    )]
    Measure {
        /// The proxy.
        address: String,
        /// What went wrong.
        cause: String,
    },
}

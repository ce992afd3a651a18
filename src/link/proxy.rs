//! The proxy in front of a registry.

use super::body::Label;
use super::exchange::{Answer, Exchange, Failed, refusal};
use super::headers::{rewrite_location, rewrite_realms};
use super::listener::{self, Connection, Listener};
use super::origins::{Origin, Origins, Purpose, Target};
use super::traffic::{Counters, Kind, Method, Traffic};
use super::{Limiter, LinkError, Shape, Upstream};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, StatusCode, Uri};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A proxy in front of a registry that shapes and counts. It is closed when it is dropped.
pub struct Proxy {
    listener: Listener,
    front: Arc<Front>,
}

/// What all connections share.
struct Front {
    exchange: Exchange,
    origins: Origins,
}

impl Proxy {
    /// Listens on a free port of `listen`, and nowhere else, in front of `upstream`, on a line of
    /// its own. The link has no limits until [`Proxy::set_shape`] sets some.
    ///
    /// # Errors
    /// If the address is not one of this machine, or the upstream's is none at all.
    pub async fn start(listen: IpAddr, upstream: Upstream) -> Result<Self, LinkError> {
        Self::start_on(listen, upstream, &Limiter::new(&Shape::default())).await
    }

    /// The same on a line that others may share.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn start_on(
        listen: IpAddr,
        upstream: Upstream,
        limiter: &Limiter,
    ) -> Result<Self, LinkError> {
        let front = Arc::new(Front {
            exchange: Exchange {
                client: upstream.client()?,
                limiter: limiter.clone(),
                counters: Arc::new(Counters::default()),
                patience: upstream.patience,
            },
            origins: Origins::new(upstream.origin()?),
        });
        let served = front.clone();
        let listener = Listener::start(listen, move |stream, _| {
            let front = served.clone();
            listener::serve(stream, move |request, connection| {
                let front = front.clone();
                async move { front.answer(request, &connection).await }
            })
        })
        .await?;
        Ok(Self { listener, front })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Changes the link's shape, also for what is under way.
    pub fn set_shape(&self, shape: &Shape) {
        self.front.exchange.limiter.set_shape(shape);
    }

    /// The line, for a storage that shares the link.
    pub fn limiter(&self) -> &Limiter {
        &self.front.exchange.limiter
    }

    /// What has gone over the link so far.
    pub fn traffic(&self) -> Traffic {
        self.front.exchange.counters.traffic()
    }

    /// Ends every connection, and those that come, until [`Proxy::answer_again`]. For when nobody
    /// waits any more for what is under way: an engine may go on with it all the same.
    pub fn hang_up(&self) {
        self.listener.hang_up();
    }

    /// Serves connections again. Nothing if it does.
    pub fn answer_again(&self) {
        self.listener.answer_again();
    }

    /// Breaks off what is under way and ends it. Idempotent.
    pub async fn close(&self) {
        self.listener.close().await;
    }

    /// A path that leads to a place of ours from now on; what goes there is not counted.
    pub(super) fn lead_to(&self, origin: &Origin) -> String {
        self.front.origins.name(origin, Purpose::Measure)
    }
}

impl Front {
    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Response<Answer> {
        // CONNECT has no path; this is no proxy of that sort.
        let path = request.uri().path_and_query().cloned();
        let Some(target) = path.as_ref().and_then(|path| self.origins.target(path)) else {
            let path = path.as_ref().map_or("", PathAndQuery::as_str);
            return refusal(StatusCode::NOT_FOUND, &format!("{path} leads nowhere"));
        };
        let label = label(request.method(), &target);
        if let Some((method, kind)) = label {
            connection.count(&self.exchange.counters);
            self.exchange.counters.request(method, kind);
        }
        self.exchange.connected(connection.opened).await;
        let mounts = request.method() == hyper::Method::POST && asks_for_mount(request.uri());
        let result = self.carry(request, &target, connection, label).await;
        let answer = self.exchange.answer(result, label);
        if mounts && label.is_some() && answer.status() == StatusCode::CREATED {
            self.exchange.counters.mounted();
        }
        answer
    }

    async fn carry(
        &self,
        mut request: Request<Incoming>,
        target: &Target,
        connection: &Connection,
        label: Label,
    ) -> Result<Response<super::body::Carried>, Failed> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| connection.address.to_string(), ToOwned::to_owned);
        *request.uri_mut() = target.uri.clone();
        let headers = request.headers_mut();
        // A registry without TLS is ours and makes its addresses from the name that the client
        // uses, so that the client stays on the proxy. Anyone else knows only its own name.
        if target.place.is_some() || target.origin.is_tls() {
            match HeaderValue::try_from(target.origin.authority()) {
                Ok(authority) => headers.insert(HOST, authority),
                Err(_) => headers.remove(HOST),
            };
        }
        // The client takes all places for one host. Its credentials are for the registry and its
        // token server; without a proxy it would not show them to a storage either.
        if target.place.is_some() && target.kind() != Some(Kind::Token) {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        let mut answer = self.exchange.carry(request, label).await?;
        let headers = answer.headers_mut();
        rewrite_location(headers, |location| self.origins.location(location, target, &host));
        rewrite_realms(headers, |realm| self.origins.realm(realm, &host));
        Ok(answer)
    }
}

fn label(method: &hyper::Method, target: &Target) -> Label {
    let kind = target.kind()?;
    let kind = if method == hyper::Method::HEAD { Kind::Probe } else { kind };
    Some((Method::from(method), kind))
}

fn asks_for_mount(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("mount=")))
}

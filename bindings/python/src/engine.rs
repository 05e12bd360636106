//! The client that makes a call: the one on the network, or the same on a script.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use reknock::client::testing::{self, ScriptBody};
use reknock::client::{CallOptions, Client, Host, HttpBody, Lane, Request, Response, ResponseHead, StreamingResponse, TokioClock};
use reknock::retry::BudgetReading;
use reknock::{Error, Policy};

use crate::testing::Script;

#[derive(Clone)]
pub enum Core {
    Network(Client),
    Scripted(Client<testing::Script, testing::Script>, Script),
}

/// The same call on whichever client it is.
macro_rules! either {
    ($core:expr, $client:ident => $call:expr) => {
        match $core {
            Core::Network($client) => $call,
            Core::Scripted($client, _) => $call,
        }
    };
}

impl Core {
    pub fn request(&self, method: &str, url: &str) -> Result<Request, Error> {
        either!(self, client => client.request(method, url).build())
    }

    /// The policy of a call of this request that brings none of its own.
    pub fn policy_for(&self, request: &Request) -> Policy {
        either!(self, client => client.policy_for(request))
    }

    /// The policy of a call as it is used.
    pub fn prepared(&self, policy: Policy) -> Result<Policy, Error> {
        match self {
            Core::Network(_) => Ok(policy),
            Core::Scripted(_, script) => script.seeded(&policy),
        }
    }

    pub fn budget(&self, url: &str) -> Option<BudgetReading> {
        either!(self, client => client.budget(url))
    }

    pub fn lane(&self) -> Result<CoreLane, Error> {
        Ok(match self {
            Core::Network(client) => CoreLane::Network(client.lane()?),
            Core::Scripted(client, script) => CoreLane::Scripted(Box::new(client.lane()?), script.core.clone()),
        })
    }

    pub fn close(&self) {
        either!(self, client => client.close());
    }

    pub async fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Response, Error> {
        match self {
            Core::Network(client) => client.send_with(request, options, host).await,
            Core::Scripted(client, script) => script.core.alone(client.send_with(request, options, host)).await,
        }
    }

    pub async fn stream_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<CoreStream, Error> {
        Ok(match self {
            Core::Network(client) => CoreStream::Network(client.stream_with(request, options, host).await?),
            Core::Scripted(client, script) => {
                let stream = script.core.alone(client.stream_with(request, options, host)).await?;
                CoreStream::Scripted(stream, script.core.clone())
            }
        })
    }
}

/// What a blocking call runs on.
pub enum CoreLane {
    Network(Lane),
    Scripted(Box<Lane<testing::Script, testing::Script>>, testing::Script),
}

impl CoreLane {
    pub fn block_for<F: Future>(&self, slice: Duration, work: Pin<&mut F>) -> Result<Option<F::Output>, Error> {
        match self {
            CoreLane::Network(lane) => lane.block_for(slice, work),
            CoreLane::Scripted(lane, _) => lane.block_for(slice, work),
        }
    }

    pub async fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Response, Error> {
        match self {
            CoreLane::Network(lane) => lane.send_with(request, options, host).await,
            CoreLane::Scripted(lane, script) => script.alone(lane.send_with(request, options, host)).await,
        }
    }

    pub async fn stream_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<CoreStream, Error> {
        Ok(match self {
            CoreLane::Network(lane) => CoreStream::Network(lane.stream_with(request, options, host).await?),
            CoreLane::Scripted(lane, script) => {
                let stream = script.alone(lane.stream_with(request, options, host)).await?;
                CoreStream::Scripted(stream, script.clone())
            }
        })
    }

    /// As [`Lane::after`].
    pub fn after<P>(self, read: &Result<Option<P>, Error>) -> Option<Self> {
        match self {
            CoreLane::Network(lane) => lane.after(read).map(CoreLane::Network),
            CoreLane::Scripted(lane, script) => lane.after(read).map(|lane| CoreLane::Scripted(Box::new(lane), script)),
        }
    }

    /// As [`Lane::settle`].
    pub fn settle(self) {
        match self {
            CoreLane::Network(lane) => lane.settle(),
            CoreLane::Scripted(lane, _) => lane.settle(),
        }
    }
}

/// A response whose body is still to be read.
pub enum CoreStream {
    Network(StreamingResponse<HttpBody, TokioClock>),
    Scripted(StreamingResponse<ScriptBody, testing::Script>, testing::Script),
}

impl CoreStream {
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            CoreStream::Network(stream) => stream.chunk().await,
            CoreStream::Scripted(stream, script) => script.alone(stream.chunk()).await,
        }
    }
}

impl CoreStream {
    /// Whether the body ended otherwise than by its end.
    pub fn is_broken(&self) -> bool {
        match self {
            CoreStream::Network(stream) => stream.is_broken(),
            CoreStream::Scripted(stream, _) => stream.is_broken(),
        }
    }
}

impl Deref for CoreStream {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        match self {
            CoreStream::Network(stream) => stream,
            CoreStream::Scripted(stream, _) => stream,
        }
    }
}

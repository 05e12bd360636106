//! A client that is on the network, or on a script: for hosts whose users say at run time which.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::{Script, ScriptBody};
use crate::client::call::question::Host;
use crate::client::call::stream::StreamingResponse;
use crate::client::message::request::Request;
use crate::client::message::response::{Response, ResponseHead};
use crate::client::system::clock::TokioClock;
use crate::client::{CallOptions, Client, ClientBuilder, Delivered, HttpBody, Lane};
use crate::error::Error;
use crate::policy::Policy;
use crate::retry::BudgetReading;

/// A client, wherever its calls go. Its methods are those of [`Client`].
#[derive(Clone)]
pub enum Engine {
    /// To servers.
    Network(Client),
    /// To a script, each in a time of its own.
    Scripted(Client<Script, Script>, Script),
}

/// What its blocking calls run on. Its methods are those of [`Lane`].
pub enum EngineLane {
    /// To servers.
    Network(Lane),
    /// To a script.
    Scripted(Box<Lane<Script, Script>>, Script),
}

/// A response whose body is still to be read.
pub enum EngineStream {
    /// From a server.
    Network(StreamingResponse<HttpBody, TokioClock>),
    /// From a script.
    Scripted(StreamingResponse<ScriptBody, Script>, Script),
}

/// A response as [`Engine::deliver_with`] hands it out.
pub enum EngineDelivered {
    /// With its whole body.
    Whole(Response),
    /// With a body that is still to be read.
    Open(EngineStream),
}

/// The same call on whichever client it is.
macro_rules! either {
    ($engine:expr, $client:ident => $call:expr) => {
        match $engine {
            Engine::Network($client) => $call,
            Engine::Scripted($client, _) => $call,
        }
    };
}

impl Engine {
    /// The same client as `network`, which was made of the options in `builder`, on a script. Budgets and time are the script's own, cookies are shared.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn scripted(builder: ClientBuilder, network: &Client, script: &Script) -> Result<Self, Error> {
        let seeds = script.clone();
        let policies = network.policies().with(move |policy| seeds.seeded(policy))?;
        let builder = builder.transport(script.clone()).clock(script.clone()).policy(policies);
        let builder = network.cookies().into_iter().fold(builder, |builder, jar| builder.cookies(jar.clone()));
        Ok(Engine::Scripted(builder.build()?, script.clone()))
    }

    /// A request that is checked.
    ///
    /// # Errors
    /// As [`RequestBuilder::build`](crate::client::RequestBuilder::build).
    pub fn request(&self, method: &str, url: &str) -> Result<Request, Error> {
        either!(self, client => client.request(method, url).build())
    }

    /// The policy of a call of this request that brings none of its own.
    pub fn policy_for(&self, request: &Request) -> Policy {
        either!(self, client => client.policy_for(request))
    }

    /// The policy of a call as it is used: on a script with waits that are the same in every run.
    ///
    /// # Errors
    /// None but those of a policy that is none.
    pub fn prepared(&self, policy: Policy) -> Result<Policy, Error> {
        match self {
            Engine::Network(_) => Ok(policy),
            Engine::Scripted(_, script) => script.seeded(&policy),
        }
    }

    /// What the budget for an origin has.
    pub fn budget(&self, url: &str) -> Option<BudgetReading> {
        either!(self, client => client.budget(url))
    }

    /// As [`Client::lane`].
    ///
    /// # Errors
    /// Likewise.
    pub fn lane(&self) -> Result<EngineLane, Error> {
        Ok(match self {
            Engine::Network(client) => EngineLane::Network(client.lane()?),
            Engine::Scripted(client, script) => EngineLane::Scripted(Box::new(client.lane()?), script.clone()),
        })
    }

    /// Ends its calls.
    pub fn close(&self) {
        either!(self, client => client.close());
    }

    /// As [`Client::send_with`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Response, Error> {
        match self {
            Engine::Network(client) => client.send_with(request, options, host).await,
            Engine::Scripted(client, script) => script.alone(client.send_with(request, options, host)).await,
        }
    }

    /// As [`Client::stream_with`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn stream_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<EngineStream, Error> {
        Ok(match self {
            Engine::Network(client) => EngineStream::Network(client.stream_with(request, options, host).await?),
            Engine::Scripted(client, script) => {
                let stream = script.alone(client.stream_with(request, options, host)).await?;
                EngineStream::Scripted(stream, script.clone())
            }
        })
    }

    /// As [`Client::deliver_with`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn deliver_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<EngineDelivered, Error> {
        Ok(match self {
            Engine::Network(client) => match client.deliver_with(request, options, host).await? {
                Delivered::Whole(response) => EngineDelivered::Whole(response),
                Delivered::Open(stream) => EngineDelivered::Open(EngineStream::Network(stream)),
            },
            Engine::Scripted(client, script) => match script.alone(client.deliver_with(request, options, host)).await? {
                Delivered::Whole(response) => EngineDelivered::Whole(response),
                Delivered::Open(stream) => EngineDelivered::Open(EngineStream::Scripted(stream, script.clone())),
            },
        })
    }
}

impl EngineLane {
    /// As [`Lane::block_for`].
    ///
    /// # Errors
    /// Likewise.
    pub fn block_for<F: Future>(&self, slice: Duration, work: Pin<&mut F>) -> Result<Option<F::Output>, Error> {
        match self {
            EngineLane::Network(lane) => lane.block_for(slice, work),
            EngineLane::Scripted(lane, _) => lane.block_for(slice, work),
        }
    }

    /// As [`Lane::send_with`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Response, Error> {
        match self {
            EngineLane::Network(lane) => lane.send_with(request, options, host).await,
            EngineLane::Scripted(lane, script) => script.alone(lane.send_with(request, options, host)).await,
        }
    }

    /// As [`Lane::stream_with`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn stream_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<EngineStream, Error> {
        Ok(match self {
            EngineLane::Network(lane) => EngineStream::Network(lane.stream_with(request, options, host).await?),
            EngineLane::Scripted(lane, script) => {
                let stream = script.alone(lane.stream_with(request, options, host)).await?;
                EngineStream::Scripted(stream, script.clone())
            }
        })
    }

    /// As [`Lane::after`].
    pub fn after<P>(self, read: &Result<Option<P>, Error>) -> Option<Self> {
        match self {
            EngineLane::Network(lane) => lane.after(read).map(EngineLane::Network),
            EngineLane::Scripted(lane, script) => lane.after(read).map(|lane| EngineLane::Scripted(Box::new(lane), script)),
        }
    }

    /// As [`Lane::settle`].
    pub fn settle(self) {
        match self {
            EngineLane::Network(lane) => lane.settle(),
            EngineLane::Scripted(lane, _) => lane.settle(),
        }
    }
}

impl EngineStream {
    /// As [`StreamingResponse::chunk`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            EngineStream::Network(stream) => stream.chunk().await,
            EngineStream::Scripted(stream, script) => script.alone(stream.chunk()).await,
        }
    }

    /// Whether the body ended otherwise than by its end.
    pub fn is_broken(&self) -> bool {
        match self {
            EngineStream::Network(stream) => stream.is_broken(),
            EngineStream::Scripted(stream, _) => stream.is_broken(),
        }
    }
}

impl Deref for EngineStream {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        match self {
            EngineStream::Network(stream) => stream,
            EngineStream::Scripted(stream, _) => stream,
        }
    }
}

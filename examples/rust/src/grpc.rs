//! A gRPC client of tonic's behind the layer. All its calls are POST, so the policy says which may be repeated, and by which `grpc-status`.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use reknock::tower::{Mapped, ReplayBody, RetryLayer, RetryService};
use reknock::{BoxError, Policy};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tower::Layer;

/// What it sends as gRPC says: this policy repeats what a server could not do now.
pub const POLICY: &str =
    "{methods: any, retry_on: [unavailable, resource-exhausted, connect-failure, refused-stream], backoff: {base: 10ms}}";

/// A channel takes one type of body alone.
type Retried = RetryService<Channel, Mapped<fn(ReplayBody<Body>) -> Body>>;

/// A client of one service; what protoc makes takes the same `channel`: `GreeterClient::new(channel)`.
pub struct Greeter {
    grpc: Grpc<Retried>,
}

impl Greeter {
    /// Connects when it is first needed, and again when that is lost.
    ///
    /// # Errors
    /// What is no URL, no policy.
    pub fn new(url: &str) -> Result<Self, BoxError> {
        let layer = RetryLayer::new(Policy::from_yaml(POLICY)?).origin(url).recording_as(Body::new as fn(ReplayBody<Body>) -> Body);
        let channel = layer.layer(Endpoint::try_from(url.to_owned())?.connect_lazy());
        Ok(Greeter { grpc: Grpc::new(channel) })
    }

    /// One call.
    ///
    /// # Errors
    /// The status that the server gave last; `unavailable` where there was none.
    pub async fn greet(&mut self, name: &str) -> Result<Response<Bytes>, Status> {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        self.grpc.unary(Request::new(Bytes::from(name.to_owned())), PathAndQuery::from_static("/greet.Greeter/Greet"), Plain).await
    }
}

/// Messages that are bytes as they are; a generated client has prost's codec here.
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

//! Building requests at the place of the call.

use std::sync::Arc;

use serde::Serialize;
use url::{ParseError, Url};

use super::blocking::BlockingStream;
use super::call::cancel::Cancel;
use super::call::question::Attempt;
use super::call::room;
use super::call::stream::StreamingResponse;
use super::call::transfer::{OnTransfer, Transfer};
use super::client::{CallOptions, Client};
use super::host::callbacks::Callbacks;
use super::message::body::Body;
use super::message::multipart::Multipart;
use super::message::redirect::Redirects;
use super::message::request::{Request, parse_method, written_well};
use super::message::response::Response;
use super::system::clock::Clock;
use super::transport::Transport;
use crate::error::Error;
use crate::policy::Policy;
use crate::retry::Opinion;

/// A request on its way to being sent, which may go to another task with its client. The first mistake is kept and returned by [`send`](RequestBuilder::send).
#[must_use]
pub struct RequestBuilder<T, C> {
    client: Client<T, C>,
    request: Result<Request, Error>,
    options: CallOptions,
    callbacks: Callbacks,
}

impl<T: Transport, C: Clock> Client<T, C> {
    /// A request with any method.
    pub fn request(&self, method: &str, url: &str) -> RequestBuilder<T, C> {
        let request = match &self.0.config.base_url {
            // An absolute URL is itself whatever the base; a relative one is appended, with or without a slash. The dot keeps a colon in it from
            // ending a scheme.
            Some(base) if is_relative(url) => {
                written_well(url).and_then(|()| match base.join(&format!("./{}", url.trim_start_matches('/'))) {
                    Ok(url) => parse_method(method).and_then(|method| Request::to(method, url)),
                    Err(_) => Request::new(method, url),
                })
            }
            _ => Request::new(method, url),
        };
        RequestBuilder { client: self.clone(), request, options: CallOptions::default(), callbacks: Callbacks::default() }
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("GET", url)
    }

    /// A HEAD request.
    pub fn head(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("HEAD", url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("POST", url)
    }

    /// A PUT request.
    pub fn put(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("PUT", url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("PATCH", url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: &str) -> RequestBuilder<T, C> {
        self.request("DELETE", url)
    }
}

/// Whether a text is a path under a base: `items:batchGet` is one too. A URL with a mistake in it is none.
fn is_relative(text: &str) -> bool {
    match Url::parse(text) {
        Ok(url) => !matches!(url.scheme(), "http" | "https") && !text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//")),
        Err(error) => error == ParseError::RelativeUrlWithoutBase,
    }
}

impl<T: Transport, C: Clock> RequestBuilder<T, C> {
    /// Adds a header field line.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|request| request.append_header(name, value))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.set_body(body);
            Ok(())
        })
    }

    /// Sets a JSON body, and `content-type: application/json` if there is no content-type yet.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.change(|request| request.set_json(value))
    }

    /// Sets a form body.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.change(|request| request.set_form(pairs))
    }

    /// Sets a multipart body.
    pub fn multipart(self, form: Multipart) -> Self {
        self.change(|request| {
            request.set_multipart(form);
            Ok(())
        })
    }

    /// Appends pairs to the URL's query.
    pub fn query<K: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.change(|request| request.append_query(pairs))
    }

    /// Sets basic credentials.
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.change(|request| {
            request.set_basic_auth(user, password);
            Ok(())
        })
    }

    /// Sets a bearer token.
    pub fn bearer_auth(self, token: &str) -> Self {
        self.change(|request| request.set_bearer_auth(token))
    }

    /// Another policy for this call, in place of the client's.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options.policy = Some(policy);
        self
    }

    /// What the call is named in events, errors and telemetry: an operation or the template of a URL, such as `orders.get`. Never sent.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Other rules for redirects.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.options.redirects = Some(redirects);
        self
    }

    /// What may cancel the call.
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.options.cancel = Some(cancel.clone());
        self
    }

    /// Callbacks of this call; those not given are the client's.
    pub fn callbacks(mut self, callbacks: Callbacks) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// See [`Callbacks::retry_if`].
    pub fn retry_if<O: Into<Opinion>>(mut self, f: impl Fn(&Attempt) -> O + Send + Sync + 'static) -> Self {
        self.callbacks = self.callbacks.retry_if(f);
        self
    }

    /// Told how much of the bodies has moved: when an attempt begins, for each piece of the request's body that its connection takes (16 KiB at most), and for
    /// each piece that is read of a response whose whole body is read. Of a streamed response the caller reads the body, and is told nothing once its head
    /// is there. It runs on whatever thread moves the bytes, one at a time for a call, and must not block; what cancels the call may be used in it.
    pub fn on_transfer(mut self, f: impl Fn(&Transfer) + Send + Sync + 'static) -> Self {
        self.options.on_transfer = Some(OnTransfer::new(f));
        self
    }

    /// The request.
    ///
    /// # Errors
    /// `invalid_request` for the first mistake above.
    pub fn build(self) -> Result<Request, Error> {
        self.request
    }

    /// Sends it and reads the whole response.
    ///
    /// # Errors
    /// `invalid_request` for the first mistake above, else as [`Client::send_with`].
    pub async fn send(self) -> Result<Response, Error> {
        let callbacks = self.callbacks.over(self.client.callbacks());
        let mut call = room();
        call.set(Some(self.client.send_on(None, self.request?, &self.options, callbacks)));
        call.as_mut().as_pin_mut().expect("put there just now").await
    }

    /// Sends it and hands out the response once its head is there.
    ///
    /// # Errors
    /// As [`send`](RequestBuilder::send).
    pub async fn stream(self) -> Result<StreamingResponse<T::Body, C>, Error> {
        let callbacks = self.callbacks.over(self.client.callbacks());
        self.client.stream_with(self.request?, &self.options, callbacks).await
    }

    /// Sends it on the calling thread and reads the whole response. See [`Client::send_blocking`].
    ///
    /// # Errors
    /// As [`send`](RequestBuilder::send), and as [`Client::lane`].
    ///
    /// # Panics
    /// In code that can await.
    pub fn send_blocking(self) -> Result<Response, Error> {
        let callbacks = self.callbacks.over(self.client.callbacks());
        self.client.send_blocking(self.request?, &self.options, callbacks)
    }

    /// Sends it on the calling thread and hands out the response once its head is there.
    ///
    /// # Errors
    /// As [`send_blocking`](RequestBuilder::send_blocking).
    ///
    /// # Panics
    /// As [`send_blocking`](RequestBuilder::send_blocking).
    pub fn stream_blocking(self) -> Result<BlockingStream<T, C>, Error> {
        let callbacks = self.callbacks.over(self.client.callbacks());
        self.client.stream_blocking(self.request?, &self.options, callbacks)
    }

    fn change(mut self, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> Self {
        self.request = self.request.and_then(|mut request| change(&mut request).map(|()| request));
        self
    }
}

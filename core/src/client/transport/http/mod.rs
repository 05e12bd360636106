//! The transport that stands on hyper's HTTP/1 connections and on h2.

mod http2;
mod proxy;
mod tunnel;

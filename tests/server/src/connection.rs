//! One accepted connection: faults before any request, TLS, and the choice of the protocol.

use std::sync::Arc;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::outcome::{Action, End};
use crate::script::{Claim, State};
use crate::stream::Stream;
use crate::{http1, http2, tls};

/// Ends a connection that should not have come about.
pub(crate) fn refuse(tcp: TcpStream) {
    Stream::plain(tcp).reset();
}

pub(crate) async fn serve(state: Arc<State>, tcp: TcpStream, serial: u64, claim: Option<Claim>) {
    let _ = SockRef::from(&tcp).set_tcp_nodelay(true);
    if let Some(claim) = claim {
        return on_accept(&state, Stream::plain(tcp), claim).await;
    }
    let mut renewals = state.renewals();
    let mut stream = match &state.tls {
        None => Stream::plain(tcp),
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(tls) => Stream::tls(tls),
            // The client did not like our certificate, or spoke no TLS; rustls has sent its alert.
            Err(_) => return,
        },
    };
    let http2 = if stream.is_tls() {
        stream.negotiated_http2()
    } else if state.http2 {
        tokio::select! {
            start = stream.peek(4) => matches!(start, Ok(b"PRI ")),
            _ = renewals.changed() => return stream.close(true).await,
        }
    } else {
        false
    };
    if http2 {
        http2::serve(state, stream, serial, renewals).await;
    } else {
        http1::serve(state, stream, serial, renewals).await;
    }
}

/// The outcomes that an accepted connection meets before it can say anything.
async fn on_accept(state: &State, mut stream: Stream, claim: Claim) {
    let outcome = &state.outcomes[claim.n];
    tokio::time::sleep(outcome.delay).await;
    match &outcome.action {
        Action::AcceptReset => stream.reset(),
        Action::AcceptClose => stream.close(true).await,
        Action::Banner { text, end } => {
            let _ = stream.write_all(text).await;
            finish(stream, *end).await;
        }
        action => {
            // TLS faults come after the client's first record has begun to arrive.
            if stream.peek(5).await.is_err() {
                return;
            }
            match action {
                Action::TlsReset => stream.reset(),
                Action::TlsAlert => {
                    let _ = stream.write_all(&tls::ALERT).await;
                    stream.close(true).await;
                }
                Action::TlsStall => stream.until_gone().await,
                _ => stream.close(true).await,
            }
        }
    }
}

/// Ends a connection that has said all it had to say.
pub(crate) async fn finish(mut stream: Stream, end: End) {
    match end {
        End::Fin => stream.close(true).await,
        End::Reset => stream.reset(),
        End::Stall => stream.until_gone().await,
    }
}

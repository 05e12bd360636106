//! The data model of a script: what the server does with each attempt.

use std::time::Duration;

use bytes::Bytes;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
    /// Nothing more is sent; the connection is held until the client leaves.
    Stall,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            End::Fin => "fin",
            End::Reset => "reset",
            End::Stall => "stall",
        }
    }
}

/// One entry of a script.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Waited before the first byte of the answer, or before the fault.
    pub(crate) delay: Duration,
    /// Whether the request body is read before anything else happens.
    pub(crate) read_body: bool,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Status(Box<Reply>),
    Echo,
    Reset,
    Close { close_notify: bool },
    PartialHead(End),
    Garbage(Bytes),
    Hang,
    ResetMidUpload(u64),
    StopReading(u64),
    BadHead(BadHead),
    BigHead(BigHead),
    // On accept, before any request.
    AcceptReset,
    AcceptClose,
    Banner { text: Bytes, end: End },
    TlsReset,
    TlsClose,
    TlsAlert,
    TlsStall,
    // Not even accepted.
    Refused,
    ConnectTimeout,
    // HTTP/2 only.
    H2Rst(u32),
    H2Goaway { code: u32, last: u32 },
    H2Close,
    H2Hang,
    H2BodyRst { code: u32, after: u64 },
}

/// What has to be true of the port before an outcome can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Serve,
    /// Nobody listens, yet the port stays ours.
    Refuse,
    /// The backlog is full, so that a SYN goes unanswered.
    Full,
}

impl Outcome {
    pub(crate) fn mode(&self) -> Mode {
        match self.action {
            Action::Refused => Mode::Refuse,
            Action::ConnectTimeout => Mode::Full,
            _ => Mode::Serve,
        }
    }

    /// Consumed by the accepted connection, before any request.
    pub(crate) fn acts_on_accept(&self) -> bool {
        matches!(
            self.action,
            Action::AcceptReset
                | Action::AcceptClose
                | Action::Banner { .. }
                | Action::TlsReset
                | Action::TlsClose
                | Action::TlsAlert
                | Action::TlsStall
        )
    }

    /// The client has to connect anew to meet this outcome.
    pub(crate) fn needs_new_connection(&self) -> bool {
        self.acts_on_accept() || self.mode() != Mode::Serve
    }

    pub(crate) fn is_http2_only(&self) -> bool {
        matches!(self.action, Action::H2Rst(_) | Action::H2Goaway { .. } | Action::H2Close | Action::H2Hang | Action::H2BodyRst { .. })
    }

    /// What the log says was done.
    pub(crate) fn label(&self) -> String {
        match &self.action {
            Action::Status(reply) => match reply.cut {
                None => format!("status {}", reply.status),
                Some(Cut { end, .. }) => {
                    format!("status {}, body {}", reply.status, end.name())
                }
            },
            Action::Echo => "echo".into(),
            Action::Reset => "reset".into(),
            Action::Close { .. } => "close".into(),
            Action::PartialHead(end) => format!("partial-head {}", end.name()),
            Action::Garbage(_) => "garbage".into(),
            Action::Hang => "hang".into(),
            Action::ResetMidUpload(after) => format!("reset-mid-upload {after}"),
            Action::StopReading(after) => format!("stop-reading {after}"),
            Action::BadHead(kind) => format!("bad-head {}", kind.name()),
            Action::BigHead(BigHead::Size(size)) => format!("big-head size {size}"),
            Action::BigHead(BigHead::Lines(lines)) => format!("big-head lines {lines}"),
            Action::AcceptReset => "accept-reset".into(),
            Action::AcceptClose => "accept-close".into(),
            Action::Banner { .. } => "banner".into(),
            Action::TlsReset => "tls-reset".into(),
            Action::TlsClose => "tls-close".into(),
            Action::TlsAlert => "tls-alert".into(),
            Action::TlsStall => "tls-stall".into(),
            Action::Refused => "refused".into(),
            Action::ConnectTimeout => "connect-timeout".into(),
            Action::H2Rst(code) => format!("h2-rst {code}"),
            Action::H2Goaway { code, .. } => format!("h2-goaway {code}"),
            Action::H2Close => "h2-close".into(),
            Action::H2Hang => "h2-hang".into(),
            Action::H2BodyRst { code, .. } => format!("h2-body-rst {code}"),
        }
    }
}

/// A response, and everything that may be odd about it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    /// As given; `$` placeholders are filled in when the head is written.
    pub(crate) headers: Vec<(String, String)>,
    /// After the body, in HTTP/2.
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) body: Content,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) corrupt: Corrupt,
    pub(crate) framing: Framing,
    /// The `content-length` that is claimed, whatever the body is.
    pub(crate) content_length: Option<u64>,
    pub(crate) cut: Option<Cut>,
    pub(crate) drip: Option<Drip>,
    pub(crate) interim: Vec<u16>,
    pub(crate) interim_endless: bool,
    pub(crate) close: bool,
    pub(crate) close_notify: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Content) -> Self {
        Self {
            status,
            reason: None,
            headers: Vec::new(),
            trailers: Vec::new(),
            body,
            encoding: None,
            corrupt: Corrupt::No,
            framing: Framing::Auto,
            content_length: None,
            cut: None,
            drip: None,
            interim: Vec::new(),
            interim_endless: false,
            close: false,
            close_notify: true,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    /// `size` bytes made while they are sent.
    Generated {
        size: u64,
        zeros: bool,
    },
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Generated { size, .. } => *size,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    pub(crate) fn token(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
        }
    }
}

/// Damage to a gzip body whose transport is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrupt {
    No,
    /// A wrong checksum.
    Checksum,
    /// The last 8 bytes are left out.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `content-length` where the length is known, else chunked.
    Auto,
    Chunked,
    /// No length at all: the end of the connection is the end of the body.
    Close,
}

/// The body stops before its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) end: End,
    /// Bytes sent before; half of the body unless given.
    pub(crate) after: Option<u64>,
}

/// The body goes out a few bytes at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drip {
    pub(crate) bytes: usize,
    pub(crate) every: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    Version,
    Header,
    TwoLengths,
    Status,
}

impl BadHead {
    pub(crate) fn name(self) -> &'static str {
        match self {
            BadHead::Version => "version",
            BadHead::Header => "header",
            BadHead::TwoLengths => "two-lengths",
            BadHead::Status => "status",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum BigHead {
    /// One header line with a value of this many bytes.
    Size(u64),
    /// This many header lines.
    Lines(u64),
}

//! Multipart form bodies (RFC 7578).

use bytes::Bytes;
use futures_util::stream::{StreamExt, iter};
use http::HeaderValue;

use super::body::{Body, BodyStream};
use super::memory::copied;
use crate::client::system::entropy;
use crate::error::{BoxError, Error, ErrorKind};
use crate::policy::ShownText;

/// A form of parts. Parts of bytes and files can be sent again, those of streams cannot.
#[derive(Clone, Debug, Default)]
pub struct Multipart {
    /// Each part's head, without boundary, and its body.
    parts: Vec<(String, Body)>,
}

impl Multipart {
    /// No parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field.
    ///
    /// # Errors
    /// `invalid_request` for a name with line breaks, and for a value that does not fit into memory.
    pub fn text(self, name: &str, value: &str) -> Result<Self, Error> {
        self.part(name, None, None, copied("multipart", value.as_bytes())?.into())
    }

    /// Adds a file, or any part with a file name or a content type.
    ///
    /// # Errors
    /// `invalid_request` for a name, file name or content type with line breaks, or of more than 64 KiB.
    pub fn part(self, name: &str, file_name: Option<&str>, content_type: Option<&str>, body: Body) -> Result<Self, Error> {
        self.part_with_headers::<&str, &str>(name, file_name, content_type, &[], body)
    }

    /// Likewise, with header fields of its own.
    ///
    /// # Errors
    /// As [`part`](Multipart::part), and for header fields that are none.
    pub fn part_with_headers<N: AsRef<str>, V: AsRef<str>>(
        mut self,
        name: &str,
        file_name: Option<&str>,
        content_type: Option<&str>,
        headers: &[(N, V)],
        body: Body,
    ) -> Result<Self, Error> {
        self.add(name, file_name, content_type, headers, body)?;
        Ok(self)
    }

    /// Likewise, in place; after an error the form is as it was.
    ///
    /// # Errors
    /// As [`part_with_headers`](Multipart::part_with_headers).
    pub fn add<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        file_name: Option<&str>,
        content_type: Option<&str>,
        headers: &[(N, V)],
        body: Body,
    ) -> Result<(), Error> {
        let texts = || [Some(name), file_name, content_type].into_iter().flatten();
        if texts().any(|text| text.len() > SMALL || text.contains(['\r', '\n', '\0'])) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("multipart {}: names and types must not contain line breaks, nor be longer than 64 KiB", ShownText(name)),
            ));
        }
        // Quotes as browsers escape them.
        let quoted = |text: &str| text.replace('"', "%22");
        let mut head = format!("content-disposition: form-data; name=\"{}\"", quoted(name));
        if let Some(file_name) = file_name {
            head += &format!("; filename=\"{}\"", quoted(file_name));
        }
        if let Some(content_type) =
            content_type.filter(|_| !headers.iter().any(|(name, _)| name.as_ref().eq_ignore_ascii_case("content-type")))
        {
            head += &format!("\r\ncontent-type: {content_type}");
        }
        for (name, value) in headers {
            let (name, value) = super::request::field(name.as_ref(), value.as_ref())?;
            head += &format!("\r\n{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        self.parts.push((head, body));
        Ok(())
    }

    /// The content type, which names the boundary, and the body.
    pub(in crate::client) fn into_body(self) -> (HeaderValue, Body) {
        let boundary = entropy::boundary();
        let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        // A boundary is letters and digits, so the fallback is never needed.
        let content_type = content_type.unwrap_or(HeaderValue::from_static("multipart/form-data"));
        let end = Bytes::from(format!("--{boundary}--\r\n"));
        let mut sections: Vec<Body> = Vec::with_capacity(self.parts.len() * 3 + 1);
        for (head, body) in self.parts {
            sections.push(format!("--{boundary}\r\n{head}\r\n\r\n").into());
            sections.push(body);
            sections.push(Bytes::from_static(b"\r\n").into());
        }
        sections.push(end.into());
        (content_type, joined(sections))
    }
}

/// What is put together in memory at most, in bytes.
const SMALL: usize = 64 * 1024;

/// One body of several: bytes if all are and they are few, renewable if all are. What is large is sent from where it is.
fn joined(sections: Vec<Body>) -> Body {
    let length: Option<u64> = sections.iter().map(Body::length).sum();
    if length.is_some_and(|length| length <= SMALL as u64)
        && let Some(all) = sections.iter().map(Body::as_bytes).collect::<Option<Vec<_>>>()
    {
        let mut out = Vec::new();
        all.into_iter().for_each(|bytes| out.extend_from_slice(bytes));
        return out.into();
    }
    let renewable = sections.iter().all(Body::is_renewable);
    let chained = move |sections: &[Body]| -> Result<BodyStream, BoxError> {
        let streams = sections.iter().map(|section| section.clone().into_stream(0)).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::pin(iter(streams).flatten()))
    };
    match renewable {
        true => Body::factory(move || chained(&sections), length),
        false => match chained(&sections) {
            Ok(stream) => Body::stream(stream, length),
            Err(error) => Body::stream(iter([Err(error)]), length),
        },
    }
}

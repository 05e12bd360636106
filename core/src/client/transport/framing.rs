//! The lengths of bodies: declared, and true.

use http::Method;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};

use super::Failure;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Makes the framing true: POST, PUT and PATCH always say their length if it is known, nobody says a wrong one, no body is left out. (hyper would send a
/// wrong one as it is.)
pub(super) fn declare_length(method: &Method, headers: &mut HeaderMap, length: Option<u64>) -> Result<(), Failure> {
    if headers.contains_key(CONTENT_LENGTH) {
        if headers.get_all(CONTENT_LENGTH).iter().any(|value| parse_length(value) != length) {
            let body = length.map_or("unknown size".to_owned(), |length| format!("{length} bytes"));
            return Err(Failure::new(
                ErrorKind::InvalidRequest,
                Evidence::NotSent,
                format!("the request cannot be sent: its content-length header contradicts its body of {body}"),
            ));
        }
    } else if length == Some(0) && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if length.is_none() && matches!(*method, Method::GET | Method::HEAD | Method::CONNECT) {
        // Else hyper sends these without their body, silently. It takes the header out again for HTTP/2.
        headers.entry(TRANSFER_ENCODING).or_insert(HeaderValue::from_static("chunked"));
    }
    Ok(())
}

/// What `content-length` says about a response, unless its framing is another: then it may be anything (RFC 9112 section 6.3).
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    // RFC 9110 section 8.6: fields, and members of a list, that all say the same are one.
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut said = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(of_digits));
    let first = said.next()??;
    said.all(|other| other == Some(first)).then_some(first)
}

fn parse_length(value: &HeaderValue) -> Option<u64> {
    of_digits(value.as_bytes())
}

fn of_digits(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_declared_and_true() {
        let declare = |method: Method, given: Option<&'static str>, length: usize| {
            let mut headers = HeaderMap::new();
            headers.extend(given.map(|given| (CONTENT_LENGTH, HeaderValue::from_static(given))));
            declare_length(&method, &mut headers, Some(length as u64)).map(|()| declared_length(&headers)).map_err(|failure| failure.kind)
        };
        assert_eq!(declare(Method::POST, Some("5, 5"), 5), Err(ErrorKind::InvalidRequest), "servers need not take lists");
        assert_eq!(declare(Method::POST, None, 0), Ok(Some(0)));
        assert_eq!(declare(Method::GET, None, 0), Ok(None));
        assert_eq!(declare(Method::POST, None, 5), Ok(None), "hyper adds it");
        assert_eq!(declare(Method::POST, Some("5"), 5), Ok(Some(5)));
        assert_eq!(declare(Method::POST, Some("6"), 5), Err(ErrorKind::InvalidRequest));
        assert_eq!(declare(Method::POST, Some("+5"), 5), Err(ErrorKind::InvalidRequest));
    }

    #[test]
    fn lists_of_one_length_are_that_length() {
        let rows: [(&[&'static str], Option<u64>); 9] = [
            (&["030, 30"], Some(30)),
            (&["30", " 30 ,0030"], Some(30)),
            (&["30, 31"], None),
            (&["30", "31"], None),
            (&["30, +30"], None),
            (&["30,"], None),
            (&["-1, -1"], None),
            (&["18446744073709551616"], None),
            (&[], None),
        ];
        for (lines, length) in rows {
            let headers = lines.iter().map(|line| (CONTENT_LENGTH, HeaderValue::from_static(line))).collect();
            assert_eq!(declared_length(&headers), length, "{lines:?}");
        }
    }
}

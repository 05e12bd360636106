//! Events as one line, for logs. URLs in them are redacted already.

use std::fmt;

use crate::client::call::question::Event;
use crate::record::explain;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Retry(record) => write!(f, "retry: {}", explain(std::slice::from_ref(record), None).trim()),
            Event::Redirect(record, url) => write!(f, "redirect to {url}: {}", explain(std::slice::from_ref(record), None).trim()),
            Event::Notice(text) => f.write_str(text),
            Event::End { attempts, stop_reason } => write!(f, "end: {stop_reason} after {} attempts", attempts.len()),
        }
    }
}

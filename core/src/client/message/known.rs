//! Parsing URLs, with what is known of their origins: host names and addresses are most of the work, and calls go to few of them.

use std::cell::RefCell;

use url::Url;

/// The most origins that a thread remembers.
const MOST: usize = 8;

thread_local! {
    /// Each as it was written, with its root; those that were asked for last come first. No secrets: what has userinfo is not remembered.
    static KNOWN: RefCell<Vec<(Box<str>, Url)>> = const { RefCell::new(Vec::new()) };
}

/// What [`Url::parse`] gives, if the origin is known and the rest plain.
pub(super) fn url(text: &str) -> Option<Url> {
    let (origin, path) = split(text)?;
    // A thread that ends may have forgotten already.
    let mut url = KNOWN.try_with(|known| root(&mut known.borrow_mut(), origin)).ok()??;
    // Cheaper than a join.
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if path != "/" {
        url.set_path(path);
    }
    if query.is_some() {
        url.set_query(query);
    }
    Some(url)
}

fn root(known: &mut [(Box<str>, Url)], origin: &str) -> Option<Url> {
    let at = known.iter().position(|(name, _)| **name == *origin)?;
    known[..=at].rotate_right(1);
    Some(known[0].1.clone())
}

/// Remembers the origin of a URL that was parsed, in place of the one that was not asked for the longest.
pub(super) fn remember(text: &str, url: &Url) {
    if let Some((origin, _)) = split(text)
        && let Ok(root) = url.join("/")
    {
        let _ = KNOWN.try_with(|known| {
            let mut known = known.borrow_mut();
            known.truncate(MOST - 1);
            known.insert(0, (origin.into(), root));
        });
    }
}

/// The origin and the path with its query, if both are plain enough that one can be parsed without the other.
fn split(text: &str) -> Option<(&str, &str)> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme))?;
    let end = scheme.len() + text[scheme.len()..].bytes().position(|byte| !is_of_host(byte))?;
    let (origin, path) = text.split_at(end);
    // Two slashes would begin an authority, and so would one where there is none.
    let plain = end > scheme.len() && path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain);
    plain.then_some((origin, path))
}

fn is_of_host(byte: u8) -> bool {
    const OF_HOST: [bool; 256] = letters_and(b".-_:[]");
    OF_HOST[usize::from(byte)]
}

/// Whether a URL may have it anywhere behind its scheme, and HTTP too.
pub(super) fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = letters_and(b"/.-_=&?:%+");
    PLAIN[usize::from(byte)]
}

/// A table of letters, digits and these: to look up a byte is cheaper than to compare it.
const fn letters_and(others: &[u8]) -> [bool; 256] {
    let (mut table, mut at) = ([false; 256], 0);
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Url, url::ParseError> {
        if let Some(url) = url(text) {
            return Ok(url);
        }
        let url = Url::parse(text)?;
        remember(text, &url);
        Ok(url)
    }

    #[test]
    fn origins_make_room_for_others() {
        for round in 0..3 {
            for number in 0..2 * MOST {
                let text = format!("http://h{number}:80/a/../b?c=%20{round}");
                assert_eq!(parse(&text), Url::parse(&text));
            }
        }
        assert_eq!(KNOWN.with_borrow(Vec::len), MOST);
        assert!(parse("http://user:secret@h/").is_ok() && KNOWN.with_borrow(|known| known.iter().all(|(name, _)| !name.contains('@'))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever was asked for before. The same origin in front each time, so that most are known.
        #[test]
        fn it_is_as_if_parsed_at_once(
            origin in "(http|https|HTTP|ftp)://(h|H\\.test|127\\.0\\.0\\.1|1\\.2|0x7f\\.1|\\[::1\\]|\\[::1|u@h|u:p@h|-|xn--a|h:|)(:80|:8080|:443|:99999|:)?",
            paths in prop::collection::vec("[/\\\\.?#%&=a:@+\t 2eE]{0,8}|/[a-z/.]{0,10}(\\?[a-z=&%/]{0,6})?", 1..4),
        ) {
            for path in paths {
                let text = format!("{origin}{path}");
                prop_assert_eq!(parse(&text), Url::parse(&text), "{}", text);
            }
        }
    }
}

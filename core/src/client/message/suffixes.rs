//! Public suffixes: domains below which anybody may have one, such as com, co.uk and github.io. No cookie is for all of them.
//!
//! The list is data, which is searched as it lies there. As the code of a crate it was 660 kB, a twentieth of a wheel, for a question asked once a cookie that
//! names a domain.

/// A few lines about it, an empty one, and then a rule each line, sorted by their bytes; domains as hosts of URLs are written. `*.x` is every domain right below
/// x, `!y.x` the one that it is not.
const LIST: &str = include_str!("suffixes.txt");

/// Whether `domain`, in small letters and without others than ASCII's, is a public suffix. One that no rule knows is one if it has no dot.
pub(super) fn is_public(domain: &str) -> bool {
    let Some((_, parent)) = domain.split_once('.') else { return !domain.is_empty() };
    (is_rule(domain) || is_rule(&format!("*.{parent}"))) && !is_rule(&format!("!{domain}"))
}

/// Whether the list has this rule.
fn is_rule(rule: &str) -> bool {
    let (_, mut left) = LIST.split_once("\n\n").unwrap_or_default();
    while let Some((upper, lower)) = middle(left) {
        let (line, lower) = lower.split_once('\n').unwrap_or((lower, ""));
        left = match rule.cmp(line) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => upper,
            std::cmp::Ordering::Greater => lower,
        };
    }
    false
}

/// The lines before the one in the middle, and those from it on; `None` if there are none.
fn middle(lines: &str) -> Option<(&str, &str)> {
    let start = lines.get(..lines.len() / 2)?.rfind('\n').map_or(0, |end| end + 1);
    (!lines.is_empty()).then(|| lines.split_at(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_public_and_what_is_below_them_is_not() {
        for public in ["com", "co.uk", "github.io", "anything.ck", "x.kawasaki.jp", "unknown", "xn--55qx5d.cn", "xn--90a3ac", "zw"] {
            assert!(is_public(public), "{public}");
        }
        for other in [
            "",
            "example.com",
            "a.github.io",
            "www.ck",
            "kawasaki.jp",
            "city.kawasaki.jp",
            "a.b.kawasaki.jp",
            "sub.unknown",
            "a.xn--55qx5d.cn",
            ".com",
            "com.",
        ] {
            assert!(!is_public(other), "{other}");
        }
    }

    /// `psl` has the same list as code; it leaves out what a rule with `*` says of domains that have rules below them.
    #[test]
    fn each_rule_says_what_psl_says() {
        let (_, rules) = LIST.split_once("\n\n").unwrap();
        assert!(rules.lines().is_sorted() && rules.lines().count() > 10_000);
        // Whose domains are as people write them.
        for rule in rules.lines().filter(|rule| !rule.contains("xn--")) {
            let domain = rule.trim_start_matches(['!', '*', '.']);
            let below = format!("below.{domain}");
            let parent = domain.split_once('.').map_or("", |(_, parent)| parent);
            for asked in [domain, &below, &format!("far.{below}"), parent] {
                let left_out = || is_public(asked) && rules.contains(&format!(".{asked}\n"));
                assert!(is_public(asked) == (psl::suffix_str(asked) == Some(asked)) || left_out(), "{asked}, of the rule {rule}");
            }
        }
    }
}

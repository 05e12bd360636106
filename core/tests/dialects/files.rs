//! Files, by their names and contents.

use reknock::Policy;
use reknock::policy::{Dialect, load_all};

#[test]
fn files() {
    let folder = std::env::temp_dir().join(format!("reknock-dialects-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let one = write("client.bal", "http:Client c = check new (\"x\", retryConfig = {count: 2});");
    assert_eq!(Policy::load(&one).expect("one policy").max_retries(), 2);
    let linkerd = write("linkerd.yaml", "routers:\n- protocol: http\n  label: out\n  service: {totalTimeoutMs: 500}\n");
    assert_eq!(load_all(&linkerd, None).expect("one policy")[0].name.as_deref(), Some("out"));
    let two = write("two.toml", "[a.retryConfig]\ncount = 1\n[b.retryConfig]\ncount = 2\n");
    let error = Policy::load(&two).expect_err("two policies").to_string();
    assert_eq!(error, format!("{}: policy: must be one, there are 2: a, b; load_all reads them all", two.display()));
    assert_eq!(load_all(&two, Some(Dialect::Ballerina)).expect("two policies").len(), 2);
    let error = load_all(&two, Some(Dialect::Ktor)).expect_err("another dialect").to_string();
    assert!(error.ends_with("ktor: no policy found; it is told by HttpRequestRetry or one of its functions"), "{error}");
    let broken = write("broken.yaml", "retry_policy:\n\tretry_on: 5xx\n");
    let error = Policy::load(&broken).expect_err("a tab").to_string();
    assert_eq!(error, format!("{}: YAML line 2, column 2: tabs cannot indent YAML; write spaces", broken.display()));
    let large = write("large.yaml", &format!("retry_policy: {{retry_on: 5xx}}\n{}", "# \n".repeat(22_400_000)));
    let error = load_all(&large, None).expect_err("more than 64 MiB").to_string();
    assert!(error.contains("must be at most 64MiB of text, got"), "{error}");
    let other = write("policy.txt", "");
    let error = load_all(&other, None).expect_err("another ending").to_string();
    assert!(error.ends_with("must end in .yaml, .yml, .json, .toml or .bal"), "{error}");
    std::fs::remove_dir_all(&folder).expect("its folder");
    assert_eq!(
        Dialect::from_name("envoi").expect_err("no dialect").to_string(),
        "dialect: must be one of reknock, envoy, kgateway, linkerd, ballerina, ktor, istio, envoy-gateway, linkerd2, got \"envoi\"; did you mean \"envoy\"?"
    );
}

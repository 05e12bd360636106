//! Compiles the C program against the headers that curl-sys brings along.

fn main() {
    let include = std::env::var("DEP_CURL_INCLUDE").expect("curl-sys tells where its headers are");
    cc::Build::new().include(include).files(["../c/harness.c", "../c/curl.c"]).warnings(true).extra_warnings(true).compile("bench_c");
    println!("cargo::rerun-if-changed=../c");
}

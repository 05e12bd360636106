//! The ABI number of Cargo.toml, told to the linker (soname) and to the code.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.toml");
    let manifest = std::fs::read_to_string("Cargo.toml").expect("the manifest is there");
    let line = manifest.lines().find_map(|line| line.strip_prefix("abi = ")).expect("[package.metadata.reknock] has abi");
    let abi = line.split_whitespace().next().unwrap_or_default();
    println!("cargo::rustc-env=REKNOCK_ABI={abi}");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd") => println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libreknock.so.{abi}"),
        Ok("macos") => println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libreknock.{abi}.dylib"),
        _ => {}
    }
}

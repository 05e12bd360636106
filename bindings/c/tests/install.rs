//! The library as somebody finds it who installed it: names, exports, pkg-config, CMake.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::header::functions;
use support::{built, has, needs, policy, root, skipped};

const MACHINE: &str = "attempt 1: retry\nattempt 2: retry\nattempt 3: completed\n";

/// An installation of this build.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        let _ = std::fs::remove_dir_all(&prefix);
        let status = Command::new(root().join("bindings/c/install")).arg(&prefix).arg(built()).env_remove("LIBDIR").status();
        assert!(status.unwrap().success());
        prefix
    })
}

/// What a command printed; it must end with 0.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &Path) -> String {
    output(Command::new("timeout").arg("60").arg(program).env("LD_LIBRARY_PATH", prefix().join("lib")))
}

#[test]
fn pkg_config_links_both_ways() {
    if !has("pkg-config") {
        return;
    }
    let flags = |arguments: &[&str]| -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("reknock").env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
        output(&mut command).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(flags(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    for (name, wanted) in [("pc_shared", &["--cflags", "--libs"][..]), ("pc_static", &["--cflags", "--libs", "--static"])] {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut flags = flags(wanted);
        if name == "pc_static" {
            // Both libraries are there, and the linker would take the shared one.
            flags.iter_mut().filter(|flag| *flag == "-lreknock").for_each(|flag| *flag = "-l:libreknock.a".to_owned());
        }
        output(Command::new("cc").arg(root().join("examples/c/machine.c")).args(&flags).arg("-o").arg(&program));
        assert_eq!(run(&program), MACHINE);
        let needed = output(Command::new("readelf").arg("-d").arg(&program));
        assert_eq!(needed.contains("[libreknock.so.0]"), name == "pc_shared", "{needed}");
        std::fs::remove_file(program).unwrap(); // 50 MB
    }
}

/// CMake from the path, or from PyPI in a folder of the build.
fn cmake() -> Option<PathBuf> {
    if Command::new("cmake").arg("--version").output().is_ok() {
        return Some("cmake".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cmake-venv");
    let cmake = folder.join("bin/cmake");
    if !cmake.exists() {
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).output();
        let installed = venv.and_then(|_| Command::new(folder.join("bin/pip")).args(["install", "--quiet", "cmake"]).output());
        if !installed.is_ok_and(|output| output.status.success()) {
            skipped("there is no cmake, and none could be installed");
            return None;
        }
    }
    Some(cmake)
}

#[test]
fn cmake_finds_the_package_and_links_both_ways() {
    let Some(cmake) = cmake() else { return };
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cmake-build");
    let _ = std::fs::remove_dir_all(&build);
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(root().join("tests/c/cmake")).arg("-B").arg(&build);
    output(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())));
    output(Command::new(&cmake).arg("--build").arg(&build));
    assert_eq!(run(&build.join("shared")), MACHINE);
    assert_eq!(run(&build.join("static")), MACHINE);
    std::fs::remove_dir_all(build).unwrap(); // 50 MB
}

/// Every function of the header is exported, and nothing else is.
#[test]
fn the_exports_are_the_header() {
    let library = prefix().join("lib/libreknock.so");
    let soname = output(Command::new("readelf").arg("-d").arg(&library));
    assert!(soname.contains("soname: [libreknock.so.0]"), "{soname}");
    let symbols = output(Command::new("nm").args(["-D", "--defined-only"]).arg(&library));
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    exported.sort_unstable();
    let functions = functions();
    let mut declared: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);
}

/// What a static library has of global symbols would clash with those of other libraries.
#[test]
fn the_static_library_shows_nothing_else() {
    let symbols = output(Command::new("nm").args(["-g", "--defined-only"]).arg(prefix().join("lib/libreknock.a")));
    let mut shown: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    shown.sort_unstable();
    let functions = functions();
    let mut declared: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    declared.sort_unstable();
    assert_eq!(shown, declared);
}

/// Compiles a program with our static library and these arguments; gives where it is.
fn linked(name: &str, source: &Path, arguments: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new("cc");
    command.arg("-I").arg(prefix().join("include")).arg(source).arg("-o").arg(&program).arg("-Wl,--gc-sections");
    output(command.arg(prefix().join("lib/libreknock.a")).args(arguments).args(["-lpthread", "-lm", "-ldl"]));
    program
}

#[test]
fn a_program_can_be_static() {
    let program = linked("all_static", &root().join("examples/c/machine.c"), &["-static"]);
    assert_eq!(run(&program), MACHINE);
    std::fs::remove_file(program).unwrap();
}

/// Ours has a libzstd within.
#[test]
fn another_libzstd_is_linked_beside() {
    if needs("libzstd").is_none() {
        return;
    }
    let code = "#include <reknock.h>\n#include <stdio.h>\n#include <zstd.h>\nint main(void) {\n    char out[100], in[100];\n    \
        size_t size = ZSTD_compress(out, sizeof out, \"text\", 5, 3);\n    reknock_client *client = NULL;\n    \
        if (reknock_client_new(NULL, &client, NULL) || ZSTD_decompress(in, sizeof in, out, size) != 5) return 1;\n    \
        reknock_client_free(client);\n    printf(\"%s\\n\", in);\n    return 0;\n}\n";
    for (name, before) in [("zstd_after", false), ("zstd_before", true)] {
        let zstd = ["-Wl,-Bstatic", "-lzstd", "-Wl,-Bdynamic"];
        let source = policy("zstd.c", code);
        let arguments: Vec<&str> = if before { Vec::new() } else { zstd.to_vec() };
        let program = match before {
            false => linked(name, &source, &arguments),
            true => {
                let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
                let mut command = Command::new("cc");
                command.arg("-I").arg(prefix().join("include")).arg(&source).args(zstd).arg(prefix().join("lib/libreknock.a"));
                output(command.args(["-lpthread", "-lm", "-ldl", "-o"]).arg(&program));
                program
            }
        };
        assert_eq!(run(&program), "text\n", "{name}");
        std::fs::remove_file(program).unwrap();
    }
}

/// Licences of ours and of what is compiled in; and a folder of libraries that is deeper, as Debian has it.
#[test]
fn what_else_is_installed() {
    for name in ["doc/reknock/LICENSE-APACHE", "doc/reknock/LICENSE-MIT", "doc/reknock/THIRD-PARTY.md", "reknock/tsan.supp"] {
        assert!(prefix().join("share").join(name).exists(), "{name}");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small");
    let (built, deep) = (folder.join("built"), folder.join("prefix"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&built).unwrap();
    let source = policy("small.c", "int reknock_version(void) { return 1; }\nint foreign(void) { return 2; }\n");
    output(Command::new("cc").args(["-c", "-o"]).arg(folder.join("small.o")).arg(&source));
    output(Command::new("ar").arg("rcs").arg(built.join("libreknock.a")).arg(folder.join("small.o")));
    output(Command::new("cc").args(["-shared", "-o"]).arg(built.join("libreknock.so")).arg(folder.join("small.o")));
    let install =
        |libdir: &str| Command::new(root().join("bindings/c/install")).arg(&deep).arg(&built).env("LIBDIR", libdir).output().unwrap();
    assert!(install("lib/x86_64-linux-gnu").status.success());
    let library = deep.join("lib/x86_64-linux-gnu/libreknock.a");
    let symbols = output(Command::new("nm").args(["-g", "--defined-only"]).arg(&library));
    assert!(symbols.contains("reknock_version") && !symbols.contains("foreign"), "{symbols}");
    if has("pkg-config") {
        let mut command = Command::new("pkg-config");
        command.args(["--libs", "--cflags", "reknock"]).env("PKG_CONFIG_PATH", library.with_file_name("pkgconfig"));
        let said = output(&mut command);
        let path =
            |flag: &str| said.split_whitespace().find_map(|word| word.strip_prefix(flag)).map(|path| std::fs::canonicalize(path).unwrap());
        assert_eq!(path("-L").as_deref(), library.canonicalize().unwrap().parent());
        assert_eq!(path("-I"), Some(deep.join("include").canonicalize().unwrap()));
    }
    assert!(!install("/usr/lib").status.success() && !install("../lib").status.success());
}

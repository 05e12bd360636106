//! What connections begin and end at, where the options say so.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;

use reknock::ErrorKind::{self, Config, Connect};
use reknock::client::{Client, HttpTransport, Proxy, TransportOptions};
use reknock::{Error, Evidence, Policy};

use crate::{answers, options, read, server};

fn once(options: TransportOptions) -> Client<HttpTransport> {
    let policy = Policy::from_yaml("{max_retries: 0}").unwrap();
    Client::on(options).policy(policy).build().unwrap()
}

/// Whatever the URL's host is, and without a look at its name or at a proxy.
#[test]
fn a_unix_socket_stands_for_every_host() {
    let folder = std::env::temp_dir().join(format!("reknock-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("http.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while std::io::Read::read(&mut stream, &mut buffer).is_ok_and(|size| size > 0) {
                    let text = String::from_utf8_lossy(&buffer);
                    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}", host.len()).unwrap();
                }
            });
        }
    });
    let mut options = TransportOptions::default();
    options.unix_socket = Some(path.clone());
    let client = once(options);
    for host in ["docker", "nowhere.invalid:81", "docker"] {
        let response = client.get(&format!("http://{host}/version")).send_blocking().unwrap();
        let record = &response.attempts()[0].connection;
        assert_eq!((&*response.text(), record.peer, record.resolve), (host, None, None));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let error = client.get("http://another/").send_blocking().unwrap_err();
    let last = &error.attempts()[0];
    assert_eq!((error.kind(), last.evidence), (Connect, Evidence::NotSent), "{error}");
}

#[test]
fn the_server_sees_the_address_that_was_said() {
    let (address, _) = server(|stream, _, seen| {
        let text = stream.peer_addr().unwrap().ip().to_string();
        while read(stream, seen) {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
        }
    });
    let mut options = options();
    for own in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
        options.local_address = Some(own.into());
        let response = once(options.clone()).get(&format!("http://{address}/")).send_blocking().unwrap();
        assert_eq!(response.text(), own.to_string());
    }
}

fn refused(options: TransportOptions, url: &str) -> Error {
    let error = once(options).get(url).send_blocking().unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].evidence), (Connect, Evidence::NotSent), "{error}");
    error
}

/// Not from any other, silently.
#[test]
fn another_family_than_that_of_the_address_is_not_tried() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let mut options = options();
    options.local_address = Some(IpAddr::from([127, 0, 0, 2]));
    options.resolve = vec![("six.test".to_owned(), vec!["::1".parse().unwrap()])];
    for host in ["[::1]", "six.test"] {
        let error = refused(options.clone(), &format!("http://{host}:{port}/"));
        let said = "no connection can be opened from local_address 127.0.0.2: the other end has no IPv4 address";
        assert!(error.to_string().contains(said), "{error}");
    }
    // An address that is there beside it is taken.
    let (address, _) = server(answers);
    options.resolve = vec![("both.test".to_owned(), vec!["::1".parse().unwrap(), address.ip()])];
    assert_eq!(once(options).get(&format!("http://both.test:{}/", address.port())).send_blocking().unwrap().status(), 200);
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let mut options = options();
    options.local_address = Some("192.0.2.1".parse().unwrap());
    let error = refused(options, "http://127.0.0.1:9/").to_string();
    assert!(error.contains("no connection can be opened from local_address 192.0.2.1: ") && error.contains("(os error 99)"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn connections_leave_by_the_interface_that_was_said() {
    let (address, _) = server(answers);
    let mut options = options();
    options.interface = Some("lo".to_owned());
    assert_eq!(once(options.clone()).get(&format!("http://{address}/")).send_blocking().unwrap().status(), 200);
    options.interface = Some("nowhere0".to_owned());
    let error = refused(options, &format!("http://{address}/")).to_string();
    assert!(error.contains("no connection can be opened from interface nowhere0: No such device"), "{error}");
}

/// Addresses of a link need their zone, which no URL names: it is the interface.
#[cfg(target_os = "linux")]
#[test]
fn addresses_of_a_link_are_reached_by_their_interface() {
    let client = once(options());
    for url in ["http://[fe80::1%25eth0]/", "http://me:x@[fe80::1%eth0]:81/a?b"] {
        let error = client.get(url).send_blocking().unwrap_err();
        let said = "url: must not name the zone of an IPv6 address, got \"eth0\"; give it as interface of the client";
        assert!(error.kind() == ErrorKind::InvalidRequest && error.to_string().contains(said), "{error}");
    }
    // Where the machine has such an address.
    let known = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let Some(line) = known.lines().find(|line| line.starts_with("fe80")) else { return };
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = std::net::Ipv6Addr::from(u128::from_str_radix(fields[0], 16).unwrap());
    let scope = u32::from_str_radix(fields[1], 16).unwrap();
    let listener = TcpListener::bind(std::net::SocketAddrV6::new(address, 0, 0, scope)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        answers(&mut stream, 0, &crate::Seen::default());
    });
    let mut options = options();
    options.interface = Some(fields[5].to_owned());
    assert_eq!(once(options).get(&format!("http://[{address}]:{port}/")).send_blocking().unwrap().status(), 200);
}

/// What cannot be is said when the client is made.
#[test]
fn what_cannot_be_is_an_error_of_the_client() {
    let mut none = options();
    none.max_connections = 0;
    let mut both = TransportOptions::default();
    (both.unix_socket, both.proxy) = (Some("/run/x.sock".into()), Proxy::Url("http://p".to_owned()));
    let mut long = options();
    long.unix_socket = Some("x".repeat(108).into());
    for (options, said) in [
        (none, "max_connections: must be at least 1, got 0"),
        (both, "proxy: cannot be where unix_socket says what to connect to; leave one of them out"),
        (long, "unix_socket: must be a path that fits into a socket's address: not empty, below 108 bytes, without NUL, got "),
    ] {
        let error = Client::on(options).build().err().unwrap();
        assert!(error.kind() == Config && error.to_string().starts_with(said), "{error}");
    }
}

//! Addresses that race.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::{answer, client, options};

/// A listener whose queue is full, so that no SYN is answered, and what fills it.
fn silent(ip: IpAddr, port: u16) -> Option<Vec<Socket>> {
    let address = SocketAddr::new(ip, port);
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).ok()?;
    listener.bind(&address.into()).ok()?;
    listener.listen(0).unwrap();
    let mut held = vec![listener];
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok_and(|stream| {
        held.push(stream.into());
        true
    }) {}
    Some(held)
}

/// Three silent addresses of IPv6 and one of IPv4 before the one that answers: the system would wait for minutes for each.
#[test]
fn silent_addresses_are_passed_over() {
    let (six, four): (IpAddr, IpAddr) = ("::1".parse().unwrap(), "127.0.0.2".parse().unwrap());
    // Somebody else may have the port of the same number.
    let (good, port, _four) = loop {
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = good.local_addr().unwrap().port();
        if let Some(four) = silent(four, port) {
            break (good, port, four);
        }
    };
    std::thread::spawn(move || {
        for mut stream in good.incoming().flatten() {
            crate::read(&mut stream, &crate::Seen::default());
            answer(&mut stream);
        }
    });
    // A machine without IPv6 refuses at once.
    let _six = silent(six, port);
    let mut options = options();
    options.resolve = vec![("many.test".to_owned(), vec![six, six, six, four, "127.0.0.1".parse().unwrap()])];
    let response = client(options).get(&format!("http://many.test:{port}/")).send_blocking().unwrap();
    let record = &response.attempts()[0];
    assert_eq!((response.status(), response.attempts().len()), (200, 1));
    assert_eq!(record.connection.peer, Some(SocketAddr::new("127.0.0.1".parse().unwrap(), port)));
    println!("connected after {:?}", record.connection.connect);
}

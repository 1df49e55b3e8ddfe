//! Batches over real sockets on this machine, in both ways.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process;
use std::time::Duration;

use crate::{BATCH, Batch, Options, Protocol, Sizes, Socket, kernel_drops, who_holds};

fn any(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn socket(address: &str) -> Socket {
    let options = Options {
        patience: Some(Duration::from_secs(5)),
        ..Options::default()
    };
    Socket::bind(any(address), &options).unwrap()
}

fn client(address: &str) -> UdpSocket {
    let client = UdpSocket::bind(any(address)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    client
}

fn both() -> [Batch; 2] {
    [
        Batch::new(Sizes::default()),
        Batch::portable(Sizes::default()),
    ]
}

/// Answers everything that comes with the same bytes in upper case until `count` have come.
fn echo(batch: &mut Batch, socket: &Socket, count: usize) {
    let mut done = 0;
    while done < count {
        let came = batch.receive(socket).unwrap();
        assert!(came > 0, "{done} of {count} came");
        done += came;
        batch.answer_each(|datagram, out| {
            let reply = datagram.bytes.to_ascii_uppercase();
            out[..reply.len()].copy_from_slice(&reply);
            reply.len()
        });
        let sent = batch.send(socket);
        assert_eq!((sent.sent, sent.failed), (came, 0), "{sent:?}");
    }
}

fn answered(address: &str) {
    for mut batch in both() {
        let server = socket(address);
        let client = client(address);
        for number in 0..100 {
            let text = format!("question {number:03}");
            client
                .send_to(text.as_bytes(), server.local_addr())
                .unwrap();
        }
        echo(&mut batch, &server, 100);
        for number in 0..100 {
            let mut reply = [0; 100];
            let (length, from) = client.recv_from(&mut reply).unwrap();
            assert_eq!(reply[..length], *format!("QUESTION {number:03}").as_bytes());
            assert_eq!(from, server.local_addr());
        }
    }
}

#[test]
fn questions_over_ipv4_are_answered_each_with_its_own_reply() {
    answered("127.0.0.1:0");
}

#[test]
fn questions_over_ipv6_are_answered_each_with_its_own_reply() {
    answered("[::1]:0");
}

#[test]
fn a_batch_brings_what_waits_in_one_call_and_no_more_than_its_size() {
    let server = socket("127.0.0.1:0");
    let client = client("127.0.0.1:0");
    for _ in 0..BATCH + 3 {
        client.send_to(b"x", server.local_addr()).unwrap();
    }
    let mut batch = Batch::default();
    assert_eq!(batch.receive(&server).unwrap(), BATCH);
    assert_eq!(batch.receive(&server).unwrap(), 3);
    assert_eq!(batch.received().count(), 3);
}

#[test]
fn a_wildcard_socket_replies_from_the_address_that_was_asked() {
    let server = socket("0.0.0.0:0");
    let asked = SocketAddr::new(any("127.0.0.2:0").ip(), server.local_addr().port());
    let client = client("127.0.0.1:0");
    client.send_to(b"where", asked).unwrap();
    let mut batch = Batch::default();
    assert_eq!(batch.receive(&server).unwrap(), 1);
    let local = batch.received().next().unwrap().local;
    assert_eq!(local, Some(asked.ip()));
    batch.answer_each(|_, out| {
        out[..4].copy_from_slice(b"here");
        4
    });
    assert_eq!(batch.send(&server).sent, 1);
    let (_, from) = client.recv_from(&mut [0; 10]).unwrap();
    assert_eq!(from, asked);
}

#[test]
fn a_wildcard_socket_for_ipv6_tells_the_address_that_was_asked_and_replies_from_it() {
    let server = socket("[::]:0");
    let asked = SocketAddr::new(any("[::1]:0").ip(), server.local_addr().port());
    let client = client("[::1]:0");
    client.send_to(b"where", asked).unwrap();
    let mut batch = Batch::default();
    assert_eq!(batch.receive(&server).unwrap(), 1);
    assert_eq!(batch.received().next().unwrap().local, Some(asked.ip()));
    batch.answer_each(|_, out| {
        out[..4].copy_from_slice(b"here");
        4
    });
    assert_eq!(batch.send(&server).sent, 1);
    let (_, from) = client.recv_from(&mut [0; 10]).unwrap();
    assert_eq!(from, asked);
}

#[test]
fn both_wildcards_can_have_the_same_port() {
    let v4 = socket("0.0.0.0:0");
    let v6 = SocketAddr::new(any("[::]:0").ip(), v4.local_addr().port());
    Socket::bind(v6, &Options::default()).unwrap();
}

#[test]
fn a_socket_that_is_bound_to_an_address_knows_that_it_was_asked() {
    for mut batch in both() {
        let server = socket("127.0.0.3:0");
        let client = client("127.0.0.1:0");
        client.send_to(b"x", server.local_addr()).unwrap();
        batch.receive(&server).unwrap();
        let datagram = batch.received().next().unwrap();
        assert_eq!(
            datagram.local,
            Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)))
        );
        assert_eq!(datagram.peer, client.local_addr().unwrap());
    }
}

#[test]
fn a_datagram_longer_than_the_buffer_is_cut_and_marked_and_one_as_long_is_not() {
    for mut batch in both() {
        let most = Sizes::default().received;
        let server = socket("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        for length in [most, most + 1, 9_000, 0] {
            client
                .send_to(&vec![7; length], server.local_addr())
                .unwrap();
            assert_eq!(batch.receive(&server).unwrap(), 1);
            let datagram = batch.received().next().unwrap();
            assert_eq!(datagram.bytes, vec![7; length.min(most)]);
            assert_eq!(datagram.truncated, length > most, "{length}");
        }
    }
}

#[test]
fn a_receive_returns_with_nothing_when_the_sockets_patience_ends() {
    for mut batch in both() {
        let options = Options {
            patience: Some(Duration::from_millis(20)),
            ..Options::default()
        };
        let server = Socket::bind(any("127.0.0.1:0"), &options).unwrap();
        assert_eq!(batch.receive(&server).unwrap(), 0);
        assert!(batch.is_empty());
        assert_eq!(batch.received().count(), 0);
    }
}

#[test]
fn a_reply_that_the_system_refuses_does_not_keep_the_others() {
    for mut batch in both() {
        let server = socket("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        let good = Some(client.local_addr().unwrap());
        // A broadcast without permission and a port that cannot be: the kernel says no to both at once.
        let bad = [any("255.255.255.255:9"), any("127.0.0.1:0")];
        for (number, to) in [good, Some(bad[0]), good, Some(bad[1]), good]
            .into_iter()
            .enumerate()
        {
            let text = format!("{number}");
            assert!(batch.push(to, |out| {
                out[..1].copy_from_slice(text.as_bytes());
                1
            }));
        }
        let sent = batch.send(&server);
        assert_eq!((sent.sent, sent.failed), (3, 2), "{sent:?}");
        assert!(sent.error.is_some());
        for number in ["0", "2", "4"] {
            let mut reply = [0; 10];
            let (length, _) = client.recv_from(&mut reply).unwrap();
            assert_eq!(reply[..length], *number.as_bytes());
        }
    }
}

#[test]
fn silence_is_not_sent_and_a_reply_is_never_longer_than_its_buffer() {
    for mut batch in both() {
        let server = socket("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        client.send_to(b"quiet", server.local_addr()).unwrap();
        client.send_to(b"loud", server.local_addr()).unwrap();
        let mut done = 0;
        while done < 2 {
            done += batch.receive(&server).unwrap();
            batch.answer_each(|datagram, out| {
                assert_eq!(out.len(), 4_096);
                if datagram.bytes == b"quiet" {
                    0
                } else {
                    usize::MAX
                }
            });
            batch.send(&server);
        }
        let mut reply = vec![0; 10_000];
        let (length, _) = client.recv_from(&mut reply).unwrap();
        assert_eq!(length, 4_096);
    }
}

#[test]
fn a_connected_generator_sends_and_receives_whole_batches() {
    for mut batch in both() {
        let server = socket("127.0.0.1:0");
        let generator = socket("127.0.0.1:0");
        generator.connect(server.local_addr()).unwrap();
        for number in 0..BATCH {
            assert!(batch.push(None, |out| {
                out[0] = b'a';
                out[1] = u8::try_from(number).unwrap();
                2
            }));
        }
        assert!(!batch.push(None, |_| 1), "a full batch takes no more");
        assert_eq!(batch.send(&generator).sent, BATCH);
        echo(&mut Batch::default(), &server, BATCH);
        let mut came = 0;
        while came < BATCH {
            came += batch.receive(&generator).unwrap();
            assert!(batch.received().all(|reply| reply.bytes[0] == b'A'));
        }
    }
}

#[test]
fn replies_of_the_greatest_size_all_fit_into_one_batch() {
    let server = socket("127.0.0.1:0");
    let client = socket("127.0.0.1:0");
    for _ in 0..BATCH {
        client
            .udp()
            .send_to(b"x", server.local_addr())
            .expect("a question is sent");
    }
    let mut batch = Batch::default();
    assert_eq!(batch.receive(&server).unwrap(), BATCH);
    batch.answer_each(|_, out| {
        out.fill(9);
        out.len()
    });
    assert_eq!(batch.send(&server).sent, BATCH);
    let mut replies = Batch::new(Sizes {
        received: 4_096,
        sent: 512,
    });
    assert_eq!(replies.receive(&client).unwrap(), BATCH);
    assert!(
        replies
            .received()
            .all(|reply| reply.bytes.len() == 4_096 && !reply.truncated)
    );
}

#[test]
fn shared_sockets_divide_a_port_and_others_may_not_have_it() {
    let options = Options {
        shared: true,
        ..Options::default()
    };
    let first = Socket::bind(any("127.0.0.1:0"), &options).unwrap();
    let address = first.local_addr();
    Socket::bind(address, &options).unwrap();
    let refused = Socket::bind(address, &Options::default()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn the_holder_of_a_port_is_found_by_pid_and_program() {
    let udp = socket("127.0.0.1:0");
    let tcp = TcpListener::bind(any("127.0.0.1:0")).unwrap();
    let ports = [
        (udp.local_addr().port(), Protocol::Udp),
        (tcp.local_addr().unwrap().port(), Protocol::Tcp),
    ];
    for (port, protocol) in ports {
        let holder = who_holds(port, protocol).unwrap();
        assert_eq!(holder.pid, process::id());
        assert!(!holder.program.is_empty());
        assert!(
            holder
                .to_string()
                .contains(&format!("(pid {})", process::id()))
        );
    }
    let port = udp.local_addr().port();
    drop(udp);
    assert_eq!(who_holds(port, Protocol::Udp), None);
}

#[test]
fn datagrams_that_nobody_reads_are_counted_by_the_kernel() {
    let options = Options {
        receive_buffer: 4_096,
        ..Options::default()
    };
    let server = Socket::bind(any("127.0.0.1:0"), &options).unwrap();
    let inodes = [server.inode().unwrap()];
    assert_eq!(kernel_drops(&inodes), 0);
    let client = client("127.0.0.1:0");
    for _ in 0..100 {
        client.send_to(&[0; 1_000], server.local_addr()).unwrap();
    }
    assert!(kernel_drops(&inodes) > 50, "{}", kernel_drops(&inodes));
}

#[test]
fn a_batch_may_move_to_another_thread() {
    let server = socket("127.0.0.1:0");
    let address = server.local_addr();
    let mut batch = Batch::default();
    let worker = std::thread::spawn(move || {
        echo(&mut batch, &server, 1);
    });
    let client = client("127.0.0.1:0");
    client.send_to(b"moved", address).unwrap();
    let mut reply = [0; 10];
    let (length, _) = client.recv_from(&mut reply).unwrap();
    assert_eq!(&reply[..length], b"MOVED");
    worker.join().unwrap();
}

#[test]
fn a_socket_that_was_handed_over_answers_like_one_that_was_bound() {
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let udp = UdpSocket::bind(any(address)).unwrap();
        // As a service manager leaves it.
        udp.set_nonblocking(true).unwrap();
        let options = Options {
            patience: Some(Duration::from_secs(5)),
            ..Options::default()
        };
        let server = Socket::given(udp, &options).unwrap();
        let second = server.try_clone().unwrap();
        assert_eq!(second.local_addr(), server.local_addr());
        let client = client("127.0.0.1:0");
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, server.local_addr().port()));
        for (text, handle) in [("one", &server), ("two", &second)] {
            client.send_to(text.as_bytes(), at).unwrap();
            echo(&mut Batch::new(Sizes::default()), handle, 1);
            let mut reply = [0; 16];
            let (length, from) = client.recv_from(&mut reply).unwrap();
            assert_eq!(&reply[..length], text.to_uppercase().as_bytes());
            assert_eq!(from, at);
        }
    }
}

#[test]
fn a_socket_of_both_families_is_refused_with_the_remedy() {
    let both = UdpSocket::bind("[::]:0").unwrap();
    let error = Socket::given(both, &Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("BindIPv6Only=ipv6-only"),
        "{error}"
    );
}

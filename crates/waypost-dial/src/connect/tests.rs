use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::testing;

async fn address_where_nothing_listens() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_listener_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = testing::pinned(listener.local_addr().unwrap());
    let stream = testing::dialer()
        .connect(&target, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), target.address());
}

#[tokio::test]
async fn a_port_where_nothing_listens_refuses() {
    let address = address_where_nothing_listens().await;
    let target = testing::pinned(address);
    let error = testing::dialer()
        .connect(&target, Duration::from_secs(5))
        .await
        .unwrap_err();
    assert_eq!(error, DialError::Refused { address });
    assert_eq!(
        error.to_string(),
        format!("connection refused by {address}")
    );
}

#[tokio::test]
async fn a_target_that_takes_no_connection_times_out() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the backlog is full the kernel drops every further SYN.
    let mut waiting = Vec::new();
    let limit = Duration::from_millis(200);
    while let Ok(Ok(stream)) = tokio::time::timeout(limit, TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(
            waiting.len() < 100,
            "the backlog never fills on this system"
        );
    }
    let error = testing::dialer()
        .connect(&testing::pinned(address), limit)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no answer from {address} within 200 ms")
    );
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_refuses() {
    // `localhost` is `::1` and `127.0.0.1` in this order on many systems; a server that listens on
    // only one of them must be found.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = testing::config();
    let target = testing::resolver()
        .resolve("localhost", port)
        .await
        .unwrap();
    let stream = Dialer::new(&config)
        .connect(&target, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
}

#[tokio::test]
async fn a_port_that_meets_itself_counts_as_refused() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let stream = socket.connect(address).await.unwrap();
    assert!(is_connected_to_itself(&stream));
}

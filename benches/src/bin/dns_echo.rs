//! The least that a DNS server over UDP can cost: every question comes back as its own answer.
//!
//! `dns_echo --listen ADDRESS:PORT`

use std::io;
use std::net::SocketAddr;

use waypost_benches::Arguments;
use waypost_datagram::{Batch, Options, Sizes, Socket};

/// Where the header says that this is a response.
const FLAGS_AT: usize = 2;

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let listen: SocketAddr = arguments.require("listen")?;
    arguments.finish()?;
    let socket = Socket::bind(listen, &Options::default())?;
    let mut batch = Batch::new(Sizes::default());
    loop {
        if batch.receive(&socket)? == 0 {
            continue;
        }
        batch.answer_each(|datagram, out| {
            let Some(room) = out.get_mut(..datagram.bytes.len()) else {
                return 0;
            };
            room.copy_from_slice(datagram.bytes);
            if let Some(flags) = room.get_mut(FLAGS_AT) {
                *flags |= 0x80;
            }
            room.len()
        });
        batch.send(&socket);
    }
}

//! What stands between a server and its bucket: it passes everything on, or nothing.

use core::net::SocketAddr;
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// A proxy. It lives as long as the test.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Waits as long as nothing passes: what is on its way stays there, and arrives late.
    fn pass(&self) {
        drop(self.changed.wait_while(self.is_shut.lock().unwrap(), |is_shut| *is_shut).unwrap());
    }
}

impl Proxy {
    pub(super) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, gate) = (listener.local_addr().unwrap(), Arc::<Gate>::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let gate = Arc::clone(&shared);
                thread::spawn(move || drop(join(stream, target, &gate)));
            }
        });
        Self { address, gate }
    }

    /// Lets nothing pass, in either direction, until it is opened again.
    pub(super) fn shut(&self, is_shut: bool) {
        *self.gate.is_shut.lock().unwrap() = is_shut;
        self.gate.changed.notify_all();
    }
}

fn join(near: TcpStream, target: SocketAddr, gate: &Arc<Gate>) -> io::Result<()> {
    gate.pass();
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (from, to, back) = (far.try_clone()?, near.try_clone()?, Arc::clone(gate));
    thread::spawn(move || drop(copy(from, to, &back)));
    copy(near, far, gate)
}

fn copy(mut from: TcpStream, mut to: TcpStream, gate: &Gate) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        gate.pass();
        if read == 0 {
            drop(from.shutdown(Shutdown::Read));
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&bytes[..read])?;
    }
}

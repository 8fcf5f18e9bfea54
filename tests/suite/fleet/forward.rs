//! What stands before a plant: it passes on what comes, until it is cut, or so many bytes were answered.

use core::net::SocketAddr;
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// An address that leads to a plant, or nowhere. It lives as long as the test.
pub(super) struct Forward {
    pub(super) address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

/// Where to, as long as there is a way; and what goes over it now.
#[derive(Default)]
struct Way {
    to: Option<SocketAddr>,
    /// Bytes that are still answered, if they are counted.
    left: Option<usize>,
    open: Vec<TcpStream>,
}

impl Forward {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, way) = (listener.local_addr().unwrap(), Arc::<Mutex<Way>>::default());
        let shared = Arc::clone(&way);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Whoever finds no way is hung up on.
                drop(join(&near, &shared));
            }
        });
        Self { address, way }
    }

    /// Leads there from now on.
    pub(super) fn lead(&self, to: SocketAddr) {
        *self.way.lock().unwrap() = Way { to: Some(to), ..Way::default() };
    }

    /// Leads on until so many bytes more were answered, and then nowhere.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.way.lock().unwrap().left = Some(bytes);
    }

    /// Leads nowhere; what is under way breaks off. Returns where it led to.
    pub(super) fn cut(&self) -> SocketAddr {
        self.way.lock().unwrap().cut().expect("it led somewhere")
    }
}

impl Way {
    fn cut(&mut self) -> Option<SocketAddr> {
        for stream in self.open.drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
        self.to.take()
    }

    /// Tells whether so many bytes may still be answered.
    fn may_answer(&mut self, bytes: usize) -> bool {
        let left = self.left.map(|left| left.checked_sub(bytes));
        match left {
            Some(None) => {
                self.cut();
                false
            }
            Some(left) => {
                self.left = left;
                true
            }
            None => true,
        }
    }
}

fn join(near: &TcpStream, way: &Arc<Mutex<Way>>) -> io::Result<()> {
    let mut open = way.lock().unwrap();
    let Some(to) = open.to else { return near.shutdown(Shutdown::Both) };
    let far = TcpStream::connect(to)?;
    open.open.extend([near.try_clone()?, far.try_clone()?]);
    for stream in [near, &far] {
        stream.set_nodelay(true)?;
    }
    let (from, to, counted) = (far.try_clone()?, near.try_clone()?, Arc::clone(way));
    thread::spawn(move || copy(from, to, |bytes| counted.lock().unwrap().may_answer(bytes)));
    let near = near.try_clone()?;
    thread::spawn(move || copy(near, far, |_| true));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, may: impl Fn(usize) -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !may(count) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        stream.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

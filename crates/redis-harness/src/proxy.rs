//! A proxy that breaks connections on purpose.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// What happens to what goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The connection ends when the client sends: the server sees nothing of it.
    CutBeforeForward,
    /// The server gets it and answers; the connection ends instead of the answer.
    CutBeforeReply,
    /// The server gets the first so many bytes of what the client sends, then the connection ends.
    CutInRequest(usize),
    /// The client gets the first so many bytes of the answer, then the connection ends.
    CutInReply(usize),
    /// Every piece waits this long on its way to the server.
    Delay(Duration),
    /// What the client sends is swallowed.
    BlackHole,
    /// New connections are closed at once, those there are end.
    Refuse,
}

/// On which side of the server a step is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server sees nothing of it.
    BeforeForward,
    /// The server has done it; the client does not hear of it.
    BeforeReply,
}

/// Listens on a loopback port and passes everything on to a server, with faults.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: watch::Sender<u16>,
    fault: watch::Sender<Fault>,
    /// Faults that end a connection happen so often, then not any more.
    cuts_left: Mutex<Option<u32>>,
    cuts_done: watch::Sender<u32>,
    /// Pieces that clients have sent since the start, or since steps were last counted anew.
    steps: Mutex<u32>,
    hold: Mutex<Option<(u32, Side)>>,
    held: watch::Sender<bool>,
}

impl FaultProxy {
    /// Starts a proxy to a server on a loopback port.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr();
        let port = address
            .unwrap_or_else(|error| panic!("no address: {error}"))
            .port();
        let shared = Arc::new(Shared {
            server: watch::Sender::new(server),
            fault: watch::Sender::new(Fault::None),
            cuts_left: Mutex::new(None),
            cuts_done: watch::Sender::new(0),
            steps: Mutex::new(0),
            hold: Mutex::new(None),
            held: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            port,
            shared,
            accepting,
        }
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL to connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on this happens, to connections there are as well.
    pub fn set(&self, fault: Fault) {
        *self.shared.cuts_left.lock() = None;
        self.shared.fault.send_replace(fault);
    }

    /// This happens once, then nothing does.
    pub fn once(&self, fault: Fault) {
        *self.shared.cuts_left.lock() = Some(1);
        self.shared.fault.send_replace(fault);
    }

    /// Connections from now on go to the server on another port, as after a failover.
    pub fn redirect(&self, server: u16) {
        self.shared.server.send_replace(server);
    }

    /// How many pieces clients have sent. With one client that waits for every answer these are
    /// its commands, or pipelines of them.
    #[must_use]
    pub fn steps(&self) -> u32 {
        *self.shared.steps.lock()
    }

    /// Counts steps anew, and lets everything stand still at the step of this number, from 1.
    pub fn hold_at(&self, step: u32, side: Side) {
        *self.shared.steps.lock() = 0;
        *self.shared.hold.lock() = Some((step, side));
        self.shared.held.send_replace(false);
    }

    /// Connections that stand still end; new ones are not held.
    pub fn let_go(&self) {
        *self.shared.hold.lock() = None;
        self.shared.held.send_replace(false);
    }

    /// Waits until everything stands still. Never returns if there are fewer steps.
    pub async fn until_held(&self) {
        // The sender is held here, so there is always one.
        let _ = self.shared.held.subscribe().wait_for(|held| *held).await;
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> u32 {
        *self.shared.cuts_done.borrow()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.fault.send_replace(Fault::Refuse);
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    /// Whether the last step, or one before it, is held on this side.
    fn stands_still(&self, side: Side) -> bool {
        let steps = *self.steps.lock();
        let stands = match *self.hold.lock() {
            Some((step, held)) => held == side && steps >= step,
            None => false,
        };
        if stands {
            self.held.send_replace(true);
        }
        stands
    }

    async fn until_let_go(&self) {
        // The sender is here, so there is always one.
        let _ = self.held.subscribe().wait_for(|held| !*held).await;
    }

    /// Whether this connection is to be cut for this fault now.
    fn takes_cut(&self, fault: Fault) -> bool {
        let mut left = self.cuts_left.lock();
        if self.fault() != fault {
            return false;
        }
        if let Some(left) = left.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.fault.send_replace(Fault::None);
            }
        }
        self.cuts_done.send_modify(|cuts| *cuts += 1);
        true
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.fault() == Fault::Refuse {
            continue;
        }
        let server = *shared.server.borrow();
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
            continue;
        };
        // A small delay would look like one of the faults.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::spawn(pass(client, server, Arc::clone(&shared)));
    }
}

async fn pass(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut fault = shared.fault.subscribe();
    tokio::select! {
        () = requests(from_client, to_server, &shared) => {}
        () = answers(from_server, to_client, &shared) => {}
        _ = fault.wait_for(|fault| *fault == Fault::Refuse) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        *shared.steps.lock() += 1;
        if shared.stands_still(Side::BeforeForward) {
            return shared.until_let_go().await;
        }
        match shared.fault() {
            Fault::None | Fault::CutBeforeReply | Fault::CutInReply(_) | Fault::Refuse => {}
            Fault::CutInRequest(most) if shared.takes_cut(Fault::CutInRequest(most)) => {
                let _ = to.write_all(&buffer[..most.min(length)]).await;
                return;
            }
            Fault::CutInRequest(_) => {}
            Fault::CutBeforeForward if shared.takes_cut(Fault::CutBeforeForward) => return,
            Fault::CutBeforeForward => {}
            Fault::Delay(delay) => sleep(delay).await,
            Fault::BlackHole => continue,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if shared.stands_still(Side::BeforeReply) {
            return shared.until_let_go().await;
        }
        let fault = shared.fault();
        let passed = match fault {
            Fault::CutBeforeReply => Some(0),
            Fault::CutInReply(most) => Some(most.min(length)),
            _ => None,
        };
        if let Some(passed) = passed
            && shared.takes_cut(fault)
        {
            let _ = to.write_all(&buffer[..passed]).await;
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

//! Taking TCP connections: at most so many at once, until told to stop.
//!
//! What a listener can't take now waits in the system's queue. An error of the
//! listener is one connection's, such as a reset, or passes, such as a want of
//! descriptors; it's told, and after a pause more are taken.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Pause after the system gave no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections, at most `most` at once, and runs what `serve` makes of
/// each; it may refuse one. Once `stop` is cancelled none is taken any more, and
/// those that run are waited for.
pub async fn serve_connections<Serve, Connection>(
    listener: TcpListener,
    most: usize,
    stop: &CancellationToken,
    serve: Serve,
) where
    Serve: Fn(TcpStream, SocketAddr) -> Option<Connection>,
    Connection: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places)).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer, place)) => {
                if let Some(connection) = serve(stream, peer) {
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

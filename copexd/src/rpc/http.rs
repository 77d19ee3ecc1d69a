//! HTTP and WebSocket: jsonrpsee's own service on a Unix socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use jsonrpsee::Methods;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpResponse, Server, ServerConfig, StopHandle,
    serve_with_graceful_shutdown, ws,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::guard::Guard;
use super::peer::{Peer, Transport};
use super::{Limits, service};

/// What a connection needs to be served.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) methods: Methods,
    pub(super) limits: Limits,
    pub(super) peer: Peer,
    /// Answers what is in flight, then closes.
    pub(super) stop: StopHandle,
    /// Closes at once.
    pub(super) cut: CancellationToken,
}

/// Serves one connection to its end, which for a WebSocket is the end of the upgraded
/// stream. `start` are its bytes that were read already.
pub(super) async fn serve(stream: UnixStream, start: BytesMut, http: Http) {
    let closed = http.peer.closed.clone();
    let stop = http.stop.clone();
    let stream = Stream::new(stream, start, &http.cut, closed.clone());
    let stopped = http.stop.clone().shutdown();
    let requests = requests(http, stop);
    if let Err(error) = serve_with_graceful_shutdown(stream, requests, stopped).await {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
    closed.cancelled().await;
}

/// The service behind the connection, which tells each request who asks.
fn requests(
    http: Http,
    stop: StopHandle,
) -> impl tower::Service<
    http::Request<Incoming>,
    Response = HttpResponse,
    Error = io::Error,
    Future = BoxFuture<'static, io::Result<HttpResponse>>,
> + Clone {
    let Http { methods, limits, peer, .. } = http;
    let config = ServerConfig::builder()
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        .max_subscriptions_per_connection(limits.subscriptions)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .set_message_buffer_capacity(limits.outgoing)
        .set_id_provider(service::subscription_ids())
        // Ours are counted at accept; jsonrpsee would count requests.
        .max_connections(u32::MAX)
        .build();
    let guarded = methods.clone();
    let guard = RpcServiceBuilder::new()
        .layer_fn(move |inner| Guard::new(inner, guarded.clone(), limits.response_bytes));
    let inner = Server::builder()
        .set_config(config)
        .set_rpc_middleware(guard)
        .to_service_builder()
        .connection_id(service::short_number(peer.connection))
        .build(methods, stop);
    tower::service_fn(move |mut request: http::Request<Incoming>| {
        let upgrade = ws::is_upgrade_request(&request);
        let transport = if upgrade { Transport::WebSocket } else { Transport::Http };
        request.extensions_mut().insert(Peer { transport, ..peer.clone() });
        let mut inner = inner.clone();
        let answered = async move {
            tower::Service::call(&mut inner, request).await.map_err(io::Error::other)
        };
        Box::pin(answered) as BoxFuture<'static, _>
    })
}

/// The client's stream: gives back what was read to find the framing, ends at once when
/// cut, and tells when it is dropped, since an upgraded stream outlives its server.
struct Stream {
    // Closed before anybody is told.
    inner: UnixStream,
    start: BytesMut,
    cut_read: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_write: Pin<Box<WaitForCancellationFutureOwned>>,
    _closed: DropGuard,
}

impl Stream {
    fn new(
        inner: UnixStream,
        start: BytesMut,
        cut: &CancellationToken,
        closed: CancellationToken,
    ) -> Self {
        Self {
            inner,
            start,
            cut_read: Box::pin(cut.clone().cancelled_owned()),
            cut_write: Box::pin(cut.clone().cancelled_owned()),
            _closed: closed.drop_guard(),
        }
    }

    /// The inner stream, unless it was cut.
    fn writer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> io::Result<Pin<&mut UnixStream>> {
        if self.cut_write.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Pin::new(&mut self.get_mut().inner))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_read.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.start.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let length = self.start.len().min(buffer.remaining());
        buffer.put_slice(&self.start[..length]);
        self.start.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer(cx)?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer(cx)?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer(cx)?.poll_shutdown(cx)
    }
}

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hedgerow_gateway::Network;
use http::StatusCode;
use jsonrpsee::{
    Extensions, PendingSubscriptionSink, RpcModule,
    server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle},
    types::{ErrorObjectOwned, Params},
};
use tokio::task::JoinHandle;
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};

use crate::{
    args::Args,
    chain::{Chain, Terms},
    filters::Filters,
    methods::METHODS,
    pool::{Forwarder, PoolLimits},
    subscriptions::{self, Ids},
};

/// What clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcLimits {
    /// Bytes of one request, or of one batch of requests.
    pub request_bytes: u32,
    /// Bytes of one response.
    pub response_bytes: u32,
    /// Requests in one batch.
    pub batch: u32,
    /// Connections at once.
    pub connections: u32,
    /// Subscriptions of one connection.
    pub subscriptions: u32,
    /// Blocks over which one question for events goes.
    pub log_blocks: u64,
    /// Whether `eth_sendRawTransaction` answers when the transaction is final, as nodes do that are for development only
    /// and mine at once: tests that were written for these look for the effects without waiting.
    pub send_waits: bool,
    /// What waits.
    pub pool: PoolLimits,
}

impl Default for RpcLimits {
    /// 2 MiB of request and 16 MiB of response, 100 requests in a batch, 256 connections, 64 subscriptions of each, 10,000
    /// blocks; what is sent is not waited for.
    fn default() -> Self {
        Self {
            request_bytes: 2 << 20,
            response_bytes: 16 << 20,
            batch: 100,
            connections: 256,
            subscriptions: 64,
            log_blocks: 10_000,
            send_waits: false,
            pool: PoolLimits::default(),
        }
    }
}

/// How long a connection may say nothing at first.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a request may take, from its first byte to the answer's: more than anybody may wait for a receipt.
const REQUEST: Duration = Duration::from_secs(90);
/// Messages that wait for a slow subscriber.
const BUFFERED: u32 = 256;

/// What methods answer from.
pub(crate) struct Served {
    pub(crate) chain: Arc<Chain>,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) filters: Filters,
    pub(crate) limits: RpcLimits,
}

/// A running server of Ethereum's JSON-RPC, over HTTP and WebSocket at one address.
pub struct Rpc {
    address: SocketAddr,
    handle: ServerHandle,
    forwarding: JoinHandle<()>,
}

impl Rpc {
    /// Starts it. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn start(
        network: Arc<dyn Network>,
        terms: Terms,
        listen: SocketAddr,
        limits: RpcLimits,
    ) -> io::Result<Self> {
        let chain = Arc::new(Chain::new(network, terms));
        let forwarder = Arc::new(Forwarder::new(chain.clone(), limits.pool));
        let served = Served {
            chain,
            forwarder: forwarder.clone(),
            filters: Filters::default(),
            limits,
        };
        let module = module(served).map_err(io::Error::other)?;
        let config = ServerConfig::builder()
            .max_request_body_size(limits.request_bytes)
            .max_response_body_size(limits.response_bytes)
            .max_connections(limits.connections)
            .max_subscriptions_per_connection(limits.subscriptions)
            .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
            .set_message_buffer_capacity(BUFFERED)
            .set_first_request_timeout(Some(FIRST_REQUEST))
            .set_id_provider(Ids)
            .set_tcp_no_delay(true)
            .enable_ws_ping(PingConfig::new())
            .build();
        // Nothing here is anybody's in particular: a page of any origin may ask.
        let anyone = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods(Any)
            .allow_headers(Any);
        // Whoever sends a request byte by byte must not hold a connection for ever.
        let patience = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST);
        let middleware = tower::ServiceBuilder::new().layer(patience).layer(anyone);
        let server = Server::builder()
            .set_config(config)
            .set_http_middleware(middleware)
            .build(listen)
            .await?;
        let address = server.local_addr()?;
        let handle = server.start(module);
        Ok(Self {
            address,
            handle,
            forwarding: tokio::spawn(forwarder.run()),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: what waits in the pool is forgotten.
    pub async fn shutdown(self) {
        self.forwarding.abort();
        // It may have stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

fn module(served: Served) -> Result<RpcModule<Served>, jsonrpsee::core::RegisterMethodError> {
    let mut module = RpcModule::new(served);
    for method in METHODS {
        let answer = method.answer;
        module.register_async_method(
            method.name,
            move |params: Params<'static>, served: Arc<Served>, _: Extensions| async move {
                let args = Args::new(&params)?;
                answer(served, args).await.map_err(ErrorObjectOwned::from)
            },
        )?;
    }
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params: Params<'static>,
         pending: PendingSubscriptionSink,
         served: Arc<Served>,
         _: Extensions| {
            let args = Args::new(&params);
            subscriptions::subscribe(served, args, pending)
        },
    )?;
    Ok(module)
}

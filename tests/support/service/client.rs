//! Clients of the contract.

use core::{future::Future, net::SocketAddr};

use griptrace_proto::v1::{
    commit_service_client::CommitServiceClient, lineage_service_client::LineageServiceClient,
    proof_service_client::ProofServiceClient,
};
use prost::bytes::{Buf as _, BufMut as _};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint, Error},
};
use tonic_types::StatusExt as _;

/// Runs a test that waits for answers.
pub(crate) fn block_on<T>(what: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(what)
}

/// How to reach a service, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    address: SocketAddr,
    tls: Option<ClientTlsConfig>,
    token: Option<String>,
}

impl Endpoints {
    /// Without TLS, as nobody.
    pub(crate) const fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, token: None }
    }

    /// With TLS.
    pub(crate) fn tls(mut self, tls: ClientTlsConfig) -> Self {
        self.tls = Some(tls.domain_name("localhost"));
        self
    }

    /// With a token in every call.
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address)).unwrap().tcp_nodelay(true);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone())?;
        }
        let channel = endpoint.connect().await?;
        let token = self.token.as_ref().map(|token| format!("Bearer {token}").parse().unwrap());
        Ok(Client::over(channel, WithToken(token)))
    }
}

/// Puts a token into every call, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct WithToken(Option<MetadataValue<Ascii>>);

impl Interceptor for WithToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

type Connection = InterceptedService<Channel, WithToken>;

/// A connection, and the three services over it. Its clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) commits: CommitServiceClient<Connection>,
    pub(crate) lineage: LineageServiceClient<Connection>,
    pub(crate) proofs: ProofServiceClient<Connection>,
    connection: Connection,
}

impl Client {
    fn over(channel: Channel, token: WithToken) -> Self {
        let connection = InterceptedService::new(channel, token);
        Self {
            connection: connection.clone(),
            commits: CommitServiceClient::new(connection.clone()).max_decoding_message_size(usize::MAX),
            lineage: LineageServiceClient::new(connection.clone()).max_decoding_message_size(usize::MAX),
            proofs: ProofServiceClient::new(connection).max_decoding_message_size(usize::MAX),
        }
    }
}

impl Client {
    /// Makes a call that is answered by one message, with whatever bytes stand for the request.
    pub(crate) async fn raw(&self, path: &'static str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut grpc = Grpc::new(self.connection.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static(path);
        Ok(grpc.unary(Request::new(request), path, AsTheyAre).await?.into_inner())
    }
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy, Debug)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

/// Returns all messages of a stream.
pub(crate) async fn all<T>(answer: Result<Response<Streaming<T>>, Status>) -> Result<Vec<T>, Status> {
    let mut stream = answer?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

/// Returns the code of a refusal and its stable reason, which is empty if it has none.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map_or_else(String::new, |info| info.reason))
}

//! A real S3 server (`s3s-fs`).

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::path::Path;
use tokio::net::TcpListener;

/// Serves the folders in `root` as buckets, for ever.
pub async fn serve(listener: TcpListener, root: &Path, (key, secret): (&str, &str)) {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(SimpleAuth::from_single(key, secret));
    let service = builder.build();
    loop {
        let socket = listener.accept().await.unwrap().0;
        let service = service.clone();
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(socket);
            // A connection that breaks is what some tests are about.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

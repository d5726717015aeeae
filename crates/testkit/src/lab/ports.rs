//! What tests and measurements see of a lab from outside: its audit log, its ports, the server's process.

use super::{Lab, Stands};
use crate::audit::{self, ApiRequest};
use crate::https::HttpsServer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

impl Lab {
    /// The requests of the server's account about a namespace so far, oldest first.
    pub fn requests_about(&self, namespace: &str) -> Vec<ApiRequest> {
        let mut all = audit::read(&self.cluster.dir().join("audit.log"));
        all.retain(|request| request.namespace == namespace);
        all
    }

    /// The requests with a token of the server's account so far, oldest first.
    pub fn requests_with(&self, credential: &str) -> Vec<ApiRequest> {
        let mut all = audit::read(&self.cluster.dir().join("audit.log"));
        all.retain(|request| request.credential == credential);
        all
    }

    /// The server's process; none while it does not run.
    pub fn server_process_id(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.0.id())
    }

    /// The admission port, as any Pod reaches it.
    pub fn webhook(&self) -> HttpsServer {
        let bundle = self.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[0].clientConfig.caBundle");
        let authority = STANDARD.decode(bundle).unwrap();
        let port = match &self.stands {
            Stands::Confined(_) => 8443,
            Stands::Plain { ports, .. } => ports.1,
        };
        let name = match &self.stands {
            Stands::Confined(_) => "tidewaiter.tidewaiter-system.svc",
            Stands::Plain { .. } => "127.0.0.1",
        };
        let address = ([127, 0, 0, 1], port).into();
        HttpsServer { address, name: name.to_owned(), authority, token: None }
    }

    /// The API server, as the server's account.
    pub fn api_as_server(&self) -> HttpsServer {
        let (host, port) = self.cluster.address();
        HttpsServer {
            address: (host.parse::<std::net::IpAddr>().unwrap(), port).into(),
            name: "localhost".to_owned(),
            authority: self.cluster.ca(),
            token: Some(self.cluster.token("tidewaiter-system", "tidewaiter")),
        }
    }
}

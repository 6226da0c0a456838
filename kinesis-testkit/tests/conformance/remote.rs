//! The cases over HTTP, with TLS and without: whatever needs no virtual time.

use kinesis_testkit::{FakeKinesis, Server};

use crate::FILES;
use crate::case::CaseFile;
use crate::run::{Outcome, put_to};
use crate::target::{Remote, Target};

/// Puts all cases to servers, a fresh one for each, and returns how many there were.
async fn check(with_tls: bool) -> usize {
    let mut cases = 0;
    let mut failures = Vec::new();
    for (operation, text) in FILES {
        for case in CaseFile::parse(text).cases.iter().filter(|case| case.is_portable()) {
            let fake = FakeKinesis::builder().journal(false).build();
            let builder = Server::builder(&fake);
            let builder = if with_tls { builder.tls() } else { builder };
            let server = builder.bind("127.0.0.1:0").await.unwrap();
            let remote = Remote::new(server.local_addr());
            let remote =
                server.certificate_pem().map_or_else(|| Remote::new(server.local_addr()), |pem| remote.tls(pem));
            let running = tokio::spawn(server.run(std::future::pending()));
            cases += 1;
            if let Outcome::Differs(found) = put_to(&Target::Remote(remote), operation, case).await {
                failures.extend(found);
            }
            running.abort();
        }
    }
    assert!(failures.is_empty(), "{} of {cases} cases failed\n\n{}", failures.len(), failures.join("\n"));
    cases
}

#[tokio::test]
async fn every_case_that_needs_no_virtual_time_holds_over_http() {
    let cases = check(false).await;
    assert!(cases > 700, "{cases} cases are too few");
}

#[tokio::test]
async fn every_case_that_needs_no_virtual_time_holds_over_tls() {
    let cases = check(true).await;
    assert!(cases > 700, "{cases} cases are too few");
}

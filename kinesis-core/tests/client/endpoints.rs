//! What the check of an endpoint lets pass.

use kinesis_core::{AwsConfig, RequestErrorKind};

use crate::fixed;
use crate::kinesis::{Kinesis, clock};

#[tokio::test(start_paused = true)]
async fn endpoints_that_pass_the_check_can_be_called() {
    let mut called = 0;
    for endpoint in [
        "http://host/{x}",
        "http://host/a|b",
        "http://host/\"q\"",
        "http://1.2.3.4.5",
        "http://256.1.1.1",
        "http://host/%zz",
        "http://host/a\\b",
        "http://host/<a>",
        "http://host/^",
        "http://host/`",
        "http://-a",
        "http://a_b:80",
        "http://host./",
        "http://0x7f.1",
        "http://xn--a",
        "http://host//",
        "http://[::1]:80/x",
    ] {
        let Ok(config) = AwsConfig::builder().endpoint(endpoint).build() else { continue };
        let url = config.endpoint().unwrap();
        let client = Kinesis::empty().client_with(fixed(), &clock(), |sdk| sdk.endpoint_url(url));
        let error = client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::NotFound, "{endpoint}: {error}");
        called += 1;
    }
    assert!(called > 0);
}

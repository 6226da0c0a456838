//! A program that writes with the SDK alone, and is tested against the fake.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;

/// Writes a line again until the service has taken it.
///
/// # Errors
/// What the service says when it has refused the line ten times.
pub async fn write(client: &Client, stream: &str, line: &str) -> Result<(), aws_sdk_kinesis::Error> {
    let mut refusals = 0;
    loop {
        let request = client.put_record().stream_name(stream).partition_key(line).data(Blob::new(line));
        match request.send().await {
            Ok(_) => return Ok(()),
            Err(error) if refusals == 10 => return Err(error.into()),
            Err(_) => refusals += 1,
        }
    }
}

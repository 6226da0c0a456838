//! Requests about consumers with enhanced fan-out.

use super::Request;
use crate::engine::{ConsumerArn, ConsumerRef, ServiceError};
use crate::operation::Operation;
use crate::protocol::input::Input;

/// How many consumers a page holds where nobody asks for fewer (API reference, ListStreamConsumers).
const DEFAULT_PAGE: usize = 100;

pub(super) fn parse(operation: Operation, input: &Input) -> Result<Request, ServiceError> {
    match operation {
        Operation::RegisterStreamConsumer => Ok(Request::RegisterConsumer {
            stream: input.stream()?,
            name: input.required("ConsumerName"),
            tags: input.text_map("Tags"),
        }),
        Operation::DescribeStreamConsumer => consumer(input).map(Request::DescribeConsumer),
        Operation::DeregisterStreamConsumer => consumer(input).map(Request::DeregisterConsumer),
        _ => list(input),
    }
}

/// A consumer by its ARN, or by its name and its stream's ARN, or by all three.
fn consumer(input: &Input) -> Result<ConsumerRef, ServiceError> {
    let by_arn = input.text("ConsumerARN").map(str::parse::<ConsumerArn>).transpose()?;
    let (name, stream) = (input.text("ConsumerName"), input.optional_stream()?);
    let Some(arn) = by_arn else {
        return match (name, stream) {
            (Some(name), Some(stream)) => Ok(ConsumerRef { stream, name: name.to_owned(), created_secs: None }),
            _ => Err(ServiceError::invalid_argument(
                "Either ConsumerARN, or StreamARN and ConsumerName should be provided.",
            )),
        };
    };
    let conflicts = name.is_some_and(|name| name != arn.name)
        || stream.is_some_and(|stream| stream.arn.as_ref() != Some(&arn.stream));
    if conflicts {
        return Err(ServiceError::invalid_argument("ConsumerARN, StreamARN and ConsumerName do not match."));
    }
    Ok(arn.into())
}

fn list(input: &Input) -> Result<Request, ServiceError> {
    let (created_millis, next_token) = (input.millis("StreamCreationTimestamp"), input.text("NextToken"));
    if created_millis.is_some() && next_token.is_some() {
        return Err(ServiceError::invalid_argument(
            "NextToken and StreamCreationTimestamp cannot be provided together.",
        ));
    }
    Ok(Request::ListConsumers {
        stream: input.stream()?,
        created_millis,
        next_token: next_token.map(str::to_owned),
        limit: input.count("MaxResults").unwrap_or(DEFAULT_PAGE),
    })
}

//! Tags and fan-out consumers.

use serde_json::{Value, json};

use super::{Answer, Answered, Consumer, Learn, Model, Page, Refusal, State, Token, refuse, seconds};

const MOST_TAGS: usize = 50;
const MOST_CONSUMERS: usize = 20;

impl Model {
    pub(super) fn add_tags(&mut self, input: &Value) -> Answered {
        let stream = self.resolve_active(input)?;
        let mut tags = self.streams[stream].tags.clone();
        let added = input["Tags"].as_object().unwrap().iter();
        tags.extend(added.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())));
        if tags.len() > MOST_TAGS {
            return Err(vec!["InvalidArgumentException", "LimitExceededException"]);
        }
        self.streams[stream].tags = tags;
        self.count("tags added");
        Ok(Answer::Nothing)
    }

    pub(super) fn remove_tags(&mut self, input: &Value) -> Answered {
        let stream = self.resolve_active(input)?;
        for key in input["TagKeys"].as_array().unwrap() {
            self.streams[stream].tags.remove(key.as_str().unwrap());
        }
        self.count("tags removed");
        Ok(Answer::Nothing)
    }

    pub(super) fn list_tags(&self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        let limit = input["Limit"].as_u64().unwrap_or(50) as usize;
        let after = input["ExclusiveStartTagKey"].as_str();
        let mut tags: Vec<(&String, &String)> = self.streams[stream].tags.iter().collect();
        tags.retain(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let page = tags.iter().take(limit).map(|(key, value)| json!({ "Key": key, "Value": value }));
        let body = json!({ "Tags": page.collect::<Vec<_>>(), "HasMoreTags": tags.len() > limit });
        Ok(Answer::Body(body, Vec::new()))
    }

    pub(super) fn register_consumer(&mut self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        let name = input["ConsumerName"].as_str().unwrap();
        let it = &self.streams[stream];
        if matches!(it.state, State::Creating(_) | State::Deleting(_)) || it.consumers.iter().any(|it| it.name == name)
        {
            return refuse("ResourceInUseException");
        }
        if it.consumers.len() >= MOST_CONSUMERS {
            return refuse("LimitExceededException");
        }
        let consumer = Consumer { name: name.to_owned(), arn: "$0".to_owned(), created: self.now };
        let body = json!({ "Consumer": self.describe_one(&consumer, "CREATING") });
        self.streams[stream].consumers.push(consumer);
        self.count("consumers registered");
        Ok(Answer::Body(body, vec![Learn::ConsumerArn(stream)]))
    }

    pub(super) fn learn_consumer_arn(&mut self, stream: usize, value: &str) -> Result<(), String> {
        let it = &mut self.streams[stream];
        let prefix = format!("{}/consumer/", it.arn());
        let Some(consumer) = it.consumers.last_mut() else { return Err("no consumer".to_owned()) };
        let rest = value.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix(&consumer.name));
        let time = rest.and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
        if time != (consumer.created / 1000).to_string() {
            return Err(format!("{value} does not end with the consumer's name and the second of its creation"));
        }
        value.clone_into(&mut consumer.arn);
        Ok(())
    }

    fn describe_one(&self, consumer: &Consumer, status: &str) -> Value {
        json!({
            "ConsumerName": consumer.name,
            "ConsumerARN": consumer.arn,
            "ConsumerStatus": status,
            "ConsumerCreationTimestamp": seconds(consumer.created),
        })
    }

    /// The stream and the consumer that a call means, by the consumer's ARN or by the stream's and the name.
    fn consumer(&self, input: &Value) -> Result<(usize, usize), Refusal> {
        if let Some(arn) = input["ConsumerARN"].as_str() {
            let live = (0..self.streams.len()).filter(|stream| self.streams[*stream].state != State::Gone);
            let mut found = live.filter_map(|stream| {
                let consumers = &self.streams[stream].consumers;
                consumers.iter().position(|it| it.arn == arn).map(|consumer| (stream, consumer))
            });
            return found.next().map_or_else(|| refuse("ResourceNotFoundException"), Ok);
        }
        let (Some(name), false) = (input["ConsumerName"].as_str(), input["StreamARN"].is_null()) else {
            return refuse("InvalidArgumentException");
        };
        let stream = self.resolve(input)?;
        let found = self.streams[stream].consumers.iter().position(|it| it.name == name);
        found.map_or_else(|| refuse("ResourceNotFoundException"), |consumer| Ok((stream, consumer)))
    }

    pub(super) fn describe_consumer(&self, input: &Value) -> Answered {
        let (stream, consumer) = self.consumer(input)?;
        let it = &self.streams[stream];
        let mut body = self.describe_one(&it.consumers[consumer], "ACTIVE");
        body["StreamARN"] = json!(it.arn());
        Ok(Answer::Body(json!({ "ConsumerDescription": body }), Vec::new()))
    }

    pub(super) fn deregister_consumer(&mut self, input: &Value) -> Answered {
        let (stream, consumer) = self.consumer(input)?;
        self.streams[stream].consumers.remove(consumer);
        self.count("consumers deregistered");
        Ok(Answer::Nothing)
    }

    /// The documents name no order; the names' is taken, as with streams.
    pub(super) fn list_consumers(&mut self, input: &Value) -> Answered {
        let limit = input["MaxResults"].as_u64().unwrap_or(100).min(100) as usize;
        let (mut stream, mut after) = (self.resolve(input)?, None);
        if let Some(token) = input["NextToken"].as_str() {
            let page = self.redeem(token, |page| matches!(page, Page::Consumers { .. }))?;
            let Page::Consumers { stream: of, after: last } = page else { unreachable!("{page:?}") };
            (stream, after) = (of, Some(last));
        }
        let it = &self.streams[stream];
        if it.state == State::Gone {
            return refuse("ResourceNotFoundException");
        }
        let mut consumers: Vec<&Consumer> = it.consumers.iter().collect();
        consumers.retain(|it| after.as_ref().is_none_or(|after| it.name > *after));
        consumers.sort_by(|one, other| one.name.cmp(&other.name));
        let page = &consumers[..consumers.len().min(limit)];
        let shown: Vec<Value> = page.iter().map(|it| self.describe_one(it, "ACTIVE")).collect();
        let (mut body, mut learn) = (json!({ "Consumers": shown }), Vec::new());
        if consumers.len() > limit {
            body["NextToken"] = json!("$0");
            let page = Page::Consumers { stream, after: page[page.len() - 1].name.clone() };
            learn.push(Learn::Token(Token { page, issued: self.now }));
        }
        Ok(Answer::Body(body, learn))
    }
}
